//! The layout of Apache Curator's service discovery: `<root>/<service>/<id>`, one JSON `ServiceInstance` a leaf.
//!
//! Read by Curator's `ServiceDiscovery`, `ServiceCache` and `ServiceProvider`, and by its REST server. Names are not escaped:
//! a slash is refused. Directories are containers, as Curator makes them. The address stands without brackets, as Java's
//! `InetAddress` prints IPv6. The same JSON with other payloads is that of [`SpringCloud`](super::SpringCloud) and of
//! [`DubboApplication`](super::DubboApplication).

use super::extras::{self, Extra};
use super::fields::{optional_text, text, write_pairs};
use super::form::{self, Form};
use super::pairs::Pairs;
use super::{Found, Layout, LayoutError, Leaf, ParentMode, ReadError, check_component, check_root, sequence};
use crate::registry::address::Address;
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::model::{Instance, Lifetime, Status};

const NAME: &str = "curator";

/// The endpoint that is `sslPort` if its host is the instance's.
const SSL: &str = "ssl";

const CLASS: &str = "@class";

const EXTRAS: &[Extra] = &[
    Extra::Version,
    Extra::Weight("menagerie.weight"),
    Extra::Zone("menagerie.zone"),
    Extra::Tags,
    Extra::Endpoints,
    Extra::Rpc,
    Extra::Draining,
    Extra::Reason,
];

/// Curator's layout.
///
/// | model | JSON |
/// |---|---|
/// | service, id | `name`, `id` |
/// | address | `address` and `port`; only `sslPort` if there is no `port` |
/// | endpoint `ssl` at the instance's host | `sslPort` |
/// | registration time | `registrationTimeUTC`; 0 is none |
/// | lifetime | `serviceType`: `DYNAMIC`, or `STATIC` |
/// | status | `"enabled":false` unless it is up; which of the others, in the payload |
/// | metadata | `payload`, an object of strings with its `@class`; `null` if there is none |
/// | everything else | keys of the payload: `menagerie.version`, `.weight`, `.zone`, `.tags`, `.endpoint.<name>`, `.rpc`, `.status`, `.status_reason` |
///
/// A payload that is no object, members of it that are no strings, `uriSpec` and whatever else is there are kept on
/// writing back. `"enabled":true` is not written, as by Curator's serializer in its compatible mode. **A reader built for
/// another payload class than the one that is written throws**: [`payload_class`](Self::payload_class) sets it, and an
/// instance without metadata has none.
#[derive(Clone, Debug)]
pub struct Curator {
    root: String,
    schema: Schema,
    sequential: bool,
}

impl Curator {
    /// The layout under `root`, Curator's `basePath`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        let schema =
            Schema { payload: Payload::Flat { class: "java.util.LinkedHashMap".to_owned() }, kind: None };
        Ok(Self { root: check_root(root)?, schema, sequential: false })
    }

    /// The Java class of the payload that readers are built for, `java.util.LinkedHashMap` unless set here.
    #[must_use]
    pub fn payload_class(mut self, class: impl Into<String>) -> Self {
        self.schema.payload = Payload::Flat { class: class.into() };
        self
    }

    /// Writes instances as `DYNAMIC_SEQUENTIAL`: ten digits follow the id in the leaf's name.
    ///
    /// Curator lets the server draw them, and so makes a second leaf at every reconnect. Ours follow from the id and are
    /// above all that a server draws. A leaf whose digits a server drew is an instance of its own, and its name is the id.
    #[must_use]
    pub fn sequential(mut self) -> Self {
        self.sequential = true;
        self.schema.kind = Some("DYNAMIC_SEQUENTIAL");
        self
    }

    /// Writes persistent instances as `PERMANENT` instead of `STATIC`, which Curator's REST server removes after a time.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.schema.kind = Some("PERMANENT");
        self
    }

    fn leaf_name(&self, id: &str) -> String {
        let add = self.sequential && !ends_drawn(id);
        if add { format!("{id}{}", sequence::number(id)) } else { id.to_owned() }
    }
}

/// Whether a server has drawn the end of this name.
fn ends_drawn(name: &str) -> bool {
    let last = |count| name.len().checked_sub(count).and_then(|at| name.get(at..));
    [10, 11].into_iter().filter_map(last).any(sequence::is_drawn)
}

impl Form for Curator {
    const NAME: &'static str = NAME;
    const STYLE: Style = Style::Jackson;

