//! Where a watcher's notices wait until somebody reads them. Bounded: what does not fit becomes one gap.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::jute::Ustring;
use crate::limits;
use crate::session::Notice;

/// The notices of one watcher.
#[derive(Debug, Default)]
pub(super) struct WatchBuffer(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    notices: VecDeque<Notice>,
    /// The last notice in the queue is the gap that everything since fell into.
    overflowing: bool,
    ended: bool,
    reader: Option<Waker>,
}

impl WatchBuffer {
    /// Puts a notice in, and wakes the reader. Never blocks, never grows beyond its bound.
    pub(super) fn push(&self, notice: Notice) {
        let reader = {
            let mut inner = self.lock();
            match notice {
                Notice::Ended(_) if inner.ended => return,
                Notice::Ended(_) => {
                    inner.ended = true;
                    inner.notices.push_back(notice);
                }
                // Each says to read again; the last of several in a row also says whether events will come.
                Notice::Gap | Notice::NotWatched => match inner.notices.back_mut() {
                    Some(last @ (Notice::Gap | Notice::NotWatched)) => *last = notice,
                    _ => inner.notices.push_back(notice),
                },
                Notice::Event { .. } if inner.overflowing => {}
                Notice::Event { .. } if inner.notices.len() >= limits::WATCH_BUFFER => {
                    inner.overflowing = true;
                    let told = matches!(inner.notices.back(), Some(Notice::Gap | Notice::NotWatched));
                    if !told && !planted!("client_gap_swallowed") {
                        inner.notices.push_back(Notice::Gap);
                    }
                }
                Notice::Event { event_type, path, zxid } => {
                    // A path of its own: a slice would keep the whole read buffer alive until somebody reads it.
                    let path = Ustring::from(path.as_str());
                    inner.notices.push_back(Notice::Event { event_type, path, zxid });
                }
            }
            inner.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The next notice.
    pub(super) fn poll_pop(&self, cx: &Context<'_>) -> Poll<Notice> {
        if let Some(known) = self.pop_or_know(cx) {
            return known;
        }
        // Wakers are the caller's: they are cloned and dropped outside of the lock.
        let fresh = cx.waker().clone();
        let stale = self.lock().reader.replace(fresh);
        drop(stale);
        // What came in between woke the stale one.
        self.pop_or_know(cx).unwrap_or(Poll::Pending)
    }

    /// The next notice, or that the reader will be woken; `None` if it is not known yet.
    fn pop_or_know(&self, cx: &Context<'_>) -> Option<Poll<Notice>> {
        let mut inner = self.lock();
        if let Some(notice) = inner.notices.pop_front() {
            if inner.notices.is_empty() {
                inner.overflowing = false;
            }
            return Some(Poll::Ready(notice));
        }
        inner.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())).then_some(Poll::Pending)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::EventType;
    use crate::session::End;

    fn event(zxid: usize) -> Notice {
        let zxid = i64::try_from(zxid).unwrap();
        Notice::Event { event_type: EventType::NODE_DATA_CHANGED, path: Ustring::from_static("/a"), zxid }
    }

    fn drain(buffer: &WatchBuffer) -> Vec<Notice> {
        let cx = Context::from_waker(Waker::noop());
        std::iter::from_fn(|| match buffer.poll_pop(&cx) {
            Poll::Ready(notice) => Some(notice),
            Poll::Pending => None,
        })
        .collect()
    }

    #[test]
    fn what_does_not_fit_becomes_one_gap_behind_what_did() {
        let buffer = WatchBuffer::default();
        for zxid in 0..limits::WATCH_BUFFER + 500 {
            buffer.push(event(zxid));
        }
        buffer.push(Notice::Gap);
        let notices = drain(&buffer);
        assert_eq!(notices.len(), limits::WATCH_BUFFER + 1);
        assert_eq!(notices.last(), Some(&Notice::Gap));
        assert_eq!(notices[limits::WATCH_BUFFER - 1], event(limits::WATCH_BUFFER - 1));
        buffer.push(event(9));
        assert_eq!(drain(&buffer), [event(9)]);
    }

    #[test]
    fn of_gaps_in_a_row_the_last_is_kept() {
        let buffer = WatchBuffer::default();
        for notice in [Notice::Gap, Notice::NotWatched, Notice::Gap, Notice::NotWatched] {
            buffer.push(notice);
        }
        assert_eq!(drain(&buffer), [Notice::NotWatched]);
        buffer.push(Notice::NotWatched);
        buffer.push(Notice::Gap);
        assert_eq!(drain(&buffer), [Notice::Gap]);
    }

    #[test]
    fn the_end_is_told_even_to_a_full_buffer_and_once() {
        let buffer = WatchBuffer::default();
        for zxid in 0..2 * limits::WATCH_BUFFER {
            buffer.push(event(zxid));
        }
        buffer.push(Notice::Ended(End::Closed));
        buffer.push(Notice::Ended(End::Closed));
        let notices = drain(&buffer);
        assert_eq!(notices.last(), Some(&Notice::Ended(End::Closed)));
        assert_eq!(notices.len(), limits::WATCH_BUFFER + 2);
    }
}
