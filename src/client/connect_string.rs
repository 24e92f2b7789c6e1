//! Where to connect: `host:port,host:port/chroot`, or a URL with options.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::path::{self, PathError};
use crate::session::{Auth, Server};

/// The port that ZooKeeper listens on where none is named.
pub const DEFAULT_PORT: u16 = 2181;

/// What a connect string says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectString {
    /// The servers, in the order written.
    pub servers: Vec<Server>,
    /// The chroot, empty for none.
    pub chroot: String,
    /// Credentials of a URL, `user:password@`, as scheme `digest`.
    pub auth: Option<Auth>,
    /// `?session_timeout=` of a URL.
    pub session_timeout: Option<Duration>,
    /// `?connect_timeout=` of a URL.
    pub connect_timeout: Option<Duration>,
    /// `?read_only=` of a URL.
    pub read_only: Option<bool>,
}

/// Why a connect string is not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectStringError {
    /// No host is named.
    #[error("the connect string names no host")]
    NoHost,
    /// A host of the list is empty.
    #[error("host {0} of the connect string is empty")]
    EmptyHost(usize),
    /// A port is no number from 1 to 65535.
    #[error("{0:?} is not a port")]
    Port(String),
    /// An IPv6 address stands without its brackets, or a bracket without its pair.
    #[error("{0:?}: write IPv6 addresses in brackets, as in [::1]:2181")]
    Brackets(String),
    /// The chroot is not a path.
    #[error("chroot: {0}")]
    Chroot(#[from] PathError),
    /// A scheme other than `zk://`.
    #[error("{0:?} is not a scheme for ZooKeeper; use zk://")]
    Scheme(String),
    /// An option that does not exist.
    #[error("there is no option {0:?}")]
    Option(String),
    /// An option's value is not one.
    #[error("{value:?} is not a value for {option}")]
    Value {
        /// The option.
        option: &'static str,
        /// What it was given.
        value: String,
    },
    /// There are credentials that are not valid percent-encoded UTF-8, or not where a URL has them. What surrounds them
    /// is not repeated: where they end is just what is not known.
    #[error("write credentials as zk://user:password@host, percent-encoded")]
    Credentials,
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, ConnectStringError> {
        match text.split_once("://") {
            None => plain(text),
            Some(("zk" | "zookeeper", rest)) => url(rest),
            Some((scheme, _)) if scheme.contains('@') => Err(ConnectStringError::Credentials),
            Some((scheme, _)) => Err(ConnectStringError::Scheme(scheme.to_owned())),
        }
    }
}

fn plain(text: &str) -> Result<ConnectString, ConnectStringError> {
    let (hosts, chroot) = match text.find('/') {
        None => (text, ""),
        Some(at) => text.split_at(at),
    };
    let chroot = match chroot {
        "" | "/" => String::new(),
        chroot => {
            path::validate(chroot)?;
            chroot.to_owned()
        }
    };
    if hosts.trim().is_empty() {
        return Err(ConnectStringError::NoHost);
    }
    let servers = hosts.split(',').enumerate().map(|(index, host)| server(index, host.trim()));
    Ok(ConnectString {
        servers: servers.collect::<Result<_, _>>()?,
        chroot,
        auth: None,
        session_timeout: None,
        connect_timeout: None,
        read_only: None,
    })
}

fn server(index: usize, text: &str) -> Result<Server, ConnectStringError> {
    if text.contains('@') && !planted!("client_url_tells_password") {
        return Err(ConnectStringError::Credentials);
    }
    let brackets = || ConnectStringError::Brackets(text.to_owned());
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(brackets)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| brackets())?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(brackets)?) };
        (host, port)
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(brackets()),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(ConnectStringError::EmptyHost(index + 1));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) => match digits.parse() {
            Ok(port) if port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => port,
            _ => return Err(ConnectStringError::Port(digits.to_owned())),
        },
    };
    Ok(Server { host: host.to_owned(), port })
}

fn url(text: &str) -> Result<ConnectString, ConnectStringError> {
    let authority_len = text.find(['/', '?']).unwrap_or(text.len());
    let behind = text.get(authority_len..).unwrap_or_default();
    url_parts(text).map_err(|error| {
        // A slash or a question mark in a password: what was taken for a port or an option may be its rest.
        let astray = behind.contains('@') && !planted!("client_url_tells_password");
        if astray { ConnectStringError::Credentials } else { error }
    })
}

