//! The layout of Twitter's server sets: `<root>/<service>/member_<digits>`, one JSON `ServiceInstance` a leaf.
//!
//! Read by Finagle's `zk2` resolver, by Armeria and by synapse. Readers take what a leaf holds as settled: they read a leaf once
//! and never again, so an instance that wants no calls is expressed by removing its leaf, and a change is seen by those only
//! that come after it. The digits are chosen as in [`sequence`](super::sequence), not drawn by the server.

mod vector;

use std::time::Duration;

pub use self::vector::WeightVector;
use super::curator::{port, same_id, service_dir};
use super::extras::{self, Extra};
use super::fields::{optional_text, read_map, text, write_pairs};
use super::form::{self, Form};
use super::{Found, Layout, LayoutError, Leaf, ParentMode, ReadError, Rule, check_root, sequence};
use crate::registry::address::Address;
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::limits::FINAGLE_DRAIN_GRACE;
use crate::registry::model::{Instance, Status};

const NAME: &str = "serverset";

const MEMBER: &str = "member_";

/// The key for the field `shard`.
const SHARD: &str = "menagerie.shard";

const EXTRAS: &[Extra] = &[
    Extra::Version,
    Extra::Weight("menagerie.weight"),
    Extra::Zone("menagerie.zone"),
    Extra::Tags,
    Extra::RegisteredAt,
    Extra::Rpc,
    Extra::Reason,
];

/// The layout of server sets, with ephemeral leaves in persistent directories.
///
/// | model | JSON |
/// |---|---|
/// | id | the leaf's name; an id of another form is in `metadata` as `menagerie.id`, and makes the name |
/// | address | `serviceEndpoint`, IPv6 without brackets |
/// | endpoints | `additionalEndpoints` |
/// | status | `status`: `ALIVE` is up, `STOPPING` draining, all other words out of service |
/// | metadata | `metadata`; `menagerie.shard` there is the field `shard` |
/// | everything else | `menagerie.version`, `.weight`, `.zone`, `.tags`, `.registered_at_ms`, `.rpc`, `.status_reason` |
///
/// `weight` is read by our own readers. Finagle's weights stand in znodes beside the members, `vector_*`: a [`WeightVector`] each,
/// which views multiply into the weights. They are not written.
#[derive(Clone, Debug)]
pub struct ServerSet {
    root: String,
}

impl ServerSet {
    /// The layout under `root`: a set's path is `<root>/<service>`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)? })
    }
}

/// Whether it is a name that a reader takes for a member's: `Group.java` asks for digits, with a minus sign or without.
fn is_member(name: &str) -> bool {
    let number = name.strip_prefix(MEMBER).unwrap_or_default();
    let digits = number.strip_prefix('-').unwrap_or(number);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn member_name(id: &str) -> String {
    if is_member(id) { id.to_owned() } else { format!("{MEMBER}{}", sequence::number(id)) }
}

impl Form for ServerSet {
    const NAME: &'static str = NAME;
    const STYLE: Style = Style::Gson;

    fn write<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>) {
        let mut metadata = extras::spread(instance, EXTRAS);
        if !is_member(&instance.id) {
            extras::put_id(&mut metadata, &instance.id);
        }
        let shard = metadata.take(SHARD, read_shard);
        out.object(|out| {
            write_endpoint(&instance.address, out.member("serviceEndpoint"));
            out.member("additionalEndpoints").object(|out| {
                instance.endpoints.iter().for_each(|(name, at)| write_endpoint(at, out.member(name)));
            });
            if !planted!("layout_serverset_field_omitted") {
                out.member("status").string(word(instance.status));
            }
            if let Some(shard) = shard {
                out.member("shard").digits(&shard.to_string());
            }
            // Gson leaves out what is null.
            if !metadata.is_empty() {
                write_pairs(metadata.iter(), out.member("metadata"));
            }
        });
    }

    fn instance_of(&self, service: &str, json: &Json<'_>, leaf_name: &str) -> Result<Instance, ReadError> {
        if !is_member(leaf_name) {
            return Err(ReadError::Name { why: "members are member_ and digits" });
        }
        let main = json.member("serviceEndpoint").ok_or(ReadError::Field { field: "serviceEndpoint" })?;
        let mut instance = Instance::new(service, leaf_name, address(main)?);
        let mut metadata = read_map(json.member("metadata"), "metadata")?;
        // What cannot be called among the further ones stays in the payload.
        let further = json.member("additionalEndpoints").unwrap_or(&Json::Null).members().iter();
        instance.endpoints =
            further.filter_map(|(name, at)| Some(((**name).to_owned(), address(at).ok()?))).collect();
        instance.status = match optional_text(json, "status")? {
            "ALIVE" => Status::Up,
            "WARNING" if planted!("layout_serverset_warning_up") => Status::Up,
            "STOPPING" => Status::Draining,
            _ => Status::OutOfService,
        };
        if let Some(Json::Number(shard)) = json.member("shard") {
            let shard = read_shard(shard).ok_or(ReadError::Field { field: "shard" })?;
            metadata.insert(SHARD, shard.to_string());
        }
        let own = |id: &str| !is_member(id) && member_name(id) == leaf_name;
        if let Some(id) = extras::take_id(&mut metadata, own) {
            instance.id = id;
        }
        extras::lift(&mut instance, &mut metadata, EXTRAS);
        instance.metadata = metadata.metadata();
        Ok(instance)
    }
}

/// A shard in the one spelling that is written.
fn read_shard(text: &str) -> Option<i32> {
    text.parse().ok().filter(|shard: &i32| shard.to_string() == text)
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Up => "ALIVE",
        Status::Draining => "STOPPING",
        Status::OutOfService => "STOPPED",
    }
}

fn write_endpoint<S: Sink>(address: &Address, out: &mut Writer<S>) {
    out.object(|out| {
        out.member("host").string(address.host());
        out.member("port").number(address.port());
    });
}

fn address(endpoint: &Json<'_>) -> Result<Address, ReadError> {
    let port = port(endpoint, "port")?.ok_or(ReadError::Field { field: "port" })?;
    Ok(Address::new(text(endpoint, "host")?, port)?)
}

impl Layout for ServerSet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn root(&self) -> &str {
        &self.root
    }

    fn service_dir(&self, service: &str) -> Result<String, LayoutError> {
        service_dir(&self.root, service)
    }

    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError> {
        instance.check()?;
        extras::check(instance, EXTRAS)?;
        let name = member_name(&instance.id);
        let own = |id: &str| !is_member(id) && member_name(id) == name;
        extras::check_id(instance, name != instance.id, own)?;
        let dir = self.service_dir(&instance.service)?;
        let data = form::payload(self, instance, &name)?;
        Ok(form::leaf(dir, name, data, instance, ParentMode::Persistent))
    }

    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        form::read(self, service, found)
    }

    fn service_of(&self, _: &Found<'_>) -> Result<Option<String>, ReadError> {
        Ok(None)
    }

    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        same_id(self, instance, found)
    }

    fn rule(&self, found: &Found<'_>) -> Result<Option<Rule>, ReadError> {
        if WeightVector::is_named(found.name) {
            WeightVector::read(found).map(Rule::Weights).map(Some)
        } else {
            Ok(None)
        }
    }

    fn drain_grace(&self) -> Duration {
        FINAGLE_DRAIN_GRACE
    }
}

#[cfg(test)]
mod tests;
