//! What happens to the session, told to the handles; and what comes after its end.

use tracing::{debug, info, warn};

use super::driver::publish;
use super::hub::{Hub, now};
use super::seed;
use crate::session::{Config, End, Event, Session, State};

/// What to do when a session expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExpiry {
    /// Go on with a new session. Requests do not cross: those of the old one end with it.
    #[default]
    Follow,
    /// End with it.
    Stop,
}

/// The template of every session, and how the present one ended.
#[derive(Debug)]
pub(super) struct Next {
    config: Config,
    ended: Option<End>,
}

impl Next {
    pub(super) fn new(config: Config) -> Self {
        Self { config, ended: None }
    }

    /// Tells the handles, and the log, what happened. Runs outside the lock.
    pub(super) fn heard(&mut self, hub: &Hub, event: Event) {
        match event {
            Event::Connected { server, session_id, timeout, read_only, reattached } => {
                hub.lock().attempts.clear();
                let session = format_args!("0x{session_id:x}").to_string();
                info!(target: "menagerie::client", %server, session, ?timeout, read_only, reattached, "connected");
                publish(hub, |status| {
                    status.state = if read_only { State::ConnectedReadOnly } else { State::Connected };
                    (status.session_id, status.timeout) = (Some(session_id), timeout);
                });
            }
            Event::Disconnected { loss } => {
                warn!(target: "menagerie::client", %loss, "disconnected");
                publish(hub, |status| {
                    status.state = State::Disconnected;
                    status.disconnects += 1;
                });
            }
            Event::AttemptFailed { server, loss } => {
                debug!(target: "menagerie::client", %server, %loss, "could not connect");
                hub.lock().attempts.insert(server, loss);
            }
            Event::Lost => {
                warn!(target: "menagerie::client", "no contact for 4/3 of the session timeout");
                publish(hub, |status| status.state = State::Lost);
            }
            Event::Contended => {
                warn!(target: "menagerie::client", "the session is taken away again and again: another client seems to use it");
            }
            Event::LeaseRefused { lease, code } => {
                warn!(target: "menagerie::client", ?lease, %code, "lease refused");
                hub.lock().refused.insert(lease);
            }
            Event::Ended(end) => {
                info!(target: "menagerie::client", %end, "session ended");
                self.ended = Some(end);
            }
        }
    }

    /// The session has ended and everybody was told. Begins the next one; false if there is none to come.
    pub(super) fn begin(&mut self, hub: &Hub) -> bool {
        let end = self.ended.take().unwrap_or(End::ClosedUnconfirmed);
        let mut core = hub.lock();
        if end != End::Expired || !core.follows {
            core.over = Some(end);
            drop(core);
            hub.places.close();
            publish(hub, |status| status.state = State::Ended(end));
            return false;
        }
        let config = Config {
            credentials: None,
            last_zxid: core.session.last_zxid(),
            pace: core.session.pace(),
            auth: core.auth.clone(),
            servers: core.servers.clone(),
            first: core.session.heading().filter(|_| !planted!("client_goes_anywhere")).cloned(),
            seed: seed(),
            ..self.config.clone()
        };
        let old = std::mem::replace(&mut core.session, Session::new(config, now()));
        core.epoch += 1;
        let watchers = std::mem::take(&mut core.watchers);
        core.refused.clear();
        let epoch = core.epoch;
        drop(core);
        drop((old, watchers));
        publish(hub, |status| {
            (status.state, status.epoch, status.session_id) = (State::Connecting, epoch, None);
        });
        true
    }
}
