//! M: multi and multiRead.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
