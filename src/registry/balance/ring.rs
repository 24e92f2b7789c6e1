//! Consistent hashing: a key's calls go to the same instance, everywhere, and move as little as a change asks for.

use std::sync::Arc;

use super::pool::Member;
use crate::registry::limits::{BOUND_PERCENT, RING_POINTS};
use crate::registry::rng::SplitMix64;

/// Instances on a ring of hashes, each at [`RING_POINTS`] points, fewer if its weight is less than the greatest. A key
/// belongs to the first point behind its hash.
///
/// All programs that see the same instances agree on who gets a key: it depends on ids and weights alone. When an
/// instance comes or goes, only keys that it gains or had are moved. Weights are taken in relation to the power of two
/// above the greatest of them; where that changes, keys move between all. Finding the owner takes constant time on
/// average.
///
/// ```
/// # use std::sync::Arc;
/// # use menagerie::registry::{Instance, balance::{Pool, Ring, hash}};
/// # let instance = |id: &str| Arc::new(Instance::new("cache", id, "10.0.0.1:80".parse().unwrap()));
/// let three = Ring::new(Pool::even(&[instance("a"), instance("b"), instance("c")]).members());
/// let two = Ring::new(Pool::even(&[instance("a"), instance("b")]).members());
/// let owner = |ring: &Ring, key: &str| ring.owner(hash(key.as_bytes())).map(|member| member.instance().id.clone());
/// for key in ["x", "y", "z"] {
///     let before = owner(&three, key);
///     assert!(before == owner(&two, key) || before.as_deref() == Some("c"));
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ring {
    members: Vec<Placed>,
    /// Hashes, sorted, and whose they are.
    points: Vec<(u64, u32)>,
    /// Where the points begin whose upper bits are the index.
    index: Vec<u32>,
    /// How far a hash is shifted to give an index.
    shift: u32,
}

#[derive(Clone, Debug)]
struct Placed {
    member: Arc<Member>,
    points: u32,
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.member.instance.id == other.member.instance.id && self.points == other.points
    }
}

impl Ring {
    /// The ring of these members, which are sorted by their leaves.
    #[must_use]
    pub fn new(members: &[Arc<Member>]) -> Self {
        Self::default().with(members)
    }

    /// The ring of these members, made from that of others in linear time: only the points of newcomers are sorted.
    #[must_use]
    pub fn with(&self, members: &[Arc<Member>]) -> Self {
        let most = members.iter().map(|member| member.instance.weight).max().unwrap_or_default();
        let placed = |member: &Arc<Member>| Placed {
            member: Arc::clone(member),
            points: points(member.instance.weight, most),
        };
        let members: Vec<Placed> = members.iter().map(placed).collect();
        // Where each of the old members stands now, and which of the new ones are new.
        let mut now_at: Vec<Option<u32>> = vec![None; self.members.len()];
        let mut fresh = Vec::new();
        let mut olds = now_at.iter_mut().zip(&self.members).peekable();
        for (at, placed) in (0u32..).zip(&members) {
            while olds.next_if(|(_, old)| old.member.leaf < placed.member.leaf).is_some() {}
            match olds.next_if(|(_, old)| *old == placed && old.member.leaf == placed.member.leaf) {
                Some((now_at, _)) => *now_at = Some(at),
                None => fresh.extend(hashes(&placed.member, placed.points).map(|hash| (hash, at))),
            }
        }
        fresh.sort_unstable();
        let stay = |(hash, at): &(u64, u32)| Some((*hash, (*now_at.get(*at as usize)?)?));
        let points = merged(self.points.iter().filter_map(stay), fresh);
        let (index, shift) = index(&points);
        Self { members, points, index, shift }
    }

    /// Who owns a hash; `None` on an empty ring.
    #[must_use]
    pub fn owner(&self, hash: u64) -> Option<&Arc<Member>> {
        self.find(hash, |_, _| true)
    }

    /// The first from a hash on that is `open`, by its index and its part of the ring.
    pub(super) fn find(&self, hash: u64, open: impl Fn(usize, &Member) -> bool) -> Option<&Arc<Member>> {
        let len = self.points.len();
        let first = self.first_at(hash);
        let (before, behind) = self.points.split_at_checked(first)?;
        let mut last = None;
        for (_, at) in behind.iter().chain(before).take(len) {
            // Neighbours are often the same one.
            if last == Some(*at) {
                continue;
            }
            last = Some(*at);
            let placed = self.members.get(*at as usize)?;
            if open(*at as usize, &placed.member) {
                return Some(&placed.member);
            }
        }
        None
    }

