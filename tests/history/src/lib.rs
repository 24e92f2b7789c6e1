//! Records what many clients asked and heard, and checks it against what ZooKeeper guarantees.
//!
//! A recorder calls [`History`] as things happen; [`History::check`] afterwards says what cannot have happened on a
//! ZooKeeper ensemble. Pure: knows no clock, no client and no server. Time is a number to print; what counts is the order
//! of the calls.
//!
//! ```
//! use menagerie_history::{Answer, History, Op, Outcome, Rule, Stat};
//!
//! let mut history = History::new();
//! let create = history.invoked(10, 0xa1, Op::create("/a", 7));
//! let stat = Stat { czxid: 5, mzxid: 5, pzxid: 5, ..Stat::default() };
//! history.completed(12, create, Outcome::done(Answer::Created("/a".into(), Some(stat))));
//! let get = history.invoked(14, 0xa1, Op::get("/a"));
//! history.completed(15, get, Outcome::done(Answer::Data(8, stat)));
//! let report = history.check();
//! assert_eq!(report.violations[0].rule, Rule::Fate, "{report}");
//! ```
//!
//! # What is recorded
//!
//! - **Operations.** [`History::invoked`] *before* the request is handed to the client, [`History::completed`] *after* its
//!   outcome is known, so that one that completed before another was invoked certainly came first. The session is the one
//!   it was submitted under, by the id that the server gave. An operation that never completes is one of unknown outcome.
//! - **Pipelines.** [`History::sent`] instead of `invoked` for a request without a deadline of its own (one that is cancelled
//!   is not completed) that goes out at most once and in the order of
//!   these calls; the recorder keeps others from recording between the call and the handing over. An awaited operation,
//!   which the client may repeat, is `invoked`: its place in the session's order is known only against those that
//!   completed before it began or began after it completed, and against pipelined ones sent before it.
//! - **Data** is a number that stands for it: each write of a history has one of its own, and no write has 0 (which is
//!   no data). So a value that is read tells which write it came from.
//!   Every write to a path that is read is recorded, from its creation on; a transaction names a path once, but for a delete
//!   with a create behind it.
//! - **Answers** with the stat where there was one, and the reply header's zxid where the recorder knows it
//!   ([`Outcome::done_at`]); without it the zxid of a delete is searched for. A refusal is the wire's error code.
//! - **Watches** have a number of their own in the history. [`History::event`] and [`History::gap`] stand in the session's
//!   order: before [`History::completed`] of whatever was answered behind them. A recorder that hears of both by different
//!   ways asks its watches first and then records the completion. A one-shot watch that is taken back has a gap.
//! - **Sessions** begin with their first operation. [`History::ended`] once their end is certain (the server's word), with
//!   `false` where it may have ended or live on (a client that was killed).
//! - **Leaders.** Between [`History::leader_in_doubt`] and [`History::leader_certain`] a deposed leader may go on answering
//!   `sync`: syncs that overlap it are not held to their bound.
//!
//! # What is checked
//!
//! | [`Rule`] | what must hold |
//! |---|---|
//! | `Order` | of two writes one of which ended before the other began, the first has the smaller zxid; nothing is read before its write began |
//! | `Register` | the writes of each path, in the order of their zxids, make sense: versions count, what is created was not there, what is set or deleted was; what was answered is what happened; writes of unknown outcome are placed where they fit, at most once |
//! | `Fate` | what was read was written: by a write that was done or is unknown, never by one that was refused or not sent, and by none twice |
//! | `Multi` | the steps of a transaction have one zxid |
//! | `Refusal` | a refusal was true at some moment between question and answer |
//! | `Reads` | the reads of a session, in its order, are true at points of history that do not go back, its own writes among them |
//! | `Sync` | what is behind a sync sees all that was done before the sync began |
//! | `Fifo` | the writes of a session have zxids in its order, and nothing of a pipeline is done behind what was lost |
//! | `Ephemeral` | an ephemeral is there while its session lives unless it was deleted, and not afterwards |
//! | `Sequence` | the numbers below a parent are unique, and count up with the zxids and with time |
//! | `Watch` | an event, or a gap, comes before a changed value is read; a one-shot watch fires once; an event tells of a change that was |
//! | `Children` | a list of children is as the znodes were at that point |
//! | `Form` | the record is one: nothing completes twice, values are distinct |

#![expect(clippy::indexing_slicing, reason = "an operation's number is its index")]

mod check;
mod record;

pub use check::{Figures, Report, Rule, Violation};
pub use record::{
    Answer, BAD_VERSION, EventKind, History, Mode, NO_NODE, NODE_EXISTS, NOT_EMPTY, Op, OpId, Outcome,
    Session, Stat, Value, WatchId, Zxid,
};
