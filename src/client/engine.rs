//! From an operation to its answer: validated, given a place, submitted, repeated where that is safe, decoded.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::hub::{Hub, Ticket, now};
use super::watch_buffer::WatchBuffer;
use super::{Client, Error, Place};
use crate::jute::{Encode, OpCode};
use crate::session::{Cause, End, Fate, Outcome, Request, RequestError, WatchKind, WatchWish};

/// One operation of the protocol: what it asks and what its answer means. Sealed: the protocol is not the user's to extend.
pub trait Operation: private::Described {}

impl<O: private::Described> Operation for O {}

pub(crate) mod private {
    use super::{Answer, Encode, Error, OpCode, RequestError, WatchKind};

    /// See [`Operation`](super::Operation).
    #[expect(unnameable_types, reason = "it seals the trait above")]
    pub trait Described {
        /// What a success yields.
        type Output;

        /// The operation code.
        fn op(&self) -> OpCode;

        /// The path as the caller named it; empty for operations without one.
        fn path(&self) -> &str;

        /// The path that an error is about, as the caller named it.
        fn path_to_blame(&self, error: &Error) -> &str {
            let _ = error;
            self.path()
        }

        /// Whether it changes nothing, so that it may be repeated whatever became of it.
        fn is_read(&self) -> bool {
            !self.op().is_write()
        }

        /// What is wrong with the arguments: the path, unless there is more.
        fn check(&self) -> Result<(), Error> {
            crate::path::validate(self.path()).map_err(Error::new)
        }

        /// Lends the request's record, with `chroot` in front of its paths and the watch flag as it is to be.
        fn with_body<R>(&self, chroot: &str, watch: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R;

        /// About how many bytes it takes on the wire.
        fn len_bytes(&self) -> usize {
            self.path().len() + 64
        }

        /// The watch it sets.
        fn watch(&self) -> Option<WatchKind> {
            None
        }

        /// Whether this operation's path is never below a chroot.
        fn ignores_chroot(&self) -> bool {
            false
        }

        /// Turns into an older operation if the server does not know this one. True if it did.
        fn fall_back(&mut self, error: &RequestError) -> bool {
            let _ = error;
            false
        }

        /// What the answer means.
        fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error>;
    }
}

/// An answer and what it belongs to.
pub struct Answer<'a> {
    pub(super) outcome: Outcome,
    pub(super) hub: &'a Arc<Hub>,
    pub(super) chroot: &'a str,
    pub(super) ticket: Ticket,
    pub(super) listener: Option<Arc<WatchBuffer>>,
}

/// An operation to be awaited, or [sent](Call::send).
///
/// Awaiting it repeats it by itself while it was not sent, and a read even if its answer was lost, until its deadline:
/// within the session it began under. Dropping the future cancels: a request that still waits never goes out; one that
/// is on its way is done or not done by the server, and its answer is swallowed.
#[must_use = "an operation does nothing until it is awaited or sent"]
#[derive(Debug)]
pub struct Call<'a, O> {
    pub(super) client: &'a Client,
    pub(super) op: O,
    pub(super) timeout: Option<Duration>,
}

impl<'a, O: Operation> Call<'a, O> {
    pub(super) fn new(client: &'a Client, op: O) -> Self {
        Self { client, op, timeout: None }
    }

    /// How long it may take in all, waiting for a place and a connection included. The default is the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(super) fn map<P: Operation>(self, change: impl FnOnce(O) -> P) -> Call<'a, P> {
        Call { client: self.client, op: change(self.op), timeout: self.timeout }
    }

    /// Puts the request on its way now, and yields a future of its answer: a pipeline. Requests sent one after the other
    /// go out in that order and are never repeated. After a loss each tells its fate, and what was applied is a prefix of
    /// what was sent before it; what is sent behind it is a pipeline of its own. Dropping the future does not take the request back, unless it sets a watch.
    ///
    /// With every place taken it completes with [`Cause::QueueFull`]; [`Client::ready`] waits for one and reserves it.
    pub fn send(self) -> Sent<O> {
        self.send_with(0)
    }

    /// As [`send`](Self::send), in a place reserved before: a short request finds room for certain.
    pub fn send_in(self, place: Place<'_>) -> Sent<O> {
        let own = std::ptr::eq(place.hub, &*self.client.hub);
        if own {
            place.permit.forget();
        }
        self.send_with(own.into())
    }

    /// Sends, with so many places held already.
    fn send_with(self, held: u32) -> Sent<O> {
        let Self { client, op, timeout } = self;
        let deadline = client.hub.deadline(timeout);
        let places = &client.hub.places;
        let missing = client.hub.places_for(op.len_bytes()).saturating_sub(held);
        let sent = match op.check() {
            Err(error) => Err((error, held)),
            Ok(()) => match places.try_acquire_many(missing) {
                Ok(permit) => {
                    permit.forget();
                    let places = client.hub.places_for(op.len_bytes());
                    submit(client, client.pinned, &op, deadline, true, places).map_err(|error| (error, 0))
                }
                Err(_) => {
                    let cause = match client.hub.lock().refuses(client.pinned) {
                        Some(end) => Cause::SessionEnded(end),
                        None => Cause::QueueFull,
                    };
                    Err((Error::new(RequestError { cause, fate: Fate::NotSent }), held))
                }
            },
        };
        let state = match sent {
            Ok(flight) => SentState::Flying(flight),
            Err((error, unused)) => {
                places.add_permits(unused as usize);
                SentState::Failed(Some(blamed(error, &op)))
            }
        };
        Sent { hub: client.hub.clone(), chroot: client.chroot.clone(), op, state }
    }

    /// Sends in places that are taken already, and given back with the answer; one of several that go out together.
    pub(super) fn send_taken(self, deadline: Instant, places: u32) -> Sent<O> {
        let Self { client, op, .. } = self;
        let state = match submit(client, client.pinned, &op, deadline, true, places) {
            Ok(flight) => SentState::Flying(flight),
            Err(error) => SentState::Failed(Some(blamed(error, &op))),
        };
        Sent { hub: client.hub.clone(), chroot: client.chroot.clone(), op, state }
    }
}

