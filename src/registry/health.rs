//! Whether a registry serves: its session, what is registered through it, and what is watched, as one value for a readiness
//! endpoint. What that makes of it is decided purely; the ledger only remembers whom to ask.
//!
//! A ZooKeeper that is away makes nobody unready: views keep their last good set, and registrations that live on its side live on. A
//! process that said otherwise would be taken out of service together with all others, for an outage that none of them feels.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::events::{ViewHealth, health_of};
use super::registered::{Registered, RegistrationState, RegistrationStatus};
use super::services::{Seen, Services, Source};
use crate::client;
use crate::client::Metric;
use crate::session::State;

/// How a registry fares: see [`Registry::health`](super::Registry::health).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryHealth {
    /// Where the client stands; `None` for a registry without one.
    pub session: Option<client::Status>,
    /// Every registration that is wished.
    pub registrations: Vec<RegistrationHealth>,
    /// Every view that somebody has a handle on, also those a [`Union`](super::Union) is made of.
    pub views: Vec<ServiceHealth>,
}

/// How one registration fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationHealth {
    /// The service.
    pub service: String,
    /// The instance's id.
    pub id: String,
    /// Where it stands.
    pub status: RegistrationStatus,
}

/// How one view fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceHealth {
    /// The service.
    pub service: Arc<str>,
    /// Whether it can be relied on.
    pub health: ViewHealth,
    /// How many instances it has; `None` until it has been read for the first time.
    pub instances: Option<usize>,
}

/// What all of it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// All is as wished.
    Good,
    /// It serves by what it last knew, or not in everything. Somebody should look; taking the process out would not help.
    Impaired,
    /// It does not serve: others cannot find this process, or it cannot find others.
    Bad,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The client is not connected to a server that takes writes, or has ended.
    Session(State),
    /// A registration is not as wished.
    Registration(RegistrationHealth),
    /// A view is not fresh.
    View(ServiceHealth),
}

impl Trouble {
    /// How bad it is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is_bad = match self {
            Self::Session(state) => matches!(state, State::Ended(_)),
            Self::Registration(registration) => match registration.status.state {
                RegistrationState::Conflict(_) | RegistrationState::Ended(_) => true,
                _ => registration.status.refusal.is_some(),
            },
            // Without a set there is nothing to go on with.
            Self::View(view) => matches!(view.health, ViewHealth::Ended(_)) || view.instances.is_none(),
        };
        if is_bad { Verdict::Bad } else { Verdict::Impaired }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(State::Ended(end)) => write!(f, "the client has ended: {end}"),
            Self::Session(State::ConnectedReadOnly) => f.write_str("connected to a read-only server"),
            Self::Session(State::Lost) => f.write_str("no server in reach for 4/3 of the session timeout"),
            Self::Session(_) => f.write_str("not connected"),
            Self::Registration(RegistrationHealth { service, id, status }) => {
                write!(f, "registration of {id:?} for {service:?}: ")?;
                match (status.state, status.refusal) {
                    (RegistrationState::Conflict(conflict), _) => {
                        write!(f, "the place is taken ({:?})", conflict.kind)
                    }
                    (RegistrationState::Ended(end), _) => write!(f, "ended: {end}"),
                    (_, Some(code)) => write!(f, "the server answered {code}"),
                    _ => f.write_str("not done yet"),
                }
            }
            Self::View(ServiceHealth { service, health, instances }) => {
                write!(f, "view of {service:?}: ")?;
                match (health, instances) {
                    (ViewHealth::Ended(end), _) => write!(f, "ended: {end}"),
                    (ViewHealth::Impaired(failure), _) => fmt::Display::fmt(failure, f),
                    (_, None) => f.write_str("not read yet"),
                    _ => f.write_str("stale"),
                }
            }
        }
    }
}

