//! Whether credentials go where others may read along. Scheme `digest` is named for what the server keeps: what travels is the
//! password itself, on every connection. Over plain TCP to another machine that deserves a word, once a client; what a
//! transport of the caller's own does is not known here, and its own business.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use tracing::warn;

use super::hub::Hub;

/// Both ends of a connection over plain TCP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) near: SocketAddr,
    pub(super) far: SocketAddr,
}

impl Ends {
    /// Whether the far end is on another machine, as far as addresses tell.
    fn lead_elsewhere(self) -> bool {
        let far = self.far.ip().to_canonical();
        !far.is_loopback() && far != self.near.ip().to_canonical()
    }
}

impl Hub {
    /// Says so, once, if passwords are on their way to another machine in plain text. To be called when a connection has come
    /// about, and when credentials have.
    pub(super) fn warn_of_plain_text(&self) {
        let core = self.lock();
        let digest = core.auth.iter().any(|auth| auth.scheme == "digest");
        let exposed = core.ends.filter(|ends| digest && ends.lead_elsewhere());
        drop(core);
        let Some(Ends { far, .. }) = exposed else { return };
        if !self.warned_of_plain_text.swap(true, Ordering::Relaxed) && !planted!("client_plain_text_untold") {
            warn!(target: "menagerie::client", server = %far, "digest credentials travel to another machine in plain text");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::runtime::Handle;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;
    use crate::session::{Auth, Config};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.push_str(&format!("{field}={value:?} "));
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }

        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn hub() -> Hub {
        Hub::new(Config::new(Vec::new(), 1), true, Duration::from_secs(1), Handle::current())
    }

    fn auth(hub: &Hub, scheme: &str) {
        let auth = Auth { scheme: scheme.to_owned(), auth: "user:hunter2".into() };
        drop(hub.add_auth(None, auth).unwrap());
    }

    fn connect(hub: &Hub, near: &str, far: &str) {
        hub.arrived(Some(Ends { near: near.parse().unwrap(), far: far.parse().unwrap() }));
    }

    /// What is logged meanwhile.
    fn logged(act: impl FnOnce()) -> Vec<String> {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), act);
        log.0.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn passwords_that_leave_the_machine_in_plain_text_are_warned_of_once() {
        let before_connecting = logged(|| {
            let hub = hub();
            auth(&hub, "digest");
            connect(&hub, "10.0.0.1:40000", "10.0.0.2:2181");
            hub.arrived(None);
            connect(&hub, "10.0.0.1:40001", "10.0.0.3:2181");
            auth(&hub, "digest");
        });
        let while_connected = logged(|| {
            let hub = hub();
            connect(&hub, "[fd00::1]:40000", "[fd00::2]:2181");
            auth(&hub, "ip");
            auth(&hub, "digest");
            auth(&hub, "digest");
        });
        for (told, far) in [(before_connecting, "10.0.0.2:2181"), (while_connected, "[fd00::2]:2181")] {
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("plain text") && told[0].contains(far), "{told:?}");
            assert!(!told[0].contains("hunter2") && !told[0].contains("user"), "{told:?}");
        }
    }

    #[tokio::test]
    async fn what_stays_on_the_machine_or_is_no_password_is_not_warned_of() {
        let told = logged(|| {
            let hub = hub();
            connect(&hub, "10.0.0.1:40000", "10.0.0.2:2181");
            auth(&hub, "sasl");
            hub.arrived(None);
            auth(&hub, "digest");
            for (near, far) in [
                ("127.0.0.1:40000", "127.0.0.1:2181"),
                ("[::1]:40000", "[::1]:2181"),
                ("[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:2181"),
                ("10.0.0.1:40000", "10.0.0.1:2181"),
            ] {
                connect(&hub, near, far);
            }
        });
        assert_eq!(told, Vec::<String>::new());
    }
}