impl<'a, O: Operation + Unpin> IntoFuture for Call<'a, O> {
    type Output = Result<O::Output, Error>;
    type IntoFuture = Execute<'a, O>;

    fn into_future(self) -> Execute<'a, O> {
        let deadline = self.client.hub.deadline(self.timeout);
        Execute { client: self.client, op: self.op, deadline, epoch: None, state: State::Fresh }
    }
}

/// A request under way.
#[derive(Debug)]
struct Flight {
    receiver: oneshot::Receiver<Outcome>,
    ticket: Ticket,
    listener: Option<Arc<WatchBuffer>>,
    since: Instant,
}

/// The future of an awaited operation. Dropping it cancels, as [`Call`] says.
#[must_use = "futures do nothing unless awaited"]
pub struct Execute<'a, O: Operation> {
    client: &'a Client,
    op: O,
    deadline: Instant,
    /// The session that it began under: it does not cross into another.
    epoch: Option<u64>,
    state: State<'a>,
}

enum State<'a> {
    Fresh,
    /// In line for a place.
    Queued(Pin<Box<dyn Future<Output = Result<(), Cause>> + Send + 'a>>),
    Flying(Flight),
    Done,
}

/// The future of a sent operation. Dropping it does not take the request back; nobody learns its fate then.
#[must_use = "futures do nothing unless awaited"]
pub struct Sent<O> {
    hub: Arc<Hub>,
    chroot: Arc<str>,
    op: O,
    state: SentState,
}

enum SentState {
    Flying(Flight),
    Failed(Option<Error>),
}

/// Submits the operation; its places are taken already.
fn submit<O: Operation>(
    client: &Client,
    epoch: Option<u64>,
    op: &O,
    deadline: Instant,
    pipelined: bool,
    places: u32,
) -> Result<Flight, Error> {
    let (sender, receiver) = oneshot::channel();
    let listener = op.watch().map(|_| Arc::new(WatchBuffer::default()));
    let chroot = if op.ignores_chroot() { "" } else { &client.chroot };
    let since = now();
    let submitted = op.with_body(chroot, op.watch().is_some(), |body| {
        let whole;
        let wish = match op.watch() {
            None => None,
            Some(kind) => {
                whole = super::full_path(chroot, op.path());
                Some(WatchWish { kind, path: &whole })
            }
        };
        let request = Request { op: op.op(), body, watch: wish, deadline: Some(deadline), places, pipelined };
        client.hub.submit(epoch, request, sender, listener.as_ref())
    });
    match submitted {
        Ok(ticket) => Ok(Flight { receiver, ticket, listener, since }),
        Err(rejected) => {
            client.hub.places.add_permits(places as usize);
            Err(Error::new(rejected.error).at(op.op(), op.path()))
        }
    }
}

/// What the driver's disappearance means for a request.
pub(super) fn abandoned() -> RequestError {
    RequestError { cause: Cause::SessionEnded(End::ClosedUnconfirmed), fate: Fate::Unknown }
}

/// Waits for the answer, and gives the watcher up if there is none to set one.
fn poll_flight(flight: &mut Flight, hub: &Hub, op: OpCode, cx: &mut Context<'_>) -> Poll<Outcome> {
    let outcome = ready!(Pin::new(&mut flight.receiver).poll(cx)).unwrap_or_else(|_| Err(abandoned()));
    hub.counters.record(op, now().saturating_duration_since(flight.since), outcome.is_ok());
    Poll::Ready(outcome)
}

impl<'a, O: Operation + Unpin> Execute<'a, O> {
    /// Takes a place if there is one, else gets in line.
    fn start(&mut self) -> Result<(), Error> {
        self.op.check().map_err(|error| blamed(error, &self.op))?;
        let client = self.client;
        let wanted = client.hub.places_for(self.op.len_bytes());
        match client.hub.places.try_acquire_many(wanted) {
            Ok(permit) => {
                permit.forget();
                self.launch()
            }
            Err(_) => {
                let deadline = self.deadline;
                // It belongs to the session it began to wait under.
                self.epoch = self.epoch.or(client.pinned).or_else(|| Some(client.hub.lock().epoch));
                self.state = State::Queued(Box::pin(client.hub.take_places(wanted, deadline)));
                Ok(())
            }
        }
    }

