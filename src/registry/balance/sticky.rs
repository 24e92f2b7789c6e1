//! Staying with one instance while it can be picked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::pool::{Member, Pool};
use super::random::Random;
use crate::registry::limits::STICKY_KEYS;

/// Draws an instance by its share and stays with it, or with one for each key, until it cannot be picked any more. Unlike
/// consistent hashing it moves nobody when instances come; but no other program knows its choice.
///
/// ```
/// # use std::sync::Arc;
/// # use menagerie::registry::{Instance, balance::{Pool, Sticky, hash}};
/// # let instance = |id: &str| Arc::new(Instance::new("time", id, "10.0.0.1:80".parse().unwrap()));
/// let pool = Pool::even(&[instance("a"), instance("b")]);
/// let mut sticky = Sticky::new(1);
/// let mut id = |key: &str| sticky.pick_for(&pool, hash(key.as_bytes())).unwrap().instance().id.clone();
/// let first = id("user 1");
/// assert!((0..100).all(|_| id("user 1") == first));
/// ```
#[derive(Clone, Debug)]
pub struct Sticky {
    random: Random,
    /// Whoever gets calls without a key.
    current: Option<Arc<Member>>,
    by_key: BTreeMap<u64, Arc<Member>>,
    /// Keys in the order in which they came.
    order: VecDeque<u64>,
}

impl Sticky {
    /// Choices that repeat for equal seeds.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (current, by_key, order) = (None, BTreeMap::new(), VecDeque::new());
        Self { random: Random::new(seed), current, by_key, order }
    }

    /// The same one as before if it is in the pool.
    pub fn pick<'a>(&mut self, pool: &'a Pool) -> Option<&'a Arc<Member>> {
        pool.members().get(self.index(pool)?)
    }

    /// Where the present one stands. Takes as long as a search among the members' names.
    pub(super) fn index(&mut self, pool: &Pool) -> Option<usize> {
        let current = self.current.as_ref().filter(|_| !planted!("balance_not_sticky"));
        let at = match current.and_then(|current| pool.find(current)) {
            Some(at) => at,
            None => self.random.index(pool)?,
        };
        self.current = pool.members().get(at).cloned();
        Some(at)
    }

    /// The same one as before for the key of this hash, if it is in the pool. Of [`STICKY_KEYS`] keys the choice is
    /// remembered, then that of the one which came first is forgotten. Takes two searches.
    pub fn pick_for<'a>(&mut self, pool: &'a Pool, hash: u64) -> Option<&'a Arc<Member>> {
        let chosen = self.by_key.get(&hash).filter(|_| !planted!("balance_not_sticky"));
        if let Some(at) = chosen.and_then(|chosen| pool.find(chosen)) {
            return pool.members().get(at);
        }
        let member = self.random.pick(pool)?;
        if self.by_key.insert(hash, Arc::clone(member)).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > STICKY_KEYS {
            if let Some(oldest) = self.order.pop_front() {
                self.by_key.remove(&oldest);
            }
        }
        Some(member)
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
