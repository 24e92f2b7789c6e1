//! Q: quotas.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
