//! The embedded server as a target.
#[derive(Debug)]
pub struct Embedded;
