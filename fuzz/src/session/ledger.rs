//! What the session was asked and has told so far, and whether it told the truth.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use menagerie::session::{
    Cause, Event, Fate, Notice, Outcome, Rejected, RequestError, RequestId, WatchKind, WatcherId,
};
use menagerie_jute::{ErrorCode, EventType, OpCode};

/// All tokens ever handed in, and all watchers they set.
#[derive(Default)]
pub(super) struct Ledger {
    tokens: Vec<Token>,
    watchers: BTreeMap<WatcherId, Watcher>,
    /// The peer said something on this connection that no server says: its words prove nothing any more.
    pub(super) wild: bool,
    /// The same, on any connection.
    pub(super) wild_ever: bool,
    pub(super) places_taken: u64,
    pub(super) places_freed: u64,
    /// Connection and place in its stream of the last request that was answered.
    last_answered: (u64, u64),
    connected: bool,
    lost: bool,
    pub(super) ended: bool,
}

/// A request or credential, from the wish to the answer.
#[derive(Default)]
pub(super) struct Token {
    pub(super) op: OpCode,
    pub(super) id: Option<RequestId>,
    pub(super) watch: Option<(WatchKind, String)>,
    pub(super) deadline: Option<Instant>,
    pub(super) cancelled: bool,
    /// Connection, and place in its stream, of the frame.
    pub(super) frame: Option<(u64, u64)>,
    /// Whether the peer saw a byte of the frame.
    pub(super) seen: bool,
    /// What the peer answered.
    pub(super) answer: Option<Answer>,
    /// It presents the same credential as another token: which of the two an answer is for cannot be told.
    pub(super) ambiguous: bool,
    pub(super) back: bool,
}

pub(super) struct Answer {
    pub(super) err: ErrorCode,
    pub(super) zxid: i64,
    pub(super) body: Bytes,
}

struct Watcher {
    kind: WatchKind,
    path: String,
    notices: u32,
    over: bool,
    /// `unwatch` was called.
    dropped: bool,
}

impl Ledger {
    /// Enters a token, which is out from now on.
    pub(super) fn open(&mut self, token: Token) -> u32 {
        self.tokens.push(token);
        u32::try_from(self.tokens.len() - 1).unwrap()
    }

    pub(super) fn token(&mut self, token: u32) -> Option<&mut Token> {
        self.tokens.get_mut(token as usize)
    }

    /// The token was not taken.
    pub(super) fn rejected(&mut self, token: u32, rejected: &Rejected<u32>) {
        assert_eq!(rejected.token, token, "another token came back");
        assert_eq!(rejected.error.fate, Fate::NotSent);
        let ended = matches!(rejected.error.cause, Cause::SessionEnded(_));
        assert!(ended || !self.ended, "an ended session rejects for {:?}", rejected.error.cause);
        let entry = &mut self.tokens[token as usize];
        assert!(!std::mem::replace(&mut entry.back, true));
    }

    /// What the peer says next is nothing that a server says at this point, if `it_is`.
    pub(super) fn note_wild(&mut self, it_is: bool) {
        self.wild |= it_is;
        self.wild_ever |= it_is;
    }

    pub(super) fn new_connection(&mut self) {
        self.wild = false;
    }

    /// A token came back.
    pub(super) fn complete(&mut self, now: Instant, token: u32, outcome: &Outcome) {
        assert!(!self.ended, "token {token} came back behind the end");
        let entry = self.tokens.get_mut(token as usize).expect("a token that nobody handed in");
        assert!(!std::mem::replace(&mut entry.back, true), "token {token} came back twice");
        match outcome {
            Ok(_) => self.answered(token),
            Err(error) => self.failed(now, token, *error),
        }
        let (wild, entry) = (self.wild, &self.tokens[token as usize]);
        if !wild && !entry.ambiguous {
            assert_answer(entry, outcome);
        }
    }

    fn failed(&mut self, now: Instant, token: u32, error: RequestError) {
        let entry = &self.tokens[token as usize];
        match error.cause {
            Cause::Cancelled => assert!(entry.cancelled, "cancelled by nobody"),
            Cause::Deadline => assert!(entry.deadline.is_some_and(|at| at <= now), "before its deadline"),
            Cause::QueueFull | Cause::RequestTooLarge { .. } => panic!("{error} after it was taken"),
            _ => {}
        }
        let gave_up = matches!(error.cause, Cause::Cancelled | Cause::Deadline);
        match error.fate {
            Fate::NotSent => {
                assert!(!entry.seen || entry.ambiguous, "{error}: the peer saw it (token {token})")
            }
            Fate::Unknown if gave_up => assert!(entry.frame.is_some(), "{error}: it was not committed"),
            Fate::Unknown => assert!(entry.seen || entry.ambiguous, "{error}: the peer never saw it"),
            Fate::Applied => assert!(matches!(error.cause, Cause::ReplyTooLarge { .. }), "{error}"),
            Fate::Refused => assert!(matches!(error.cause, Cause::Server(_)), "{error}"),
        }
        if matches!(error.fate, Fate::Applied | Fate::Refused) && self.tokens[token as usize].frame.is_some()
        {
            self.in_order(token);
        }
        if error.cause == Cause::Server(ErrorCode::NO_NODE) {
            let entry = &self.tokens[token as usize];
            if entry.op == OpCode::EXISTS && matches!(entry.watch, Some((WatchKind::Data, _))) {
                self.register(token);
            }
        }
    }

    fn answered(&mut self, token: u32) {
        self.in_order(token);
        self.register(token);
    }

