//! The JSON of one leaf: go-micro's `registry.Service` with, always, one node.
//!
//! Node keys by version of go-micro: 1.0 wrote `id, address, port, metadata` with the host alone as address, 1.18 and 2
//! `id, address, metadata`, 4 and 5 `metadata, id, address`. A payload that was read keeps its form and its unknown
//! members when it is written back: only what differs in the instance is replaced.

use super::escape;
use crate::registry::address::Address;
use crate::registry::json::{Json, Sink, Writer, decimal};
use crate::registry::layout::ReadError;
use crate::registry::layout::extras::{Extra, lift, spread};
use crate::registry::layout::fields::{map_text, optional_text, read_map, text, write_map};
use crate::registry::layout::rpc::{endpoints_text, read_endpoints, write_endpoints};
use crate::registry::model::Instance;

/// What goes to the node's metadata.
pub(super) const EXTRAS: &[Extra] = &[
    Extra::Weight("menagerie.weight"),
    Extra::Zone("menagerie.zone"),
    Extra::Tags,
    Extra::RegisteredAt,
    Extra::Endpoints,
];

/// Writes the payload that go-micro 4 and 5 write for `instance`, with `defaults` where it has no metadata of that key.
pub(super) fn write<S: Sink>(instance: &Instance, defaults: &[(&'static str, &str)], out: &mut Writer<S>) {
    let mut metadata = spread(instance, EXTRAS);
    let defaults = if planted!("layout_go_micro_field_omitted") { &[] } else { defaults };
    for (key, value) in defaults {
        metadata.complete(*key, *value);
    }
    out.object(|out| {
        out.member("name").string(&instance.service);
        out.member("version").string(&instance.version);
        out.member("metadata").null();
        write_endpoints(&instance.rpc, out.member("endpoints"));
        out.member("nodes").array(|out| {
            out.item().object(|out| {
                write_map(&metadata, out.member("metadata"));
                out.member("id").string(&instance.id);
                write_place(&instance.address, out.member("address"));
            });
        });
    });
}

/// Host and port, as [`Address`] prints them.
fn write_place<S: Sink>(address: &Address, out: &mut Writer<S>) {
    let mut buffer = [0; 20];
    let port = decimal(address.port().into(), &mut buffer);
    match address.host() {
        host if host.contains(':') => out.joined(&["[", host, "]:", port]),
        host => out.joined(&[host, ":", port]),
    }
}

/// A payload and which of its nodes the leaf stands for.
pub(super) struct Payload<'a> {
    service: Json<'a>,
    node: usize,
}

impl<'a> Payload<'a> {
    /// Reads a payload. Of several nodes it takes the one whose id is the leaf's name.
    pub(super) fn parse(data: &'a [u8], leaf_name: &str) -> Result<Self, ReadError> {
        if data.is_empty() {
            return Err(ReadError::Empty);
        }
        let service = Json::parse(data)?;
        let nodes = service.member("nodes").and_then(Json::as_array).unwrap_or_default();
        let named = |node: &Json<'_>| {
            node.member("id").and_then(Json::as_str).is_some_and(|id| escape(id) == leaf_name)
        };
        let node = if nodes.len() == 1 { Some(0) } else { nodes.iter().position(named) };
        let node = node.ok_or(ReadError::Field { field: "nodes" })?;
        Ok(Self { service, node })
    }

    /// The names of the service and the instance, unescaped.
    pub(super) fn names(&self) -> Result<(&str, &str), ReadError> {
        Ok((text(&self.service, "name")?, text(self.node(), "id")?))
    }

    /// The instance as far as the model goes.
    pub(super) fn instance(&self) -> Result<Instance, ReadError> {
        let (service, id) = self.names()?;
        let mut instance = Instance::new(service, id, self.address()?);
        instance.version = optional_text(&self.service, "version")?.to_owned();
        instance.rpc = read_endpoints(self.service.member("endpoints"))?;
        let mut metadata = read_map(self.node().member("metadata"), "metadata")?;
        lift(&mut instance, &mut metadata, EXTRAS);
        instance.metadata = metadata.metadata();
        Ok(instance)
    }

    /// The payload with whatever `instance` says otherwise, in the form it was read in.
    pub(super) fn overlaid(self, instance: &'a Instance) -> Option<String> {
        let was = self.instance().ok()?;
        let rpc = endpoints_text(&instance.rpc);
        let metadata = spread(instance, EXTRAS);
        let metadata_text = map_text(&metadata);
        let mut payload = self;
        if was.service != instance.service {
            payload.service.set("name", Json::string(&instance.service));
        }
        if was.version != instance.version {
            payload.service.set("version", Json::string(&instance.version));
        }
        if was.rpc != instance.rpc {
            payload.service.set("endpoints", Json::parse(rpc.as_bytes()).ok()?);
        }
        let node = payload.node_mut()?;
        if was.id != instance.id {
            node.set("id", Json::string(&instance.id));
        }
        if was.address != instance.address {
            set_address(node, &instance.address);
        }
        if spread(&was, EXTRAS) != metadata {
            node.set("metadata", Json::parse(metadata_text.as_bytes()).ok()?);
        }
        Some(payload.service.to_text())
    }

    fn address(&self) -> Result<Address, ReadError> {
        let address = text(self.node(), "address")?;
        match port(self.node())? {
            Some(port) => Ok(Address::new(address, port)?),
            None => Ok(address.parse()?),
        }
    }

    fn node(&self) -> &Json<'a> {
        let nodes = self.service.member("nodes").and_then(Json::as_array).unwrap_or_default();
        nodes.get(self.node).unwrap_or(&Json::Null)
    }

    fn node_mut(&mut self) -> Option<&mut Json<'a>> {
        match self.service.member_mut("nodes")? {
            Json::Array(nodes) => nodes.get_mut(self.node),
            _ => None,
        }
    }
}

/// The separate port of version 1. A zero there stands for none: Go writes it for a node that never had one.
fn port(node: &Json<'_>) -> Result<Option<u16>, ReadError> {
    match node.member("port") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(text)) if &**text == "0" => Ok(None),
        Some(Json::Number(text)) => text.parse().map(Some).map_err(|_| ReadError::Field { field: "port" }),
        Some(_) => Err(ReadError::Field { field: "port" }),
    }
}

fn set_address<'a>(node: &mut Json<'a>, address: &'a Address) {
    if matches!(port(node), Ok(Some(_))) {
        node.set("address", Json::string(address.host()));
        node.set("port", Json::Number(address.port().to_string().into()));
    } else {
        node.set("address", Json::string(address.to_string()));
    }
}
