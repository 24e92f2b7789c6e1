//! Where an instance is called, and how that is settled before anything is written.
//!
//! An [`Address`] is one that others can use: wildcards, port 0 and malformed hosts do not exist as one. [`settle`]
//! finds it from what was given, the environment and the session's socket. It resolves no names and reads no
//! environment itself.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// The variable that names the address, or `host:port`, to announce.
pub const ADVERTISE_ADDRESS: &str = "ADVERTISE_ADDRESS";

/// The variable in which Kubernetes tells a container its pod's address.
pub const POD_IP: &str = "POD_IP";

/// The longest host name of DNS, in bytes.
const HOST_LEN_BYTES: usize = 253;

/// A host and a port that others can call.
///
/// The host is an IPv4 address, an IPv6 address without brackets in its canonical form, or a name as given. Printing
/// brackets IPv6: `[2001:db8::1]:80`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

/// Why something is not an address that others can call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No host was given and none was found.
    #[error("no host to announce: give one, set {ADVERTISE_ADDRESS} or {POD_IP}, or connect over TCP")]
    NoHost,
    /// No port was given.
    #[error("no port to announce for {host}: give the port that the service listens on")]
    NoPort {
        /// The host, which alone cannot be called.
        host: String,
    },
    /// Port 0 asks the system for a port and names none.
    #[error("port 0 cannot be called: bind the listener first and give the port that it got")]
    PortZero,
    /// The host is a wildcard, on which one listens but which nobody can call.
    #[error(
        "{host} is a wildcard, not an address that others can call: give the host to announce, \
         or only the port and set {ADVERTISE_ADDRESS} or {POD_IP}"
    )]
    Wildcard {
        /// The wildcard.
        host: String,
    },
    /// The host is neither an IP address nor a host name.
    #[error("{host:?} is neither an IP address nor a host name")]
    BadHost {
        /// What was given, shortened to at most 64 characters.
        host: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error("{port:?} is not a port")]
    BadPort {
        /// What was given, shortened to at most 64 characters.
        port: String,
    },
    /// A variable of the environment holds something that is no address.
    #[error("the environment variable {name}: {source}")]
    Environment {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        source: Box<AddressError>,
    },
}

impl Address {
    /// The address of `host`, with or without brackets around IPv6, and `port`.
    ///
    /// # Errors
    /// [`AddressError`] names what is wrong with the host or the port.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let host = check_host(host)?;
        if port == 0 { Err(AddressError::PortZero) } else { Ok(Self { host, port }) }
    }

    /// The host, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The IP address, unless the host is a name.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `host:port` with IPv6 in brackets.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = split(text)?;
        match port {
            Some(port) => Self::new(host, port),
            None => Err(AddressError::NoPort { host: shorten(host) }),
        }
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// What a caller gave of the address to announce; either half may be left to [`settle`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Given {
    /// The host, if given.
    pub host: Option<String>,
    /// The port, if given.
    pub port: Option<u16>,
}

/// Where the host of a settled address came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressSource {
    /// The caller gave it.
    Given,
    /// The variable [`ADVERTISE_ADDRESS`].
    AdvertiseAddress,
    /// The variable [`POD_IP`].
    PodIp,
    /// The local address of the session's socket: the one from which this process reaches ZooKeeper.
    Socket,
}

/// Settles the address to announce: the given host, else [`ADVERTISE_ADDRESS`], else [`POD_IP`], else the local address
/// of the session's socket.
///
/// The port is the given one. Only a port in `ADVERTISE_ADDRESS` goes before it, and only if no host is given: whoever sets
/// the variable describes what lies outside, such as a mapped port, and the given port is then the one inside. Empty
/// variables count as unset.
///
/// # Errors
/// [`AddressError`] says what is missing or cannot be called, and the way out. A wildcard is refused wherever it
/// comes from and never replaced by a guess.
pub fn settle(
    given: &Given,
    env: impl Fn(&str) -> Option<String>,
    socket: Option<SocketAddr>,
) -> Result<(Address, AddressSource), AddressError> {
    if given.port == Some(0) {
        return Err(AddressError::PortZero);
    }
    if let Some(host) = &given.host {
        return Ok((complete(host, given.port)?, AddressSource::Given));
    }
    let variables = [(ADVERTISE_ADDRESS, AddressSource::AdvertiseAddress), (POD_IP, AddressSource::PodIp)];
    for (name, source) in variables {
        if let Some(value) = env(name).filter(|value| !value.trim().is_empty()) {
            let address = from_variable(value.trim(), given.port)
                .map_err(|source| AddressError::Environment { name, source: Box::new(source) })?;
            return Ok((address, source));
        }
    }
    let local = socket.ok_or(AddressError::NoHost)?;
    Ok((complete(&local.ip().to_canonical().to_string(), given.port)?, AddressSource::Socket))
}

