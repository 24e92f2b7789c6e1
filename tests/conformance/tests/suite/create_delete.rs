//! C: create, delete and paths.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
