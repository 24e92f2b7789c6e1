//! How instances stand in the tree: paths, names, payloads, and which leaf is whose.
//!
//! A layout is pure and holds only its configuration. It knows no session and decides nothing: whether a leaf is
//! created, replaced or left is [`reconcile`](super::reconcile)'s business.

mod curator;
mod dubbo;
mod extras;
mod fields;
mod form;
mod go_micro;
mod pairs;
mod plain;
mod recognise;
mod registrator;
mod rpc;
mod rules;
mod sequence;
mod server_set;
mod spring_cloud;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

pub use self::curator::Curator;
pub use self::dubbo::{Category, DubboApplication, DubboInterface, DubboOverride, DubboUrl, Encoder};
pub use self::go_micro::GoMicro;
pub use self::plain::Plain;
pub use self::recognise::{Clash, Kind, Recognising, clashes};
pub use self::registrator::Registrator;
pub use self::rules::Rule;
pub use self::server_set::{ServerSet, WeightVector};
pub use self::spring_cloud::SpringCloud;
use super::address::{AddressError, shorten};
pub use super::json::{JsonError, JsonErrorKind};
use super::limits::{DRAIN_GRACE, LEAF_LEN_BYTES, NAME_LEN_BYTES, PAYLOAD_LEN_BYTES};
use super::model::{Instance, InstanceError, Lifetime, Status};

/// Maps instances to znodes and back.
pub trait Layout: fmt::Debug + Send + Sync {
    /// The layout's name, as in [`Carried::layout`](super::Carried::layout).
    fn name(&self) -> &'static str;

    /// The path under which everything of this layout stands.
    fn root(&self) -> &str;

    /// The directory whose children are the instances of `service`.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if the name would escape the root or is no name in ZooKeeper.
    fn service_dir(&self, service: &str) -> Result<String, LayoutError>;

    /// The leaf that registers `instance`.
    ///
    /// # Errors
    /// [`LayoutError`] if the instance is incomplete or its names are none in ZooKeeper.
    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError>;

    /// The instance that a child of the directory of `service` stands for.
    ///
    /// # Errors
    /// [`ReadError`] says why the child stands for none: [`ReadError::OtherService`] if it belongs to another service
    /// whose name has the same path.
    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError>;

    /// The service that a leaf names itself, or `None` if leaves of this layout name none. Directories may be shared by
    /// services whose names have the same path.
    ///
    /// # Errors
    /// [`ReadError`] if the leaf is malformed.
    fn service_of(&self, found: &Found<'_>) -> Result<Option<String>, ReadError>;

    /// Whether a leaf at the path of `instance` stands for the same instance, whoever wrote it.
    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool;

    /// Whether readers of this layout understand a status. Otherwise an instance that wants no calls is expressed by
    /// removing its leaf.
    fn expresses_status(&self) -> bool {
        false
    }

    /// Whether `instance`, as its status is, is to have a leaf. The wish to register it stays either way.
    fn keeps_leaf(&self, instance: &Instance) -> bool {
        instance.status == Status::Up || self.expresses_status() || planted!("registry_drained_stays")
    }

    /// How long readers of this layout may go on calling an instance after its leaf says that it drains, or is gone: so long
    /// [`drain`](crate::registry::Registered::drain) serves on. [`deregister`](crate::registry::Registered::deregister) does not wait for it.
    fn drain_grace(&self) -> Duration {
        DRAIN_GRACE
    }

    /// Whether the layout's own writers say when an instance was registered.
    fn tells_time(&self) -> bool {
        false
    }

    /// The service whose instances stand in the child `dir` of the root; `None` if it is no service's directory. Where
    /// leaves name their service themselves it is a service with the same path.
    fn service_at(&self, dir: &str) -> Option<String> {
        Some(dir.to_owned())
    }

    /// The directory whose children are rules on the instances of `service`, if there is one beside theirs. All that they say is
    /// in their names.
    ///
    /// # Errors
    /// As [`service_dir`](Self::service_dir).
    fn rules_dir(&self, service: &str) -> Result<Option<String>, LayoutError> {
        let _ = service;
        Ok(None)
    }

    /// The rule on the instances of a service that a child stands for, among them or in [`rules_dir`](Self::rules_dir); `None` if
    /// it is not even meant as one.
    ///
    /// # Errors
    /// [`ReadError`] if it is a rule and malformed.
    fn rule(&self, found: &Found<'_>) -> Result<Option<Rule>, ReadError> {
        let _ = found;
        Ok(None)
    }

    /// What a registration has beside its leaf: written with it in one transaction, and before it where that is refused. No
    /// two have one path.
    ///
    /// # Errors
    /// As [`leaf`](Self::leaf).
    fn further(&self, instance: &Instance) -> Result<Vec<Further>, LayoutError> {
        let _ = instance;
        Ok(Vec::new())
    }

    /// What of `instance` the leaf does not tell: the names of the fields, in the order of [`Instance`]'s.
    ///
    /// # Errors
    /// As [`leaf`](Self::leaf).
    fn lost(&self, instance: &Instance) -> Result<Vec<&'static str>, LayoutError> {
        let leaf = self.leaf(instance)?;
        let ephemeral_owner = i64::from(leaf.mode == LeafMode::Ephemeral);
        let stat = LeafStat { ephemeral_owner, ..LeafStat::default() };
        let found = Found { name: &leaf.name, data: &leaf.data, stat };
        Ok(match self.read(&instance.service, &found) {
            Ok(back) => differing(instance, &back),
            Err(_) => vec!["address"],
        })
    }
}

