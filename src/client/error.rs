//! What went wrong, whose doing it was, and what is known of the effect.

use std::fmt;
use std::io;

use thiserror::Error as ThisError;

use super::connect_string::ConnectStringError;
use crate::jute::{DecodeError, ErrorCode, OpCode};
use crate::path::PathError;
use crate::session::{Cause, End, Fate, Loss, RequestError, Server};

/// An operation that did not succeed. One pointer wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    op: Option<OpCode>,
    path: Option<String>,
}

/// Whose doing it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// The caller asked for something that cannot be, cancelled, or let a deadline pass.
    Caller,
    /// A bound of this library is reached.
    Library,
    /// The server answered so.
    Server,
    /// The way to the server.
    Network,
}

#[derive(Debug, ThisError)]
pub(crate) enum Kind {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("operation {index} of the transaction failed: {code}")]
    Transaction { index: usize, code: ErrorCode },
    #[error("the answer does not decode: {0}")]
    Garbled(#[source] DecodeError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    ConnectString(#[from] ConnectStringError),
    #[error("no session within {waited:?}: {}", Attempts(attempts))]
    NotConnected { waited: std::time::Duration, attempts: Vec<(Server, Loss)> },
    #[error("there is no tokio runtime here: call connect inside one, or name one in the builder")]
    NoRuntime,
    #[error("could not start the client's thread")]
    Thread(#[source] io::Error),
    #[error("invalid argument: {0}")]
    Argument(&'static str),
    #[error("the server refused this read: {0}")]
    Read(ErrorCode),
    #[error("unexpected answer: {0}")]
    Unexpected(&'static str),
}

/// What hosts had to say, for an error text.
struct Attempts<'a>(&'a [(Server, Loss)]);

impl Error {
    pub(crate) fn new(kind: impl Into<Kind>) -> Self {
        Self(Box::new(Inner { kind: kind.into(), op: None, path: None }))
    }

    /// Says which operation on which path failed.
    pub(crate) fn at(mut self, op: OpCode, path: &str) -> Self {
        self.0.op = Some(op);
        self.0.path = Some(path.to_owned());
        self
    }

    /// Whose doing it was.
    #[must_use]
    pub fn who(&self) -> Who {
        match &self.0.kind {
            Kind::Request(error) => match error.cause {
                Cause::Server(_) => Who::Server,
                Cause::ConnectionLost(_) | Cause::SessionLost | Cause::SessionEnded(End::Expired) => {
                    Who::Network
                }
                Cause::SessionEnded(End::AuthFailed) => Who::Server,
                Cause::Deadline
                | Cause::Cancelled
                | Cause::SessionEnded(_)
                | Cause::RequestTooLarge { .. } => Who::Caller,
                _ => Who::Library,
            },
            Kind::Transaction { .. } | Kind::Garbled(_) | Kind::Read(_) | Kind::Unexpected(_) => Who::Server,
            Kind::Path(_) | Kind::ConnectString(_) | Kind::NoRuntime | Kind::Argument(_) => Who::Caller,
            Kind::NotConnected { .. } => Who::Network,
            Kind::Thread(_) => Who::Library,
        }
    }

    /// The server's code, if it was the server that refused.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match &self.0.kind {
            Kind::Request(RequestError { cause: Cause::Server(code), .. }) => Some(*code),
            Kind::Request(RequestError { cause: Cause::SessionEnded(End::AuthFailed), .. }) => {
                Some(ErrorCode::AUTH_FAILED)
            }
            Kind::Transaction { code, .. } | Kind::Read(code) => Some(*code),
            _ => None,
        }
    }

    /// Which operation of a transaction failed, counted from 0.
    #[must_use]
    pub fn transaction_index(&self) -> Option<usize> {
        match &self.0.kind {
            Kind::Transaction { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// The path it was about, as the caller named it.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// What is known of the effect.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match &self.0.kind {
            Kind::Request(error) => error.fate,
            Kind::Transaction { .. } => Fate::Refused,
            // A refused multi is answered without an error, too: what became of it stands in what cannot be read.
            Kind::Garbled(_) | Kind::Unexpected(_)
                if self.0.op == Some(OpCode::MULTI) && !planted!("client_multi_fate_guessed") =>
            {
                Fate::Unknown
            }
            Kind::Garbled(_) | Kind::Unexpected(_) => Fate::Applied,
            Kind::Read(_) => Fate::Refused,
            _ => Fate::NotSent,
        }
    }

    /// Why there is no reply, if a request got as far as a session.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        match &self.0.kind {
            Kind::Request(error) => Some(error.cause),
            _ => None,
        }
    }

    /// Whether the same call may succeed later, and cannot do harm twice: it had no effect or is a read, and the reason is
    /// one that passes.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        let passes = match &self.0.kind {
            Kind::Request(error) => match error.cause {
                Cause::ConnectionLost(_) | Cause::SessionLost | Cause::QueueFull | Cause::Deadline => true,
                Cause::Server(code) => {
                    matches!(code, ErrorCode::THROTTLED_OP | ErrorCode::RECONFIG_IN_PROGRESS)
                }
                _ => false,
            },
            Kind::NotConnected { .. } => true,
            _ => false,
        };
        // To read again does no harm, whatever became of the first time.
        let reads = self.0.op.is_some_and(|op| !op.is_write() && op != OpCode::AUTH);
        passes && (reads || !self.may_have_applied())
    }

    /// Whether the server may have done it, or may still.
    #[must_use]
    pub fn may_have_applied(&self) -> bool {
        matches!(self.fate(), Fate::Applied | Fate::Unknown)
    }

    /// Whether the session is over, and everything that belonged to it.
    #[must_use]
    pub fn is_session_lost(&self) -> bool {
        matches!(self.cause(), Some(Cause::SessionEnded(_)))
    }

    pub(crate) fn is_lost_connection(&self) -> bool {
        matches!(self.cause(), Some(Cause::ConnectionLost(_) | Cause::SessionLost))
    }

    /// How the session ended, if that is why.
    #[must_use]
    pub fn session_end(&self) -> Option<End> {
        match self.cause() {
            Some(Cause::SessionEnded(end)) => Some(end),
            _ => None,
        }
    }

    /// What each host had to say, if no session came about.
    #[must_use]
    pub fn attempts(&self) -> &[(Server, Loss)] {
        match &self.0.kind {
            Kind::NotConnected { attempts, .. } => attempts,
            _ => &[],
        }
    }

    /// Why the path is not one, if that is why.
    #[must_use]
    pub fn path_error(&self) -> Option<PathError> {
        match &self.0.kind {
            Kind::Path(error) => Some(*error),
            _ => None,
        }
    }

    /// Why the connect string is not one, if that is why.
    #[must_use]
    pub fn connect_string_error(&self) -> Option<&ConnectStringError> {
        match &self.0.kind {
            Kind::ConnectString(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the call was made where there is no tokio runtime.
    #[must_use]
    pub fn is_no_runtime(&self) -> bool {
        matches!(self.0.kind, Kind::NoRuntime)
    }
}

impl<K: Into<Kind>> From<K> for Error {
    fn from(kind: K) -> Self {
        Self::new(kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::Request(error) => Some(&error.cause),
            Kind::Garbled(error) => Some(error),
            Kind::Path(error) => Some(error),
            Kind::ConnectString(error) => Some(error),
            Kind::Thread(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(op) = self.0.op {
            write!(f, "{op}")?;
            if let Some(path) = self.path().filter(|path| !path.is_empty()) {
                write!(f, " {path:?}")?;
            }
            f.write_str(": ")?;
        }
        fmt::Display::fmt(&self.0.kind, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no host answered");
        }
        for (index, (server, loss)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{server}: {loss}")?;
        }
        Ok(())
    }
}