    fn launch(&mut self) -> Result<(), Error> {
        // Under the session it began with, whatever the handle follows.
        let epoch = self.epoch.or(self.client.pinned);
        let places = self.client.hub.places_for(self.op.len_bytes());
        let flight = submit(self.client, epoch, &self.op, self.deadline, false, places)?;
        self.epoch = Some(flight.ticket.epoch);
        self.state = State::Flying(flight);
        Ok(())
    }

    /// Whether to ask again. A request that was not sent had no effect; a read has none.
    fn repeats(&mut self, error: &RequestError) -> bool {
        if self.op.fall_back(error) {
            return true;
        }
        let passes = matches!(error.cause, Cause::ConnectionLost(_) | Cause::SessionLost);
        // Two suites plant the same fault, each under its name.
        let planted = planted!("client_blind_repeat") || planted!("client_write_repeated");
        let repeatable = self.op.is_read() || planted;
        let harmless = error.fate == Fate::NotSent || (error.fate == Fate::Unknown && repeatable);
        passes && harmless && now() < self.deadline
    }

    fn fail(&mut self, cause: Cause, fate: Fate) -> Error {
        Error::new(RequestError { cause, fate }).at(self.op.op(), self.op.path())
    }
}

impl<O: Operation + Unpin> Future for Execute<'_, O> {
    type Output = Result<O::Output, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Fresh => {
                    if let Err(error) = this.start() {
                        this.state = State::Done;
                        return Poll::Ready(Err(error));
                    }
                }
                State::Queued(place) => {
                    let placed = ready!(place.as_mut().poll(cx));
                    this.state = State::Done;
                    let launched = match placed {
                        Ok(()) => this.launch(),
                        Err(cause) => Err(this.fail(cause, Fate::NotSent)),
                    };
                    if let Err(error) = launched {
                        return Poll::Ready(Err(error));
                    }
                }
                State::Flying(flight) => {
                    let outcome = ready!(poll_flight(flight, &this.client.hub, this.op.op(), cx));
                    let State::Flying(flight) = std::mem::replace(&mut this.state, State::Done) else {
                        continue;
                    };
                    if let Err(error) = &outcome {
                        if this.repeats(error) {
                            this.client.hub.forget(flight.ticket);
                            this.state = State::Fresh;
                            continue;
                        }
                    }
                    let answer = Answer {
                        outcome,
                        hub: &this.client.hub,
                        chroot: &this.client.chroot,
                        ticket: flight.ticket,
                        listener: flight.listener,
                    };
                    return Poll::Ready(finish(&this.op, answer));
                }
                State::Done => return Poll::Pending,
            }
        }
    }
}

/// Decodes, and names the operation in the error.
fn finish<O: Operation>(op: &O, answer: Answer<'_>) -> Result<O::Output, Error> {
    let (hub, ticket, watches) = (answer.hub.clone(), answer.ticket, answer.listener.is_some());
    op.decode(answer).map_err(|error| {
        if watches {
            hub.forget(ticket);
        }
        blamed(error, op)
    })
}

/// The error, with the operation and the path that is to blame.
fn blamed<O: Operation>(error: Error, op: &O) -> Error {
    let path = op.path_to_blame(&error).to_owned();
    error.at(op.op(), &path)
}

impl<O: Operation> Drop for Execute<'_, O> {
    fn drop(&mut self) {
        match &self.state {
            State::Flying(flight) if !planted!("client_cancel_forgotten") => {
                self.client.hub.cancel(flight.ticket)
            }
            _ => {}
        }
    }
}

/// A sent request is not taken back; but a watch that nobody will hear of is.
impl<O> Drop for Sent<O> {
    fn drop(&mut self) {
        if let SentState::Flying(Flight { ticket, listener: Some(_), .. }) = &self.state {
            self.hub.cancel(*ticket);
        }
    }
}

impl<O: Operation + Unpin> Future for Sent<O> {
    type Output = Result<O::Output, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match &mut this.state {
            SentState::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
            SentState::Flying(flight) => {
                let outcome = ready!(poll_flight(flight, &this.hub, this.op.op(), cx));
                let state = std::mem::replace(&mut this.state, SentState::Failed(None));
                let SentState::Flying(flight) = state else { return Poll::Pending };
                let answer = Answer {
                    outcome,
                    hub: &this.hub,
                    chroot: &this.chroot,
                    ticket: flight.ticket,
                    listener: flight.listener,
                };
                Poll::Ready(finish(&this.op, answer))
            }
        }
    }
}

impl<O: Operation> fmt::Debug for Execute<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Execute({} {:?})", self.op.op(), self.op.path())
    }
}

impl<O: Operation> fmt::Debug for Sent<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sent({} {:?})", self.op.op(), self.op.path())
    }
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
