//! The layout of Spring Cloud ZooKeeper: Curator's JSON below `/services`, with Spring's own class as payload.
//!
//! Read by applications with `spring-cloud-starter-zookeeper-discovery`. Their reader throws on any other payload class,
//! for all instances of the service: nothing else may be registered below the same directory.

use std::time::Duration;

use super::curator::{Payload, Schema, same_id, service_dir};
use super::extras::{self, Extra};
use super::form::{self, Form};
use super::{Found, Layout, LayoutError, Leaf, ParentMode, ReadError, check_component, check_root};
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::limits::SPRING_DRAIN_GRACE;
use crate::registry::model::{Instance, Status};

const NAME: &str = "spring-cloud";

/// The key of the status, and its words.
const STATUS: &str = "instance_status";
const UP: &str = "UP";
const OUT_OF_SERVICE: &str = "OUT_OF_SERVICE";

const EXTRAS: &[Extra] = &[
    Extra::Version,
    Extra::Weight("weight"),
    Extra::Zone("zone"),
    Extra::Tags,
    Extra::Endpoints,
    Extra::Rpc,
    Extra::Draining,
    Extra::Reason,
];

/// Spring Cloud's layout: `/services/<application>/<id>`, ephemeral, in containers.
///
/// As in [`Curator`](super::Curator), but that the payload is a `ZookeeperInstance` with `id`, `name` and `metadata`. In
/// `metadata`, `instance_status` is `UP` or `OUT_OF_SERVICE` (also for an instance that drains; absent or blank is up, any other
/// word is out of service), `zone` is the zone and `weight` the weight, as Spring's load balancer reads them. The
/// rest of the model goes to `menagerie.version`, `.tags`, `.endpoint.<name>`, `.rpc`, `.status` and `.status_reason`.
#[derive(Clone, Debug)]
pub struct SpringCloud {
    root: String,
    schema: Schema,
}

impl SpringCloud {
    /// The layout under `/services`.
    #[must_use]
    pub fn new() -> Self {
        let class = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance";
        Self {
            root: "/services".to_owned(),
            schema: Schema { payload: Payload::Nested { class }, kind: None },
        }
    }

    /// The layout under another directory, `spring.cloud.zookeeper.discovery.root`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)?, ..Self::new() })
    }
}

impl Default for SpringCloud {
    fn default() -> Self {
        Self::new()
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Up => UP,
        Status::Draining if planted!("layout_spring_draining_up") => UP,
        Status::Draining | Status::OutOfService => OUT_OF_SERVICE,
    }
}

impl Form for SpringCloud {
    const NAME: &'static str = NAME;
    const STYLE: Style = Style::Jackson;

    fn write<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>) {
        let mut metadata = extras::spread(instance, EXTRAS);
        metadata.insert(STATUS, word(instance.status));
        self.schema.write(instance, &instance.id, metadata, out);
    }

    fn instance_of(&self, service: &str, json: &Json<'_>, _: &str) -> Result<Instance, ReadError> {
        let (mut instance, mut metadata) = self.schema.read(service, json)?;
        let word = metadata.remove(STATUS).unwrap_or_default();
        if !word.trim().is_empty() && word != UP {
            instance.status = Status::OutOfService;
        }
        extras::lift(&mut instance, &mut metadata, EXTRAS);
        instance.metadata = metadata.metadata();
        Ok(instance)
    }
}

impl Layout for SpringCloud {
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
        if instance.metadata.contains_key(STATUS) {
            return Err(LayoutError::Reserved { key: STATUS.to_owned() });
        }
        self.schema.check(instance, EXTRAS)?;
        check_component("id", &instance.id)?;
        let dir = self.service_dir(&instance.service)?;
        let data = form::payload(self, instance, &instance.id)?;
        Ok(form::leaf(dir, instance.id.clone(), data, instance, ParentMode::Container))
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

    fn drain_grace(&self) -> Duration {
        SPRING_DRAIN_GRACE
    }

    fn tells_time(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
