//! The server without its sockets: connections, sessions, watches and the tree, as one state machine.
//!
//! This module does no I/O. It knows no tokio, no clock and no random source: time is an argument, chance is a seed, bytes come in
//! by `handle_*` and go out by `poll_*`.
//!
//! A write goes three steps, and each can stand alone: [`prepare`] checks a request against the tree and makes the [`Change`] that it
//! comes to, changing nothing; the change gets a zxid and a time and is a [`Txn`], an entry of the log; [`Tree::apply`] takes it
//! in and says what was answered and which events happened. Whoever applies the same log has the same tree. Stand-alone the three
//! follow on each other at once; as a [member](Core::into_member) of an ensemble the middle one is the leader's.

mod acl;
mod answer;
mod apply;
mod auth;
mod connection;
mod ending;
mod faults;
mod handshake;
mod limits;
mod log;
mod machine;
mod member;
mod multi;
mod name;
mod node;
mod path;
mod prepare;
mod queries;
mod quota;
mod reads;
mod reap;
mod requests;
mod rules;
mod sessions;
mod stage;
mod tree;
mod txn;
mod watches;
mod watching;
mod wishes;
mod words;

#[cfg(test)]
mod tests;

pub use acl::Access;
pub use answer::{Answer, Applied, multi_read_body};
pub use auth::{authenticate, digest_id, ip_id};
pub use connection::{ConnectionId, Transmit};
pub use faults::{Fault, Matcher};
pub use limits::Limits;
pub use log::{Details, Entry, Extra, Refusal, Request, What, Why};
pub use machine::{Config, Core};
pub use member::{Proposal, ProposalId, Wish};
pub use node::Znode;
pub use prepare::{Caller, prepare};
pub use reads::Reads;
pub use reap::{due_for_reaping, prepare_reaping};
pub use rules::{Like, Rules};
pub use tree::{Tree, Walk};
pub use txn::{Acls, Change, Creation, Kind, TreeEvent, Txn};
pub use wishes::{SessionView, WatchView};
pub use words::{Allowed, WORDS};
