//! The core behind one short mutex, and who is to be woken when it has something to say.
//!
//! Nothing here decides anything. No waker is called under the lock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use tokio::sync::Notify;

use crate::core::{ConnectionId, Core, Transmit};
use crate::jute::Writer;

/// What all tasks of a server share.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Something is due sooner than the timer's task thinks.
    timer: Notify,
}

#[derive(Debug)]
struct State {
    core: Core,
    /// The tasks of the connections.
    wakers: BTreeMap<ConnectionId, Waker>,
    /// What the timer's task waits for.
    armed: Option<Instant>,
    /// Whether connections are taken.
    is_up: bool,
}

/// What a connection's task did since its last turn.
#[derive(Debug)]
pub(crate) struct Done<'a> {
    pub(crate) written: usize,
    pub(crate) input: &'a [u8],
    /// Whether there is still something that the stream does not take.
    pub(crate) is_blocked: bool,
}

/// What a connection's task is to do next.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) output: Option<Writer>,
    pub(crate) wants_input: bool,
    /// There are requests to be executed once others had their turn.
    pub(crate) has_work: bool,
    pub(crate) is_over: bool,
}

impl Hub {
    pub(crate) fn new(core: Core) -> Self {
        let state = State { core, wakers: BTreeMap::new(), armed: None, is_up: true };
        Self { state: Mutex::new(state), timer: Notify::new() }
    }

    /// Does something with the core, and wakes whoever has something to do after it.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Core, Instant) -> R) -> R {
        self.with_state(None, |state, now| act(&mut state.core, now))
    }

    /// A connection came; `None` while the server is stopped.
    pub(crate) fn open(&self, peer: SocketAddr) -> Option<ConnectionId> {
        self.with_state(None, |state, now| state.is_up.then(|| state.core.accept(peer, now)))
    }

    /// One turn of a connection's task: what it did goes in, what it is to do comes out.
    pub(crate) fn turn(&self, id: ConnectionId, waker: &Waker, done: &Done<'_>) -> Turn {
        self.with_state(Some(id), |state, now| {
            match state.wakers.get_mut(&id) {
                Some(known) => known.clone_from(waker),
                None => {
                    state.wakers.insert(id, waker.clone());
                }
            }
            let core = &mut state.core;
            // Either of them has requests executed: whose turn is over by the first has none by the second.
            if done.written > 0 {
                core.handle_written(id, done.written, now);
            }
            let is_idle = done.written == 0 || planted!("server_turns_twice");
            if !done.input.is_empty() || is_idle && core.has_work(id) {
                core.handle_input(id, done.input, now);
            }
            // A connection that is gone is over, whatever its peer has not taken.
            let waits = done.is_blocked && (core.is_open(id) || planted!("server_dropped_is_kept"));
            let transmit = if waits { Transmit::Wait } else { core.poll_transmit(id) };
            let (wants_input, has_work) = (core.wants_input(id), core.has_work(id));
            let (output, is_over) = match transmit {
                Transmit::Wait => (None, false),
                Transmit::Write(output) => (Some(output), false),
                Transmit::HangUp => (None, true),
            };
            if is_over {
                state.wakers.remove(&id);
            }
            Turn { output, wants_input, has_work, is_over }
        })
    }

    /// A connection is gone.
    pub(crate) fn closed(&self, id: ConnectionId) {
        self.with_state(None, |state, now| {
            state.wakers.remove(&id);
            state.core.handle_closed(id, now);
        });
    }

    /// Whether connections are taken from now on.
    pub(crate) fn set_up(&self, is_up: bool) {
        self.with_state(None, |state, _| state.is_up = is_up);
    }

    /// Does what is due, for ever.
    pub(crate) async fn keep_time(&self) {
        loop {
            let due = {
                let mut state = self.lock();
                let due = state.core.poll_timeout();
                state.armed = Some(due);
                due
            };
            // Early or in time: a call too many does no harm.
            let _ = tokio::time::timeout_at(due.into(), self.timer.notified()).await;
            self.with(|core, now| core.handle_timeout(now));
        }
    }

    fn with_state<R>(&self, own: Option<ConnectionId>, act: impl FnOnce(&mut State, Instant) -> R) -> R {
        let mut state = self.lock();
        // The clock is read under the lock, so that time does not go backwards.
        let now = tokio::time::Instant::now().into_std();
        let result = act(&mut state, now);
        let mut wakers = Vec::new();
        while let Some(id) = state.core.poll_ready() {
            if Some(id) != own {
                wakers.extend(state.wakers.get(&id).cloned());
            }
        }
        let is_sooner = state.armed.is_some_and(|armed| state.core.poll_timeout() < armed);
        if is_sooner {
            state.armed = None;
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        if is_sooner {
            self.timer.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
