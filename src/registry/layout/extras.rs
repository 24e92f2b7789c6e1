//! What a layout has no field for, kept in its free text by key.
//!
//! Every layout with metadata carries the rest of the model there, each under a documented key and only if it is not the
//! default. A value that is not exactly what would be written stays metadata, so nothing another program wrote is lost.

use std::borrow::Cow;

use super::LayoutError;
use super::pairs::Pairs;
use super::rpc::{endpoints_text, read_endpoints};
use crate::registry::address::{Address, shorten};
use crate::registry::json::{Json, Style, Writer};
use crate::registry::model::{Instance, RpcEndpoint, Status};

const ID: &str = "menagerie.id";
const VERSION: &str = "menagerie.version";
const TAGS: &str = "menagerie.tags";
const REGISTERED_AT: &str = "menagerie.registered_at_ms";
const ENDPOINT: &str = "menagerie.endpoint.";
const RPC: &str = "menagerie.rpc";
const STATUS: &str = "menagerie.status";
const REASON: &str = "menagerie.status_reason";
const DRAINING: &str = "draining";

/// One field of the model that goes to metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extra {
    /// `menagerie.version`.
    Version,
    /// The weight unless it is 1, under a key that the layout's readers may know.
    Weight(&'static str),
    /// The zone, under a key that the layout's readers may know.
    Zone(&'static str),
    /// `menagerie.tags`, a JSON list.
    Tags,
    /// `menagerie.registered_at_ms`.
    RegisteredAt,
    /// `menagerie.endpoint.<name>`, each `host:port`.
    Endpoints,
    /// `menagerie.rpc`: JSON as go-micro's `endpoints`.
    Rpc,
    /// `menagerie.status` if it is draining: the layout's own word for a status says no more than that no calls are wanted.
    Draining,
    /// `menagerie.status_reason`.
    Reason,
}

/// The metadata of `instance` with the keys of `extras`.
pub(super) fn spread<'a>(instance: &'a Instance, extras: &[Extra]) -> Pairs<'a> {
    let mut pairs = Pairs::of(&instance.metadata);
    for extra in extras {
        extra.put(instance, &mut pairs);
    }
    pairs
}

/// Moves what has a field of its own out of the metadata; what does not parse stays as it is.
pub(super) fn lift(instance: &mut Instance, metadata: &mut Pairs<'_>, extras: &[Extra]) {
    for extra in extras {
        extra.take(instance, metadata);
    }
}

/// Refuses metadata whose keys would be read as something else.
pub(super) fn check(instance: &Instance, extras: &[Extra]) -> Result<(), LayoutError> {
    let (mut back, mut metadata) = (instance.clone(), spread(instance, extras));
    if back.status != Status::Up {
        back.status = Status::OutOfService;
    }
    (back.version, back.rpc, back.tags, back.endpoints) = Default::default();
    lift(&mut back, &mut metadata, extras);
    match instance.metadata.iter().find(|(key, value)| metadata.get(key) != Some(value)) {
        Some((key, _)) if !planted!("layout_reserved_unchecked") => {
            Err(LayoutError::Reserved { key: shorten(key) })
        }
        _ => Ok(()),
    }
}

/// The id under its key, for layouts whose leaves are named otherwise.
pub(super) fn put_id<'a>(metadata: &mut Pairs<'a>, id: &'a str) {
    metadata.insert(ID, id);
}

/// The id under its key, if it is there and `is_own` takes it for one that this layout wrote.
pub(super) fn take_id(metadata: &mut Pairs<'_>, is_own: impl Fn(&str) -> bool) -> Option<String> {
    metadata.take(ID, |id| Some(id.to_owned()).filter(|id| !id.is_empty() && is_own(id)))
}

/// Refuses metadata under the key of the id if the id is written there itself, or `is_own` takes it for one that was.
pub(super) fn check_id(
    instance: &Instance,
    written: bool,
    is_own: impl Fn(&str) -> bool,
) -> Result<(), LayoutError> {
    match instance.metadata.get(ID) {
        Some(id) if written || !id.is_empty() && is_own(id) => {
            Err(LayoutError::Reserved { key: ID.to_owned() })
        }
        _ => Ok(()),
    }
}

