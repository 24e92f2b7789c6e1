//! The registry on ZooKeeper: a client, a layout, and a task for each registration and each service followed.
//!
//! What is to be done is decided by the pure machines next door ([`reconcile`](super::reconcile),
//! [`view`](super::view)); here it is done, each session's work through a handle pinned to it.

mod discover;
mod register;

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::runtime::Handle;

use super::api::{BoxFuture, Discovery, Error, Registered, Registration, Services};
use super::layout::Layout;
use super::{InstanceBuilder, address};
use crate::client::{Client, Status};
use crate::session::State;

/// A registry on ZooKeeper, in one layout. Cheap to clone.
#[derive(Clone)]
pub struct ZooKeeper {
    client: Client,
    layout: Arc<dyn Layout>,
    /// Places that this process registers at: a session cannot tell two of them apart.
    taken: Arc<Mutex<BTreeSet<String>>>,
}

/// A place held until it is dropped.
struct Place {
    taken: Arc<Mutex<BTreeSet<String>>>,
    path: String,
}

impl ZooKeeper {
    /// A registry on this client. The handle may be scoped by a chroot, and should follow its sessions.
    pub fn new(client: impl Into<Client>, layout: impl Layout + 'static) -> Self {
        Self::with_layout(client.into(), Arc::new(layout))
    }

    pub(super) fn with_layout(client: Client, layout: Arc<dyn Layout>) -> Self {
        Self { client, layout, taken: Arc::default() }
    }

    /// The client beneath.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The directory whose children are the instances of a service.
    ///
    /// # Errors
    /// The service's name has no place in the layout.
    pub fn service_dir(&self, service: &str) -> Result<String, Error> {
        Ok(self.layout.service_dir(service)?)
    }

    fn take(&self, path: &str) -> Result<Place, Error> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.insert(path.to_owned()) {
            Ok(Place { taken: self.taken.clone(), path: path.to_owned() })
        } else {
            Err(Error::Taken { path: path.to_owned() })
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

impl Registration for ZooKeeper {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
            let env = |name: &str| std::env::var(name).ok();
            let (address, _) = address::settle(instance.given(), env, self.client.local_addr())?;
            let instance = instance.build(address, super::entropy())?;
            let leaf = self.layout.leaf(&instance)?;
            let place = self.take(&leaf.path())?;
            let start = register::Start {
                client: self.client.clone(),
                layout: self.layout.clone(),
                instance,
                leaf,
                place,
            };
            Ok(start.on(&runtime))
        })
    }
}

impl Discovery for ZooKeeper {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let service = service.to_owned();
        Box::pin(async move {
            let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
            discover::start(&runtime, self.client.clone(), self.layout.clone(), &service).await
        })
    }
}

impl fmt::Debug for ZooKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZooKeeper").field("client", &self.client).field("layout", &self.layout).finish()
    }
}

/// Whether the session serves reads and writes now.
fn is_connected(status: &Status) -> bool {
    matches!(status.state, State::Connected | State::ConnectedReadOnly)
}

/// Whether no session will ever come again.
fn is_over(status: &Status) -> bool {
    matches!(status.state, State::Ended(_))
}

/// Waits for whichever comes first. The futures that did not come are dropped; all of those used here are cancel safe.
async fn first<A: Future, B: Future, C: Future>(a: A, b: B, c: C) -> First<A::Output, B::Output, C::Output> {
    let (mut a, mut b, mut c) = (pin!(a), pin!(b), pin!(c));
    poll_fn(move |cx| {
        if let Poll::Ready(out) = a.as_mut().poll(cx) {
            return Poll::Ready(First::A(out));
        }
        if let Poll::Ready(out) = b.as_mut().poll(cx) {
            return Poll::Ready(First::B(out));
        }
        c.as_mut().poll(cx).map(First::C)
    })
    .await
}

enum First<A, B, C> {
    A(A),
    B(B),
    C(C),
}

/// A future that may be none, and then never comes.
async fn maybe<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    poll_fn(|cx| match future {
        Some(inner) => Pin::new(inner).poll(cx),
        None => Poll::Pending,
    })
    .await
}
