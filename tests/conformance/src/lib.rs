//! One conformance suite, three servers.
//!
//! A [`Row`] is one sentence about what a ZooKeeper server does, with the function that checks it. Every row runs unchanged on the
//! embedded server and on two real Apache ZooKeepers; what it expects stands in the row, and a row can tell the servers apart
//! only where its table entry says why ([`Row::stricter`], [`Row::differs`]). Rows speak to a server by frames that they make
//! themselves ([`Wire`], [`Session`]); no client code is involved, so a misreading of the protocol cannot be on both sides.
//!
//! Everything blocks. This crate holds the means; the rows are in the test binary, whose first page says how to add one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a row fails by panicking, also in what it is made of"
)]
#![expect(clippy::disallowed_methods, reason = "servers run by the real clock, so waiting for them does too")]

mod embedded;
mod journal;
mod lane;
mod row;
mod runner;
mod session;
mod setup;
mod target;
mod wire;

pub use embedded::Embedded;
pub use lane::Running;
pub use row::Row;
pub use runner::run;
pub use session::{Answer, Event, Session, create_request, create_ttl_request};
pub use setup::Setup;
pub use target::{Server, Target};
pub use wire::{Body, Wire, connect_request, record_frame, request_frame};

pub use menagerie_ensemble as ensemble;
pub use menagerie_jute as jute;
