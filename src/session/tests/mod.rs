//! The session under virtual time, against a peer that speaks through the codec.

mod answers;
mod connecting;
mod cuts;
mod hostile;
mod requests;
mod rig;
mod time;
mod watching;

pub(super) use rig::epoch;
