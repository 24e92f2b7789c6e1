//! Coming from Curator's service discovery.
//!
//! The layout is [`Curator`](crate::registry::layout::Curator): `zk://host1,host2/?layout=curator&root=/base/path`.
//!
//! | Curator | here | what differs |
//! |---|---|---|
//! | `ServiceDiscoveryBuilder.basePath` | [`Curator::at`](crate::registry::layout::Curator::at), or `root=` | |
//! | `ServiceInstance.builder()` | [`Instance::builder`](crate::registry::Instance::builder) | no address is guessed from the first network card |
//! | `payload(..)` | metadata, in an object of the class [`Curator::payload_class`](crate::registry::layout::Curator::payload_class) | readers must have been built for that class |
//! | `serviceType(DYNAMIC_SEQUENTIAL)` | [`Curator::sequential`](crate::registry::layout::Curator::sequential) | one leaf for each instance: a reconnect makes no second |
//! | `serviceType(STATIC)`, `PERMANENT` | [`InstanceBuilder::lifetime`](crate::registry::InstanceBuilder::lifetime), [`Curator::permanent`](crate::registry::layout::Curator::permanent) | |
//! | `enabled(false)` | [`Status::OutOfService`](crate::registry::Status::OutOfService) or draining | |
//! | `registerService` | [`Registration::register`](crate::registry::Registration::register) | never deletes another's leaf; a reconnect in the same session writes nothing |
//! | `updateService` | [`Registered::update`](crate::registry::Registered::update) | never rolled back at a reconnect |
//! | `unregisterService` | [`Registered::deregister`](crate::registry::Registered::deregister) | |
//! | `queryForInstances`, `ServiceCache` | [`Discovery::discover`](crate::registry::Discovery::discover) | one malformed leaf does not fail the others; changes say what changed |
//! | `ServiceProvider`: round robin, random | [`Balance`](crate::registry::Balance) | |
//! | `noteError`, `DownInstancePolicy` | [`Services::report_failure`](crate::registry::Services::report_failure) | see [`balancing`](crate::manual::balancing) for what becomes of it |
//!
//! # What is not carried
//!
//! Payloads that are no objects, members of a payload that are no strings, and `uriSpec` are kept on writing back and not read.
//! Curator's REST server can read what is registered here; it is not provided.
