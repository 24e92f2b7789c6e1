//! The session under virtual time, against a peer that speaks through the codec.

mod answers;
mod connecting;
mod contention;
mod cuts;
mod faults;
mod hostile;
mod pace;
mod pauses;
mod racing;
mod read_only;
mod requests;
mod rig;
mod server_list;
mod time;
mod watching;

pub(super) use rig::epoch;
