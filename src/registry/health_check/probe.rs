//! Asks once: a connection, a request, or what the caller has written.

use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{self, Head};
use super::target::{HttpTarget, TcpTarget};
use crate::registry::BoxFuture;
use crate::registry::address::Address;
use crate::registry::limits::{CHECK_HEAD_LEN_BYTES, CHECK_REASON_LEN_BYTES};

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckFailure {
    /// There is no connection.
    #[error("no connection: {0}")]
    Connect(ErrorKind),
    /// The connection broke before the answer's head was whole.
    #[error("the connection broke: {0}")]
    Lost(ErrorKind),
    /// The connection was closed before the answer's head was whole.
    #[error("closed before the whole head of an answer")]
    CutShort,
    /// Nothing was heard in time, or not enough.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// What came is not HTTP/1.
    #[error("the answer is not HTTP/1")]
    NotHttp,
    /// The head goes on beyond [`CHECK_HEAD_LEN_BYTES`].
    #[error("the answer's head is longer than {CHECK_HEAD_LEN_BYTES} bytes")]
    HeadTooLong,
    /// The answer sends to another place, which is not what is checked.
    #[error("answered {0}: redirects are not followed")]
    Redirected(u16),
    /// The answer is no success.
    #[error("answered {0}")]
    Status(u16),
    /// What a check of the caller's own says, shortened to [`CHECK_REASON_LEN_BYTES`] and without control characters.
    #[error("{0}")]
    Said(Arc<str>),
    /// A check of the caller's own panicked.
    #[error("the check panicked")]
    Panicked,
}

/// What is asked.
pub(super) enum Probe {
    Tcp(TcpTarget),
    Http(HttpTarget),
    Custom(Box<dyn Fn() -> Answer + Send + Sync>),
}

type Answer = BoxFuture<'static, Result<(), CheckFailure>>;

impl Probe {
    pub(super) fn custom<F, R, E>(check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        Self::Custom(Box::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.map_err(|error| said(&error)) })
        }))
    }

    /// What it is called unless it has a name. Queries may hold secrets.
    pub(super) fn label(&self) -> String {
        let of = |at: &TcpTarget| match at {
            TcpTarget::Own => String::new(),
            TcpTarget::At(address) => address.to_string(),
        };
        match self {
            Self::Tcp(at) => format!("tcp {}", of(at)).trim_end().to_owned(),
            Self::Http(HttpTarget { at, path }) => {
                format!("http {}{}", of(at), path.split('?').next().unwrap_or_default())
            }
            Self::Custom(_) => String::from("custom"),
        }
    }

    /// Asks, for as long as it takes.
    pub(super) async fn ask(&self, own: &Address) -> Result<(), CheckFailure> {
        match self {
            Self::Tcp(at) => connect(at.resolve(own)).await.map(drop),
            Self::Http(HttpTarget { at, path }) => get(at.resolve(own), path).await,
            Self::Custom(check) => check().await,
        }
    }
}

async fn connect(address: &Address) -> Result<TcpStream, CheckFailure> {
    let connected = TcpStream::connect((address.host(), address.port())).await;
    connected.map_err(|error| CheckFailure::Connect(error.kind()))
}

async fn get(address: &Address, path: &str) -> Result<(), CheckFailure> {
    let mut stream = connect(address).await?;
    // Who answers without having read all is heard all the same.
    let _ = stream.write_all(http::request(address, path).as_bytes()).await;
    let (mut head, mut piece) = (Head::default(), [0; 1024]);
    let status = loop {
        let read = stream.read(&mut piece).await.map_err(|error| CheckFailure::Lost(error.kind()))?;
        let piece = piece.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Err(CheckFailure::CutShort);
        }
        if let Some(status) = head.read(piece)? {
            break status;
        }
    };
    if planted!("health_body_read") {
        while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {}
    }
    // A short body that is here already is taken, so that its writer does not see a reset.
    let mut left = CHECK_HEAD_LEN_BYTES;
    while let Ok(read @ 1..) = stream.try_read(&mut piece) {
        left = left.saturating_sub(read);
        if left == 0 {
            break;
        }
    }
    match status {
        200..=299 => Ok(()),
        300..=399 => Err(CheckFailure::Redirected(status)),
        _ => Err(CheckFailure::Status(status)),
    }
}

fn said(error: &dyn fmt::Display) -> CheckFailure {
    CheckFailure::Said(shorten(&error.to_string()).into())
}

/// At most [`CHECK_REASON_LEN_BYTES`], on one line.
pub(super) fn shorten(text: &str) -> String {
    let mut short = String::new();
    for character in text.chars() {
        if short.len() + character.len_utf8() > CHECK_REASON_LEN_BYTES {
            break;
        }
        short.push(if character.is_control() { ' ' } else { character });
    }
    short
}
