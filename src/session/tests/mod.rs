//! The session under virtual time, against a peer that speaks through the codec.

mod answers;
mod connecting;
mod cuts;
mod faults;
mod hostile;
mod pace;
mod racing;
mod read_only;
mod requests;
mod rig;
mod server_list;
mod time;
mod watching;

pub(super) use rig::epoch;
