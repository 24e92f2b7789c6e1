//! Row `hash`: ways to find the owner of a key, side by side. The library's ring was chosen by it.
//!
//! - `ring`: the library's: 100 points each, sorted, found through an index of the hashes' upper bits.
//! - `maglev`: a table of at least 100 slots each, filled by turns (Eisenbud et al., 2016).
//! - `rendezvous`: a table of as many buckets, each owned by the highest of all members' scores for it.
//!
//! `lookup_ns` is the time to find an owner, `build_us` the time to make the table anew, `change_us` that to take one
//! member out of it, `most_percent` what the busiest member gets of its due, and `moved_percent` how many keys move,
//! when one leaves, that were not its own: what consistent hashing is to avoid.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use menagerie::registry::Instance;
use menagerie::registry::balance::{Member, Pool, Ring, hash};
use serde_json::{Value, json};

use crate::now;

const KEYS: u64 = 1 << 17;

/// A way to find the owner of a hash.
trait Way: Sized {
    const NAME: &'static str;
    fn build(members: &[Arc<Member>]) -> Self;
    fn without_last(&self, members: &[Arc<Member>]) -> Self {
        Self::build(members.split_last().map_or(members, |(_, rest)| rest))
    }
    fn owner(&self, hash: u64) -> Option<&Arc<Member>>;
}

impl Way for Ring {
    const NAME: &'static str = "ring";

    fn build(members: &[Arc<Member>]) -> Self {
        Self::new(members)
    }

    fn without_last(&self, members: &[Arc<Member>]) -> Self {
        self.with(members.split_last().map_or(members, |(_, rest)| rest))
    }

    fn owner(&self, hash: u64) -> Option<&Arc<Member>> {
        Self::owner(self, hash)
    }
}

/// Slots and whose they are.
struct Table {
    slots: Vec<u32>,
    members: Vec<Arc<Member>>,
}

impl Table {
    fn owner(&self, hash: u64) -> Option<&Arc<Member>> {
        let wide = u128::from(hash) * (self.slots.len() as u128);
        let slot = usize::try_from(wide >> 64).ok()?;
        self.members.get(*self.slots.get(slot)? as usize)
    }
}

struct Maglev(Table);

impl Way for Maglev {
    const NAME: &'static str = "maglev";

    fn build(members: &[Arc<Member>]) -> Self {
        // The number of slots must not follow the number of members closely.
        let len = prime((members.len() as u64).next_power_of_two() * 100);
        let start = |member: &Arc<Member>| {
            let hash = hash(member.instance().id.as_bytes());
            ((hash >> 32) % len, hash % (len - 1) + 1)
        };
        let mut turns: Vec<(u64, u64)> = members.iter().map(start).collect();
        let mut slots = vec![u32::MAX; usize::try_from(len).unwrap_or_default()];
        let mut free = len;
        while free > 0 {
            for ((next, step), at) in turns.iter_mut().zip(0u32..) {
                loop {
                    let slot = slots.get_mut(usize::try_from(*next).unwrap_or_default());
                    *next = (*next + *step) % len;
                    if let Some(slot) = slot.filter(|slot| **slot == u32::MAX) {
                        *slot = at;
                        free -= 1;
                        break;
                    }
                }
                if free == 0 {
                    break;
                }
            }
        }
        Self(Table { slots, members: members.to_vec() })
    }

    fn owner(&self, hash: u64) -> Option<&Arc<Member>> {
        self.0.owner(hash)
    }
}

struct Rendezvous(Table);

impl Way for Rendezvous {
    const NAME: &'static str = "rendezvous";

    fn build(members: &[Arc<Member>]) -> Self {
        let seeds: Vec<u64> = members.iter().map(|member| hash(member.instance().id.as_bytes())).collect();
        // The number of buckets must not follow the number of members.
        let len = (members.len() as u64 * 128).next_power_of_two();
        let best = |bucket: u64| {
            let score = |(seed, _): &(&u64, u32)| mix(**seed ^ bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            seeds.iter().zip(0u32..).max_by_key(score).map_or(u32::MAX, |(_, at)| at)
        };
        Self(Table { slots: (0..len).map(best).collect(), members: members.to_vec() })
    }

    fn owner(&self, hash: u64) -> Option<&Arc<Member>> {
        self.0.owner(hash)
    }
}

fn mix(mut mixed: u64) -> u64 {
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn prime(at_least: u64) -> u64 {
    let is_prime = |number: &u64| (2..).take_while(|by| by * by <= *number).all(|by| number % by != 0);
    (at_least.max(3)..).find(is_prime).unwrap_or(at_least)
}

fn measure<W: Way>(len: u32) -> Value {
    let member = |id| Arc::new(Instance::new("s", format!("s-{id}"), address()));
    let pool = Pool::even(&(0..len).map(member).collect::<Vec<_>>());
    let members = pool.members();
    let micros = |begin: Instant| (begin.elapsed().as_secs_f64() * 1e7).round() / 10.0;
    let begin = now();
    let whole = W::build(members);
    let build_us = micros(begin);
    let begin = now();
    let smaller = whole.without_last(members);
    let change_us = micros(begin);
    let hashes: Vec<u64> = (0..KEYS).map(|key| hash(&key.to_le_bytes())).collect();
    let begin = now();
    for key in &hashes {
        black_box(whole.owner(*key));
    }
    let lookup_ns = begin.elapsed().as_secs_f64() * 1e9 / hashes.len() as f64;
    let gone = members.last();
    let mut owned = vec![0u32; members.len()];
    let mut moved = 0u32;
    for key in &hashes {
        let (was, is) = (whole.owner(*key), smaller.owner(*key));
        let place = was.and_then(|was| members.iter().position(|member| Arc::ptr_eq(member, was)));
        if let Some(owned) = place.and_then(|place| owned.get_mut(place)) {
            *owned += 1;
        }
        let is_same = was.zip(is).is_some_and(|(was, is)| Arc::ptr_eq(was, is));
        let was_gone = was.zip(gone).is_some_and(|(was, gone)| Arc::ptr_eq(was, gone));
        moved += u32::from(!is_same && !was_gone);
    }
    let most = f64::from(owned.iter().max().copied().unwrap_or_default());
    let tenths = |value: f64| (value * 10.0).round() / 10.0;
    json!({
        "row": "hash", "way": W::NAME, "instances": len, "lookup_ns": tenths(lookup_ns),
        "build_us": build_us, "change_us": change_us,
        "most_percent": tenths(most * 100.0 * f64::from(len) / hashes.len() as f64),
        "moved_percent": tenths(f64::from(moved) * 100.0 / hashes.len() as f64),
    })
}

fn address() -> menagerie::registry::Address {
    "10.0.0.1:80".parse().unwrap_or_else(|_| std::process::abort())
}

/// Measures all ways, with few, many and very many instances. A table of rendezvous hashes takes the square of their
/// number.
pub(crate) fn run(print: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
    for len in [10, 100, 1000] {
        print(measure::<Ring>(len))?;
        print(measure::<Maglev>(len))?;
        print(measure::<Rendezvous>(len))?;
    }
    print(measure::<Ring>(10_000))?;
    print(measure::<Maglev>(10_000))
}
