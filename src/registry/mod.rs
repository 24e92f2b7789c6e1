//! Services and their instances on ZooKeeper.
//!
//! Everything in this module is pure: bytes, names and decisions. It knows neither a client nor a socket; time is an
//! argument, chance is a seed, and what to read or write is an output.
//!
//! [`Instance`] is what is registered and discovered. A [`layout::Layout`] maps it to znodes and back. A
//! [`reconcile::Standing`] keeps one znode as wished, a [`view::View`] keeps one service's instances as last read, and
//! [`balance`] picks one of them for a call.

pub mod address;
pub mod balance;
mod json;
pub mod layout;
pub mod limits;
mod model;
mod read_failure;
pub mod reconcile;
mod rng;
pub mod view;

pub use address::{Address, AddressError};
pub use model::{
    Carried, Instance, InstanceBuilder, InstanceError, Lifetime, RpcEndpoint, RpcValue, Status, instance_id,
};
pub use read_failure::ReadFailure;
