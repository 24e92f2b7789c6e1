//! A stream of a value's later states: the latest one each time it is asked, never a queue of them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::watch;

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