    /// The first from a hash on that is `open` and has room: at most [`BOUND_PERCENT`] of its share of the calls in flight,
    /// this one included, where `points` are those of all that are open. If none has, because others pick at the same
    /// moment, the first that is open.
    pub(super) fn find_bounded(
        &self,
        hash: u64,
        in_flight: u64,
        points: u64,
        open: impl Fn(usize) -> bool,
    ) -> Option<&Arc<Member>> {
        let has_room = |at: usize, member: &Member| {
            let own = self.members.get(at).map_or(0, |placed| placed.points);
            open(at) && u64::from(member.load.in_flight()) < bound(in_flight, own, points)
        };
        self.find(hash, has_room).or_else(|| self.find(hash, |at, _| open(at)))
    }

    /// How many points those have that are `open`.
    pub(super) fn points_of(&self, open: impl Fn(usize) -> bool) -> u64 {
        let members = self.members.iter().enumerate().filter(|(at, _)| open(*at));
        members.map(|(_, placed)| u64::from(placed.points)).sum()
    }

    /// The first point that is not before a hash; their number if there is none.
    #[inline]
    fn first_at(&self, hash: u64) -> usize {
        let slot = usize::try_from(hash >> self.shift).unwrap_or_default();
        let mut at = self.index.get(slot).copied().unwrap_or_default() as usize;
        while self.points.get(at).is_some_and(|(point, _)| *point < hash) {
            at += 1;
        }
        at
    }
}

/// What one member may carry when one more call comes to those in flight.
fn bound(in_flight: u64, points: u32, total: u64) -> u64 {
    if planted!("balance_unbounded_loads") {
        return u64::MAX;
    }
    let due = u128::from(in_flight + 1) * u128::from(points) * u128::from(BOUND_PERCENT);
    u64::try_from(due.div_ceil(u128::from(total.max(1)) * 100)).unwrap_or(u64::MAX)
}

/// How many points a weight gets where `most` is the greatest: none for none, unless all have none.
fn points(weight: u32, most: u32) -> u32 {
    if most == 0 {
        return RING_POINTS;
    }
    let scale = u64::from(most).next_power_of_two();
    let share = (u64::from(weight) * u64::from(RING_POINTS)).div_ceil(scale);
    u32::try_from(share).unwrap_or(RING_POINTS)
}

/// The points of a member: a sequence that begins at the hash of its id, so that fewer of them are a part of more.
fn hashes(member: &Member, points: u32) -> impl Iterator<Item = u64> {
    let seed = match planted!("balance_ring_by_place") {
        true => std::ptr::from_ref(member).addr() as u64,
        false => hash(member.instance.id.as_bytes()),
    };
    let mut rng = SplitMix64::new(seed);
    (0..points).map(move |_| rng.next_u64())
}

fn merged(stay: impl Iterator<Item = (u64, u32)>, fresh: Vec<(u64, u32)>) -> Vec<(u64, u32)> {
    let (mut stay, mut fresh) = (stay.peekable(), fresh.into_iter().peekable());
    let mut points = Vec::new();
    loop {
        let next = match (stay.peek(), fresh.peek()) {
            (Some(old), Some(new)) if old < new => stay.next(),
            (_, Some(_)) => fresh.next(),
            _ => stay.next(),
        };
        match next {
            Some(point) => points.push(point),
            None => return points,
        }
    }
}

/// For each value of the upper bits, of which there are about as many as points, where its points begin.
fn index(points: &[(u64, u32)]) -> (Vec<u32>, u32) {
    let bits = points.len().next_power_of_two().trailing_zeros().max(1);
    let shift = 64 - bits;
    let mut index = Vec::with_capacity(1 << bits);
    let mut at = 0u32;
    let mut rest = points.iter().peekable();
    for slot in 0..1u64 << bits {
        while rest.next_if(|(hash, _)| hash >> shift < slot).is_some() {
            at += 1;
        }
        index.push(at);
    }
    (index, shift)
}

/// The hash of a key, the same on every machine and in every release: FNV-1a over words of eight bytes, then mixed.
///
/// Not for secrets: who chooses keys can choose their instance. Against that there are bounded loads.
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ (key.len() as u64);
    let mut words = key.chunks_exact(8);
    for word in &mut words {
        let word = word.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        // The product moves low bits up only; the shift brings high ones back.
        hash = (hash ^ word).wrapping_mul(PRIME);
        hash ^= hash >> 32;
    }
    for byte in words.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    SplitMix64::new(hash).next_u64()
}
