//! What is registered and discovered: an instance of a service.
//!
//! The model carries what the layouts in use carry, under one set of names. It knows no paths and no encodings; what a
//! layout reads and the model has no word for travels along in [`Carried`].

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use super::address::{Address, Given};
use super::limits::NAME_LEN_BYTES;
use super::metadata::Metadata;

/// One instance of a service.
///
/// Built by [`Instance::builder`], or read by a layout. [`Instance::check`] says whether it can be registered.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Instance {
    /// The service's name.
    pub service: String,
    /// What tells this instance from all others of the service, across sessions and restarts of the connection.
    pub id: String,
    /// Where it is called.
    pub address: Address,
    /// Further named addresses, such as `admin` or `metrics`.
    pub endpoints: BTreeMap<String, Address>,
    /// The procedures that it serves, as go-micro describes them.
    pub rpc: Vec<RpcEndpoint>,
    /// The service's version; empty if it has none.
    pub version: String,
    /// Free text by key.
    pub metadata: Metadata,
    /// Labels without a value.
    pub tags: Vec<String>,
    /// The share of calls it should get, relative to others; 1 unless said otherwise.
    pub weight: u32,
    /// The failure domain it runs in.
    pub zone: Option<String>,
    /// Whether it wants calls.
    pub status: Status,
    /// Why the status is what it is.
    pub status_reason: Option<String>,
    /// When it was registered, in milliseconds since 1970 by the clock of whoever registered it. Only for display.
    pub registered_at_ms: Option<u64>,
    /// What ends the registration.
    pub lifetime: Lifetime,
    /// What the layout read and the model has no word for.
    pub carried: Option<Carried>,
}

/// What ends a registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// The end of the session that made it: an ephemeral znode.
    #[default]
    Session,
    /// Only a delete: the process may have died long ago.
    Persistent,
}

/// Whether an instance wants calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// It does.
    #[default]
    Up,
    /// It finishes what it has and wants nothing new.
    Draining,
    /// It wants nothing.
    OutOfService,
}

/// One procedure of a service, as go-micro describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpcEndpoint {
    /// `Receiver.Method`.
    pub name: String,
    /// The shape of its argument.
    pub request: Option<RpcValue>,
    /// The shape of its result.
    pub response: Option<RpcValue>,
    /// Free text by key.
    pub metadata: Metadata,
}

/// The shape of a value in an [`RpcEndpoint`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RpcValue {
    /// The field's name.
    pub name: String,
    /// The type's name.
    pub kind: String,
    /// The fields within. Beyond [`RpcValue::DEPTH`] levels an instance is refused.
    pub values: Vec<RpcValue>,
}

/// The payload an instance was read from, kept when it holds more than the model.
///
/// Written back by the layout that read it and ignored by all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The name of the layout that read it.
    pub layout: &'static str,
    /// The payload.
    pub payload: Bytes,
}

/// Why an instance cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The service has no name.
    #[error("a service without a name cannot be registered")]
    NoService,
    /// The instance has no id.
    #[error("an instance without an id cannot be registered")]
    NoId,
    /// The name or the id is longer than [`limits::NAME_LEN_BYTES`](super::limits::NAME_LEN_BYTES).
    #[error("the {what} has {len_bytes} bytes, more than {NAME_LEN_BYTES}")]
    TooLong {
        /// `service` or `id`.
        what: &'static str,
        /// Its length.
        len_bytes: usize,
    },
    /// An RPC description nests deeper than [`RpcValue::DEPTH`].
    #[error("the description of {endpoint} nests deeper than {} levels", RpcValue::DEPTH)]
    TooDeep {
        /// The procedure.
        endpoint: String,
    },
}

impl RpcValue {
    /// The levels that are registered: those around them in a payload then stay within the bound of readers.
    pub const DEPTH: usize = 24;

    fn deeper_than(&self, levels: usize) -> bool {
        levels == 0 || self.values.iter().any(|value| value.deeper_than(levels - 1))
    }
}

impl Instance {
    /// Starts an instance of `service`.
    pub fn builder(service: impl Into<String>) -> InstanceBuilder {
        InstanceBuilder { service: service.into(), ..InstanceBuilder::default() }
    }

    /// An instance with these names at this address, and nothing else. For layouts, which fill in what they read.
    #[must_use]
    pub fn new(service: impl Into<String>, id: impl Into<String>, address: Address) -> Self {
        Self {
            service: service.into(),
            id: id.into(),
            address,
            endpoints: BTreeMap::new(),
            rpc: Vec::new(),
            version: String::new(),
            metadata: Metadata::new(),
            tags: Vec::new(),
            weight: 1,
            zone: None,
            status: Status::Up,
            status_reason: None,
            registered_at_ms: None,
            lifetime: Lifetime::Session,
            carried: None,
        }
    }

