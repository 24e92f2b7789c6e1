//! Dubbo's registry of interfaces: `/dubbo/<interface>/providers/<URL>`, all in the leaf's name.
//!
//! Read by Dubbo for Java and for Go. Both take what is no URL for nothing, and the data of a leaf for nothing too; Java
//! writes its own address there, and so do we. As the name says all, a change is another leaf.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::configurator::DubboOverride;
use super::url::{DubboUrl, Encoder, Parts, encode, text_of, unescape};
use crate::registry::address::{Address, shorten};
use crate::registry::layout::extras::{self, Extra};
use crate::registry::layout::pairs::Pairs;
use crate::registry::layout::{
    Found, Further, Layout, LayoutError, Leaf, LeafMode, ParentMode, ReadError, Rule, check_component,
    check_payload, check_root, form,
};
use crate::registry::limits::{DUBBO_DRAIN_GRACE, LEAF_LEN_BYTES, NAME_LEN_BYTES};
use crate::registry::model::{Carried, Instance, Lifetime};

const NAME: &str = "dubbo";

/// What Dubbo gives to whoever says nothing of a weight.
pub(super) const WEIGHT: u32 = 100;

/// Keys for what stands outside the parameters.
const PROTOCOL: &str = "menagerie.protocol";
const PATH: &str = "menagerie.path";

pub(super) const TAG: &str = "dubbo.tag";

const EXTRAS: &[Extra] = &[ZONE, Extra::Tags, Extra::Endpoints, Extra::Rpc];
const UNTAGGED: &[Extra] = &[ZONE, Extra::Endpoints, Extra::Rpc];
const ZONE: Extra = Extra::Zone("menagerie.zone");

/// A directory below an interface's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Who serves it: the instances.
    Providers,
    /// Who calls it; consumers register too.
    Consumers,
    /// `override://` rules: changed parameters of providers.
    Configurators,
    /// `condition://` and other rules on who may call whom.
    Routers,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Providers, Self::Consumers, Self::Configurators, Self::Routers];

    /// The directory's name.
    #[must_use]
    pub fn dir(self) -> &'static str {
        match self {
            Self::Providers => "providers",
            Self::Consumers => "consumers",
            Self::Configurators => "configurators",
            Self::Routers => "routers",
        }
    }
}

/// Dubbo's layout at the level of interfaces: a service is an interface.
///
/// | model | URL |
/// |---|---|
/// | service | the path, and the parameter `interface` |
/// | address | host and port, IPv6 in brackets; it is read without them too |
/// | id | `menagerie.id`; of others' leaves `host:port` |
/// | version, registration time | `version`, `timestamp` |
/// | weight | `weight`, Dubbo's share out of 100 |
/// | tags | `dubbo.tag` if it is one, else `menagerie.tags` |
/// | metadata | the other parameters; `menagerie.protocol` is the protocol if it is not the layout's, `menagerie.path` the path if it is not the interface |
/// | everything else | `menagerie.zone`, `.endpoint.<name>`, `.rpc` |
///
/// An instance of weight 1, which nobody has given one, is written without a weight, and Dubbo takes it as 100: so it is
/// read as 100. A status is not written. Views follow the interface's `configurators` too, and show providers as the rules there
/// have them ([`DubboOverride`], for consumers of [`application`](Self::application)). A key or value with an ampersand or a semicolon, and
/// an interface with a question mark, cannot be expressed. The name may have up to 16 KiB.
#[derive(Clone, Debug)]
pub struct DubboInterface {
    root: String,
    encoder: Encoder,
    protocol: String,
    application: String,
    consumed: Vec<String>,
}

