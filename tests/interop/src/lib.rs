//! Other people's ZooKeeper clients, unchanged, against the embedded server, and against Apache ZooKeeper.
//!
//! A *program* (`programs/`) uses one client in all the ways it has, and says of every check on a line whether it holds. A
//! *target* is a server that can also do what a program asks for: drop the connections, restart, expire a session. The same
//! program runs on both targets: on the real server it proves itself, on ours it proves the server. The target's
//! record of requests shows that each opcode which the client can send was received and answered.
//!
//! Neither our client nor our session is used here; only `tests/registry` has them, beside a *peer*: a program that uses a
//! registry as one of the systems does which we share it with, and does what the test asks for line by line. What is not
//! there, be it a compiler, a jar or an answer, is a failure.

mod build;
mod embedded;
mod opcodes;
mod peer;
mod real;
mod run;

pub use build::Program;
pub use embedded::Embedded;
pub use opcodes::name_of;
pub use peer::Peer;
pub use real::Real;
pub use run::{Outcome, Target, run};
