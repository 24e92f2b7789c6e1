//! A row: its name, its sentence, its check, and what is special about it.

use crate::{Server, Setup, Target};

/// One sentence about a server, and how to find out whether it is true.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) check: fn(&Target<'_>),
    pub(crate) setup: &'static Setup,
    pub(crate) alone: bool,
    pub(crate) slow: bool,
    pub(crate) stricter: Option<&'static str>,
    pub(crate) differs: Option<&'static str>,
    pub(crate) unreachable: &'static [(Server, &'static str)],
}

impl Row {
    /// A row that runs on a plain server, beside others.
    #[must_use]
    pub const fn new(id: &'static str, title: &'static str, check: fn(&Target<'_>)) -> Self {
        Self {
            id,
            title,
            check,
            setup: &Setup::PLAIN,
            alone: false,
            slow: false,
            stricter: None,
            differs: None,
            unreachable: &[],
        }
    }

    /// Runs on a server of that setup instead of a plain one.
    #[must_use]
    pub const fn on(mut self, setup: &'static Setup) -> Self {
        self.setup = setup;
        self
    }

    /// Runs with no other row and no other session on its server: it counts zxids, connections or znodes.
    #[must_use]
    pub const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Takes seconds of waiting, so it is begun before the others.
    #[must_use]
    pub const fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    /// The embedded server is stricter than Apache's, on purpose, and how. Only such a row may ask [`Target::is_stricter`].
    #[must_use]
    pub const fn stricter(mut self, how: &'static str) -> Self {
        self.stricter = Some(how);
        self
    }

    /// 3.8.0 and 3.9.3 differ, and by which ticket or change. Only such a row may ask [`Target::since_3_9`].
    #[must_use]
    pub const fn differs(mut self, by: &'static str) -> Self {
        self.differs = Some(by);
        self
    }

    /// The servers that cannot be brought into the state that the row is about, each with the precise reason. The run
    /// prints them in one table.
    #[must_use]
    pub const fn unreachable(mut self, cells: &'static [(Server, &'static str)]) -> Self {
        self.unreachable = cells;
        self
    }
}
