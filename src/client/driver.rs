//! The one task that owns the socket. It decides nothing: it does what the session wants, and says what happened.

use std::collections::VecDeque;
use std::future::Future;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::Sleep;

use super::follow::Next;
use super::hub::{Core, Hub, Status, Token, now};
use super::sleep::warn_of;
use super::transport::{Connection, Dial, Lookup, Probe, Transport, loss};
use super::watch_buffer::WatchBuffer;
use crate::jute::Writer;
use crate::limits;
use crate::session::{Action, ConnId, DialId, Loss, Notice};

/// The task's state. It ends when the client's last session has ended.
pub(super) struct Driver {
    hub: Arc<Hub>,
    transport: Transport,
    next: Next,
    lookup: Option<(DialId, Lookup)>,
    dials: Vec<(ConnId, Dial)>,
    probe: Option<(ConnId, Probe)>,
    connection: Option<(ConnId, Connection)>,
    out: Writer,
    input: BytesMut,
    /// Buffers that replies may still be slices of.
    pool: VecDeque<BytesMut>,
    /// The transport may hold bytes back that it took.
    unflushed: bool,
    actions: VecDeque<Action<Token>>,
    todo: VecDeque<Todo>,
    freed: usize,
    deadline: Option<Instant>,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
    /// The runtime has several workers: then a woken task runs right behind the first request of a batch.
    several_workers: bool,
    /// Answers handed out since the last write.
    answered: usize,
    yielded: bool,
}

/// What is done outside the lock: none of the driver's own code, and no waker, runs under it.
enum Todo {
    Act(Action<Token>),
    Notify(Arc<WatchBuffer>, Notice),
}

/// Rounds of reading and writing before other tasks get their turn.
const ROUNDS: usize = 32;

impl Driver {
    pub(super) fn new(hub: Arc<Hub>, transport: Transport, next: Next, several_workers: bool) -> Self {
        Self {
            hub,
            transport,
            next,
            lookup: None,
            dials: Vec::new(),
            probe: None,
            connection: None,
            out: Writer::with_spill(limits::SPILL_LEN_BYTES),
            input: BytesMut::new(),
            pool: VecDeque::new(),
            unflushed: false,
            actions: VecDeque::new(),
            todo: VecDeque::new(),
            freed: 0,
            deadline: None,
            sleep: None,
            several_workers,
            answered: 0,
            yielded: false,
        }
    }

    /// Tells the session what happened and takes what it wants, in one critical section; does it outside. True if the
    /// session is over and all of it is done.
    fn attend<R>(
        &mut self,
        cx: &Context<'_>,
        tell: impl FnOnce(&mut Core, Instant, &mut BytesMut) -> R,
    ) -> (R, bool) {
        let mut core = self.hub.lock();
        core.attend(cx.waker());
        let result = tell(&mut core, now(), &mut self.input);
        core.session.poll_actions(&mut self.actions);
        for action in self.actions.drain(..) {
            match action {
                Action::Notify { watcher, notice } => {
                    if let Some(buffer) = core.listener(watcher) {
                        self.todo.push_back(Todo::Notify(buffer, notice));
                    }
                }
                action => self.todo.push_back(Todo::Act(action)),
            }
        }
        self.freed += core.session.take_freed() as usize;
        if self.out.is_empty() && self.connection.is_some() {
            core.session.poll_transmit(&mut self.out);
        }
        self.deadline = core.session.poll_timeout();
        let drained = core.session.is_drained();
        let debris = core.session.take_debris();
        drop(core);
        drop(debris);
        self.act();
        (result, drained)
    }

    fn act(&mut self) {
        let freed = std::mem::take(&mut self.freed);
        if freed > 0 && !planted!("client_place_leaked") {
            self.hub.places.add_permits(freed);
        }
        while let Some(todo) = self.todo.pop_front() {
            match todo {
                Todo::Notify(buffer, notice) => buffer.push(notice),
                Todo::Act(Action::Complete { token, outcome }) => {
                    self.answered += 1;
                    let _held = planted!("client_wakes_under_lock").then(|| self.hub.lock());
                    // Whoever asked may have gone; then nobody wants the answer.
                    let _ = token.send(outcome);
                }
                Todo::Act(Action::Resolve { dial, server }) => {
                    self.lookup = Some((dial, self.transport.lookup(&server)));
                }
                Todo::Act(Action::Dial { conn, server, address }) => {
                    self.dials.push((conn, self.transport.dial(&server, address)));
                }
                Todo::Act(Action::Probe { conn, server, address }) => {
                    self.probe = Some((conn, self.transport.probe(&server, address)));
                }
                Todo::Act(Action::HangUp { conn }) => self.hang_up(conn),
                Todo::Act(Action::Event(event)) => self.next.heard(&self.hub, event),
                Todo::Act(_) => {}
            }
        }
    }