    /// Whether the instance can be registered, apart from what a layout cannot express.
    ///
    /// # Errors
    /// [`InstanceError`] names the field.
    pub fn check(&self) -> Result<(), InstanceError> {
        check_name("service", &self.service, InstanceError::NoService)?;
        check_name("id", &self.id, InstanceError::NoId)?;
        let too_deep = |endpoint: &&RpcEndpoint| {
            let mut shapes = endpoint.request.iter().chain(&endpoint.response);
            shapes.any(|shape| shape.deeper_than(RpcValue::DEPTH))
        };
        match self.rpc.iter().find(too_deep) {
            Some(endpoint) => Err(InstanceError::TooDeep { endpoint: endpoint.name.clone() }),
            None => Ok(()),
        }
    }
}

fn check_name(what: &'static str, name: &str, empty: InstanceError) -> Result<(), InstanceError> {
    match name.len() {
        0 => Err(empty),
        1..=NAME_LEN_BYTES => Ok(()),
        len_bytes => Err(InstanceError::TooLong { what, len_bytes }),
    }
}

/// An [`Instance`] in the making.
///
/// ```
/// use menagerie::registry::{Instance, address};
///
/// let builder = Instance::builder("time").port(8080).version("1.2.0").metadata("protocol", "http");
/// let env = |_: &str| None;
/// let socket = "192.168.0.9:51234".parse().ok();
/// let (address, _) = address::settle(builder.given(), env, socket)?;
/// let instance = builder.build(address, [7; 16])?;
/// assert_eq!(instance.address.to_string(), "192.168.0.9:8080");
/// assert_eq!(instance.id, "time-07070707-0707-4707-8707-070707070707");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct InstanceBuilder {
    service: String,
    id: Option<String>,
    given: Given,
    endpoints: BTreeMap<String, Address>,
    rpc: Vec<RpcEndpoint>,
    version: String,
    metadata: Metadata,
    tags: Vec<String>,
    weight: Option<u32>,
    zone: Option<String>,
    status: Status,
    status_reason: Option<String>,
    registered_at_ms: Option<u64>,
    lifetime: Lifetime,
    carried: Option<Carried>,
}

/// All of it is given: nothing is left to be settled.
impl From<Instance> for InstanceBuilder {
    fn from(instance: Instance) -> Self {
        let host = Some(instance.address.host().to_owned());
        Self {
            service: instance.service,
            id: Some(instance.id),
            given: Given { host, port: Some(instance.address.port()) },
            endpoints: instance.endpoints,
            rpc: instance.rpc,
            version: instance.version,
            metadata: instance.metadata,
            tags: instance.tags,
            weight: Some(instance.weight),
            zone: instance.zone,
            status: instance.status,
            status_reason: instance.status_reason,
            registered_at_ms: instance.registered_at_ms,
            lifetime: instance.lifetime,
            carried: instance.carried,
        }
    }
}

impl InstanceBuilder {
    /// Names the instance; otherwise it becomes `<service>-<uuid>`.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The host to announce; otherwise [`settle`](super::address::settle) finds it.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.given.host = Some(host.into());
        self
    }

    /// The port to announce.
    pub fn port(mut self, port: u16) -> Self {
        self.given.port = Some(port);
        self
    }

    /// The host and port to announce.
    pub fn address(self, address: &Address) -> Self {
        self.host(address.host()).port(address.port())
    }

    /// Adds a further named address.
    pub fn endpoint(mut self, name: impl Into<String>, address: Address) -> Self {
        self.endpoints.insert(name.into(), address);
        self
    }

    /// Adds the description of a procedure.
    pub fn rpc(mut self, endpoint: RpcEndpoint) -> Self {
        self.rpc.push(endpoint);
        self
    }

    /// The service's version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Adds a free text by key.
    pub fn metadata(mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.metadata.insert(key, value);
        self
    }

    /// Adds a label.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// The share of calls, relative to others.
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = Some(weight);
        self
    }

    /// The failure domain.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Whether it wants calls, and why.
    pub fn status(mut self, status: Status, reason: impl Into<String>) -> Self {
        self.status = status;
        self.status_reason = Some(reason.into()).filter(|reason| !reason.is_empty());
        self
    }

    /// When it is registered, in milliseconds since 1970.
    pub fn registered_at_ms(mut self, millis: u64) -> Self {
        self.registered_at_ms = Some(millis);
        self
    }

    /// What ends the registration; the end of the session unless said otherwise.
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// What was given of the address, for [`settle`](super::address::settle).
    #[must_use]
    pub fn given(&self) -> &Given {
        &self.given
    }

    /// Whether it wants calls, and why, as given so far.
    pub(super) fn wished_status(&self) -> (Status, Option<String>) {
        (self.status, self.status_reason.clone())
    }

    /// The instance at the settled `address`. `entropy` makes the id unless one was given: 16 bytes that no other
    /// process draws.
    ///
    /// # Errors
    /// [`InstanceError`] names the field that cannot be registered.
    pub fn build(self, address: Address, entropy: [u8; 16]) -> Result<Instance, InstanceError> {
        let id = self.id.unwrap_or_else(|| instance_id(&self.service, entropy));
        let instance = Instance {
            endpoints: self.endpoints,
            rpc: self.rpc,
            version: self.version,
            metadata: self.metadata,
            tags: self.tags,
            weight: self.weight.unwrap_or(1),
            zone: self.zone,
            status: self.status,
            status_reason: self.status_reason,
            registered_at_ms: self.registered_at_ms,
            lifetime: self.lifetime,
            carried: self.carried,
            ..Instance::new(self.service, id, address)
        };
        instance.check()?;
        Ok(instance)
    }
}

