//! The JSON of one leaf: go-micro's `registry.Service` with, always, one node.
//!
//! Node keys by version of go-micro: 1.0 wrote `id, address, port, metadata` with the host alone as address, 1.18 and 2
//! `id, address, metadata`, 4 and 5 `metadata, id, address`. A payload that was read keeps its form and its unknown
//! members when it is written back: only what differs in the instance is replaced.

use std::collections::BTreeMap;

use super::escape;
use crate::registry::address::Address;
use crate::registry::json::Json;
use crate::registry::layout::ReadError;
use crate::registry::model::{Instance, RpcEndpoint, RpcValue};

const WEIGHT: &str = "menagerie.weight";
const ZONE: &str = "menagerie.zone";
const TAGS: &str = "menagerie.tags";
const REGISTERED_AT_MS: &str = "menagerie.registered_at_ms";
const ENDPOINT: &str = "menagerie.endpoint.";

/// A payload and which of its nodes the leaf stands for.
pub(super) struct Payload {
    service: Json,
    node: usize,
}

impl Payload {
    /// The payload that go-micro 4 and 5 write for `instance`, with `defaults` where it has no metadata of that key.
    pub(super) fn new(instance: &Instance, defaults: &[(&str, &str)]) -> Self {
        let mut metadata = node_metadata(instance);
        for (key, value) in defaults {
            metadata.entry((*key).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        let node = object([
            ("metadata", write_map(&metadata)),
            ("id", Json::string(&instance.id)),
            ("address", Json::string(instance.address.to_string())),
        ]);
        let service = object([
            ("name", Json::string(&instance.service)),
            ("version", Json::string(&instance.version)),
            ("metadata", Json::Null),
            ("endpoints", write_endpoints(&instance.rpc)),
            ("nodes", Json::Array(vec![node])),
        ]);
        Self { service, node: 0 }
    }

    /// Reads a payload. Of several nodes it takes the one whose id is the leaf's name.
    pub(super) fn parse(data: &[u8], leaf_name: &str) -> Result<Self, ReadError> {
        if data.is_empty() {
            return Err(ReadError::Empty);
        }
        let service = Json::parse(data)?;
        let nodes = service.member("nodes").and_then(Json::as_array).unwrap_or_default();
        let named =
            |node: &Json| node.member("id").and_then(Json::as_str).is_some_and(|id| escape(id) == leaf_name);
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
        instance.metadata = read_map(self.node().member("metadata"), "metadata")?;
        lift_metadata(&mut instance);
        Ok(instance)
    }

    /// The payload with whatever `instance` says otherwise, in the form it was read in.
    pub(super) fn overlaid(mut self, instance: &Instance) -> Self {
        let Ok(was) = self.instance() else { return Self::new(instance, &[]) };
        if was.service != instance.service {
            self.service.set("name", Json::string(&instance.service));
        }
        if was.version != instance.version {
            self.service.set("version", Json::string(&instance.version));
        }
        if was.rpc != instance.rpc {
            self.service.set("endpoints", write_endpoints(&instance.rpc));
        }
        let Some(node) = self.node_mut() else { return Self::new(instance, &[]) };
        if was.id != instance.id {
            node.set("id", Json::string(&instance.id));
        }
        if was.address != instance.address {
            write_address(node, &instance.address);
        }
        let metadata = node_metadata(instance);
        if node_metadata(&was) != metadata {
            node.set("metadata", write_map(&metadata));
        }
        self
    }

    pub(super) fn to_text(&self) -> String {
        self.service.to_text()
    }

    fn address(&self) -> Result<Address, ReadError> {
        let address = text(self.node(), "address")?;
        match port(self.node())? {
            Some(port) => Ok(Address::new(address, port)?),
            None => Ok(address.parse()?),
        }
    }

    fn node(&self) -> &Json {
        let nodes = self.service.member("nodes").and_then(Json::as_array).unwrap_or_default();
        nodes.get(self.node).unwrap_or(&Json::Null)
    }

    fn node_mut(&mut self) -> Option<&mut Json> {
        match self.service.member_mut("nodes")? {
            Json::Array(nodes) => nodes.get_mut(self.node),
            _ => None,
        }
    }
}

/// The separate port of version 1. A zero there stands for none: Go writes it for a node that never had one.
fn port(node: &Json) -> Result<Option<u16>, ReadError> {
    match node.member("port") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(text)) if &**text == "0" => Ok(None),
        Some(Json::Number(text)) => text.parse().map(Some).map_err(|_| ReadError::Field { field: "port" }),
        Some(_) => Err(ReadError::Field { field: "port" }),
    }
}

fn write_address(node: &mut Json, address: &Address) {
    if matches!(port(node), Ok(Some(_))) {
        node.set("address", Json::string(address.host()));
        node.set("port", Json::Number(address.port().to_string().into()));
    } else {
        node.set("address", Json::string(address.to_string()));
    }
}