    fn hang_up(&mut self, conn: ConnId) {
        self.dials.retain(|(current, _)| *current != conn);
        if self.probe.as_ref().is_some_and(|(current, _)| *current == conn) {
            self.probe = None;
        }
        if self.connection.as_ref().is_some_and(|(current, _)| *current == conn) {
            self.forget_connection();
        }
    }

    fn forget_connection(&mut self) {
        self.connection = None;
        self.unflushed = false;
        self.out = Writer::with_spill(limits::SPILL_LEN_BYTES);
        self.input = BytesMut::new();
    }

    /// What is being looked up, probed or dialled.
    fn poll_attempt(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((dial, lookup)) = &mut self.lookup {
            if let Poll::Ready(found) = lookup.as_mut().poll(cx) {
                let dial = *dial;
                self.lookup = None;
                self.attend(cx, |core, now, _| core.session.handle_resolved(now, dial, found));
                return Poll::Ready(());
            }
        }
        if let Some((conn, probe)) = &mut self.probe {
            if let Poll::Ready(answer) = probe.as_mut().poll(cx) {
                let conn = *conn;
                self.probe = None;
                self.attend(cx, |core, now, _| core.session.handle_probe(now, conn, &answer));
                return Poll::Ready(());
            }
        }
        let dialled = self.dials.iter_mut().enumerate().find_map(|(at, (_, dial))| {
            let Poll::Ready(dialled) = dial.as_mut().poll(cx) else { return None };
            Some((at, dialled))
        });
        let Some((at, dialled)) = dialled else { return Poll::Pending };
        let (conn, _) = self.dials.swap_remove(at);
        match dialled {
            Ok(connection) => {
                self.forget_connection();
                self.hub.arrived(connection.ends());
                self.connection = Some((conn, connection));
                self.attend(cx, |core, now, _| core.session.handle_connected(now, conn));
            }
            Err(loss) => {
                self.attend(cx, |core, now, _| core.session.handle_dial_failed(now, conn, loss));
            }
        }
        Poll::Ready(())
    }