    fn write<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>) {
        self.schema.write(instance, &instance.id, extras::spread(instance, EXTRAS), out);
    }

    fn instance_of(&self, service: &str, json: &Json<'_>, leaf_name: &str) -> Result<Instance, ReadError> {
        let (mut instance, mut metadata) = self.schema.read(service, json)?;
        if self.sequential && ends_drawn(leaf_name) {
            leaf_name.clone_into(&mut instance.id);
        }
        extras::lift(&mut instance, &mut metadata, EXTRAS);
        instance.metadata = metadata.metadata();
        Ok(instance)
    }
}

impl Layout for Curator {
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
        let name = self.leaf_name(&instance.id);
        check_component("id", &name)?;
        let dir = self.service_dir(&instance.service)?;
        let data = form::payload(self, instance, &name)?;
        let parents = if planted!("layout_curator_parents_stay") {
            ParentMode::Persistent
        } else {
            ParentMode::Container
        };
        Ok(form::leaf(dir, name, data, instance, parents))
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

    fn expresses_status(&self) -> bool {
        true
    }

    fn tells_time(&self) -> bool {
        true
    }
}

/// `<root>/<service>`, for the layouts that do not escape.
pub(super) fn service_dir(root: &str, service: &str) -> Result<String, LayoutError> {
    check_component("service", service)?;
    Ok(format!("{root}/{service}"))
}

/// Whether the leaf's payload has the instance's id.
pub(super) fn same_id<F: Form>(form: &F, instance: &Instance, found: &Found<'_>) -> bool {
    let read = form::parse(found).and_then(|json| form.instance_of(&instance.service, &json, found.name));
    read.is_ok_and(|read| read.id == instance.id)
}

/// Curator's JSON around one of the payloads in use.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) payload: Payload,
    /// The `serviceType` to write, if it is the one for the instance's lifetime.
    pub(super) kind: Option<&'static str>,
}

/// Where the metadata stands.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    /// In the payload itself, or there is none.
    Flat { class: String },
    /// In the payload's member `metadata`, beside `id` and `name`.
    Nested { class: &'static str },
}

impl Schema {
    /// What no payload of this kind can hold.
    pub(super) fn check(&self, instance: &Instance, extras: &[Extra]) -> Result<(), LayoutError> {
        let flat = matches!(self.payload, Payload::Flat { .. });
        if flat && instance.metadata.contains_key(CLASS) {
            return Err(LayoutError::Reserved { key: CLASS.to_owned() });
        }
        match instance.registered_at_ms {
            Some(0) => {
                Err(LayoutError::NotExpressible { what: "registration time", why: "0 stands for none" })
            }
            Some(millis) if i64::try_from(millis).is_err() => {
                let why = "it is beyond Java's long";
                Err(LayoutError::NotExpressible { what: "registration time", why })
            }
            _ => extras::check(instance, extras),
        }
    }

    /// Writes the JSON of an instance with this metadata.
    pub(super) fn write<S: Sink>(
        &self,
        instance: &Instance,
        id: &str,
        mut metadata: Pairs<'_>,
        out: &mut Writer<S>,
    ) {
        let ssl = instance.endpoints.get(SSL).filter(|ssl| ssl.host() == instance.address.host());
        if ssl.is_some() {
            metadata.remove("menagerie.endpoint.ssl");
        }
        out.object(|out| {
            out.member("name").string(&instance.service);
            out.member("id").string(id);
            out.member("address").string(instance.address.host());
            out.member("port").number(instance.address.port());
            match ssl {
                Some(ssl) => out.member("sslPort").number(ssl.port()),
                None => out.member("sslPort").null(),
            }
            self.payload.write(&instance.service, id, &metadata, out.member("payload"));
            out.member("registrationTimeUTC").number(instance.registered_at_ms.unwrap_or_default());
            out.member("serviceType").string(self.kind_of(instance.lifetime));
            if !planted!("layout_curator_field_omitted") {
                write_uri_spec(out.member("uriSpec"));
            }
            if instance.status != Status::Up && matches!(self.payload, Payload::Flat { .. }) {
                out.member("enabled").bool(false);
            }
        });
    }

