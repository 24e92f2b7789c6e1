//! When this process is asked to end: for services that drain before they go.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::traits::BoxFuture;

/// Ready when this process is asked to end: by SIGTERM, as init systems and orchestrators send it, or by ctrl-c. See
/// [`terminated`].
#[must_use = "futures do nothing unless polled"]
pub struct Terminated(BoxFuture<'static, ()>);

/// Catches SIGTERM and ctrl-c from here on; the future is ready with the first. (feature `signal`)
///
/// From the call on neither ends the process by itself any more, also behind the first one and when the future is dropped:
/// the runtime cannot give a signal back. A process that hangs is ended by SIGKILL; its instances are gone then with the
/// session's timeout.
///
/// ```no_run
/// # async fn run(builder: menagerie::registry::InstanceBuilder) -> Result<(), Box<dyn std::error::Error>> {
/// use menagerie::registry;
///
/// let terminated = registry::terminated()?;
/// let registry = registry::connect("zk://zk1,zk2,zk3/prod").await?;
/// let registered = registry.register(builder).await?;
/// // Serve meanwhile, in another task.
/// terminated.await;
/// registered.drain().await?;
/// registry.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the signals cannot be caught, and without a tokio runtime.
///
/// # Panics
/// If the runtime has its I/O disabled.
pub fn terminated() -> io::Result<Terminated> {
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let signals = signals()?;
    Ok(Terminated(if planted!("registry_signal_unheard") {
        Box::pin(std::future::pending())
    } else {
        signals
    }))
}

#[cfg(unix)]
fn signals() -> io::Result<BoxFuture<'static, ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let either = move |cx: &mut Context<'_>| {
        let either = [terminate.poll_recv(cx), interrupt.poll_recv(cx)];
        if either.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
    };
    Ok(Box::pin(std::future::poll_fn(either)))
}

#[cfg(windows)]
fn signals() -> io::Result<BoxFuture<'static, ()>> {
    use tokio::signal::windows::{ctrl_c, ctrl_shutdown};

    let mut interrupt = ctrl_c()?;
    let mut shutdown = ctrl_shutdown()?;
    let either = move |cx: &mut Context<'_>| {
        let either = [interrupt.poll_recv(cx), shutdown.poll_recv(cx)];
        if either.iter().any(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
    };
    Ok(Box::pin(std::future::poll_fn(either)))
}

impl Future for Terminated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for Terminated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminated").finish_non_exhaustive()
    }
}