    /// Reads once, and hands what came to the session.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((conn, connection)) = &mut self.connection else { return Poll::Pending };
        let conn = *conn;
        make_room(&mut self.input, &mut self.pool);
        let read = ready!(pin!(connection.read_buf(&mut self.input)).poll(cx));
        match read {
            Ok(0) => self.lost(cx, conn, Loss::Closed),
            Err(error) => self.lost(cx, conn, loss(&error)),
            Ok(_) => {
                while self.attend(cx, |core, now, input| core.session.handle_input(now, conn, input)).0 {}
            }
        }
        Poll::Ready(())
    }

    /// Writes what the session wants written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((conn, connection)) = &mut self.connection else { return Poll::Pending };
        if self.out.is_empty() {
            return self.poll_flush(cx);
        }
        if self.several_workers && self.answered > 1 && !self.yielded {
            // Let those who were answered ask again, so that their requests leave together. A lone one never waits.
            self.yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        (self.yielded, self.answered) = (false, 0);
        let conn = *conn;
        let mut slices = [IoSlice::new(&[]); limits::WRITE_SEGMENTS];
        let used = self.out.chunks_vectored(&mut slices);
        match ready!(connection.poll_write(cx, slices.get(..used).unwrap_or_default())) {
            Ok(0) => self.lost(cx, conn, Loss::Network),
            Err(error) => self.lost(cx, conn, loss(&error)),
            Ok(len) => {
                self.out.advance(len);
                self.unflushed = connection.buffers();
                self.attend(cx, |core, now, _| core.session.handle_written(now, conn, len));
            }
        }
        Poll::Ready(())
    }

    /// Sees to it that a transport with a buffer of its own, such as TLS, does not sit on what was written.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some((conn, connection)) = self.connection.as_mut().filter(|_| self.unflushed) else {
            return Poll::Pending;
        };
        let conn = *conn;
        let flushed = ready!(connection.poll_flush(cx));
        self.unflushed = false;
        match flushed {
            Ok(()) => Poll::Pending,
            Err(error) => {
                self.lost(cx, conn, loss(&error));
                Poll::Ready(())
            }
        }
    }

    fn lost(&mut self, cx: &Context<'_>, conn: ConnId, loss: Loss) {
        self.attend(cx, |core, now, _| core.session.handle_connection_lost(now, conn, loss));
        self.hang_up(conn);
    }

    /// Arms the one timer, lazily: a deadline that has moved away finds the timer early, which does no harm.
    fn poll_sleep(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.deadline else { return Poll::Pending };
        let (armed, sleep) =
            self.sleep.get_or_insert_with(|| (at, Box::pin(tokio::time::sleep_until(at.into()))));
        if at < *armed {
            *armed = at;
            sleep.as_mut().reset(at.into());
        }
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        let (slept, _) = self.attend(cx, |core, now, _| core.notice_sleep(now));
        warn_of(slept);
        if self.input.is_empty() {
            // Time passed: an idle session gives its buffers back.
            self.input = BytesMut::new();
            self.pool = VecDeque::new();
            self.out.shrink(0);
        }
        Poll::Ready(())
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..ROUNDS {
            let (_, drained) = self.attend(cx, |core, now, _| core.session.handle_timeout(now));
            if drained {
                self.forget_connection();
                (self.lookup, self.probe) = (None, None);
                self.dials.clear();
                let hub = self.hub.clone();
                if !self.next.begin(&hub) {
                    return Poll::Ready(());
                }
                continue;
            }
            let attempted = self.poll_attempt(cx).is_ready();
            let read = self.poll_read(cx).is_ready();
            let wrote = self.poll_write(cx).is_ready();
            if !attempted && !read && !wrote && self.poll_sleep(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Makes room for a read: in the buffer itself, if nothing else holds it any more; in one that was put aside and has come
/// free; in a new one. The begin of a frame moves along.
fn make_room(input: &mut BytesMut, pool: &mut VecDeque<BytesMut>) {
    if input.capacity() - input.len() >= limits::READ_SPARE_LEN_BYTES {
        return;
    }
    let large = limits::READ_LEN_BYTES - 2 * limits::READ_SPARE_LEN_BYTES;
    if input.len() > large || (planted!("client_read_buffer_thrown_away") && !input.is_empty()) {
        // A large frame: its buffer grows as it arrives.
        input.reserve(limits::READ_LEN_BYTES.max(input.len()));
        return;
    }
    if input.try_reclaim(limits::READ_LEN_BYTES - input.len()) {
        return;
    }
    let free = pool.iter_mut().position(|buffer| buffer.try_reclaim(limits::READ_LEN_BYTES));
    let mut next = free
        .and_then(|at| pool.remove(at))
        .unwrap_or_else(|| BytesMut::with_capacity(limits::READ_LEN_BYTES));
    next.extend_from_slice(input);
    let mut used = std::mem::replace(input, next);
    used.clear();
    if pool.len() < limits::READ_POOL && used.capacity() > 0 {
        pool.push_back(used);
    }
}

/// The task is gone, with its runtime perhaps: nobody may wait for ever for what it will not do any more.
impl Drop for Driver {
    fn drop(&mut self) {
        if !planted!("client_gone_in_silence") {
            self.hub.abandon();
        }
    }
}

/// Publishes where the client stands.
pub(super) fn publish(hub: &Hub, change: impl FnOnce(&mut Status)) {
    hub.status.send_modify(change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_cut_in_two_moves_to_a_pooled_buffer_and_costs_no_new_one() {
        let (mut input, mut pool) = (BytesMut::with_capacity(limits::READ_LEN_BYTES), VecDeque::new());
        let mut places = Vec::new();
        let mut replies = Vec::new();
        for round in 0..10_u8 {
            let room = input.capacity() - input.len();
            input.extend_from_slice(&vec![round; room]);
            places.push(input.as_ptr());
            // All but the begin of one frame is handed out, and let go of two reads later.
            replies.push(input.split_to(input.len() - 100).freeze());
            if round >= 2 {
                replies.remove(0);
            }
            make_room(&mut input, &mut pool);
            assert_eq!(input, vec![round; 100]);
            assert!(!pool.is_empty(), "the buffer is thrown away");
            assert!(input.capacity() - input.len() >= limits::READ_SPARE_LEN_BYTES);
        }
        places.sort_unstable();
        places.dedup();
        assert!(places.len() <= 1 + limits::READ_POOL, "{} buffers for ten reads", places.len());
    }
}
