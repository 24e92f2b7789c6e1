//! A network of its own for an ensemble: every member in a namespace, so that members can be cut off from one another, one
//! way or both, while clients reach them all.
//!
//! ```text
//! host (clients) 198.18.N.254 --- bridge in a namespace of its own --- member 1: 198.18.N.1
//!                                                                  \-- member 2: 198.18.N.2
//! ```
//!
//! On plain loopback all members dial from 127.0.0.1, whichever address they listen on, so no rule could tell a leader's
//! packets to a follower from another's; addresses of their own can. The bridge is in a namespace because a host's own rules
//! for forwarding (Docker's, say) would drop what crosses it. The addresses are of the range kept for benchmarks (RFC 2544),
//! nothing routes them, and nothing leaves the machine. Rules and queues live in the namespaces and go with them; what a
//! killed test process left is removed by the next. It needs root, `ip`, `tc` and `iptables`, and says so when it cannot.

use crate::{Error, Result, install};
use std::{
    fs,
    net::Ipv4Addr,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    path::Path,
    process::{self, Command},
};

const PREFIX: &str = "menagerie-";
/// The host's place in the network.
const HOST: u8 = 254;
/// Networks of one machine at a time.
const SUBNETS: std::ops::Range<u8> = 1..250;
/// A thin line keeps so many bytes in one go, a packet at least, and what comes later than this it loses.
const BURST: &str = "3000";
const LATENCY: &str = "4s";

/// Namespaces with addresses, one for each member. Dropping it removes them; the processes in them are to end first.
#[derive(Debug)]
pub struct Network {
    subnet: u8,
    members: usize,
    _claim: UnixListener,
}

impl Network {
    /// Lays the network for so many members.
    ///
    /// # Errors
    /// Without root, `ip` or `iptables`; with what they said.
    pub(crate) fn lay(members: usize) -> Result<Self> {
        ["ip", "tc", "iptables"].iter().try_for_each(|program| install::program(program).map(drop))?;
        sweep();
        let claim = SUBNETS.into_iter().find_map(|subnet| {
            let name = SocketAddr::from_abstract_name(format!("menagerie-ensemble-net-{subnet}")).ok()?;
            Some((subnet, UnixListener::bind_addr(&name).ok()?))
        });
        let (subnet, claim) = claim.ok_or_else(|| Error::new("every network is taken"))?;
        let network = Network { subnet, members, _claim: claim };
        let (hub, link) = (network.hub(), network.link());
        // Whoever held this number before may have been killed.
        let _ = run(&format!("ip link del {link}"));
        run(&format!("ip netns add {hub}"))?;
        run(&format!("ip -n {hub} link add bridge type bridge"))?;
        run(&format!("ip -n {hub} link set bridge up"))?;
        run(&format!("ip link add {link} type veth peer name host netns {hub}"))?;
        run(&format!("ip -n {hub} link set host master bridge up"))?;
        run(&format!("ip addr add {}/24 dev {link}", network.address(usize::from(HOST))))?;
        run(&format!("ip link set {link} up"))?;
        (1..=members).try_for_each(|id| network.plug(id))?;
        Ok(network)
    }

    fn plug(&self, id: usize) -> Result<()> {
        let (hub, space) = (self.hub(), self.namespace(id));
        run(&format!("ip netns add {space}"))?;
        run(&format!("ip -n {hub} link add member{id} type veth peer name eth0 netns {space}"))?;
        run(&format!("ip -n {hub} link set member{id} master bridge up"))?;
        run(&format!("ip -n {space} addr add {}/24 dev eth0", self.address(id)))?;
        run(&format!("ip -n {space} link set eth0 up"))?;
        run(&format!("ip -n {space} link set lo up"))
    }

