//! What the rows about watches share: how each kind is set, and who sees what when something happens.

use menagerie_conformance::{
    Session, Target,
    jute::{AddWatchMode, ErrorCode, EventType},
};

pub(crate) const CREATED: EventType = EventType::NODE_CREATED;
pub(crate) const DELETED: EventType = EventType::NODE_DELETED;
pub(crate) const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
pub(crate) const LISTED: EventType = EventType::NODE_CHILDREN_CHANGED;

/// The kinds of watches, by what sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// exists, on a znode that may be missing.
    Exists,
    /// getData.
    Data,
    /// getChildren.
    Child,
    /// addWatch, mode 0.
    Persistent,
    /// addWatch, mode 1.
    Recursive,
}

impl Watch {
    pub(crate) const ALL: [Self; 5] =
        [Self::Exists, Self::Data, Self::Child, Self::Persistent, Self::Recursive];

    /// Sets one. Only [`Watch::Exists`] and the last two may be set on a missing znode.
    pub(crate) fn set(self, session: &mut Session, path: &str) {
        match self {
            Self::Exists => assert!(matches!(session.exists(path, true), Ok(_) | Err(ErrorCode::NO_NODE))),
            Self::Data => drop(session.get(path, true).unwrap()),
            Self::Child => drop(session.children(path, true).unwrap()),
            Self::Persistent => session.add_watch(path, AddWatchMode::PERSISTENT).unwrap(),
            Self::Recursive => session.add_watch(path, AddWatchMode::PERSISTENT_RECURSIVE).unwrap(),
        }
    }
}

/// Kind and path of every event that the server has sent up to now.
pub(crate) fn seen(session: &mut Session) -> Vec<(EventType, String)> {
    told(session.events_by_now())
}

/// Kind and path of the events in front of the last reply.
pub(crate) fn seen_before_reply(session: &mut Session) -> Vec<(EventType, String)> {
    told(session.events())
}

fn told(events: Vec<menagerie_conformance::Event>) -> Vec<(EventType, String)> {
    events.into_iter().map(|event| (event.kind, event.path)).collect()
}

/// Something happens below a znode that is made for it: how it is prepared, how it is done, what is seen.
pub(crate) struct Happening {
    /// Names it in messages.
    pub(crate) name: &'static str,
    /// What must be there before the watch is set.
    pub(crate) prepare: fn(&mut Session, &str),
    /// What happens.
    pub(crate) act: fn(&mut Session, &str),
}

impl Happening {
    /// With a watch of `kind` on `on` a connection sees exactly `expected`, in that order, whoever acts; if it acts itself, in
    /// front of the reply. A connection with the same watch elsewhere and the one that acts see nothing. Paths are relative.
    pub(crate) fn check(&self, t: &Target<'_>, kind: Watch, on: &str, expected: &[(EventType, &str)]) {
        for own in [false, true] {
            let mut watcher = t.session();
            let mut bystander = t.session();
            let base = t.path(&format!("{}-{kind:?}-{}-{own}", self.name, on.replace('/', "+")));
            let elsewhere = format!("{base}-elsewhere");
            for base in [&base, &elsewhere] {
                bystander.create(base, b"").unwrap();
                (self.prepare)(&mut bystander, base);
            }
            kind.set(&mut watcher, &format!("{base}{on}"));
            kind.set(&mut bystander, &format!("{elsewhere}{on}"));
            let events = if own {
                (self.act)(&mut watcher, &base);
                let before = seen_before_reply(&mut watcher);
                assert_eq!(seen(&mut watcher), [], "{}: behind the reply", self.name);
                before
            } else {
                let mut actor = t.session();
                (self.act)(&mut actor, &base);
                assert_eq!(seen(&mut actor), [], "{}: without a watch", self.name);
                seen(&mut watcher)
            };
            let expected: Vec<_> =
                expected.iter().map(|(kind, path)| (*kind, format!("{base}{path}"))).collect();
            assert_eq!(events, expected, "{}, {kind:?} on {on:?}, own: {own}", self.name);
            assert_eq!(seen(&mut bystander), [], "{}, {kind:?} elsewhere", self.name);
        }
    }
}
