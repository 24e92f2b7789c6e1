//! What a handle wishes, on its way to the task that keeps it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;

use super::places::{self, Places};
use super::requests::Pending;
use crate::registry::layout::Layout;
use crate::registry::reconcile::{self, Role, Want};
use crate::registry::registered::{Control, check_stays};
use crate::registry::{Error, Instance};

/// What the handle wishes.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// All places; those of instances that are to have no leaf are wanted absent.
    pub(super) places: Vec<Place>,
    /// Whether nothing will be wished again.
    pub(super) over: bool,
    /// Counts wishes.
    pub(super) number: u64,
}

/// One znode of a registration.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) wished: reconcile::Wished,
    pub(super) instance: Arc<Instance>,
    /// Kept from this registry's other registrations; `None` for what is shared with them.
    _claim: Option<Arc<places::Place>>,
}

/// The handle's side.
pub(super) struct Wishes {
    layout: Arc<dyn Layout>,
    places: Places,
    kept: Mutex<Kept>,
    wishes: watch::Sender<Wish>,
}

/// What is wished, and what it has taken.
#[derive(Default)]
struct Kept {
    instances: Vec<Arc<Instance>>,
    /// Of the last wish.
    number: u64,
    /// What this registration has claimed, as far as it is still held.
    claims: BTreeMap<String, Weak<places::Place>>,
}

impl Wishes {
    /// The first wish, and the other end of it.
    pub(super) fn new(
        layout: Arc<dyn Layout>,
        places: Places,
        instances: &[Arc<Instance>],
    ) -> Result<(Self, watch::Receiver<Wish>), Error> {
        let (wishes, wished) = watch::channel(Wish { places: Vec::new(), over: false, number: 0 });
        let this = Self { layout, places, kept: Mutex::default(), wishes };
        this.wish(instances.to_vec(), &mut this.kept()).map(|wish| this.send(wish))?;
        Ok((this, wished))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, instances: Vec<Arc<Instance>>, kept: &mut Kept) -> Result<Wish, Error> {
        kept.claims.retain(|_, claim| claim.strong_count() > 0);
        let mut places = Vec::new();
        for (of, instance) in instances.iter().enumerate() {
            self.add_places(instance, of, kept, &mut places)?;
        }
        kept.instances = instances;
        kept.number += 1;
        Ok(Wish { places, over: false, number: kept.number })
    }

    /// Outside of the lock, for it wakes the keeper; so a later one may have been faster.
    fn send(&self, wish: Wish) -> u64 {
        let mut number = wish.number;
        self.wishes.send_if_modified(|present| {
            if present.over {
                // Who comes late brings nothing back.
                number = present.number;
                return false;
            }
            let is_later = present.number < number;
            if is_later && !(planted!("registry_update_lost") && number > 1) {
                *present = wish;
            }
            is_later
        });
        number
    }

    /// What registers `instance`: what stands beside it first, for readers look there when they have seen it.
    fn add_places(
        &self,
        instance: &Arc<Instance>,
        of: usize,
        kept: &mut Kept,
        places: &mut Vec<Place>,
    ) -> Result<(), Error> {
        let leaf = self.layout.leaf(instance)?;
        let further = self.layout.further(instance)?.into_iter();
        let further = further.map(|further| reconcile::Wished::further(further, of));
        let want = if self.layout.keeps_leaf(instance) { Want::Present } else { Want::Absent };
        for wished in further.chain([reconcile::Wished::instance(leaf, of)]) {
            let wished = reconcile::Wished { want, ..wished };
            let path = wished.leaf.path();
            let before = places.iter_mut().find(|place| place.wished.leaf.path() == path);
            let claim = match (wished.role.is_owned(), before) {
                (true, Some(_)) => return Err(Error::Taken { place: path }),
                (true, None) => Some(self.claim(&mut kept.claims, &instance.service, &wished)?),
                (false, None) => None,
                (false, Some(place)) => {
                    if want == Want::Present {
                        place.wished.want = want;
                    }
                    continue;
                }
            };
            places.push(Place { wished, instance: Arc::clone(instance), _claim: claim });
        }
        Ok(())
    }

    fn claim(
        &self,
        claims: &mut BTreeMap<String, Weak<places::Place>>,
        service: &str,
        wished: &reconcile::Wished,
    ) -> Result<Arc<places::Place>, Error> {
        let path = wished.leaf.path();
        if let Some(claim) = claims.get(&path).and_then(Weak::upgrade) {
            return Ok(claim);
        }
        // The directory of what stands beside may be that of other services too.
        let service = (wished.role == Role::Instance).then_some(service);
        let claim = Arc::new(self.places.claim(&wished.leaf, service)?);
        claims.insert(path, Arc::downgrade(&claim));
        Ok(claim)
    }
}

impl Control for Wishes {
    fn update(&self, changed: &[Arc<Instance>]) -> Result<u64, Error> {
        let mut kept = self.kept();
        let mut instances = kept.instances.clone();
        for instance in changed {
            let same =
                |other: &Arc<Instance>| (&other.service, &other.id) == (&instance.service, &instance.id);
            let same = instances.iter().position(same);
            let Some(other) = instances.get_mut(same.unwrap_or(0)) else { continue };
            check_stays(&other.service, &other.id, instance)?;
            *other = Arc::clone(instance);
        }
        let wish = self.wish(instances, &mut kept)?;
        drop(kept);
        Ok(self.send(wish))
    }

    fn withdraw(&self) -> u64 {
        let mut kept = self.kept();
        kept.number += 1;
        let number = kept.number;
        drop(kept);
        self.wishes.send_if_modified(|wish| {
            let changes = !wish.over;
            if changes {
                wish.number = number;
                wish.over = true;
            }
            if !planted!("registry_withdrawal_forgotten") {
                wish.places.clear();
            }
            changes
        });
        self.wishes.borrow().number
    }

    fn drain_grace(&self) -> Duration {
        self.layout.drain_grace()
    }
}

/// The keeper's side of the wish.
pub(super) struct Wished {
    pub(super) present: Wish,
    /// `None` behind the last one.
    next: Option<Pending<Option<watch::Receiver<Wish>>>>,
}

impl Wished {
    pub(super) fn new(mut receiver: watch::Receiver<Wish>) -> Self {
        let present = receiver.borrow_and_update().clone();
        Self { present, next: Some(next_wish(receiver)) }
    }

    /// Whether the handle is gone, and nothing more will be wished.
    pub(super) fn is_abandoned(&self) -> bool {
        self.next.is_none()
    }

    /// Ready when something else is wished. Without a handle nothing is, any more.
    pub(super) fn poll_wish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(next) = &mut self.next else { return Poll::Pending };
        match ready!(next.as_mut().poll(cx)) {
            Some(mut receiver) => {
                self.present = receiver.borrow_and_update().clone();
                self.next = Some(next_wish(receiver));
            }
            None => {
                if !planted!("registry_withdrawal_forgotten") {
                    self.present.places.clear();
                }
                self.present.over = true;
                self.next = None;
            }
        }
        Poll::Ready(())
    }
}

fn next_wish(mut receiver: watch::Receiver<Wish>) -> Pending<Option<watch::Receiver<Wish>>> {
    Box::pin(async move { receiver.changed().await.ok().map(|()| receiver) })
}