fn from_variable(value: &str, given_port: Option<u16>) -> Result<Address, AddressError> {
    let (host, port) = split(value)?;
    complete(host, port.or(given_port))
}

fn complete(host: &str, port: Option<u16>) -> Result<Address, AddressError> {
    match port {
        Some(port) => Address::new(host, port),
        None => Err(AddressError::NoPort { host: String::from(check_host(host)?) }),
    }
}

/// Cuts `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address into host and port.
fn split(text: &str) -> Result<(&str, Option<u16>), AddressError> {
    let bad_host = || AddressError::BadHost { host: shorten(text) };
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad_host)?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(bad_host());
        }
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(parse_port(port)?))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(bad_host()),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some(parse_port(port)?))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, AddressError> {
    // `u16` would also accept a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| digits);
    port.ok_or_else(|| AddressError::BadPort { port: shorten(text) })
}

fn check_host(host: &str) -> Result<Box<str>, AddressError> {
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() || bare == "*" {
        return Err(AddressError::Wildcard { host: host.to_owned() });
    }
    if let Ok(ip) = bare.parse::<IpAddr>() {
        if ip.to_canonical().is_unspecified() {
            return Err(AddressError::Wildcard { host: host.to_owned() });
        }
        // IPv4 is read in the one form in which it is printed.
        return Ok(if ip.is_ipv4() { bare.into() } else { ip.to_string().into() });
    }
    let named = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let anything = bare.bytes().any(|byte| byte.is_ascii_alphanumeric());
    if bare.len() == host.len() && bare.len() <= HOST_LEN_BYTES && named && anything {
        return Ok(bare.into());
    }
    Err(AddressError::BadHost { host: shorten(host) })
}

