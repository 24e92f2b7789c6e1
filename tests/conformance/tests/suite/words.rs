//! L: four-letter words.

use menagerie_conformance::Row;

pub(crate) const ROWS: &[Row] = &[];
