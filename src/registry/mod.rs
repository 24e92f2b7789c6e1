//! Services and their instances on ZooKeeper.
//!
//! [`Registration`] and [`Discovery`] are what application code sees; a URL picks what stands behind them
//! ([`Registry::connect`]): ZooKeeper, a fixed list, or memory.
//!
//! What is decided is decided purely, by machines that know neither a client nor a socket: time is an argument, chance is
//! a seed, and what to read or write is an output.
//!
//! [`Instance`] is what is registered and discovered. A [`layout::Layout`] maps it to znodes and back. A
//! [`reconcile::Standing`] keeps one znode as wished, a [`view::View`] keeps one service's instances as last read, and
//! [`balance`] picks one of them for a call.

pub mod address;
mod api;
pub mod balance;
mod connect;
mod fixed;
mod json;
pub mod layout;
pub mod limits;
mod memory;
mod model;
mod read_failure;
pub mod reconcile;
mod rng;
pub mod view;
mod zookeeper;

pub use address::{Address, AddressError};
pub use api::{
    BoxFuture, Changes, Discovery, Error, Registered, Registration, RegistrationState, Services, Snapshot,
};
pub use connect::Registry;
pub use fixed::Fixed;
pub use memory::Memory;
pub use model::{
    Carried, Instance, InstanceBuilder, InstanceError, Lifetime, RpcEndpoint, RpcValue, Status, instance_id,
};
pub use read_failure::ReadFailure;
pub use zookeeper::ZooKeeper;

/// Sixteen bytes of chance, for an id.
fn entropy() -> [u8; 16] {
    let both = u128::from(crate::client::seed()) << 64 | u128::from(crate::client::seed());
    both.to_be_bytes()
}