/// Moves what has a field of its own out of the metadata; what does not parse stays as it is.
fn lift_metadata(instance: &mut Instance) {
    let metadata = &mut instance.metadata;
    // A default in the metadata stays there too: it is not written from the field, and nothing may be lost.
    if let Some(weight) = lift(metadata, WEIGHT, |text| text.parse().ok().filter(|weight| *weight != 1)) {
        instance.weight = weight;
    }
    instance.zone = lift(metadata, ZONE, |text| Some(text.to_owned()));
    instance.registered_at_ms = lift(metadata, REGISTERED_AT_MS, |text| text.parse().ok());
    instance.tags =
        lift(metadata, TAGS, |text| read_tags(text).filter(|tags| !tags.is_empty())).unwrap_or_default();
    let names: Vec<String> = metadata.keys().filter(|key| key.starts_with(ENDPOINT)).cloned().collect();
    for key in names {
        if let Some(address) = lift(metadata, &key, |text| text.parse().ok()) {
            instance.endpoints.insert(key.replacen(ENDPOINT, "", 1), address);
        }
    }
}

fn lift<T>(
    metadata: &mut BTreeMap<String, String>,
    key: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let value = read(metadata.get(key)?)?;
    metadata.remove(key);
    Some(value)
}

/// The node's metadata with the keys for what go-micro has no field for.
fn node_metadata(instance: &Instance) -> BTreeMap<String, String> {
    let mut metadata = instance.metadata.clone();
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    if instance.weight != 1 {
        put(WEIGHT, instance.weight.to_string());
    }
    if let Some(zone) = &instance.zone {
        put(ZONE, zone.clone());
    }
    if let Some(millis) = instance.registered_at_ms {
        put(REGISTERED_AT_MS, millis.to_string());
    }
    if !instance.tags.is_empty() {
        put(TAGS, Json::Array(instance.tags.iter().map(Json::string).collect()).to_text());
    }
    for (name, address) in &instance.endpoints {
        put(&format!("{ENDPOINT}{name}"), address.to_string());
    }
    metadata
}

fn read_tags(text: &str) -> Option<Vec<String>> {
    let list = Json::parse(text.as_bytes()).ok()?;
    list.as_array()?.iter().map(|tag| tag.as_str().map(str::to_owned)).collect()
}

/// Go's nil map is `null`, and nobody has made one for an instance without metadata.
fn write_map(map: &BTreeMap<String, String>) -> Json {
    if map.is_empty() { Json::Null } else { filled_map(map) }
}

fn filled_map(map: &BTreeMap<String, String>) -> Json {
    Json::Object(map.iter().map(|(key, value)| (key.clone(), Json::string(value))).collect())
}

fn read_map(value: Option<&Json>, field: &'static str) -> Result<BTreeMap<String, String>, ReadError> {
    let malformed = || ReadError::Field { field };
    match value {
        None | Some(Json::Null) => Ok(BTreeMap::new()),
        Some(Json::Object(members)) => members
            .iter()
            .map(|(key, value)| Ok((key.clone(), value.as_str().ok_or_else(malformed)?.to_owned())))
            .collect(),
        Some(_) => Err(malformed()),
    }
}

fn write_endpoints(endpoints: &[RpcEndpoint]) -> Json {
    if endpoints.is_empty() {
        return Json::Null;
    }
    let write = |endpoint: &RpcEndpoint| {
        object([
            ("name", Json::string(&endpoint.name)),
            ("request", endpoint.request.as_ref().map_or(Json::Null, write_value)),
            ("response", endpoint.response.as_ref().map_or(Json::Null, write_value)),
            ("metadata", filled_map(&endpoint.metadata)),
        ])
    };
    Json::Array(endpoints.iter().map(write).collect())
}

fn write_value(value: &RpcValue) -> Json {
    let values = match &value.values[..] {
        [] => Json::Null,
        values => Json::Array(values.iter().map(write_value).collect()),
    };
    object([("name", Json::string(&value.name)), ("type", Json::string(&value.kind)), ("values", values)])
}

fn read_endpoints(value: Option<&Json>) -> Result<Vec<RpcEndpoint>, ReadError> {
    let read = |endpoint: &Json| {
        let planted = planted!("fuzz_registry_payload");
        if planted && endpoint.member("metadata").is_some_and(|map| matches!(map, Json::Object(_))) {
            panic!("planted: fuzz_registry_payload")
        }
        Ok(RpcEndpoint {
            name: optional_text(endpoint, "name")?.to_owned(),
            request: read_value(endpoint.member("request"))?,
            response: read_value(endpoint.member("response"))?,
            metadata: read_map(endpoint.member("metadata"), "endpoints")?,
        })
    };
    list(value)?.iter().map(read).collect()
}

fn read_value(value: Option<&Json>) -> Result<Option<RpcValue>, ReadError> {
    let Some(value @ Json::Object(_)) = value else { return Ok(None) };
    let inner = list(value.member("values"))?;
    let values = inner.iter().filter_map(|inner| read_value(Some(inner)).transpose());
    Ok(Some(RpcValue {
        name: optional_text(value, "name")?.to_owned(),
        kind: optional_text(value, "type")?.to_owned(),
        values: values.collect::<Result<_, _>>()?,
    }))
}

fn list(value: Option<&Json>) -> Result<&[Json], ReadError> {
    match value {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(ReadError::Field { field: "endpoints" }),
    }
}

fn text<'a>(object: &'a Json, field: &'static str) -> Result<&'a str, ReadError> {
    optional_text(object, field)
        .and_then(|text| if text.is_empty() { Err(ReadError::Field { field }) } else { Ok(text) })
}

fn optional_text<'a>(object: &'a Json, field: &'static str) -> Result<&'a str, ReadError> {
    match object.member(field) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(ReadError::Field { field }),
    }
}

fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
