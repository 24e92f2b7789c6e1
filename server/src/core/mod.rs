//! The server without its sockets: connections, sessions, watches and the tree, as one state machine.
//!
//! This module does no I/O. It knows no tokio, no clock and no random source: time is an argument, chance is a seed, bytes come in
//! by `handle_*` and go out by `poll_*`.
//!
//! A write goes three steps, and each can stand alone: [`prepare`] checks a request against the tree and makes the [`Change`] that it
//! comes to, changing nothing; the change gets a zxid and a time and is a [`Txn`], an entry of the log; [`Tree::apply`] takes it
//! in and says what was answered and which events happened. Whoever applies the same log has the same tree.

mod rules;
mod txn;

pub use rules::{Like, Rules};
pub use txn::{Acls, Change, Creation, Kind, TreeEvent, Txn};
