//! What a handle wishes, on its way to the task that keeps it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;

use super::places::{self, Places};
use super::requests::Pending;
use crate::registry::layout::Layout;
use crate::registry::reconcile::{self, Role};
use crate::registry::registered::{Control, check_stays};
use crate::registry::{Error, Instance};

/// What the handle wishes.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// All that is in the tree if the instance has a leaf.
    places: Vec<Place>,
    /// Whether it is to have one. If not, its places are kept for it.
    keeps: bool,
    /// Whether nothing will be wished again.
    pub(super) over: bool,
    /// Counts wishes.
    pub(super) number: u64,
}

impl Wish {
    /// All that is to be in the tree.
    pub(super) fn places(&self) -> &[Place] {
        if self.keeps { &self.places } else { &[] }
    }
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
    service: String,
    id: String,
    /// What this registration has claimed, as far as it is still held.
    claims: Mutex<BTreeMap<String, Weak<places::Place>>>,
    wishes: watch::Sender<Wish>,
}

impl Wishes {
    /// The first wish, and the other end of it.
    pub(super) fn new(
        layout: Arc<dyn Layout>,
        places: Places,
        instance: &Arc<Instance>,
    ) -> Result<(Self, watch::Receiver<Wish>), Error> {
        let (service, id) = (instance.service.clone(), instance.id.clone());
        let nothing = Wish { places: Vec::new(), keeps: false, over: false, number: 0 };
        let (wishes, wished) = watch::channel(nothing);
        let this = Self { layout, places, service, id, claims: Mutex::default(), wishes };
        this.wish(instance)?;
        Ok((this, wished))
    }

    fn wish(&self, instance: &Arc<Instance>) -> Result<u64, Error> {
        let (places, keeps) = (self.places(instance)?, self.layout.keeps_leaf(instance));
        let mut number = 0;
        self.wishes.send_modify(|wish| {
            if wish.over {
                // Who comes late brings nothing back.
                number = wish.number;
                return;
            }
            number = wish.number + 1;
            if !planted!("registry_update_lost") || number == 1 {
                *wish = Wish { places, keeps, over: false, number };
            }
        });
        Ok(number)
    }

    /// What registers `instance`: what stands beside it first, for readers look there when they have seen it.
    fn places(&self, instance: &Arc<Instance>) -> Result<Vec<Place>, Error> {
        let leaf = self.layout.leaf(instance)?;
        let further = self.layout.further(instance)?.into_iter().map(reconcile::Wished::from);
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, claim| claim.strong_count() > 0);
        let mut places = Vec::new();
        for wished in further.chain([reconcile::Wished::instance(leaf)]) {
            let claim = match wished.role.is_owned() {
                true => Some(self.claim(&mut claims, &wished)?),
                false => None,
            };
            places.push(Place { wished, instance: Arc::clone(instance), _claim: claim });
        }
        Ok(places)
    }

    fn claim(
        &self,
        claims: &mut BTreeMap<String, Weak<places::Place>>,
        wished: &reconcile::Wished,
    ) -> Result<Arc<places::Place>, Error> {
        let path = wished.leaf.path();
        if let Some(claim) = claims.get(&path).and_then(Weak::upgrade) {
            return Ok(claim);
        }
        // The directory of what stands beside may be that of other services too.
        let service = (wished.role == Role::Instance).then_some(self.service.as_str());
        let claim = Arc::new(self.places.claim(&wished.leaf, service)?);
        claims.insert(path, Arc::downgrade(&claim));
        Ok(claim)
    }
}

impl Control for Wishes {
    fn update(&self, instance: &Arc<Instance>) -> Result<u64, Error> {
        check_stays(&self.service, &self.id, instance)?;
        self.wish(instance)
    }

    fn withdraw(&self) -> u64 {
        self.wishes.send_if_modified(|wish| {
            let changes = !wish.over;
            if !planted!("registry_withdrawal_forgotten") {
                wish.places.clear();
            }
            wish.over = true;
            wish.number += u64::from(changes);
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