impl DubboInterface {
    /// The layout under `/dubbo`, announcing the protocol `dubbo`, with names as Java encodes them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: "/dubbo".to_owned(),
            encoder: Encoder::Java,
            protocol: "dubbo".to_owned(),
            application: "menagerie".to_owned(),
            consumed: Vec::new(),
        }
    }

    /// The layout under another directory, the registry's `group`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)?, ..Self::new() })
    }

    /// Names as this encoder writes them. Both are read.
    #[must_use]
    pub fn encoder(mut self, encoder: Encoder) -> Self {
        self.encoder = encoder;
        self
    }

    /// The protocol of instances that name none: `dubbo`, `tri`, `rest`.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<String>) -> Self {
        self.protocol = protocol.into();
        self
    }

    /// The parameter `application` of instances that have none of their own, and what this program is to rules on consumers.
    #[must_use]
    pub fn application(mut self, application: impl Into<String>) -> Self {
        self.application = application.into();
        self
    }

    /// Registers whoever is registered as a consumer of `interface` too: beside the provider's leaf, and going with it. For a program
    /// that only consumes, [`consumer`](Self::consumer) says the leaf.
    #[must_use]
    pub fn consumes(mut self, interface: &str) -> Self {
        self.consumed.push(interface.to_owned());
        self
    }

    /// The directory of a category of `interface`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if the interface has no directory.
    pub fn category_dir(&self, interface: &str, category: Category) -> Result<String, LayoutError> {
        // Everything else that a path refuses is escaped.
        if matches!(interface, "" | "." | "..") || interface.len() > NAME_LEN_BYTES {
            check_component("service", interface)?;
        }
        Ok(format!("{}/{}/{}", self.root, encode(interface, self.encoder), category.dir()))
    }

    /// The leaf of a consumer of `interface` at `host`, which Dubbo's consoles list. Consumers have no port.
    ///
    /// # Errors
    /// [`LayoutError`] if the interface, the host or a parameter cannot be expressed.
    pub fn consumer(
        &self,
        interface: &str,
        host: &str,
        parameters: BTreeMap<String, String>,
    ) -> Result<Leaf, LayoutError> {
        let dir = self.category_dir(interface, Category::Consumers)?;
        let mut url = DubboUrl {
            protocol: "consumer".to_owned(),
            user: None,
            host: host.to_owned(),
            port: None,
            path: interface.to_owned(),
            parameters,
        };
        let fixed =
            [("category", "consumers"), ("check", "false"), ("interface", interface), ("side", "consumer")];
        url.parameters.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let name = self.name_of(&url.parts())?;
        let data = Bytes::copy_from_slice(host.as_bytes());
        Ok(Leaf { dir, name, data, mode: LeafMode::Ephemeral, parents: ParentMode::Persistent })
    }

    /// The name of the leaf that says this URL and nothing else.
    fn name_of(&self, url: &Parts<'_>) -> Result<String, LayoutError> {
        let name = encode(&url.text(), self.encoder);
        if name.len() > LEAF_LEN_BYTES {
            return Err(LayoutError::NameTooLong { len_bytes: name.len() });
        }
        let text = unescape(&name).unwrap_or_default();
        match Parts::parse(&text) {
            Ok(back) if back == *url => Ok(name),
            _ => Err(LayoutError::NotExpressible {
                what: "service, protocol or metadata",
                why: "it holds a character that separates the parts of a URL",
            }),
        }
    }

    /// The URL of an instance, without what only new ones get.
    fn url<'a>(&'a self, instance: &'a Instance) -> Parts<'a> {
        let single = match &instance.tags[..] {
            [tag] => Some(tag),
            _ => None,
        };
        let mut parameters = extras::spread(instance, if single.is_some() { UNTAGGED } else { EXTRAS });
        if !instance.version.is_empty() {
            parameters.insert("version", &*instance.version);
        }
        if !matches!(instance.weight, 1 | WEIGHT) {
            parameters.insert("weight", instance.weight.to_string());
        }
        if let Some(millis) = instance.registered_at_ms {
            parameters.insert("timestamp", millis.to_string());
        }
        parameters.insert("interface", &*instance.service);
        if let Some(tag) = single {
            parameters.insert(TAG, &**tag);
        }
        if instance.id != instance.address.to_string() {
            extras::put_id(&mut parameters, &instance.id);
        }
        Parts {
            protocol: parameters.remove(PROTOCOL).unwrap_or_else(|| (&*self.protocol).into()),
            user: None,
            host: instance.address.host().into(),
            port: Some(instance.address.port()),
            path: parameters.remove(PATH).unwrap_or_else(|| (&*instance.service).into()),
            parameters,
        }
    }

    /// The URL of a new instance, with what Dubbo's own providers say beside.
    fn fresh_url<'a>(&'a self, instance: &'a Instance) -> Parts<'a> {
        let mut url = self.url(instance);
        let dynamic = if instance.lifetime == Lifetime::Session { "true" } else { "false" };
        for (key, value) in [
            ("application", &*self.application),
            ("deprecated", "false"),
            ("dubbo", "2.0.2"),
            ("dynamic", dynamic),
            ("generic", "false"),
            ("side", "provider"),
        ] {
            url.parameters.complete(key, value);
        }
        url
    }

    fn instance(&self, url: &Parts<'_>) -> Result<Instance, ReadError> {
        if !is_providers(url) {
            return Err(ReadError::Name { why: "its protocol is none of a provider" });
        }
        let port = url.port.ok_or(ReadError::Field { field: "port" })?;
        let address = Address::new(&url.host, port)?;
        let mut instance = Instance::new(interface_of(url)?, address.to_string(), address);
        let mut metadata = url.parameters.clone();
        if let Some(id) = extras::take_id(&mut metadata, |id| id != instance.id) {
            instance.id = id;
        }
        extras::lift(&mut instance, &mut metadata, EXTRAS);
        metadata.remove("interface");
        instance.version = metadata.remove("version").unwrap_or_default().into_owned();
        instance.weight = metadata.take("weight", extras::number).unwrap_or(WEIGHT);
        instance.registered_at_ms = metadata.take("timestamp", extras::number);
        if instance.tags.is_empty() {
            instance.tags.extend(metadata.remove(TAG).map(Cow::into_owned));
        }
        if url.protocol != self.protocol {
            metadata.insert(PROTOCOL, &*url.protocol);
        }
        if url.path != instance.service {
            metadata.insert(PATH, &*url.path);
        }
        instance.metadata = metadata.metadata();
        Ok(instance)
    }

    /// Refuses metadata that the URL does not tell: its keys are read as something else.
    fn check_kept(&self, instance: &Instance, url: &Parts<'_>) -> Result<(), LayoutError> {
        let back = self.instance(url).map(|back| back.metadata).unwrap_or_default();
        match instance.metadata.iter().find(|(key, value)| back.get(key) != Some(value)) {
            Some((key, _)) => Err(LayoutError::Reserved { key: shorten(key) }),
            None => Ok(()),
        }
    }

    /// Name and data of a new leaf.
    fn fresh(&self, instance: &Instance) -> Result<(String, Bytes), LayoutError> {
        let url = self.fresh_url(instance);
        check_providers(&url)?;
        let name = self.name_of(&url)?;
        self.check_kept(instance, &url)?;
        Ok((name, Bytes::copy_from_slice(instance.address.host().as_bytes())))
    }

    /// Whether the leaf that an instance was read from, by way of `url`, is the one that is written for a new one.
    fn is_fresh(&self, instance: &Instance, url: &Parts<'_>, found: &Found<'_>) -> bool {
        **found.data == *instance.address.host().as_bytes()
            && found.name.len() <= LEAF_LEN_BYTES
            && self.fresh_url(instance) == *url
            && encode(&url.text(), self.encoder) == found.name
    }

    /// Name and data of the leaf that the instance was read from, with what differs replaced.
    fn changed(&self, instance: &Instance, carried: &Bytes) -> Option<Result<(String, Bytes), LayoutError>> {
        let at = carried.iter().position(|byte| *byte == b'\n')?;
        let name = std::str::from_utf8(carried.get(..at)?).ok()?;
        let data = carried.slice(at + 1..);
        let text = unescape(name).ok()?;
        let mut url = Parts::parse(&text).ok()?;
        let before = self.instance(&url).ok()?;
        let (was, now) = (self.url(&before), self.url(instance));
        if was == now {
            return Some(Ok((name.to_owned(), data)));
        }
        for (key, value) in
            now.parameters.iter().filter(|(key, value)| was.parameters.get(key) != Some(value))
        {
            url.parameters.insert(key.to_owned(), value.to_owned());
        }
        let stays = |key: &str| now.parameters.get(key).is_some() || was.parameters.get(key).is_none();
        url.parameters.retain(|key, _| stays(key));
        if (&was.host, was.port) != (&now.host, now.port) {
            (url.host, url.port) = (now.host.clone(), now.port);
        }
        if was.path != now.path {
            url.path.clone_from(&now.path);
        }
        if was.protocol != now.protocol {
            url.protocol.clone_from(&now.protocol);
        }
        Some(
            check_providers(&url)
                .and_then(|()| self.name_of(&url))
                .and_then(|name| self.check_kept(instance, &url).map(|()| (name, data))),
        )
    }
}