impl RegistryHealth {
    /// What is not as it should be, the worst first.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        let session = self.session.map(|status| status.state).filter(|state| *state != State::Connected);
        let is_wrong = |registration: &&RegistrationHealth| {
            let settled = [RegistrationState::Registered, RegistrationState::Withdrawn];
            !settled.contains(&registration.status.state)
        };
        let registrations = self.registrations.iter().filter(is_wrong).cloned().map(Trouble::Registration);
        let views = self.views.iter().filter(|view| !view.health.is_fresh() || view.instances.is_none());
        let all = session.map(Trouble::Session).into_iter().chain(registrations);
        let mut all: Vec<_> = all.chain(views.cloned().map(Trouble::View)).collect();
        all.sort_by_key(|trouble| std::cmp::Reverse(trouble.verdict()));
        all
    }

    /// The verdict on the worst of them.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let worst = self.troubles().first().map_or(Verdict::Good, Trouble::verdict);
        if planted!("health_outage_is_bad") && worst == Verdict::Impaired { Verdict::Bad } else { worst }
    }

    /// For a readiness endpoint: whether the process should get calls. Only a [bad](Verdict::Bad) verdict says no.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.verdict() != Verdict::Bad
    }

    /// The verdict and how many troubles there are, as single values.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        vec![
            Metric::flag("menagerie_registry_ready", self.is_ready()),
            Metric::level("menagerie_registry_troubles", self.troubles().len()),
        ]
    }
}

