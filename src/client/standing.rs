//! Where the client stands, and those who wait for it to stand elsewhere. They are woken in the order in which they began to wait,
//! so that a run repeats; tokio's own `watch` wakes them in an order drawn by chance.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::hub::Status;

/// The latest status, and how often it was set.
#[derive(Debug)]
pub(super) struct Standing {
    value: Mutex<(Status, u64)>,
    changed: Notify,
}

/// One who follows it.
pub(super) struct Following<'a> {
    standing: &'a Standing,
    seen: u64,
}

impl Standing {
    pub(super) fn new(status: Status) -> Self {
        Self { value: Mutex::new((status, 0)), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, (Status, u64)> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> Status {
        self.lock().0
    }

    pub(super) fn send_modify(&self, change: impl FnOnce(&mut Status)) {
        let mut value = self.lock();
        change(&mut value.0);
        value.1 += 1;
        drop(value);
        if planted!("client_status_wakes_one") {
            return self.changed.notify_one();
        }
        self.changed.notify_waiters();
    }

    pub(super) fn subscribe(&self) -> Following<'_> {
        Following { standing: self, seen: self.lock().1 }
    }
}

impl Following<'_> {
    pub(super) fn get(&mut self) -> Status {
        let value = self.standing.lock();
        self.seen = value.1;
        value.0
    }

    /// Waits until it was set behind the last look. Dropping the wait loses nothing: only [`get`](Self::get) is a look.
    pub(super) async fn changed(&mut self) {
        loop {
            // It counts from here on, so nothing slips through between the look and the wait.
            let changed = self.standing.changed.notified();
            if self.standing.lock().1 != self.seen {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use super::*;
    use crate::session::State;

    struct Order(Arc<Mutex<Vec<usize>>>, usize);

    impl Wake for Order {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push(self.1);
        }
    }

    #[test]
    fn who_waits_longest_is_woken_first() {
        let state = State::Connecting;
        let timeout = Duration::from_secs(1);
        let standing = Standing::new(Status { state, epoch: 1, disconnects: 0, session_id: None, timeout });
        let woken = Arc::new(Mutex::new(Vec::new()));
        let count = AtomicUsize::new(0);
        let mut following: Vec<_> = (0..20).map(|_| standing.subscribe()).collect();
        let mut waits: Vec<_> = following.iter_mut().map(|one| Box::pin(one.changed())).collect();
        for wait in &mut waits {
            let waker = Waker::from(Arc::new(Order(woken.clone(), count.fetch_add(1, Ordering::Relaxed))));
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        standing.send_modify(|status| status.epoch = 2);
        let order = woken.lock().unwrap().clone();
        assert_eq!(order, (0..20).collect::<Vec<_>>());
        for wait in &mut waits {
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    }

    #[test]
    fn what_was_set_before_the_wait_or_during_a_dropped_one_is_not_missed() {
        let state = State::Connecting;
        let timeout = Duration::from_secs(1);
        let standing = Standing::new(Status { state, epoch: 1, disconnects: 0, session_id: None, timeout });
        let mut following = standing.subscribe();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Box::pin(following.changed()).as_mut().poll(&mut cx).is_pending());
        standing.send_modify(|status| status.epoch = 2);
        for _ in 0..2 {
            assert!(Box::pin(following.changed()).as_mut().poll(&mut cx).is_ready());
        }
        assert_eq!(following.get().epoch, 2);
        assert!(Box::pin(following.changed()).as_mut().poll(&mut cx).is_pending());
    }
}