/// The id go-micro gives an instance: `<service>-<uuid>`, the UUID being `entropy` marked as version 4.
#[must_use]
pub fn instance_id(service: &str, mut entropy: [u8; 16]) -> String {
    use std::fmt::Write as _;

    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut entropy;
    *version = (*version & 0x0f) | 0x40;
    *variant = (*variant & 0x3f) | 0x80;
    let mut id = format!("{service}-");
    for (at, byte) in entropy.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        // Writing to a String does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address::new("10.0.0.1", 80).unwrap()
    }

    #[test]
    fn an_instance_made_a_builder_again_builds_itself() {
        let mut instance = Instance::builder("s").id("i").version("2").metadata("k", "v").tag("t").weight(7);
        instance = instance.zone("z").status(Status::Draining, "why").registered_at_ms(5);
        let mut instance = instance.build(Address::new("::1", 80).unwrap(), [0; 16]).unwrap();
        instance.carried = Some(Carried { layout: "plain", payload: Bytes::from_static(b"x") });
        let builder = InstanceBuilder::from(instance.clone());
        let (address, _) = super::super::address::settle(builder.given(), |_| None, None).unwrap();
        assert_eq!(builder.build(address, [1; 16]).unwrap(), instance);
    }

    #[test]
    fn ids_are_version_4_uuids() {
        assert_eq!(instance_id("a/b", [0; 16]), "a/b-00000000-0000-4000-8000-000000000000");
        assert_eq!(instance_id("s", [0xff; 16]), "s-ffffffff-ffff-4fff-bfff-ffffffffffff");
        let counted = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(instance_id("s", counted), "s-00010203-0405-4607-8809-0a0b0c0d0e0f");
    }

    #[test]
    fn what_cannot_be_registered_is_refused_by_name() {
        let build = |builder: InstanceBuilder| builder.build(address(), [0; 16]).unwrap_err();
        assert_eq!(build(Instance::builder("")), InstanceError::NoService);
        assert_eq!(build(Instance::builder("s").id("")), InstanceError::NoId);
        let long = InstanceError::TooLong { what: "service", len_bytes: 200_000 };
        assert_eq!(build(Instance::builder("s".repeat(200_000))), long);
        let mut shape = RpcValue::default();
        for _ in 0..RpcValue::DEPTH {
            shape = RpcValue { values: vec![shape], ..RpcValue::default() };
        }
        let endpoint = RpcEndpoint { name: "A.B".into(), request: Some(shape), ..RpcEndpoint::default() };
        assert_eq!(
            build(Instance::builder("s").rpc(endpoint)),
            InstanceError::TooDeep { endpoint: "A.B".into() }
        );
    }

    #[test]
    fn an_instance_takes_one_share_unless_told() {
        let instance = Instance::builder("s").id("i").build(address(), [0; 16]).unwrap();
        assert_eq!(instance, Instance::new("s", "i", address()));
        assert_eq!(instance.weight, 1);
        let told =
            Instance::builder("s").id("i").weight(0).tag("blue").zone("z").status(Status::Draining, "");
        let told = told.build(address(), [0; 16]).unwrap();
        assert_eq!((told.weight, told.zone.as_deref(), told.status_reason), (0, Some("z"), None));
    }
}
