//! Services and their instances: registered as standing wishes, discovered as live views.
//!
//! Application code names two traits, [`Registration`] and [`Discovery`], and a URL: [`connect`] picks what is behind them,
//! ZooKeeper, a fixed list or this process's memory.
//!
//! What decides is pure: bytes, names and rules. [`Instance`] is what is registered and discovered. A
//! [`layout::Layout`] maps it to znodes and back. A [`reconcile::Standing`] keeps one znode as wished, a [`view::View`]
//! keeps one service's instances as last read, and [`balance`] picks one of them for a call. They know neither a client
//! nor a socket; time is an argument, chance is a seed, and what to read or write is an output. What acts decides
//! nothing: [`ZooKeeper`] carries their steps out on the public API of the [`client`](crate::client).

pub mod address;
pub mod balance;
mod error;
mod events;
mod fixed;
mod follow;
mod health;
mod health_check;
mod json;
pub mod layout;
pub mod limits;
mod memory;
pub mod metadata;
mod metrics;
mod model;
mod names;
#[cfg(test)]
mod operations_test;
mod picker;
mod prober;
mod read_failure;
pub mod reconcile;
mod registered;
mod rng;
mod saved;
mod seldom;
mod services;
#[cfg(feature = "signal")]
mod terminated;
mod traits;
mod union;
mod url;
pub mod view;
mod zookeeper;

pub use address::{Address, AddressError};
pub use balance::Balance;
pub use error::Error;
pub use events::{ServiceEvent, ServiceEvents, ServiceStats, SourceState, ViewHealth};
pub use fixed::Fixed;
pub use health::{RegistrationHealth, RegistryHealth, ServiceHealth, Trouble, Verdict};
pub use health_check::{CheckFailure, CheckReport, HealthCheck, HealthCheckError};
pub use memory::Memory;
pub use metadata::Metadata;
pub use model::{
    Carried, Instance, InstanceBuilder, InstanceError, Lifetime, RpcEndpoint, RpcValue, Status, instance_id,
};
pub use names::{NamesChange, NamesChanges, NamesSource, ServiceNames};
pub use picker::{Attempt, PickStats, Picker};
pub use read_failure::ReadFailure;
pub use registered::{Registered, RegistrationEvents, RegistrationState, RegistrationStatus};
pub use saved::{SavedError, SavedSet};
pub use services::{ServiceChanges, Services};
#[cfg(feature = "signal")]
pub use terminated::{Terminated, terminated};
pub use traits::{BoxFuture, Discovery, Registration, Registry, connect};
pub use union::Union;
pub use url::UrlError;
pub use zookeeper::ZooKeeper;

/// What makes the id of an instance that was given none.
fn entropy() -> [u8; 16] {
    let (high, low) = (crate::client::seed(), crate::client::seed());
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}
