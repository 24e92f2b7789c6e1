//! Dubbo's registry of applications: `/services/<application>/<host:port>`, Curator's JSON with Dubbo's own payload.
//!
//! Read by Dubbo 3 for Java and for Go. Go writes fewer members, and both read what is missing. Which interfaces an instance
//! serves stands elsewhere: in a znode for each revision of the application's metadata, and in the lists of applications
//! by interface.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::layout::curator::{Payload, Schema, service_dir};
use crate::registry::layout::extras::{self, Extra};
use crate::registry::layout::form::{self, Form};
use crate::registry::layout::registrator::unbracketed;
use crate::registry::layout::sequence;
use crate::registry::layout::{
    Found, Further, Layout, LayoutError, Leaf, LeafMode, ParentMode, ReadError, check_component, check_root,
};
use crate::registry::limits::DUBBO_DRAIN_GRACE;
use crate::registry::model::Instance;

const NAME: &str = "dubbo-application";

const REVISION: &str = "dubbo.metadata.revision";
const ENDPOINTS: &str = "dubbo.endpoints";
const STORAGE: &str = "dubbo.metadata.storage-type";

const EXTRAS: &[Extra] = &[
    Extra::Version,
    Extra::Weight("menagerie.weight"),
    Extra::Zone("menagerie.zone"),
    Extra::Tags,
    Extra::Endpoints,
    Extra::Rpc,
];

/// Dubbo's layout at the level of applications: a service is an application.
///
/// As in [`Curator`](super::super::Curator), with a `ZookeeperInstance` of Dubbo's as payload. The leaf's name is `host:port`, IPv6
/// without brackets, and so is `id`; an id of another form is in the metadata as `menagerie.id`. What Dubbo's consumers
/// look for is added to the metadata if it is not there: `dubbo.endpoints`, `dubbo.metadata.storage-type` (`remote`) and
/// `dubbo.metadata.revision`. The rest of the model goes to `menagerie.version`, `.weight`, `.zone`, `.tags`,
/// `.endpoint.<name>` and `.rpc`. A status is not written.
///
/// [`serves`](Self::serves) names the interfaces. Their description at `/dubbo/metadata/<application>/<revision>`, and the application's
/// entry in the list of each at `/dubbo/mapping/<interface>`, are written with the leaf ([`Layout::further`]) and stay, as Dubbo's own do. Without
/// any, the revision is `0`, Dubbo's word for none. Revisions of Go's, below `/dubbo/<application>`, are not written.
#[derive(Clone, Debug)]
pub struct DubboApplication {
    root: String,
    metadata_root: String,
    protocol: String,
    interfaces: Vec<Interface>,
    schema: Schema,
}

#[derive(Clone, Debug)]
struct Interface {
    name: String,
    group: String,
    version: String,
}

impl DubboApplication {
    /// The layout under `/services`, with metadata under `/dubbo`, announcing the protocol `dubbo`.
    #[must_use]
    pub fn new() -> Self {
        let class = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance";
        Self {
            root: "/services".to_owned(),
            metadata_root: "/dubbo".to_owned(),
            protocol: "dubbo".to_owned(),
            interfaces: Vec::new(),
            schema: Schema { payload: Payload::Nested { class }, kind: None },
        }
    }

    /// The layout under other directories: the registry's, and the one with `metadata` and `mapping`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if one is not an absolute path.
    pub fn at(root: &str, metadata_root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)?, metadata_root: check_root(metadata_root)?, ..Self::new() })
    }

    /// The protocol to announce.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = protocol.into();
        self
    }

    /// Adds an interface that instances serve; empty texts for no group and no version.
    #[must_use]
    pub fn serves(mut self, interface: &str, group: &str, version: &str) -> Self {
        let [name, group, version] = [interface, group, version].map(str::to_owned);
        self.interfaces.push(Interface { name, group, version });
        self
    }

    /// What is added to the metadata of an instance that does not say it.
    fn defaults(&self, instance: &Instance) -> [(&'static str, Cow<'static, str>); 3] {
        let mut endpoints = Writer::new(Style::Jackson, String::new());
        endpoints.array(|out| {
            out.item().object(|out| {
                out.member("port").number(instance.address.port());
                out.member("protocol").string(&self.protocol);
            });
        });
        [
            (ENDPOINTS, endpoints.into_sink().into()),
            (REVISION, self.revision(instance)),
            (STORAGE, "remote".into()),
        ]
    }

    /// The same for the same interfaces at the same port, and another for any other.
    fn revision(&self, instance: &Instance) -> Cow<'static, str> {
        if self.interfaces.is_empty() || planted!("layout_dubbo_no_revision") {
            return "0".into();
        }
        let mut services = Writer::new(Style::Jackson, String::new());
        self.write_services(instance, &mut services);
        let services = services.into_sink();
        let of_all = sequence::number(&format!("{}{services}", instance.service));
        format!("{}{of_all}", sequence::number(&services)).into()
    }

    fn write_services<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>) {
        let key = |interface: &Interface| {
            let Interface { name, group, version } = interface;
            let group_part = if group.is_empty() { String::new() } else { format!("{group}/") };
            let version_part = if version.is_empty() { String::new() } else { format!(":{version}") };
            format!("{group_part}{name}{version_part}:{}", self.protocol)
        };
        let services: BTreeMap<_, _> =
            self.interfaces.iter().map(|interface| (key(interface), interface)).collect();
        let write = |interface: &Interface, out: &mut Writer<S>| {
            out.member("name").string(&interface.name);
            out.member("group").string(&interface.group);
            out.member("version").string(&interface.version);
            out.member("protocol").string(&self.protocol);
            out.member("port").number(instance.address.port());
            out.member("path").string(&interface.name);
            out.member("params").object(|_| {});
        };
        out.object(|out| {
            for (key, interface) in services {
                out.member(&key).object(|out| write(interface, out));
            }
        });
    }
}