/// The start of a text that came from outside: error values and logs do not grow with it.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn given(host: Option<&str>, port: Option<u16>) -> Given {
        Given { host: host.map(str::to_owned), port }
    }

    fn unset(_: &str) -> Option<String> {
        None
    }

    fn settled(given: &Given, vars: &[(&str, &str)], socket: Option<&str>) -> Result<String, AddressError> {
        let env =
            |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        settle(given, env, socket.map(|text| text.parse().unwrap())).map(|(address, _)| address.to_string())
    }

    #[test]
    fn every_spelling_is_read_and_printed() {
        for (text, printed) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[2001:DB8:0::1]:65535", "[2001:db8::1]:65535"),
            ("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1"),
            ("time-1.svc.cluster.local:8080", "time-1.svc.cluster.local:8080"),
            ("host_with_underscore:9", "host_with_underscore:9"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), printed);
            assert_eq!(printed.parse::<Address>().unwrap(), address);
        }
        assert_eq!(Address::new("[::1]", 80).unwrap(), Address::new("0:0::1", 80).unwrap());
        assert_eq!(Address::new("::1", 80).unwrap().host(), "::1");
    }

    #[test]
    fn what_cannot_be_called_is_refused_by_name() {
        let refused = |text: &str| text.parse::<Address>().unwrap_err();
        for text in ["0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80", "*:80", ":80"] {
            assert!(matches!(refused(text), AddressError::Wildcard { .. }), "{text}");
        }
        for text in ["10.0.0.1:+80", "h:", "h:65536", "h:-1", "h:8o", "h:NaN"] {
            assert!(matches!(refused(text), AddressError::BadPort { .. }), "{text}");
        }
        let long = format!("{}:80", "a".repeat(254));
        for text in
            ["a/b:80", "..:80", "a b:80", "[1.2.3.4]:80", "[::1:80", "[::1]80", "\u{202e}h:80", "é:80", &long]
        {
            assert!(matches!(refused(text), AddressError::BadHost { .. }), "{text}");
        }
        assert_eq!(refused("10.0.0.1:0"), AddressError::PortZero);
        assert_eq!(refused("::1"), AddressError::NoPort { host: "::1".to_owned() });
        assert!(refused(&"x/".repeat(100_000)).to_string().len() < 400);
    }

    #[test]
    fn given_goes_before_the_environment_and_that_before_the_socket() {
        let socket = Some("192.168.0.9:51234");
        let both = [(ADVERTISE_ADDRESS, "public.example"), (POD_IP, "10.1.1.1")];
        let all = settled(&given(Some("10.0.0.1"), Some(80)), &both, socket);
        assert_eq!(all.unwrap(), "10.0.0.1:80");
        assert_eq!(settled(&given(None, Some(80)), &both, socket).unwrap(), "public.example:80");
        assert_eq!(
            settled(&given(None, Some(80)), &[(POD_IP, " fd00::7 ")], socket).unwrap(),
            "[fd00::7]:80"
        );
        assert_eq!(settled(&given(None, Some(80)), &[(POD_IP, "")], socket).unwrap(), "192.168.0.9:80");
        assert_eq!(settled(&given(None, Some(80)), &[], Some("[::ffff:10.2.2.2]:9")).unwrap(), "10.2.2.2:80");
        assert_eq!(settled(&given(None, Some(80)), &[], Some("[::1]:9")).unwrap(), "[::1]:80");
    }

    #[test]
    fn an_advertised_port_stands_for_the_one_outside() {
        let vars = [(ADVERTISE_ADDRESS, "203.0.113.5:30080")];
        assert_eq!(settled(&given(None, Some(80)), &vars, None).unwrap(), "203.0.113.5:30080");
        assert_eq!(settled(&given(None, None), &vars, None).unwrap(), "203.0.113.5:30080");
        assert_eq!(settled(&given(Some("10.0.0.1"), Some(80)), &vars, None).unwrap(), "10.0.0.1:80");
        let v6 = [(ADVERTISE_ADDRESS, "[2001:db8::5]:30080")];
        assert_eq!(settled(&given(None, Some(80)), &v6, None).unwrap(), "[2001:db8::5]:30080");
    }

    #[test]
    fn refusals_name_the_way_out() {
        let wildcard = settled(&given(Some("0.0.0.0"), Some(80)), &[(POD_IP, "10.1.1.1")], None).unwrap_err();
        assert!(matches!(wildcard, AddressError::Wildcard { .. }), "{wildcard}");
        assert!(wildcard.to_string().contains(ADVERTISE_ADDRESS) && wildcard.to_string().contains(POD_IP));
        assert_eq!(
            settled(&given(None, Some(0)), &[(ADVERTISE_ADDRESS, "a:1")], None),
            Err(AddressError::PortZero)
        );
        assert_eq!(settled(&given(None, Some(80)), &[], None), Err(AddressError::NoHost));
        assert!(matches!(settled(&given(Some("a"), None), &[], None), Err(AddressError::NoPort { .. })));
        let bad = settled(&given(None, Some(80)), &[(ADVERTISE_ADDRESS, "[::]:80")], None).unwrap_err();
        assert!(
            matches!(&bad, AddressError::Environment { name: ADVERTISE_ADDRESS, source } if matches!(**source, AddressError::Wildcard { .. }))
        );
        assert!(matches!(
            settle(&given(None, Some(80)), unset, Some("0.0.0.0:1".parse().unwrap())),
            Err(AddressError::Wildcard { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_accepted_round_trips(text in "\\PC{0,40}|[0-9a-f:.\\[\\]%]{0,24}:[0-9]{0,5}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
            }
        }
    }
}
