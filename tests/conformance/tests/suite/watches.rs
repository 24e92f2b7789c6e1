//! W: watches and their events.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