impl Extra {
    fn put<'a>(self, instance: &'a Instance, metadata: &mut Pairs<'a>) {
        match self {
            Self::Version if !instance.version.is_empty() => metadata.insert(VERSION, &*instance.version),
            Self::Weight(key) if instance.weight != 1 => metadata.insert(key, instance.weight.to_string()),
            Self::Zone(key) => {
                if let Some(zone) = &instance.zone {
                    metadata.insert(key, &**zone);
                }
            }
            Self::Tags if !instance.tags.is_empty() => metadata.insert(TAGS, write_tags(&instance.tags)),
            Self::RegisteredAt => {
                if let Some(millis) = instance.registered_at_ms {
                    metadata.insert(REGISTERED_AT, millis.to_string());
                }
            }
            Self::Endpoints if !instance.endpoints.is_empty() => {
                metadata.extend(instance.endpoints.iter().map(|(name, address)| {
                    (Cow::Owned(format!("{ENDPOINT}{name}")), Cow::Owned(address.to_string()))
                }))
            }
            Self::Rpc if !instance.rpc.is_empty() => metadata.insert(RPC, endpoints_text(&instance.rpc)),
            Self::Draining if instance.status == Status::Draining => metadata.insert(STATUS, DRAINING),
            Self::Reason => {
                if let Some(reason) = &instance.status_reason {
                    metadata.insert(REASON, &**reason);
                }
            }
            _ => {}
        }
    }

    fn take(self, instance: &mut Instance, metadata: &mut Pairs<'_>) {
        match self {
            Self::Version => {
                let version =
                    metadata.take(VERSION, |text| Some(text.to_owned()).filter(|it| !it.is_empty()));
                instance.version = version.unwrap_or_default();
            }
            // A default in the metadata stays there: it is not written from the field, and nothing may be lost.
            Self::Weight(key) => {
                let weight = metadata.take(key, |text| number(text).filter(|it| *it != 1));
                instance.weight = weight.unwrap_or(1);
            }
            Self::Zone(key) => instance.zone = metadata.take(key, |text| Some(text.to_owned())),
            Self::Tags => instance.tags = metadata.take(TAGS, read_tags).unwrap_or_default(),
            Self::RegisteredAt => instance.registered_at_ms = metadata.take(REGISTERED_AT, number),
            Self::Endpoints => take_endpoints(instance, metadata),
            Self::Rpc => instance.rpc = metadata.take(RPC, read_rpc).unwrap_or_default(),
            // Only the word for something else than what the layout's own status says.
            Self::Draining if instance.status == Status::OutOfService => {
                if metadata.take(STATUS, |text| Some(()).filter(|()| text == DRAINING)).is_some() {
                    instance.status = Status::Draining;
                }
            }
            Self::Draining => {}
            Self::Reason => instance.status_reason = metadata.take(REASON, |text| Some(text.to_owned())),
        }
    }
}

fn take_endpoints(instance: &mut Instance, metadata: &mut Pairs<'_>) {
    metadata.retain(|key, text| {
        let Some(name) = key.strip_prefix(ENDPOINT) else { return true };
        let Ok(address) = text.parse::<Address>() else { return true };
        let is_ours = address.to_string() == text;
        if is_ours {
            instance.endpoints.insert(name.to_owned(), address);
        }
        !is_ours
    });
}

/// A number in the one spelling that is written.
pub(super) fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|value: &T| value.to_string() == text)
}

fn write_tags(tags: &[String]) -> String {
    let mut out = Writer::new(Style::Go, String::new());
    out.array(|out| tags.iter().for_each(|tag| out.item().string(tag)));
    out.into_sink()
}

fn read_tags(text: &str) -> Option<Vec<String>> {
    let list = Json::parse(text.as_bytes()).ok()?;
    let tags: Option<Vec<String>> =
        list.as_array()?.iter().map(|tag| tag.as_str().map(str::to_owned)).collect();
    tags.filter(|tags| !tags.is_empty() && write_tags(tags) == text)
}

fn read_rpc(text: &str) -> Option<Vec<RpcEndpoint>> {
    let list = Json::parse(text.as_bytes()).ok()?;
    let rpc = read_endpoints(Some(&list)).ok()?;
    Some(rpc).filter(|rpc| !rpc.is_empty() && endpoints_text(rpc) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Extra] = &[
        Extra::Version,
        Extra::Weight("menagerie.weight"),
        Extra::Zone("zone"),
        Extra::Tags,
        Extra::RegisteredAt,
        Extra::Endpoints,
        Extra::Rpc,
        Extra::Draining,
        Extra::Reason,
    ];

    fn full() -> Instance {
        let mut instance = Instance::new("s", "i", "h:1".parse().unwrap());
        (instance.version, instance.weight, instance.zone) = ("2".into(), 7, Some(String::new()));
        (instance.tags, instance.registered_at_ms) = (vec!["a\"<".into(), String::new()], Some(0));
        instance.endpoints.insert("admin".into(), "[::1]:2".parse().unwrap());
        instance.rpc = vec![RpcEndpoint { name: "A.B".into(), ..RpcEndpoint::default() }];
        (instance.status, instance.status_reason) = (Status::Draining, Some("deploy".into()));
        instance.metadata.insert("k", "v");
        instance
    }

    #[test]
    fn what_is_spread_is_lifted() {
        let instance = full();
        let (mut back, mut metadata) =
            (Instance::new("s", "i", "h:1".parse().unwrap()), spread(&instance, ALL));
        back.status = Status::OutOfService;
        assert_eq!(metadata.iter().count(), 10);
        lift(&mut back, &mut metadata, ALL);
        back.metadata = metadata.metadata();
        assert_eq!(back, instance);
        assert_eq!(check(&instance, ALL), Ok(()));
    }

    #[test]
    fn metadata_that_would_be_read_as_something_else_is_refused_by_its_key() {
        for (key, value, refused) in [
            ("menagerie.weight", "7", true),
            ("menagerie.weight", "07", false),
            ("zone", "", true),
            ("menagerie.tags", "[\"a\"]", true),
            ("menagerie.tags", "[ \"a\"]", false),
            ("menagerie.endpoint.x", "h:1", true),
            ("menagerie.endpoint.x", "nowhere", false),
            ("menagerie.rpc", "{}", false),
            ("menagerie.status", "draining", false),
            ("k", "v", false),
        ] {
            let mut instance = Instance::new("s", "i", "h:1".parse().unwrap());
            instance.metadata.insert(key, value);
            let expected = if refused { Err(LayoutError::Reserved { key: key.into() }) } else { Ok(()) };
            assert_eq!(check(&instance, ALL), expected, "{key}={value}");
        }
        let mut both = full();
        both.metadata.insert("menagerie.version", "");
        assert_eq!(check(&both, ALL), Err(LayoutError::Reserved { key: "menagerie.version".into() }));
    }
}