impl Default for DubboApplication {
    fn default() -> Self {
        Self::new()
    }
}

impl Form for DubboApplication {
    const NAME: &'static str = NAME;
    const STYLE: Style = Style::Jackson;

    fn write<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>) {
        let mut metadata = extras::spread(instance, EXTRAS);
        for (key, value) in self.defaults(instance) {
            metadata.complete(key, value);
        }
        let place = unbracketed(&instance.address);
        if instance.id != place {
            extras::put_id(&mut metadata, &instance.id);
        }
        self.schema.write(instance, &place, metadata, out);
    }

    fn instance_of(&self, service: &str, json: &Json<'_>, _: &str) -> Result<Instance, ReadError> {
        let (mut instance, mut metadata) = self.schema.read(service, json)?;
        let place = unbracketed(&instance.address);
        instance.id = extras::take_id(&mut metadata, |id| id != place).unwrap_or(place);
        extras::lift(&mut instance, &mut metadata, EXTRAS);
        // What follows from the instance follows it.
        for (key, value) in self.defaults(&instance) {
            metadata.take(key, |present| (*present == *value).then_some(()));
        }
        instance.metadata = metadata.metadata();
        Ok(instance)
    }
}

impl Layout for DubboApplication {
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
        self.schema.check(instance, EXTRAS)?;
        let dir = self.service_dir(&instance.service)?;
        let name = unbracketed(&instance.address);
        extras::check_id(instance, instance.id != name, |id| id != name)?;
        let data = form::payload(self, instance, &name)?;
        Ok(form::leaf(dir, name, data, instance, ParentMode::Container))
    }

    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        form::read(self, service, found)
    }

    fn service_of(&self, _: &Found<'_>) -> Result<Option<String>, ReadError> {
        Ok(None)
    }

    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        let read = form::parse(found).and_then(|json| self.instance_of(&instance.service, &json, found.name));
        read.is_ok_and(|read| read.id == instance.id && read.address == instance.address)
    }

    fn drain_grace(&self) -> Duration {
        DUBBO_DRAIN_GRACE
    }

    fn tells_time(&self) -> bool {
        true
    }

    fn further(&self, instance: &Instance) -> Result<Vec<Further>, LayoutError> {
        if self.interfaces.is_empty() {
            return Ok(Vec::new());
        }
        let application = &instance.service;
        let dir = service_dir(&format!("{}/metadata", self.metadata_root), application)?;
        let given = instance.metadata.get(REVISION);
        let revision = given.map_or_else(|| self.revision(instance).into_owned(), str::to_owned);
        check_component("revision", &revision)?;
        let mut description = Writer::new(Style::Jackson, String::new());
        description.object(|out| {
            out.member("app").string(application);
            out.member("revision").string(&revision);
            self.write_services(instance, out.member("services"));
        });
        let data = description.into_sink().into();
        let (mode, parents) = (LeafMode::Persistent, ParentMode::Persistent);
        let mut further = vec![Further::Shared(Leaf { dir, name: revision, data, mode, parents })];
        if application.contains(',') {
            return Err(LayoutError::NotExpressible {
                what: "service",
                why: "a comma separates applications",
            });
        }
        for interface in &self.interfaces {
            let name = check_component("interface", &interface.name).map(|()| interface.name.clone())?;
            let (dir, entry) = (format!("{}/mapping", self.metadata_root), application.clone());
            let leaf = Leaf { dir, name, data: entry.clone().into(), mode, parents };
            let listed = Further::Listed { leaf, entry };
            if !further.contains(&listed) {
                further.push(listed);
            }
        }
        Ok(further)
    }
}

#[cfg(test)]
mod tests;