/// One line: the verdict, and everything that is wrong.
impl fmt::Display for RegistryHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.verdict() {
            Verdict::Good => "good",
            Verdict::Impaired => "impaired",
            Verdict::Bad => "bad",
        })?;
        for (at, trouble) in self.troubles().iter().enumerate() {
            write!(f, "{}{trouble}", if at == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

/// Whom to ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    registrations: Vec<(String, String, watch::Receiver<RegistrationStatus>)>,
    views: Vec<(Arc<str>, Weak<Source>, watch::Receiver<Seen>)>,
}

impl Entries {
    /// Forgets what is over: registrations that nobody keeps, and views that nobody has a handle on.
    fn prune(&mut self) {
        self.registrations.retain(|(_, _, status)| status.has_changed().is_ok());
        self.views.retain(|(_, source, _)| source.strong_count() > 0);
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn registered(&self, registered: Registered) -> Registered {
        let instance = registered.instance();
        let entry = (instance.service.clone(), instance.id.clone(), registered.receiver());
        let mut entries = self.lock();
        entries.prune();
        entries.registrations.push(entry);
        drop(entries);
        registered
    }

    pub(super) fn discovered(&self, services: Services) -> Services {
        let (seen, source) = services.parts();
        let entry = (services.service().into(), Arc::downgrade(&source), seen);
        let mut entries = self.lock();
        entries.prune();
        entries.views.push(entry);
        drop(entries);
        services
    }

    pub(super) fn health(&self, session: Option<client::Status>) -> RegistryHealth {
        let mut entries = self.lock();
        entries.prune();
        let registrations = entries.registrations.iter().map(|(service, id, status)| RegistrationHealth {
            service: service.clone(),
            id: id.clone(),
            status: *status.borrow(),
        });
        let views = entries.views.iter().map(|(service, _, seen)| {
            let seen = seen.borrow();
            let instances = seen.set.as_ref().map(|set| set.len());
            ServiceHealth { service: Arc::clone(service), health: health_of(&seen), instances }
        });
        RegistryHealth { session, registrations: registrations.collect(), views: views.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::ErrorCode;
    use crate::registry::reconcile::{Conflict, ConflictKind};
    use crate::registry::{Discovery, Instance, Memory, ReadFailure, Registration, Registry, connect};
    use crate::session::End;

    fn registration(state: RegistrationState, refusal: Option<ErrorCode>) -> RegistryHealth {
        let status = RegistrationStatus { state, refusal, ..RegistrationStatus::PENDING };
        let one = RegistrationHealth { service: "time".into(), id: "a".into(), status };
        RegistryHealth { registrations: vec![one], ..RegistryHealth::default() }
    }

    fn view(health: ViewHealth, instances: Option<usize>) -> RegistryHealth {
        let one = ServiceHealth { service: "time".into(), health, instances };
        RegistryHealth { views: vec![one], ..RegistryHealth::default() }
    }

    fn since() -> ViewHealth {
        ViewHealth::Stale(tokio::time::Instant::now().into_std())
    }

    #[test]
    fn an_outage_impairs_and_only_what_does_not_serve_is_bad() {
        let twin = RegistrationState::Conflict(Conflict { kind: ConflictKind::Twin, owner: 7 });
        let no_auth = Some(ErrorCode::NO_AUTH);
        for (health, verdict, line) in [
            (RegistryHealth::default(), Verdict::Good, "good"),
            (registration(RegistrationState::Registered, None), Verdict::Good, "good"),
            (registration(RegistrationState::Withdrawn, None), Verdict::Good, "good"),
            (
                registration(RegistrationState::Pending, None),
                Verdict::Impaired,
                "impaired: registration of \"a\" for \"time\": not done yet",
            ),
            (
                registration(RegistrationState::Pending, no_auth),
                Verdict::Bad,
                "bad: registration of \"a\" for \"time\": the server answered NoAuth",
            ),
            (
                registration(twin, None),
                Verdict::Bad,
                "bad: registration of \"a\" for \"time\": the place is taken (Twin)",
            ),
            (
                registration(RegistrationState::Ended(End::Expired), None),
                Verdict::Bad,
                "bad: registration of \"a\" for \"time\": ended: expired",
            ),
            (view(ViewHealth::Fresh, Some(0)), Verdict::Good, "good"),
            (view(since(), Some(3)), Verdict::Impaired, "impaired: view of \"time\": stale"),
            (view(since(), None), Verdict::Bad, "bad: view of \"time\": not read yet"),
            (
                view(ViewHealth::Ended(End::Closed), Some(3)),
                Verdict::Bad,
                "bad: view of \"time\": ended: closed",
            ),
            (
                view(ViewHealth::Impaired(ReadFailure::TooLarge), Some(3)),
                Verdict::Impaired,
                "impaired: view of \"time\": the answer is larger than a reply may be",
            ),
        ] {
            assert_eq!((health.verdict(), health.to_string().as_str()), (verdict, line));
            assert_eq!(health.is_ready(), verdict != Verdict::Bad);
        }
    }

    #[test]
    fn the_worst_comes_first_and_nothing_is_left_out() {
        let mut health = view(since(), Some(3));
        health.registrations =
            registration(RegistrationState::Pending, Some(ErrorCode::NO_AUTH)).registrations;
        let troubles = health.troubles();
        assert!(matches!(troubles[..], [Trouble::Registration(_), Trouble::View(_)]), "{troubles:?}");
        assert_eq!(health.verdict(), Verdict::Bad);
    }

    #[tokio::test]
    async fn what_is_gone_is_forgotten() {
        let registry = Memory::new();
        let registered =
            registry.register(Instance::builder("time").id("a").host("h").port(1)).await.unwrap();
        let services = registry.discover("time").await.unwrap();
        let health = registry.health();
        assert_eq!((health.registrations.len(), health.views.len()), (1, 1));
        assert_eq!((health.verdict(), health.views[0].instances), (Verdict::Good, Some(1)));
        registered.deregister().await.unwrap();
        drop(services);
        assert_eq!(registry.health(), RegistryHealth::default());
    }

    #[tokio::test]
    async fn an_instance_that_no_list_names_is_pending() {
        let registry = connect("static:time=h:1").await.unwrap();
        let _unknown = registry.register(Instance::builder("time").id("a").host("h").port(2)).await.unwrap();
        assert_eq!(registry.health().verdict(), Verdict::Impaired);
    }
}