/// Whether it can be a provider's: consumers and rules have protocols of their own, and so has the word for nothing.
fn is_providers(url: &Parts<'_>) -> bool {
    let others = ["absent", "condition", "consumer", "empty", "override", "route", "script"];
    !others.contains(&&*url.protocol) || planted!("layout_dubbo_any_protocol")
}

fn check_providers(url: &Parts<'_>) -> Result<(), LayoutError> {
    let why = "it is none of a provider";
    if is_providers(url) { Ok(()) } else { Err(LayoutError::NotExpressible { what: "protocol", why }) }
}

/// The interface that a URL is about: the path may be another.
fn interface_of<'a>(url: &'a Parts<'_>) -> Result<&'a str, ReadError> {
    let named = url.parameters.get("interface").filter(|name| !name.is_empty());
    match named.unwrap_or(&url.path) {
        "" => Err(ReadError::Field { field: "interface" }),
        name => Ok(name),
    }
}

impl Default for DubboInterface {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout for DubboInterface {
    fn name(&self) -> &'static str {
        NAME
    }

    fn root(&self) -> &str {
        &self.root
    }

    fn service_dir(&self, service: &str) -> Result<String, LayoutError> {
        self.category_dir(service, Category::Providers)
    }

    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError> {
        instance.check()?;
        let place = instance.address.to_string();
        extras::check_id(instance, instance.id != place, |id| id != place)?;
        let dir = self.service_dir(&instance.service)?;
        let carried = instance.carried.as_ref().filter(|carried| carried.layout == NAME);
        let changed = carried.and_then(|carried| self.changed(instance, &carried.payload));
        let (name, data) = changed.unwrap_or_else(|| self.fresh(instance))?;
        Ok(form::leaf(dir, name, data, instance, ParentMode::Persistent))
    }

    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        if found.stat.num_children > 0 {
            return Err(ReadError::Directory);
        }
        check_payload(found.data)?;
        let text = text_of(found.name)?;
        let url = Parts::parse(&text)?;
        let mut instance = self.instance(&url)?;
        if instance.service != service && !planted!("layout_dubbo_any_interface") {
            return Err(ReadError::other_service(&instance.service));
        }
        instance.lifetime = found.stat.lifetime();
        if !self.is_fresh(&instance, &url, found) {
            let payload = [found.name.as_bytes(), b"\n", found.data].concat().into();
            instance.carried = Some(Carried { layout: NAME, payload });
        }
        Ok(instance)
    }

    fn service_of(&self, found: &Found<'_>) -> Result<Option<String>, ReadError> {
        let text = text_of(found.name)?;
        Ok(Some(interface_of(&Parts::parse(&text)?)?.to_owned()))
    }

    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        let read = text_of(found.name).and_then(|text| self.instance(&Parts::parse(&text)?));
        read.is_ok_and(|read| read.id == instance.id && read.address == instance.address)
    }

    fn drain_grace(&self) -> Duration {
        DUBBO_DRAIN_GRACE
    }

    fn tells_time(&self) -> bool {
        true
    }

    fn rules_dir(&self, service: &str) -> Result<Option<String>, LayoutError> {
        self.category_dir(service, Category::Configurators).map(Some)
    }

    fn rule(&self, found: &Found<'_>) -> Result<Option<Rule>, ReadError> {
        DubboOverride::read(found.name, &self.application).map(Rule::Override).map(Some)
    }

    fn further(&self, instance: &Instance) -> Result<Vec<Further>, LayoutError> {
        let mut further = Vec::new();
        for interface in &self.consumed {
            // With the id, so that two processes on one host are two consumers.
            let mut parameters = Pairs::default();
            extras::put_id(&mut parameters, &instance.id);
            parameters
                .insert("application", instance.metadata.get("application").unwrap_or(&self.application));
            let parameters = parameters.metadata().into();
            let leaf = Further::Leaf(self.consumer(interface, instance.address.host(), parameters)?);
            if !further.contains(&leaf) {
                further.push(leaf);
            }
        }
        Ok(further)
    }

    fn service_at(&self, dir: &str) -> Option<String> {
        // Other things that Dubbo keeps under the same root.
        let other = matches!(dir, "metadata" | "mapping" | "config");
        unescape(dir).ok().filter(|_| !other)
    }
}

#[cfg(test)]
mod tests;
