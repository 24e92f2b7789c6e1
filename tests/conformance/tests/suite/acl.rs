//! P: ACLs and authentication.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
