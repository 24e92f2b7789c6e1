//! What is published in the background: a stream of its later states, the latest one each time it is asked and never a queue
//! of them; the wait for the first; and what keeps it going.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{Error, ReadFailure};
use crate::session::End;

/// Something that is read in the background and published.
pub(super) trait Published {
    /// Whether there is anything yet.
    fn is_read(&self) -> bool;

    /// Why a read last failed, until one succeeds.
    fn failure(&self) -> Option<ReadFailure>;

    /// How the registry's client ended, behind which nothing comes.
    fn ended(&self) -> Option<End>;
}

/// Waits until something has been read.
pub(super) async fn first<T: Published>(mut seen: watch::Receiver<T>, waited: Duration) -> Result<(), Error> {
    let first = async {
        while !seen.borrow_and_update().is_read() {
            if seen.changed().await.is_err() {
                let end = seen.borrow().ended();
                return Err(Error::Ended(end.unwrap_or(End::ClosedUnconfirmed)));
            }
        }
        Ok(())
    };
    match tokio::time::timeout(waited, first).await {
        Ok(result) => result,
        Err(_) => Err(Error::NotRead { waited, failure: seen.borrow().failure() }),
    }
}

/// What keeps it going until its last handle and stream are dropped.
#[derive(Debug)]
pub(super) enum Source<T> {
    /// A task of its own.
    Task(AbortHandle),
    /// It is here, and nothing changes it.
    Fixed { _sender: watch::Sender<T> },
    /// A registry of this process, which lives as long.
    Owner { _owner: Arc<dyn fmt::Debug + Send + Sync> },
}

impl<T> Drop for Source<T> {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}

/// Yields the present value and then each that is found to differ in version; what passes between two polls is not seen.
pub(super) struct Follow<T> {
    waiting: Waiting<T>,
}

type Waiting<T> = Pin<Box<dyn Future<Output = Option<watch::Receiver<T>>> + Send>>;

impl<T: Clone + Send + Sync + 'static> Follow<T> {
    pub(super) fn new(mut receiver: watch::Receiver<T>) -> Self {
        receiver.mark_changed();
        Self { waiting: wait(receiver) }
    }

    pub(super) fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(mut receiver) = ready!(self.waiting.as_mut().poll(cx)) else {
            self.waiting = Box::pin(async { None });
            return Poll::Ready(None);
        };
        let value = receiver.borrow_and_update().clone();
        self.waiting = wait(receiver);
        Poll::Ready(Some(value))
    }
}

fn wait<T: Send + Sync + 'static>(mut receiver: watch::Receiver<T>) -> Waiting<T> {
    Box::pin(async move { receiver.changed().await.ok().map(|()| receiver) })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(follow: &mut Follow<u32>) -> Option<u32> {
        std::future::poll_fn(|cx| follow.poll_value(cx)).await
    }

    #[tokio::test]
    async fn it_yields_the_present_the_latest_and_then_the_end() {
        let (sender, receiver) = watch::channel(1);
        let mut follow = Follow::new(receiver);
        assert_eq!(next(&mut follow).await, Some(1));
        sender.send_replace(2);
        sender.send_replace(3);
        drop(sender);
        assert_eq!(next(&mut follow).await, Some(3));
        assert_eq!(next(&mut follow).await, None);
        assert_eq!(next(&mut follow).await, None);
    }
}
