//! Access control lists: who is meant by an entry, what a list allows, and what may stand in one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::rules::Rules;
use super::txn::Acls;
use crate::jute::{Acl, ErrorCode, Id, Perms, Ustring};

/// What a connection has to show: its identities, under the server's rules.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// The server's rules.
    pub rules: &'a Rules,
    /// The connection's identities.
    pub ids: &'a [Id],
}

/// Without the hashes in its identities.
impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, ids } = self;
        f.debug_struct("Access").field("rules", rules).field("ids", &ids.len()).finish()
    }
}

impl Access<'_> {
    /// Whether a list grants any of the needed permissions to this connection.
    #[must_use]
    pub fn allows(self, acl: &[Acl], needed: Perms) -> bool {
        if self.rules.skip_acl || acl.is_empty() || self.ids.iter().any(|id| id.scheme == "super") {
            return true;
        }
        acl.iter().any(|entry| entry.perms.0 & needed.0 != 0 && self.is_meant(&entry.id))
    }

    fn is_meant(self, whom: &Id) -> bool {
        if whom.scheme == "world" {
            return whom.id == "anyone";
        }
        let same_scheme = self.ids.iter().filter(|id| id.scheme == whom.scheme);
        match whom.scheme.as_str() {
            "ip" => {
                let network = Network::parse(whom.id.as_str());
                same_scheme
                    .into_iter()
                    .any(|id| network.is_some_and(|network| network.contains(id.id.as_str())))
            }
            _ => same_scheme.into_iter().any(|id| id.id == whom.id),
        }
    }
}

/// No list is longer. A frame of a mebibyte cannot name so many, but `auth` can stand for many in it.
const MOST_ENTRIES: usize = 1 << 16;

/// No list is longer on the wire, for the same reason.
const MOST_LEN_BYTES: usize = 4 << 20;

/// The list as it will be kept: duplicates removed, `auth` replaced by the connection's authenticated identities.
///
/// # Errors
/// `InvalidACL`: no entry, an unknown scheme, an id that its scheme does not have, `auth` without any identity.
pub(super) fn fixed_up(acl: Option<&[Acl]>, ids: &[Id]) -> Result<Vec<Acl>, ErrorCode> {
    let (mut fixed, mut seen, mut len) = (Vec::new(), BTreeSet::new(), 0);
    for entry in acl.unwrap_or_default() {
        if !seen.insert(sort_key(entry)) && !planted!("server_acl_duplicates") {
            continue;
        }
        if entry.id.scheme == "auth" {
            let known = fixed.len();
            // Identities hold on to no frame: their text is shared.
            let own = ids.iter().filter(|id| is_authenticated(id));
            fixed.extend(own.map(|id| Acl::new(entry.perms, id.scheme.clone(), id.id.clone())));
            len += fixed.iter().skip(known).map(entry_len).sum::<usize>();
            if fixed.len() == known {
                return Err(ErrorCode::INVALID_ACL);
            }
        } else if is_valid(&entry.id) {
            fixed.push(own(entry.perms, &entry.id));
        } else {
            return Err(ErrorCode::INVALID_ACL);
        }
        let is_long = fixed.len() > MOST_ENTRIES || len > MOST_LEN_BYTES;
        if is_long && !planted!("server_lists_unbounded") {
            return Err(ErrorCode::INVALID_ACL);
        }
    }
    if fixed.is_empty() { Err(ErrorCode::INVALID_ACL) } else { Ok(fixed) }
}

/// Bytes of a list on the wire, but for its count.
pub(super) fn wire_len(acl: &[Acl]) -> usize {
    acl.iter().map(entry_len).sum()
}

fn entry_len(entry: &Acl) -> usize {
    12 + entry.id.scheme.as_str().len() + entry.id.id.as_str().len()
}

/// An entry that holds on to no frame.
fn own(perms: Perms, id: &Id) -> Acl {
    if id.scheme == "world" {
        return Acl::new(perms, Ustring::from_static("world"), Ustring::from_static("anyone"));
    }
    Acl::new(perms, id.scheme.as_str(), id.id.as_str())
}

/// An entry as those see it who may not set the list: without the hash.
pub(super) fn masked(entry: &Acl) -> Acl {
    match entry.id.id.as_str().split_once(':') {
        Some((user, _)) if entry.id.scheme == "digest" => {
            Acl::new(entry.perms, entry.id.scheme.clone(), format!("{user}:x"))
        }
        _ => entry.clone(),
    }
}

/// Whether somebody proved to be this: an address proves nothing, and `super` is not a name for lists.
fn is_authenticated(id: &Id) -> bool {
    !matches!(id.scheme.as_str(), "ip" | "world" | "super")
}

fn is_valid(id: &Id) -> bool {
    let text = id.id.as_str();
    match id.scheme.as_str() {
        "world" => text == "anyone",
        // Java's `split(":")` forgets empty pieces at the end.
        "digest" => text.trim_end_matches(':').split(':').count() == 2,
        "ip" => Network::parse(text).is_some(),
        _ => false,
    }
}

/// An address and how many of its leading bits count.
#[derive(Debug, Clone, Copy)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = v4(address).map(IpAddr::V4).or_else(|| address.parse().ok())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Self { address, bits })
    }

    fn contains(self, address: &str) -> bool {
        let differing = match (self.address, address.parse()) {
            (IpAddr::V4(ours), Ok(IpAddr::V4(theirs))) => (ours.to_bits() ^ theirs.to_bits()).leading_zeros(),
            (IpAddr::V6(ours), Ok(IpAddr::V6(theirs))) => (ours.to_bits() ^ theirs.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= if planted!("server_network_is_address") { 32 } else { self.bits }
    }
}

/// Four numbers as Java reads them: zeros and a plus in front do no harm.
fn v4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.').map(str::parse::<u8>);
    let mut next = || parts.next()?.ok();
    let octets = [next()?, next()?, next()?, next()?];
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// Lists in use, each kept once however many znodes have it.
#[derive(Clone, Default)]
pub(super) struct Pool {
    lists: BTreeMap<Key, usize>,
}

/// How many: their entries name secrets.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} lists)", self.lists.len())
    }
}

/// Ordered by content.
#[derive(Clone, PartialEq, Eq)]
struct Key(Acls);

fn sort_key(entry: &Acl) -> (Perms, &Ustring, &Ustring) {
    (entry.perms, &entry.id.scheme, &entry.id.id)
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().map(sort_key).cmp(other.0.iter().map(sort_key))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Pool {
    /// The list of that content, shared if it is in use already.
    pub(super) fn find(&self, acl: Acls) -> Acls {
        let key = Key(acl);
        self.lists.get_key_value(&key).map_or_else(|| key.0.clone(), |(known, _)| known.0.clone())
    }

    /// As [`find`](Self::find), for one more znode.
    pub(super) fn take(&mut self, acl: &Acls) -> Acls {
        let shared = self.find(acl.clone());
        *self.lists.entry(Key(shared.clone())).or_default() += 1;
        shared
    }

    /// A znode lets go of it.
    pub(super) fn give_back(&mut self, acl: &Acls) {
        let key = Key(acl.clone());
        if let Some(users) = self.lists.get_mut(&key) {
            *users = users.saturating_sub(1);
            if *users == 0 {
                self.lists.remove(&key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }
}
