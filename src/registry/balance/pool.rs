//! What can be picked from: instances with their shares, made once for all who pick.

use std::sync::Arc;

use super::alias::Alias;
use super::load::Load;
use crate::registry::model::{Instance, Status};
use crate::registry::rng::SplitMix64;

/// The greatest share of a pool. Smaller ones are rounded to two millionths of it, and never to nothing.
pub(super) const SHARE_MOST: u64 = 1 << 20;

/// One instance that can be picked, and what is known of the calls to it.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) leaf: Arc<str>,
    pub(super) instance: Arc<Instance>,
    pub(super) load: Arc<Load>,
}

impl Member {
    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// The calls to it.
    #[must_use]
    pub fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Whether it is the other in a later set: on the same leaf, and never away between.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.load, &other.load)
    }
}

/// Instances to pick from, each with its share, in the order of their names.
///
/// Immutable, so that all who pick share one. An instance that is draining or out of service is never in it.
///
/// ```
/// use std::sync::Arc;
/// use menagerie::registry::Instance;
/// use menagerie::registry::balance::{Pool, Random};
///
/// let mut large = Instance::new("time", "large", "10.0.0.1:80".parse()?);
/// large.weight = 3;
/// let small = Instance::new("time", "small", "10.0.0.2:80".parse()?);
/// let pool = Pool::by_weight(&[Arc::new(large), Arc::new(small)]);
/// let mut random = Random::new(1);
/// let picks = (0..4000).filter(|_| random.pick(&pool).is_some_and(|member| member.instance().id == "large"));
/// assert!((2900..3100).contains(&picks.count()));
/// # Ok::<(), menagerie::registry::AddressError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pool {
    members: Vec<Arc<Member>>,
    /// At most [`SHARE_MOST`] each; 0 is never picked.
    shares: Vec<u64>,
    /// How shares are drawn; `None` if they are all the same.
    alias: Option<Alias>,
}

impl Pool {
    /// All instances that are up, with equal shares.
    #[must_use]
    pub fn even(instances: &[Arc<Instance>]) -> Self {
        Self::with(instances, |_| 1)
    }

    /// All instances that are up, with their weights as shares. Weight 0 is never picked, unless all have it.
    #[must_use]
    pub fn by_weight(instances: &[Arc<Instance>]) -> Self {
        Self::with(instances, |instance| u64::from(instance.weight))
    }

    fn with(instances: &[Arc<Instance>], share: impl Fn(&Instance) -> u64) -> Self {
        let up = instances.iter().filter(|instance| instance.status == Status::Up);
        let member = |instance: &Arc<Instance>| Member {
            leaf: instance.id.as_str().into(),
            instance: Arc::clone(instance),
            load: Arc::default(),
        };
        let mut members: Vec<_> = up.map(|instance| Arc::new(member(instance))).collect();
        members.sort_by(|one, other| one.leaf.cmp(&other.leaf));
        let shares = members.iter().map(|member| u128::from(share(&member.instance))).collect();
        Self::new(members, shares)
    }

    /// The pool of these members, which are sorted by their leaves, with a share for each.
    pub(super) fn new(members: Vec<Arc<Member>>, shares: Vec<u128>) -> Self {
        let shares = normalised(&shares);
        let is_even = shares.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
        let alias = (!is_even).then(|| Alias::new(&shares));
        Self { members, shares, alias }
    }

    /// The members, in the order of their leaves' names.
    #[must_use]
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none, so that nothing can be picked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn shares(&self) -> &[u64] {
        &self.shares
    }

    pub(super) fn is_even(&self) -> bool {
        self.alias.is_none()
    }

    /// An index drawn by shares.
    pub(super) fn draw(&self, rng: &mut SplitMix64) -> Option<usize> {
        match &self.alias {
            None => rng.below(self.members.len()),
            Some(alias) => alias.draw(rng),
        }
    }

    /// Where the member stands that is `other` of an earlier pool.
    pub(super) fn find(&self, other: &Member) -> Option<usize> {
        let at = self.members.binary_search_by(|member| member.leaf.cmp(&other.leaf)).ok()?;
        self.members.get(at).is_some_and(|member| member.is(other)).then_some(at)
    }
}

/// Shares of which the greatest is at most [`SHARE_MOST`], and more than half of it: a power of two is taken out of
/// all, so that they stay what they are to each other, and hardly change for those who stay when the greatest comes or
/// goes. Nothing at all for all is the same for all.
fn normalised(shares: &[u128]) -> Vec<u64> {
    let most = shares.iter().copied().max().unwrap_or_default();
    let bits = u128::BITS - most.saturating_sub(1).leading_zeros();
    let spare = SHARE_MOST.trailing_zeros();
    let part = |share: u128| match share {
        _ if most == 0 => 1,
        0 if planted!("balance_weight_zero_picked") => SHARE_MOST,
        0 => 0,
        _ => {
            let part = if bits > spare { share >> (bits - spare) } else { share << (spare - bits) };
            u64::try_from(part).unwrap_or(SHARE_MOST).max(1)
        }
    };
    shares.iter().map(|share| part(*share)).collect()
}
