//! What the handles and the driver share: the session behind one short mutex, and who waits for what.
//!
//! Nothing that belongs to a caller runs under the mutex: wakers and completions are taken out and done after it is
//! released. Each critical section works on one request or one batch of input.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Sleep;

use super::plain_text::Ends;
use super::sleep::{Sleep as MachineSleep, clocks};
use super::standing::Standing;
use super::stats::Counters;
use super::watch_buffer::WatchBuffer;
use crate::limits;
use crate::session::{
    Auth, Cause, Config, End, Fate, LeaseId, Loss, Notice, Outcome, Rejected, Request, RequestError,
    RequestId, Server, Session, State, WatcherId,
};

/// What comes back with an answer.
pub(super) type Token = oneshot::Sender<Outcome>;

/// What the handles of one client and its driver share.
#[derive(Debug)]
pub(super) struct Hub {
    core: Mutex<Core>,
    /// Places for requests. The session enforces the same bound; here callers wait for it in order.
    pub(super) places: Semaphore,
    /// How many there are in all.
    total_places: u32,
    pub(super) status: Standing,
    pub(super) counters: Counters,
    pub(super) request_timeout: Duration,
    pub(super) warned_of_plain_text: AtomicBool,
    /// Where the driver runs. Callers may be anywhere, also outside of every runtime: their timers are the driver's.
    runtime: Handle,
}

/// What the mutex guards.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) session: Session<Token>,
    /// Which session this is, counted from 1: a following client may see several.
    pub(super) epoch: u64,
    pub(super) watchers: BTreeMap<WatcherId, Listener>,
    /// Whether a session that expires is followed by another.
    pub(super) follows: bool,
    /// Set once no further session will come.
    pub(super) over: Option<End>,
    /// The ends of the present connection, where it has any.
    pub(super) ends: Option<Ends>,
    /// Why each server could not be reached, last.
    pub(super) attempts: BTreeMap<Server, Loss>,
    /// The servers that every further session tries.
    pub(super) servers: Vec<Server>,
    /// Credentials that every further session presents too.
    pub(super) auth: Vec<Auth>,
    /// Leases of this session that the server refused to renew.
    pub(super) refused: BTreeSet<LeaseId>,
    /// Whether the machine slept.
    pub(super) sleep: MachineSleep,
    driver: Option<Waker>,
    /// The driver was woken and has not looked yet.
    woken: bool,
}

/// Where the client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Where the present session stands.
    pub state: State,
    /// Which session it is, counted from 1. It only grows, so an expiry between two looks cannot be missed.
    pub epoch: u64,
    /// How often a connection went.
    pub disconnects: u64,
    /// The present session's id, once it has one.
    pub session_id: Option<i64>,
    /// The negotiated timeout.
    pub timeout: Duration,
}

/// Who hears of a watch.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) buffer: Arc<WatchBuffer>,
    pub(super) one_shot: bool,
}

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) id: RequestId,
    pub(super) epoch: u64,
}

impl Hub {
    pub(super) fn new(config: Config, follows: bool, request_timeout: Duration, runtime: Handle) -> Self {
        let places = usize::try_from(config.places).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let (auth, servers) = (config.auth.clone(), config.servers.clone());
        let timeout = config.timeout;
        let session = Session::new(config, now());
        let status = Status { state: session.state(), epoch: 1, disconnects: 0, session_id: None, timeout };
        let core = Core {
            session,
            epoch: 1,
            watchers: BTreeMap::new(),
            follows,
            over: None,
            ends: None,
            attempts: BTreeMap::new(),
            servers,
            auth,
            refused: BTreeSet::new(),
            sleep: MachineSleep::new(clocks),
            driver: None,
            woken: false,
        };
        Self {
            core: Mutex::new(core),
            places: Semaphore::new(places),
            total_places: u32::try_from(places).unwrap_or(u32::MAX),
            status: Standing::new(status),
            counters: Counters::default(),
            request_timeout,
            warned_of_plain_text: AtomicBool::new(false),
            runtime,
        }
    }

    /// Until when an operation may take that wishes for this, or for nothing.
    pub(super) fn deadline(&self, timeout: Option<Duration>) -> Instant {
        now() + timeout.unwrap_or(self.request_timeout).min(limits::LONGEST_WAIT)
    }

