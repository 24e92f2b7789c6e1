//! A connection that can be cut: TCP with a pair of scissors.

use std::sync::{Arc, Mutex, PoisonError};

use menagerie::client::{Io, Transport};
use tokio::io::{copy_bidirectional, duplex};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// What is buffered on the way, in bytes.
const BUFFER_LEN_BYTES: usize = 64 << 10;

/// The connection that a client has at present.
#[derive(Debug, Clone, Default)]
pub(super) struct Cable(Arc<Mutex<Option<AbortHandle>>>);

impl Cable {
    /// TCP through this cable.
    pub(super) fn transport(&self) -> Transport {
        let cable = self.clone();
        Transport::custom(move |host, port| {
            let cable = cable.clone();
            Box::pin(async move {
                let mut far = TcpStream::connect((host, port)).await?;
                far.set_nodelay(true)?;
                let (near, mut inner) = duplex(BUFFER_LEN_BYTES);
                let pump = tokio::spawn(async move {
                    // However it ends, both ends are closed with it.
                    let _ = copy_bidirectional(&mut inner, &mut far).await;
                });
                cable.replace(Some(pump.abort_handle()));
                let near: Box<dyn Io> = Box::new(near);
                Ok(near)
            })
        })
    }

    /// Cuts it.
    pub(super) fn cut(&self) {
        self.replace(None);
    }

    fn replace(&self, pump: Option<AbortHandle>) {
        let old = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), pump);
        if let Some(old) = old {
            old.abort();
        }
    }
}
