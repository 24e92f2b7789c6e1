//! The layout of go-micro's ZooKeeper plugin: `/micro-registry/<service>/<id>`, one JSON `registry.Service` a leaf.
//!
//! Names and bytes are those of the plugin. The one difference: leaves are ephemeral, as the plugin's are not; its readers
//! never look at the owner. In paths the plugin turns `/` into `-`, so `x/y` and `x-y` share a directory: the name in
//! the payload decides whose a leaf is.

mod payload;

use bytes::Bytes;

use self::payload::{EXTRAS, Payload};
use super::{
    Found, Layout, LayoutError, Leaf, LeafMode, ParentMode, ReadError, check_component, check_payload,
    check_root, extras,
};
use crate::registry::json::{Sink, Style, Writer};
use crate::registry::limits::PAYLOAD_LEN_BYTES;
use crate::registry::model::{Carried, Instance, Lifetime};

const NAME: &str = "go-micro";

/// go-micro's layout, read in the forms of its versions 1 to 5 and written in that of 4 and 5.
///
/// An instance's [`metadata`](Instance::metadata) is its node's metadata; that of the service is kept on writing back.
/// What go-micro has no field for goes to these keys of the node's metadata, if it is not the default:
/// `menagerie.weight`, `menagerie.zone`, `menagerie.tags` (a JSON list), `menagerie.registered_at_ms`, and
/// `menagerie.endpoint.<name>` (`host:port`). A status is not written: its readers know none.
#[derive(Clone, Debug)]
pub struct GoMicro {
    root: String,
    protocol: String,
    broker: String,
}

impl GoMicro {
    /// The layout under `/micro-registry`, announcing the protocol `grpc`.
    #[must_use]
    pub fn new() -> Self {
        Self { root: "/micro-registry".to_owned(), protocol: "grpc".to_owned(), broker: "http".to_owned() }
    }

    /// The layout under another directory, for go-micro programs behind a chroot or with a changed prefix.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)?, ..Self::new() })
    }

    /// What go-micro's clients are told that instances speak: the metadata `protocol`, `server` and `transport`
    /// unless the instance has its own. go-micro's servers write `grpc`, `http` or `mucp`.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = protocol.into();
        self
    }

    /// The metadata `broker` unless the instance has its own; `http`, go-micro's default, unless set here.
    #[must_use]
    pub fn broker(mut self, broker: impl Into<String>) -> Self {
        self.broker = broker.into();
        self
    }

    /// The metadata that go-micro's server adds to every node.
    fn defaults(&self) -> [(&'static str, &str); 5] {
        let protocol = self.protocol.as_str();
        [
            ("broker", self.broker.as_str()),
            ("protocol", protocol),
            ("registry", "zookeeper"),
            ("server", protocol),
            ("transport", protocol),
        ]
    }

    /// What is written for an instance that was not read from another's payload.
    fn written<S: Sink>(&self, instance: &Instance, sink: S) -> Writer<S> {
        let mut out = Writer::new(Style::Go, sink);
        payload::write(instance, &self.defaults(), &mut out);
        out
    }
}

impl Default for GoMicro {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout for GoMicro {
    fn name(&self) -> &'static str {
        NAME
    }

    fn root(&self) -> &str {
        &self.root
    }

    fn service_dir(&self, service: &str) -> Result<String, LayoutError> {
        let name = escape(service);
        check_component("service", &name)?;
        Ok(format!("{}/{name}", self.root))
    }

    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError> {
        instance.check()?;
        extras::check(instance, EXTRAS)?;
        let name = escape(&instance.id);
        check_component("id", &name)?;
        let dir = self.service_dir(&instance.service)?;
        let carried = instance.carried.as_ref().filter(|carried| carried.layout == NAME);
        let read = carried.and_then(|carried| Payload::parse(&carried.payload, &name).ok());
        // Defaults are added to what we write for ourselves, never to what another program wrote without them.
        let overlaid = read.and_then(|payload| payload.overlaid(instance));
        let data = Bytes::from(overlaid.unwrap_or_else(|| self.written(instance, String::new()).into_sink()));
        if data.len() > PAYLOAD_LEN_BYTES {
            return Err(LayoutError::TooLarge { len_bytes: data.len() });
        }
        let mode = match instance.lifetime {
            Lifetime::Session => LeafMode::Ephemeral,
            Lifetime::Persistent => LeafMode::Persistent,
        };
        let parents = if planted!("layout_go_micro_parents_go") {
            ParentMode::Container
        } else {
            ParentMode::Persistent
        };
        Ok(Leaf { dir, name, data, mode, parents })
    }

    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        // The plugin's own reader takes children for directories when they have children.
        if found.stat.num_children > 0 {
            return Err(ReadError::Directory);
        }
        check_payload(found.data)?;
        let payload = Payload::parse(found.data, found.name)?;
        let mut instance = payload.instance()?;
        if instance.service != service {
            return Err(ReadError::other_service(&instance.service));
        }
        instance.lifetime = found.stat.lifetime();
        // Most payloads would be written the same from the model alone; only the others are worth their memory.
        if !self.written(&instance, Some(&found.data[..])).is_same() {
            instance.carried = Some(Carried { layout: NAME, payload: found.data.clone() });
        }
        Ok(instance)
    }

    fn service_of(&self, found: &Found<'_>) -> Result<Option<String>, ReadError> {
        check_payload(found.data)?;
        let payload = Payload::parse(found.data, found.name)?;
        Ok(Some(payload.names()?.0.to_owned()))
    }

    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        let payload = check_payload(found.data).and_then(|()| Payload::parse(found.data, found.name));
        payload.is_ok_and(|payload| payload.names() == Ok((&*instance.service, &*instance.id)))
    }
}

/// A name as the plugin puts it into a path (`util.go` of all its versions): lossy, and nothing else is escaped.
fn escape(name: &str) -> String {
    if planted!("registry_unescaped_name") { name.to_owned() } else { name.replace('/', "-") }
}

#[cfg(test)]
mod tests;
