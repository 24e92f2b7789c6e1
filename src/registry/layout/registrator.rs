//! The layout of gliderlabs' Registrator: `<root>/<service>/<ip>:<port>`, one JSON object a leaf.
//!
//! Registrator writes and does not read. Its readers are people's own programs, which take the address from the leaf's name
//! or its body. Names are not escaped: a slash is refused. The name is `<ip>:<port>` without brackets around IPv6, as
//! Registrator puts it together (`zookeeper.go`; its documentation says otherwise).

use super::curator::{port, service_dir};
use super::extras::{self, Extra};
use super::fields::{read_map, text, write_pairs};
use super::form::{self, Form};
use super::{Found, Layout, LayoutError, Leaf, ParentMode, ReadError, check_root};
use crate::registry::address::Address;
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::model::Instance;

const NAME: &str = "registrator";

const EXTRAS: &[Extra] = &[
    Extra::Version,
    Extra::Weight("menagerie.weight"),
    Extra::Zone("menagerie.zone"),
    Extra::RegisteredAt,
    Extra::Endpoints,
    Extra::Rpc,
];

/// Registrator's layout, with ephemeral leaves in persistent directories as Registrator makes them.
///
/// | model | JSON |
/// |---|---|
/// | service | `Name` |
/// | address | `IP` and `PublicPort`; `PrivatePort` is the same port unless it was read otherwise |
/// | id | `ContainerID`, and `menagerie.id` in `Attrs`; of others' leaves the leaf's name |
/// | tags, metadata | `Tags`, `Attrs` |
/// | everything else | keys of `Attrs`: `menagerie.version`, `.weight`, `.zone`, `.registered_at_ms`, `.endpoint.<name>`, `.rpc` |
///
/// The address is the identity. A status is not written: its readers know none.
#[derive(Clone, Debug)]
pub struct Registrator {
    root: String,
}

impl Registrator {
    /// The layout under `root`, the path of Registrator's `zookeeper://host/root`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)? })
    }
}

/// Host and port with a colon between, whatever the host.
pub(super) fn unbracketed(address: &Address) -> String {
    if planted!("layout_registrator_brackets") {
        return address.to_string();
    }
    format!("{}:{}", address.host(), address.port())
}

impl Form for Registrator {
    const NAME: &'static str = NAME;
    const STYLE: Style = Style::Go;

    fn write<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>) {
        let mut attrs = extras::spread(instance, EXTRAS);
        let own = instance.id != unbracketed(&instance.address);
        if own {
            extras::put_id(&mut attrs, &instance.id);
        }
        let port = instance.address.port();
        out.object(|out| {
            out.member("Name").string(&instance.service);
            out.member("IP").string(instance.address.host());
            out.member("PublicPort").number(port);
            out.member("PrivatePort").number(port);
            out.member("ContainerID").string(if own { &instance.id } else { "" });
            let tags = |out: &mut Writer<S>| instance.tags.iter().for_each(|tag| out.item().string(tag));
            out.member("Tags").array(tags);
            write_pairs(attrs.iter(), out.member("Attrs"));
        });
    }

    fn instance_of(&self, service: &str, json: &Json<'_>, leaf_name: &str) -> Result<Instance, ReadError> {
        let port = port(json, "PublicPort")?.ok_or(ReadError::Field { field: "PublicPort" })?;
        let mut instance = Instance::new(service, leaf_name, Address::new(text(json, "IP")?, port)?);
        let mut attrs = read_map(json.member("Attrs"), "Attrs")?;
        instance.tags = read_tags(json.member("Tags"))?;
        let place = unbracketed(&instance.address);
        instance.id = extras::take_id(&mut attrs, |id| id != place).unwrap_or(place);
        extras::lift(&mut instance, &mut attrs, EXTRAS);
        instance.metadata = attrs.metadata();
        Ok(instance)
    }
}

fn read_tags(tags: Option<&Json<'_>>) -> Result<Vec<String>, ReadError> {
    let malformed = || ReadError::Field { field: "Tags" };
    match tags {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(tags)) => {
            tags.iter().map(|tag| tag.as_str().map(str::to_owned).ok_or_else(malformed)).collect()
        }
        Some(_) => Err(malformed()),
    }
}

impl Layout for Registrator {
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
        let name = unbracketed(&instance.address);
        extras::check_id(instance, instance.id != name, |id| id != name)?;
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
        let read = form::parse(found).and_then(|json| self.instance_of(&instance.service, &json, found.name));
        read.is_ok_and(|read| read.address == instance.address)
    }
}

#[cfg(test)]
mod tests;