    /// What the future yields; `None` once the moment has come.
    pub(super) async fn before<F: Future>(&self, moment: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut sleep = None;
        poll_fn(|cx| {
            // The future first: it is ready if the driver is gone with its runtime, whose timers must not be asked then.
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            sleep.get_or_insert_with(|| self.sleep_until(moment)).as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    fn sleep_until(&self, moment: Instant) -> Pin<Box<Sleep>> {
        let _inside = self.runtime.enter();
        Box::pin(tokio::time::sleep_until(moment.into()))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The places that a request of about so many bytes takes: at most all of them, or it would wait for ever and let
    /// nobody past.
    pub(super) fn places_for(&self, len_bytes: usize) -> u32 {
        limits::places(len_bytes).min(self.total_places)
    }

    /// The places that several requests of these lengths take together.
    pub(super) fn places_for_all(&self, lens_bytes: &[usize]) -> u32 {
        let all = lens_bytes.iter().map(|&len_bytes| limits::places(len_bytes)).fold(0, u32::saturating_add);
        all.min(self.total_places)
    }

    /// Waits in line for so many places and takes them: from here on they are the caller's to give back.
    pub(super) async fn take_places(&self, wanted: u32, deadline: Instant) -> Result<(), Cause> {
        match self.before(deadline, self.places.acquire_many(wanted)).await {
            Some(Ok(permit)) => {
                permit.forget();
                Ok(())
            }
            Some(Err(_)) => Err(Cause::SessionEnded(self.lock().over.unwrap_or(End::Closed))),
            None => Err(Cause::Deadline),
        }
    }

    /// Does something to the present session and sees to it that the driver looks.
    pub(super) fn with_session<R>(&self, act: impl FnOnce(&mut Core, Instant) -> R) -> R {
        let now = now();
        let mut core = self.lock();
        let result = act(&mut core, now);
        let driver = core.wake();
        drop(core);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// Submits a request to the session of that epoch, or to the present one. A watcher's buffer is in place before its
    /// answer can come.
    pub(super) fn submit(
        &self,
        pinned: Option<u64>,
        request: Request<'_>,
        token: Token,
        watcher: Option<&Arc<WatchBuffer>>,
    ) -> Result<Ticket, Rejected<Token>> {
        self.with_session(|core, now| {
            if let Some(end) = core.refuses(pinned).filter(|_| !planted!("client_session_crossed")) {
                let error = RequestError { cause: Cause::SessionEnded(end), fate: Fate::NotSent };
                return Err(Rejected { token, error });
            }
            let one_shot = request.watch.is_some_and(|wish| wish.kind.is_one_shot());
            let id = core.session.submit(now, request, token)?;
            if let Some(buffer) = watcher {
                core.watchers.insert(id.watcher(), Listener { buffer: buffer.clone(), one_shot });
            }
            Ok(Ticket { id, epoch: core.epoch })
        })
    }

    /// Presents credentials, on this session and every later one; the verdict comes back.
    pub(super) fn add_auth(
        &self,
        pinned: Option<u64>,
        auth: Auth,
    ) -> Result<oneshot::Receiver<Outcome>, RequestError> {
        let (sender, receiver) = oneshot::channel();
        self.with_session(|core, now| {
            if let Some(end) = core.refuses(pinned) {
                return Err(RequestError { cause: Cause::SessionEnded(end), fate: Fate::NotSent });
            }
            core.session.add_auth(now, auth.clone(), sender).map_err(|rejected| rejected.error)?;
            if !core.auth.contains(&auth) {
                core.auth.push(auth.clone());
            }
            Ok(())
        })?;
        self.warn_of_plain_text();
        Ok(receiver)
    }

    /// There is a new connection, with these ends.
    pub(super) fn arrived(&self, ends: Option<Ends>) {
        self.lock().ends = ends;
        self.warn_of_plain_text();
    }

    /// Its request set no watch: nobody will hear of it.
    pub(super) fn forget(&self, ticket: Ticket) {
        let mut core = self.lock();
        if core.epoch == ticket.epoch {
            core.watchers.remove(&ticket.id.watcher());
        }
    }

    /// Ends the client: no session follows, and the present one closes behind what was submitted. False, and nothing, for
    /// a handle whose session is over already.
    pub(super) fn close(&self, pinned: Option<u64>) -> bool {
        self.with_session(|core, now| {
            let reaches = pinned.is_none_or(|epoch| epoch == core.epoch) || planted!("client_close_unfenced");
            if reaches {
                core.follows = false;
                core.session.close(now);
            }
            reaches
        })
    }

    /// The driver is gone: whatever waits for it ends.
    pub(super) fn abandon(&self) {
        let mut core = self.lock();
        if core.over.is_some() {
            return;
        }
        let end = End::ClosedUnconfirmed;
        core.over = Some(end);
        let nothing = Session::new(Config::new(Vec::new(), 0), now());
        let session = std::mem::replace(&mut core.session, nothing);
        let watchers = std::mem::take(&mut core.watchers);
        drop(core);
        self.places.close();
        // Dropping the tokens tells those who wait.
        drop(session);
        watchers.into_values().for_each(|listener| listener.buffer.push(Notice::Ended(end)));
        self.status.send_modify(|status| status.state = State::Ended(end));
    }

    /// Nobody wants the answer any more, nor the watch that it sets.
    pub(super) fn cancel(&self, ticket: Ticket) {
        self.with_session(|core, now| {
            if core.epoch == ticket.epoch {
                core.session.cancel(now, ticket.id);
                // Its answer may be there, unread, and the watch set.
                let set = core.watchers.remove(&ticket.id.watcher()).is_some();
                if set && !planted!("client_watch_left") {
                    core.session.unwatch(now, ticket.id.watcher());
                }
            }
        });
    }

    pub(super) fn unwatch(&self, ticket: Ticket) {
        self.with_session(|core, now| {
            if core.epoch == ticket.epoch && core.watchers.remove(&ticket.id.watcher()).is_some() {
                core.session.unwatch(now, ticket.id.watcher());
            }
        });
    }
}

impl Core {
    /// The end that a request of this handle runs into, if there is one.
    pub(super) fn refuses(&self, pinned: Option<u64>) -> Option<End> {
        match pinned {
            Some(epoch) if epoch != self.epoch => Some(End::Expired),
            _ => self.over,
        }
    }

    /// The buffer of this watcher, which is forgotten if it is told only once.
    pub(super) fn listener(&mut self, watcher: WatcherId) -> Option<Arc<WatchBuffer>> {
        let listener = self.watchers.get(&watcher)?;
        let buffer = listener.buffer.clone();
        if listener.one_shot {
            self.watchers.remove(&watcher);
        }
        Some(buffer)
    }

    /// The driver's waker, if it has to be woken.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.woken, true) {
            return None;
        }
        self.driver.clone()
    }

    /// The driver looks: from now on a change must wake it.
    pub(super) fn attend(&mut self, waker: &Waker) {
        self.woken = false;
        match &mut self.driver {
            Some(known) if known.will_wake(waker) => {}
            known => *known = Some(waker.clone()),
        }
    }
}

/// The one place where the client reads the time: from tokio's clock, so that a paused runtime pauses the session too.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