/// The fields of `instance` that `back` does not tell. Metadata may be more.
fn differing(instance: &Instance, back: &Instance) -> Vec<&'static str> {
    let metadata = instance.metadata.iter().all(|(key, value)| back.metadata.get(key) == Some(value));
    let fields = [
        ("id", instance.id == back.id),
        ("address", instance.address == back.address),
        ("endpoints", instance.endpoints == back.endpoints),
        ("rpc", instance.rpc == back.rpc),
        ("version", instance.version == back.version),
        ("metadata", metadata),
        ("tags", instance.tags == back.tags),
        ("weight", instance.weight == back.weight),
        ("zone", instance.zone == back.zone),
        ("status", instance.status == back.status),
        ("status_reason", instance.status_reason == back.status_reason),
        ("registered_at_ms", instance.registered_at_ms == back.registered_at_ms),
        ("lifetime", instance.lifetime == back.lifetime),
    ];
    fields.into_iter().filter(|(_, kept)| !kept).map(|(name, _)| name).collect()
}

/// What a registration has in some layouts beside its leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Further {
    /// A znode of its own, which goes with the registration.
    Leaf(Leaf),
    /// A persistent znode that other registrations have too: made if it is missing, never removed. One that is there already
    /// with this data is as good.
    Shared(Leaf),
    /// An entry of a list that several share, its entries separated by commas: read, changed and set by version, never
    /// removed.
    Listed {
        /// The persistent znode that holds the list, with this entry alone.
        leaf: Leaf,
        /// The entry.
        entry: String,
    },
}

impl Further {
    /// The list with `entry` in it, or `None` if it is there already.
    #[must_use]
    pub fn listed(list: &[u8], entry: &str) -> Option<Bytes> {
        let list = String::from_utf8_lossy(list);
        match &*list {
            "" => Some(Bytes::copy_from_slice(entry.as_bytes())),
            _ if list.split(',').any(|other| other == entry) => None,
            _ => Some(format!("{list},{entry}").into()),
        }
    }
}

/// The znode that registers an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaf {
    /// The directory's path.
    pub dir: String,
    /// The leaf's name in it.
    pub name: String,
    /// The payload.
    pub data: Bytes,
    /// The leaf's mode.
    pub mode: LeafMode,
    /// The mode in which missing directories are made.
    pub parents: ParentMode,
}

impl Leaf {
    /// The leaf's path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.dir, self.name)
    }

    /// The paths of all directories above the leaf, the topmost first.
    #[must_use]
    pub fn ancestors(&self) -> Vec<String> {
        let cuts = self.dir.match_indices('/').map(|(at, _)| at).filter(|&at| at > 0);
        cuts.chain([self.dir.len()]).filter_map(|end| self.dir.get(..end).map(str::to_owned)).collect()
    }
}

/// How a leaf is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeafMode {
    /// It ends with the session.
    Ephemeral,
    /// It stays until deleted.
    Persistent,
}

/// How missing directories are created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParentMode {
    /// They stay until deleted.
    Persistent,
    /// The server removes them when they have become empty.
    Container,
}

/// A child as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The child's name in its directory, as the server sent it.
    pub name: &'a str,
    /// Its payload.
    pub data: &'a Bytes,
    /// What matters of its stat.
    pub stat: LeafStat,
}

/// What matters of a znode's stat here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeafStat {
    /// The session that owns it: 0 for a persistent znode, reserved values for containers and TTL znodes.
    pub ephemeral_owner: i64,
    /// How often its data was set.
    pub version: i32,
    /// The transaction that created it.
    pub czxid: i64,
    /// How many children it has.
    pub num_children: i32,
}