    /// Answers come back in the order in which the requests stand on the wire.
    fn in_order(&mut self, token: u32) {
        let entry = &self.tokens[token as usize];
        if entry.op == OpCode::AUTH {
            return;
        }
        let at = entry.frame.expect("an answer to a request that was never written");
        assert!(at > self.last_answered, "answers change places");
        self.last_answered = at;
    }

    /// The answer set a watch.
    fn register(&mut self, token: u32) {
        let entry = &self.tokens[token as usize];
        let (Some((kind, path)), Some(id)) = (&entry.watch, entry.id) else { return };
        let watcher = Watcher { kind: *kind, path: path.clone(), notices: 0, over: false, dropped: false };
        self.watchers.insert(id.watcher(), watcher);
    }

    /// A watcher was told something.
    pub(super) fn notify(&mut self, watcher: WatcherId, notice: &Notice) {
        assert!(!self.ended, "a notice behind the end");
        let entry = self.watchers.get_mut(&watcher).expect("a notice for a watch that no answer has set");
        assert!(!entry.dropped, "{notice:?} for a watcher that went");
        assert!(!entry.over, "{notice:?} for a watch that is over");
        entry.notices += 1;
        entry.over = entry.kind.is_one_shot() || matches!(notice, Notice::Ended(_));
    }

    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.ended, "{event:?} behind the end");
        match event {
            Event::Connected { .. } => {
                assert!(!std::mem::replace(&mut self.connected, true), "connected twice");
                self.lost = false;
            }
            Event::Disconnected { .. } => {
                assert!(std::mem::replace(&mut self.connected, false), "disconnected, but never connected");
            }
            Event::Lost => assert!(!self.connected && !std::mem::replace(&mut self.lost, true), "lost twice"),
            Event::Ended(_) => self.ended = true,
            _ => {}
        }
    }

    /// The caller does not want the answer any more.
    pub(super) fn cancel(&mut self, id: RequestId) {
        if let Some(entry) = self.tokens.iter_mut().rev().find(|entry| entry.id == Some(id)) {
            entry.cancelled = true;
        }
    }

    /// Somebody stops listening; the watcher may be one that was never set.
    pub(super) fn unwatch(&mut self, watcher: WatcherId) {
        if let Some(entry) = self.watchers.get_mut(&watcher) {
            entry.dropped = true;
        }
    }

    /// The watchers that this event must reach, and how often each has been told something so far.
    pub(super) fn concerned(&self, event: EventType, path: &str) -> Vec<(WatcherId, u32)> {
        let concerned = self.watchers.iter().filter(|(_, watcher)| {
            !watcher.over && !watcher.dropped && concerns(watcher.kind, &watcher.path, event, path)
        });
        concerned.map(|(&id, watcher)| (id, watcher.notices)).collect()
    }

    pub(super) fn assert_told(&self, concerned: &[(WatcherId, u32)]) {
        for (id, before) in concerned {
            let watcher = &self.watchers[id];
            assert!(
                watcher.notices > *before,
                "{id:?}, {:?} of {:?}, was not told",
                watcher.kind,
                watcher.path
            );
        }
    }

    /// Everything came back, and every watcher that was left knows that it is over.
    pub(super) fn assert_closed(&self) {
        assert!(self.ended, "a closed session does not end");
        for (token, entry) in self.tokens.iter().enumerate() {
            assert!(entry.back, "token {token} never came back: {:?}", entry.op);
        }
        for (id, watcher) in &self.watchers {
            assert!(
                watcher.over || watcher.dropped,
                "{id:?}, {:?} of {:.20?}, was not told of the end",
                watcher.kind,
                watcher.path
            );
        }
        assert_eq!(self.places_taken, self.places_freed, "places taken and given back");
    }
}

/// The outcome is what the peer answered, where it is an answer at all.
fn assert_answer(entry: &Token, outcome: &Outcome) {
    let answer = entry.answer.as_ref();
    match outcome {
        Ok(reply) => {
            let answer = answer.expect("success, but the peer answered nothing");
            assert_eq!(answer.err, ErrorCode::OK, "success, but the peer refused");
            assert_eq!(
                (reply.zxid, &reply.body),
                (answer.zxid, &answer.body),
                "another reply than the peer's"
            );
        }
        Err(RequestError { cause: Cause::Server(code), .. }) => match answer {
            Some(answer) => assert_eq!(answer.err, *code),
            // A server known not to know the operation is not asked again.
            None => assert!(entry.frame.is_none() && *code == ErrorCode::UNIMPLEMENTED, "{code} from nobody"),
        },
        Err(RequestError { cause: Cause::ReplyTooLarge { .. }, .. }) => {
            assert!(answer.is_some_and(|answer| answer.err == ErrorCode::OK));
        }
        Err(_) => {}
    }
}

/// Whether a watch of this kind at `watched` hears of the event, by the rules of the server (`ZKWatchManager`).
fn concerns(kind: WatchKind, watched: &str, event: EventType, path: &str) -> bool {
    let data =
        matches!(event, EventType::NODE_CREATED | EventType::NODE_DELETED | EventType::NODE_DATA_CHANGED);
    match kind {
        WatchKind::Data | WatchKind::Persistent => data && watched == path,
        WatchKind::Child => {
            let child = matches!(event, EventType::NODE_DELETED | EventType::NODE_CHILDREN_CHANGED);
            child && watched == path
        }
        WatchKind::Recursive => data && !watched.is_empty() && is_at_or_below(path, watched),
    }
}

fn is_at_or_below(path: &str, top: &str) -> bool {
    path == top || (path.starts_with('/') && path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/')))
}