fn url_parts(text: &str) -> Result<ConnectString, ConnectStringError> {
    let (main, query) = text.split_once('?').unwrap_or((text, ""));
    // A password may hold anything percent-encoded, but no slash: the last '@' before the path ends the credentials.
    let authority_len = main.find('/').unwrap_or(main.len());
    let (authority, chroot) = main.split_at(authority_len);
    let (credentials, hosts) = match authority.rsplit_once('@') {
        None => (None, authority),
        Some((credentials, hosts)) => (Some(percent_decoded(credentials)?), hosts),
    };
    let mut parsed = plain(&format!("{hosts}{chroot}"))?;
    parsed.auth = credentials.map(|auth| Auth { scheme: "digest".to_owned(), auth: Bytes::from(auth) });
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (option, value) = pair.split_once('=').unwrap_or((pair, ""));
        match option {
            "session_timeout" => parsed.session_timeout = Some(duration("session_timeout", value)?),
            "connect_timeout" => parsed.connect_timeout = Some(duration("connect_timeout", value)?),
            "read_only" => parsed.read_only = Some(flag("read_only", value)?),
            other => return Err(ConnectStringError::Option(other.to_owned())),
        }
    }
    Ok(parsed)
}

/// `10s`, `500ms`, `2m`, or bare seconds.
pub(crate) fn duration(option: &'static str, text: &str) -> Result<Duration, ConnectStringError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let parsed = number.parse::<u32>().ok().filter(|&number| number > 0).and_then(|number| match unit {
        "ms" => Some(Duration::from_millis(number.into())),
        "s" | "" => Some(Duration::from_secs(number.into())),
        "m" if planted!("fuzz_connect_string") => {
            panic!("planted: fuzz_connect_string")
        }
        "m" => Some(Duration::from_secs(u64::from(number) * 60)),
        _ => None,
    });
    parsed.ok_or_else(|| ConnectStringError::Value { option, value: text.to_owned() })
}

pub(crate) fn flag(option: &'static str, text: &str) -> Result<bool, ConnectStringError> {
    match text {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(ConnectStringError::Value { option, value: other.to_owned() }),
    }
}

fn percent_decoded(text: &str) -> Result<String, ConnectStringError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push(u8::try_from(high * 16 + low).unwrap_or(0)),
            _ => return Err(ConnectStringError::Credentials),
        }
    }
    String::from_utf8(bytes).map_err(|_| ConnectStringError::Credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<String> {
        text.parse::<ConnectString>().unwrap().servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lists_of_hosts() {
        assert_eq!(hosts("a"), ["a:2181"]);
        assert_eq!(hosts("a:1, b:2 ,c"), ["a:1", "b:2", "c:2181"]);
        assert_eq!(hosts("[::1]:2,[fe80::1]"), ["[::1]:2", "[fe80::1]:2181"]);
    }

    #[test]
    fn chroots() {
        for (text, chroot) in [("a", ""), ("a/", ""), ("a/app", "/app"), ("a,b:1/app/x", "/app/x")] {
            assert_eq!(text.parse::<ConnectString>().unwrap().chroot, chroot, "{text}");
        }
    }

    #[test]
    fn urls() {
        let parsed: ConnectString =
            "zk://u%3a:p%40ss@a:1,[::1]/app?session_timeout=500ms&read_only=true".parse().unwrap();
        assert_eq!(parsed.servers.len(), 2);
        assert_eq!(parsed.chroot, "/app");
        assert_eq!(parsed.auth.unwrap().auth, "u::p@ss");
        assert_eq!(
            (parsed.session_timeout, parsed.read_only),
            (Some(Duration::from_millis(500)), Some(true))
        );
    }

    #[test]
    fn no_error_repeats_a_password_that_is_out_of_place() {
        for text in [
            "user:secret@a:2181",
            "a:1,user:secret@b",
            "user:secret@zk://a",
            "zk://user:secret/x@a",
            "zk://user:secret?x@a",
            "zk://user?secret@a",
            "zk://a?session_timeout=secret@a",
        ] {
            let error = text.parse::<ConnectString>().unwrap_err();
            assert_eq!(error, ConnectStringError::Credentials, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_connect_string() {
        use ConnectStringError as E;
        for (text, error) in [
            ("", E::NoHost),
            ("/app", E::NoHost),
            ("zk://", E::NoHost),
            ("a,,b", E::EmptyHost(2)),
            (":1", E::EmptyHost(1)),
            ("a:0", E::Port("0".into())),
            ("a:65536", E::Port("65536".into())),
            ("a:+1", E::Port("+1".into())),
            ("a:", E::Port(String::new())),
            ("::1", E::Brackets("::1".into())),
            ("[::1", E::Brackets("[::1".into())),
            ("[nonsense]:1", E::Brackets("[nonsense]:1".into())),
            ("[::1]1", E::Brackets("[::1]1".into())),
            ("a/app/", E::Chroot(PathError::TrailingSlash)),
            ("a/../x", E::Chroot(PathError::RelativeComponent(1))),
            ("http://a", E::Scheme("http".into())),
            ("zk://a?speed=fast", E::Option("speed".into())),
            ("zk://%zz@a", E::Credentials),
            ("zk://a?session_timeout=soon", E::Value { option: "session_timeout", value: "soon".into() }),
        ] {
            assert_eq!(text.parse::<ConnectString>(), Err(error), "{text}");
        }
    }
}