    fn kind_of(&self, lifetime: Lifetime) -> &'static str {
        match (lifetime, self.kind) {
            (Lifetime::Session, Some(kind @ "DYNAMIC_SEQUENTIAL")) => kind,
            (Lifetime::Session, _) => "DYNAMIC",
            (Lifetime::Persistent, Some(kind @ "PERMANENT")) => kind,
            (Lifetime::Persistent, _) => "STATIC",
        }
    }

    /// The instance, and all its metadata still in one place.
    pub(super) fn read<'j>(
        &self,
        service: &str,
        json: &'j Json<'_>,
    ) -> Result<(Instance, Pairs<'j>), ReadError> {
        let host = text(json, "address")?;
        let (port, ssl) = (port(json, "port")?, port(json, "sslPort")?);
        let main = port.or(ssl).ok_or(ReadError::Field { field: "port" })?;
        let mut instance = Instance::new(service, text(json, "id")?, Address::new(host, main)?);
        if let Some(ssl) = ssl {
            instance.endpoints.insert(SSL.to_owned(), Address::new(host, ssl)?);
        }
        let metadata = self.payload.read(json.member("payload"))?;
        instance.registered_at_ms = time(json)?.filter(|millis| *millis != 0);
        match json.member("enabled") {
            None | Some(Json::Null | Json::Bool(true)) => {}
            Some(Json::Bool(false)) if planted!("layout_curator_all_enabled") => {}
            Some(Json::Bool(false)) => instance.status = Status::OutOfService,
            Some(_) => return Err(ReadError::Field { field: "enabled" }),
        }
        // Jackson refuses what is no text there, and with it the whole list.
        optional_text(json, "name")?;
        Ok((instance, metadata))
    }
}

impl Payload {
    fn write<S: Sink>(&self, service: &str, id: &str, metadata: &Pairs<'_>, out: &mut Writer<S>) {
        match self {
            Self::Flat { .. } if metadata.is_empty() => out.null(),
            Self::Flat { class } => {
                write_pairs([(CLASS, &**class)].into_iter().chain(metadata.iter()), out);
            }
            Self::Nested { class } => out.object(|out| {
                out.member(CLASS).string(class);
                out.member("id").string(id);
                out.member("name").string(service);
                write_pairs(metadata.iter(), out.member("metadata"));
            }),
        }
    }

    /// Members that are strings. What else there is stays in the payload.
    fn read<'j>(&self, payload: Option<&'j Json<'_>>) -> Result<Pairs<'j>, ReadError> {
        let payload = payload.unwrap_or(&Json::Null);
        let map = match self {
            Self::Flat { .. } => payload,
            Self::Nested { .. } => payload.member("metadata").unwrap_or(&Json::Null),
        };
        if !matches!((self, map), (Self::Flat { .. }, _) | (_, Json::Object(_) | Json::Null)) {
            return Err(ReadError::Field { field: "metadata" });
        }
        let class = matches!(self, Self::Flat { .. });
        let own = |key: &str| !class || key != CLASS;
        let strings = map.members().iter().filter(|(key, _)| own(key));
        Ok(strings.filter_map(|(key, value)| Some(((&**key).into(), value.as_str()?.into()))).collect())
    }
}

/// A port, or none. Curator writes `null` for none.
pub(super) fn port(json: &Json<'_>, field: &'static str) -> Result<Option<u16>, ReadError> {
    match json.member(field) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Number(text)) => text.parse().map(Some).map_err(|_| ReadError::Field { field }),
        Some(_) => Err(ReadError::Field { field }),
    }
}

fn time(json: &Json<'_>) -> Result<Option<u64>, ReadError> {
    let field = "registrationTimeUTC";
    match json.member(field) {
        None | Some(Json::Null) => Ok(None),
        // Before 1970 is as good as never.
        Some(Json::Number(text)) => {
            text.parse::<i64>().map(|it| u64::try_from(it).ok()).map_err(|_| ReadError::Field { field })
        }
        Some(_) => Err(ReadError::Field { field }),
    }
}

/// `{scheme}://{address}:{port}`, as Spring and Dubbo write it.
fn write_uri_spec<S: Sink>(out: &mut Writer<S>) {
    let parts = [("scheme", true), ("://", false), ("address", true), (":", false), ("port", true)];
    let write = |(value, variable): (&str, bool), out: &mut Writer<S>| {
        out.member("value").string(value);
        out.member("variable").bool(variable);
    };
    out.object(|out| {
        out.member("parts").array(|out| {
            parts.into_iter().for_each(|part| out.item().object(|out| write(part, out)));
        });
    });
}

#[cfg(test)]
mod tests;
