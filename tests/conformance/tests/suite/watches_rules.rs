//! W8 to W26: how watches are set, told of, taken up again and dropped.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
