//! Ports that no other test, process or outgoing connection uses.
//!
//! A port is chosen below the range from which Linux takes the ports of outgoing connections. While it is held, an
//! abstract Unix socket of that name is bound: the kernel keeps two harness processes of one machine apart, also
//! while a killed node's port is free, and lets go when the process dies. A port that anything else listens on is
//! passed over.

use crate::{Error, Result};
use std::{
    fmt,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    process,
};

const RANGE: Range<u16> = 10_000..32_000;

/// A port on loopback that is ours until this is dropped. Nothing listens on it: a server is to be given it.
pub struct Port {
    number: u16,
    _claim: UnixListener,
}

impl Port {
    /// Claims a port.
    ///
    /// # Errors
    /// None is free.
    pub fn claim() -> Result<Self> {
        // Different processes start their search at different places, only to save attempts.
        let start = usize::try_from(process::id()).unwrap_or_default().wrapping_mul(97) % RANGE.len();
        let candidates = RANGE.skip(start).chain(RANGE.take(start));
        candidates
            .into_iter()
            .find_map(Self::try_claim)
            .ok_or_else(|| Error::new(format!("no free port in {RANGE:?}")))
    }

    fn try_claim(number: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("menagerie-ensemble-port-{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).ok()?;
        Some(Port { number, _claim: claim })
    }

    /// The port.
    pub fn number(&self) -> u16 {
        self.number
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventually;
    use std::{collections::BTreeSet, time::Duration};

    #[test]
    fn a_claimed_port_is_not_given_twice_and_comes_back() {
        let ports: Vec<_> = (0..20).map(|_| Port::claim().unwrap()).collect();
        let numbers: BTreeSet<_> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 20);
        let first = ports[0].number();
        assert!(Port::try_claim(first).is_none());
        drop(ports);
        // Another test process may claim it for a moment.
        let again =
            eventually("release", Duration::from_secs(60), || Port::try_claim(first).ok_or_else(String::new));
        assert_eq!(again.unwrap().number(), first);
    }

    #[test]
    fn a_port_that_something_listens_on_is_passed_over() {
        let port = Port::claim().unwrap();
        let number = port.number();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        drop(port);
        assert!(Port::try_claim(number).is_none());
        drop(listener);
    }
}