    /// The address of member `id`.
    pub fn address(&self, id: usize) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.subnet, u8::try_from(id).unwrap_or(HOST))
    }

    /// The namespace of member `id`.
    pub(crate) fn namespace(&self, id: usize) -> String {
        format!("{PREFIX}{}-{}-{id}", process::id(), self.subnet)
    }

    fn hub(&self) -> String {
        format!("{PREFIX}{}-{}-hub", process::id(), self.subnet)
    }

    fn link(&self) -> String {
        format!("menagerie{}", self.subnet)
    }

    /// Drops every packet from member `from` to member `to`: a partition of one way, until [`heal`](Self::heal).
    ///
    /// # Errors
    /// As `iptables` says.
    pub fn block(&self, from: usize, to: usize) -> Result<()> {
        self.rule(to, &format!("-A INPUT -s {} -j DROP", self.address(from)))
    }

    /// Drops every packet between the two members.
    ///
    /// # Errors
    /// As `iptables` says.
    pub fn part(&self, one: usize, other: usize) -> Result<()> {
        self.block(one, other)?;
        self.block(other, one)
    }

    /// Cuts member `id` off from all other members, both ways. Clients reach it.
    ///
    /// # Errors
    /// As `iptables` says.
    pub fn isolate(&self, id: usize) -> Result<()> {
        (1..=self.members).filter(|other| *other != id).try_for_each(|other| self.part(id, other))
    }

    /// Loses so many packets of a hundred, by chance, between clients and member `id`, each way.
    ///
    /// # Errors
    /// As `iptables` says.
    pub fn lose(&self, id: usize, percent: u8) -> Result<()> {
        let host = self.address(usize::from(HOST));
        let by_chance = format!("-m statistic --mode random --probability {}", f64::from(percent) / 100.0);
        self.rule(id, &format!("-A INPUT -s {host} {by_chance} -j DROP"))?;
        self.rule(id, &format!("-A OUTPUT -d {host} {by_chance} -j DROP"))
    }

    /// The packets that the rules of member `id` have dropped.
    ///
    /// # Errors
    /// As `iptables` says, and when that is not understood.
    pub fn dropped(&self, id: usize) -> Result<u64> {
        let rules = output(&format!("ip netns exec {} iptables -w -nvxL", self.namespace(id)))?;
        let dropping = rules.lines().filter(|line| line.contains(" DROP "));
        let packets = dropping.map(|line| line.split_whitespace().next().unwrap_or_default().parse::<u64>());
        packets.sum::<Result<u64, _>>().map_err(|_| Error::new(format!("rules that say: {rules}")))
    }

    /// Lets so many bits a second pass between all clients and all members, each way; more waits, and is lost after four
    /// seconds.
    ///
    /// # Errors
    /// As `tc` says.
    pub fn thin(&self, bits_per_second: u32) -> Result<()> {
        let queue = format!("root tbf rate {bits_per_second}bit burst {BURST} latency {LATENCY}");
        // A packet of many segments would never fit through.
        for (space, device) in self.host_line() {
            let space = if space.is_empty() { space } else { format!("-n {space}") };
            run(&format!("ip {space} link set {device} gso_max_segs 1"))?;
            run(&format!("tc {space} qdisc add dev {device} {queue}"))?;
        }
        Ok(())
    }

    /// Makes a thin line wide again.
    ///
    /// # Errors
    /// As `tc` says.
    pub fn widen(&self) -> Result<()> {
        self.host_line().into_iter().try_for_each(|(space, device)| {
            let space = if space.is_empty() { space } else { format!("-n {space}") };
            run(&format!("tc {space} qdisc del dev {device} root"))
        })
    }

    /// Both ends of the line between the host and the bridge: namespace (none for the host) and device.
    fn host_line(&self) -> [(String, String); 2] {
        [(String::new(), self.link()), (self.hub(), String::from("host"))]
    }

    /// Takes every rule back: members and clients reach one another.
    ///
    /// # Errors
    /// As `iptables` says.
    pub fn heal(&self) -> Result<()> {
        (1..=self.members).try_for_each(|id| self.rule(id, "-F"))
    }

    fn rule(&self, id: usize, rule: &str) -> Result<()> {
        run(&format!("ip netns exec {} iptables -w {rule}", self.namespace(id)))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The devices go with either end. What cannot be removed now is removed by the next sweep.
        let spaces = (1..=self.members).map(|id| self.namespace(id)).chain([self.hub()]);
        let _ = run(&format!("ip link del {}", self.link()));
        spaces.for_each(|space| {
            let _ = run(&format!("ip netns del {space}"));
        });
    }
}

/// Runs words separated by spaces.
fn output(words: &str) -> Result<String> {
    let mut words_left = words.split_whitespace();
    let program = install::program(words_left.next().unwrap_or_default())?;
    let done = Command::new(program).args(words_left).output();
    let done = done.map_err(|cause| Error::io(format!("running `{words}`"), cause))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(Error::new(format!("`{words}` (networks between members need root): {said}")))
}

fn run(words: &str) -> Result<()> {
    output(words).map(drop)
}

/// Removes the namespaces of test processes that were killed before they could. Nothing else on the machine is named so.
fn sweep() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = run(&format!("ip netns del {name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_leaves_nothing_behind() {
        let network = Network::lay(2).unwrap();
        let spaces = [network.namespace(1), network.namespace(2), network.hub()];
        let there = || fs::read_dir("/run/netns").unwrap().flatten().map(|entry| entry.file_name());
        assert!(spaces.iter().all(|space| there().any(|name| *name == **space)));
        network.isolate(1).unwrap();
        network.lose(2, 10).unwrap();
        network.thin(16_000).unwrap();
        network.widen().unwrap();
        network.heal().unwrap();
        assert_eq!(network.dropped(1).unwrap(), 0);
        let link = network.link();
        assert!(Path::new("/sys/class/net").join(&link).exists());
        drop(network);
        assert!(!spaces.iter().any(|space| there().any(|name| *name == **space)));
        assert!(!Path::new("/sys/class/net").join(&link).exists());
    }
}