impl LeafStat {
    /// What ends the znode. Containers and TTL znodes count as persistent: no session's end removes them.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        // EphemeralType.java: CONTAINER_EPHEMERAL_OWNER is Long.MIN_VALUE, EXTENDED_MASK is 0xff in the top byte.
        let [top, ..] = self.ephemeral_owner.to_be_bytes();
        let special = self.ephemeral_owner == 0 || self.ephemeral_owner == i64::MIN || top == 0xff;
        if special { Lifetime::Persistent } else { Lifetime::Session }
    }
}

/// Why an instance has no leaf in a layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The instance is incomplete.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// A name or path that ZooKeeper does not take, or that would leave the root.
    #[error("{what} {name:?} cannot be part of a path: {why}")]
    BadName {
        /// `service`, `id` or `root`.
        what: &'static str,
        /// The name, shortened to at most 64 characters.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The payload would be larger than a znode can be.
    #[error("the payload has {len_bytes} bytes, more than {PAYLOAD_LEN_BYTES}")]
    TooLarge {
        /// Its length.
        len_bytes: usize,
    },
    /// The name of the leaf, which holds all that this layout says, would be longer than servers and readers bear.
    #[error("the leaf's name has {len_bytes} bytes, more than {LEAF_LEN_BYTES}")]
    NameTooLong {
        /// Its length.
        len_bytes: usize,
    },
    /// Metadata under a key that the layout reads as something else.
    #[error("the metadata key {key:?} has a meaning of its own in this layout")]
    Reserved {
        /// The key, shortened to at most 64 characters.
        key: String,
    },
    /// A value that the layout's readers cannot read.
    #[error("the layout cannot express this {what}: {why}")]
    NotExpressible {
        /// The field.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Why a child stands for no instance.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It has no payload where the layout needs one.
    #[error("the payload is empty")]
    Empty,
    /// The payload is larger than is parsed.
    #[error("the payload has {len_bytes} bytes, more than {PAYLOAD_LEN_BYTES}")]
    TooLarge {
        /// Its length.
        len_bytes: usize,
    },
    /// The payload is not JSON.
    #[error("the payload is not JSON: {0}")]
    Json(#[from] JsonError),
    /// A field is missing or of another type.
    #[error("the field {field} is missing or malformed")]
    Field {
        /// The field's name in the payload.
        field: &'static str,
    },
    /// The address cannot be called.
    #[error("the address cannot be called: {0}")]
    Address(#[from] AddressError),
    /// It belongs to another service whose name has the same path, such as `x/y` and `x-y` in go-micro's layout.
    #[error("it belongs to the service {service:?}")]
    OtherService {
        /// That service, shortened to at most 64 characters.
        service: String,
    },
    /// Its name is none that a leaf of this layout has.
    #[error("its name is none of a leaf: {why}")]
    Name {
        /// What is wrong with it.
        why: &'static str,
    },
    /// It has children, so it is a directory.
    #[error("it has children, so it is no instance")]
    Directory,
}

impl ReadError {
    fn other_service(service: &str) -> Self {
        Self::OtherService { service: shorten(service) }
    }
}

/// Refuses a path component that ZooKeeper refuses, by the rules of Java's `PathUtils.validatePath`.
fn check_component(what: &'static str, name: &str) -> Result<(), LayoutError> {
    let bad = |why| Err(LayoutError::BadName { what, name: shorten(name), why });
    match name {
        "" => bad("it is empty"),
        "." | ".." => bad("it is a relative path"),
        _ if name.len() > NAME_LEN_BYTES => bad("it is too long"),
        _ if name.contains('/') => bad("it contains a slash"),
        _ if name.chars().any(refused) => bad("it contains a character that ZooKeeper refuses"),
        _ => Ok(()),
    }
}

/// Control characters, the private use area and the specials. Java looks at UTF-16 units and refuses surrogates
/// too, and with them everything beyond the basic plane.
fn refused(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' | '\u{10000}'..)
}

/// An absolute path without a slash at its end.
fn check_root(root: &str) -> Result<String, LayoutError> {
    let bad = |why| LayoutError::BadName { what: "root", name: shorten(root), why };
    let components = root.strip_prefix('/').ok_or_else(|| bad("it does not start with a slash"))?;
    for component in components.split('/') {
        check_component("root", component)?;
    }
    Ok(root.to_owned())
}

fn check_payload(data: &Bytes) -> Result<(), ReadError> {
    match data.len() {
        len_bytes if len_bytes > PAYLOAD_LEN_BYTES => Err(ReadError::TooLarge { len_bytes }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod common_tests;
#[cfg(test)]
mod recorded_test;
#[cfg(test)]
mod tests;
