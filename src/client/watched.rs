//! Reads that set a one-shot watch with their answer.

use super::Error;
use super::engine::Answer;
use super::engine::private::Described;
use super::watch::Changed;
use crate::jute::{Encode, OpCode};
use crate::session::WatchKind;

/// A read with its watch.
#[derive(Debug)]
pub struct Watched<O>(pub(super) O);

/// A read that can set a watch.
pub trait Watchable: Described {
    /// What it yields together with its watch.
    type Watched;

    /// The kind of watch it sets.
    const KIND: WatchKind;

    /// Puts the future of the event to what was read.
    fn with_changed(output: Self::Output, changed: Changed) -> Self::Watched;
}

impl<O: Watchable> Described for Watched<O> {
    type Output = O::Watched;

    fn op(&self) -> OpCode {
        self.0.op()
    }

    fn path(&self) -> &str {
        self.0.path()
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }

    fn watch(&self) -> Option<WatchKind> {
        Some(O::KIND)
    }

    fn ignores_chroot(&self) -> bool {
        self.0.ignores_chroot()
    }

    fn with_body<R>(&self, chroot: &str, watch: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        self.0.with_body(chroot, watch, use_body)
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let changed = Changed::of(&answer);
        Ok(O::with_changed(self.0.decode(answer)?, changed))
    }
}
