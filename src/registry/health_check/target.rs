//! What a check asks, as text and as parts. Pure.

use thiserror::Error;

use crate::registry::address::{Address, AddressError};
use crate::registry::limits::NAME_LEN_BYTES;

/// Why something cannot be checked by an HTTP request. The text that was given is not repeated, since it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HealthCheckError {
    /// It would take TLS.
    #[error(
        "https is not checked here: use HealthCheck::custom with an HTTP client of yours, or check a port without TLS"
    )]
    Https,
    /// It is neither a path nor an `http:` URL.
    #[error("a health check's target begins with / or with http://")]
    NotHttp,
    /// It names a user.
    #[error("a health check's URL holds no credentials")]
    Credentials,
    /// It holds something that cannot stand in a request: a space, a control character, text outside of ASCII, a `#`.
    #[error("{character:?} cannot stand in a health check's target; percent-encode it")]
    BadCharacter {
        /// The first such character.
        character: char,
    },
    /// It is longer than [`NAME_LEN_BYTES`](crate::registry::limits::NAME_LEN_BYTES).
    #[error("a health check's target has {len_bytes} bytes, more than {NAME_LEN_BYTES}")]
    TooLong {
        /// Its length.
        len_bytes: usize,
    },
    /// It names nobody to ask.
    #[error("a health check's URL: {0}")]
    Address(#[from] AddressError),
}

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TcpTarget {
    /// To the instance's own address, as it is at the time.
    Own,
    At(Address),
}

/// What is asked for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpTarget {
    pub(super) at: TcpTarget,
    /// Path and query.
    pub(super) path: Box<str>,
}

impl TcpTarget {
    pub(super) fn resolve<'a>(&'a self, own: &'a Address) -> &'a Address {
        match self {
            Self::Own => own,
            Self::At(address) => address,
        }
    }
}

impl HttpTarget {
    pub(super) fn parse(text: &str) -> Result<Self, HealthCheckError> {
        if text.len() > NAME_LEN_BYTES {
            return Err(HealthCheckError::TooLong { len_bytes: text.len() });
        }
        // What is not a letter, a digit or a mark of ASCII could end the request's line, or begin another header.
        if let Some(character) = text.chars().find(|each| !each.is_ascii_graphic() || *each == '#') {
            return Err(HealthCheckError::BadCharacter { character });
        }
        if text.starts_with('/') {
            return Ok(Self { at: TcpTarget::Own, path: text.into() });
        }
        let (scheme, rest) = text.split_once("://").ok_or(HealthCheckError::NotHttp)?;
        if scheme.eq_ignore_ascii_case("https") && !planted!("health_https_taken") {
            return Err(HealthCheckError::Https);
        }
        if !scheme.eq_ignore_ascii_case("http") && !planted!("health_https_taken") {
            return Err(HealthCheckError::NotHttp);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(HealthCheckError::Credentials);
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { at: TcpTarget::At(address(authority)?), path: path.into() })
    }
}

/// Port 80 unless the URL says otherwise.
fn address(authority: &str) -> Result<Address, HealthCheckError> {
    match authority.parse() {
        Err(AddressError::NoPort { .. }) => Ok(Address::new(authority, 80)?),
        parsed => Ok(parsed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_are_read() {
        for (text, at, path) in [
            ("/", None, "/"),
            ("/health?full=1", None, "/health?full=1"),
            ("http://127.0.0.1:8081/health", Some("127.0.0.1:8081"), "/health"),
            ("HTTP://h", Some("h:80"), "/"),
            ("http://[::1]/x", Some("[::1]:80"), "/x"),
            ("http://[::1]:9?q", Some("[::1]:9"), "/?q"),
        ] {
            let parsed = HttpTarget::parse(text).unwrap();
            let at = at.map_or(TcpTarget::Own, |at| TcpTarget::At(at.parse().unwrap()));
            assert_eq!(parsed, HttpTarget { at, path: path.into() }, "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_by_name_and_not_repeated() {
        assert_eq!(HttpTarget::parse("https://h/"), Err(HealthCheckError::Https));
        assert_eq!(HttpTarget::parse("HTTPS://h/"), Err(HealthCheckError::Https));
        for text in ["", "health", "h:80/health", "ftp://h/", "unix:///x"] {
            assert_eq!(HttpTarget::parse(text), Err(HealthCheckError::NotHttp), "{text}");
        }
        for (text, character) in
            [("/a b", ' '), ("/a\r\nX: y", '\r'), ("/a#b", '#'), ("/ü", 'ü'), ("http://h/\u{0}", '\0')]
        {
            assert_eq!(HttpTarget::parse(text), Err(HealthCheckError::BadCharacter { character }));
        }
        let secret = HttpTarget::parse("http://u:hunter2@h/").unwrap_err();
        assert_eq!(secret, HealthCheckError::Credentials);
        assert!(!secret.to_string().contains("hunter2"));
        assert!(matches!(HttpTarget::parse("http://:80/"), Err(HealthCheckError::Address(_))));
        assert!(matches!(HttpTarget::parse("http://0.0.0.0/"), Err(HealthCheckError::Address(_))));
        assert!(matches!(HttpTarget::parse("http://h:0/"), Err(HealthCheckError::Address(_))));
        let long = format!("/{}", "x".repeat(NAME_LEN_BYTES));
        assert!(matches!(HttpTarget::parse(&long), Err(HealthCheckError::TooLong { .. })));
    }
}
