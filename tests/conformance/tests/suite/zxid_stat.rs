//! Z: zxids, versions and Stats.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
