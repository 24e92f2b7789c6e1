//! The client's sessions, as facts: connected under this one, or not, or over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use crate::Client;
use crate::client::Status;
use crate::session::{End, State};

/// Follows a client from session to session.
pub(super) struct Sessions {
    client: Client,
    /// Which session the last connection served.
    served: Option<u64>,
    next: Pin<Box<dyn Future<Output = Status> + Send>>,
}

/// What became of the connection since the last fact. Each implies that the one before it is gone.
pub(super) enum Fact {
    /// A connection serves this session.
    Connected(Connected),
    /// There is none.
    Disconnected,
    /// There will be none any more.
    Ended(End),
}

/// A connection to a server that takes writes.
pub(super) struct Connected {
    /// A handle pinned to the session.
    pub(super) client: Client,
    pub(super) session_id: i64,
    /// Whether the session is another than at the last connection.
    pub(super) is_new: bool,
}

impl Sessions {
    /// The first fact is there at once.
    pub(super) fn of(client: &Client) -> Self {
        let status = client.status();
        Self { client: client.clone(), served: None, next: Box::pin(async move { status }) }
    }

    /// Follows on, and keeps the client from ending no more.
    pub(super) fn let_go(&mut self) {
        self.client = self.client.uncounted();
        // What it is now is told again: something may have passed between.
        let status = self.client.status();
        self.next = Box::pin(async move { status });
    }

    /// The next fact. To be asked before events and answers are looked at: what they mean depends on it.
    pub(super) fn poll_fact(&mut self, cx: &mut Context<'_>) -> Poll<Fact> {
        let status = ready!(self.next.as_mut().poll(cx));
        let client = self.client.clone();
        self.next = Box::pin(async move { client.status_change(&status).await });
        Poll::Ready(self.fact(status))
    }

    fn fact(&mut self, status: Status) -> Fact {
        match (status.state, status.session_id) {
            (State::Ended(end), _) => Fact::Ended(end),
            (State::Connected, Some(session_id)) => {
                let client = self.client.session();
                // If the session has just been followed by another, that one's status is on its way.
                if client.status().epoch != status.epoch || client.status().state != State::Connected {
                    return Fact::Disconnected;
                }
                let is_new = self.served.replace(status.epoch) != Some(status.epoch);
                Fact::Connected(Connected { client, session_id, is_new })
            }
            _ => Fact::Disconnected,
        }
    }
}

/// The clock of the runtime, so that a paused one pauses the registry too.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
