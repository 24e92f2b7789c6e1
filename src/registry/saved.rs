//! The last set of a view as a text, for a start without ZooKeeper.
//!
//! Pure: it knows no files. Leaves are written and read by the layout, so that a text holds what the znodes held. It ends with a
//! checksum of all before it, since a byte that changed within an address would make another address. What is not as this module
//! writes it is refused as a whole: a set that is wrong in part is worse than none.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::json::{Json, Style, Writer};
use super::layout::{Found, JsonError, Layout, LayoutError, LeafStat, ReadError};
use super::limits::SNAPSHOT_LEN_BYTES;
use super::model::{Lifetime, Status};
use super::view::{Entry, Set};

const FORMAT: &str = "1";

/// What stands around the checksum, the last member.
const SUM: (&str, &str) = (",\"fnv1a\":\"", "\"}");

/// What a file of [`ZooKeeper::saved_in`](super::ZooKeeper::saved_in) holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SavedSet {
    /// The instances and their leaves.
    pub set: Set,
    /// When it was saved, in milliseconds since 1970 by the clock of the machine that saved it.
    pub saved_at_ms: u64,
}

/// Why a text is no set of a view, or a set none that can be saved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is longer than is read or written.
    #[error("it has more than {SNAPSHOT_LEN_BYTES} bytes")]
    TooLarge,
    /// It was cut off or changed since, or is none of ours.
    #[error("its checksum is not that of what it holds")]
    Damaged,
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    Json(#[from] JsonError),
    /// A field is missing or of another type, or a leaf there twice.
    #[error("the field {0} is missing or malformed")]
    Field(&'static str),
    /// It is another view's, or of another version of this library.
    #[error("it is of another {0}")]
    Other(&'static str),
    /// What a leaf holds is no instance in this layout.
    #[error("a leaf stands for no instance: {0}")]
    Leaf(#[from] ReadError),
    /// The service has no directory in this layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// The payload by which an instance is read again: the one it was read from, or one that the layout writes. None if there is none,
/// or if it would tell of somebody out of service as one that is up: so it is with those whom a rule beside them bans.
fn payload(layout: &dyn Layout, service: &str, entry: &Entry) -> Option<Bytes> {
    let instance = &*entry.instance;
    let ephemeral_owner = i64::from(instance.lifetime == Lifetime::Session);
    let stat = LeafStat { ephemeral_owner, ..LeafStat::default() };
    let read = |data: &Bytes| layout.read(service, &Found { name: &entry.leaf, data, stat }).ok();
    let carried = instance.carried.as_ref().map(|carried| carried.payload.clone());
    if let Some(same) = carried.filter(|data| read(data).is_some_and(|back| back == *instance)) {
        return Some(same);
    }
    let data = layout.leaf(instance).ok()?.data;
    let back = read(&data)?;
    let is_banned = back.status == Status::Up && instance.status != Status::Up;
    (!is_banned || planted!("registry_saved_banned")).then_some(data)
}

/// The set as a text; leaves that the layout cannot write are left out.
pub(super) fn encode(
    layout: &dyn Layout,
    service: &str,
    set: &Set,
    saved_at_ms: u64,
) -> Result<String, SavedError> {
    let dir = layout.service_dir(service)?;
    let mut out = Writer::new(Style::Go, String::new());
    out.object(|out| {
        out.member("menagerie").digits(FORMAT);
        out.member("layout").string(layout.name());
        out.member("dir").string(&dir);
        out.member("service").string(service);
        out.member("saved_at_ms").number(saved_at_ms);
        out.member("leaves")
            .array(|out| set.entries().iter().for_each(|entry| write_leaf(layout, service, entry, out)));
    });
    let mut text = out.into_sink();
    text.pop();
    let sum = fnv1a(text.as_bytes());
    text.push_str(&format!("{}{sum:016x}{}", SUM.0, SUM.1));
    if text.len() > SNAPSHOT_LEN_BYTES { Err(SavedError::TooLarge) } else { Ok(text) }
}

fn write_leaf(layout: &dyn Layout, service: &str, entry: &Entry, out: &mut Writer<String>) {
    let Some(data) = payload(layout, service, entry) else { return };
    out.item().object(|out| {
        out.member("name").string(&entry.leaf);
        out.member("session").bool(entry.instance.lifetime == Lifetime::Session);
        match std::str::from_utf8(&data) {
            Ok(text) => out.member("text").string(text),
            Err(_) => out.member("hex").string(&hex(&data)),
        }
    });
}

impl SavedSet {
    /// The text of this set, as the view of `service` in `layout` saves it. Leaves that the layout cannot write are left out.
    ///
    /// # Errors
    /// [`SavedError::TooLarge`], or [`SavedError::Layout`] if the service has no directory.
    pub fn encode(&self, layout: &dyn Layout, service: &str) -> Result<String, SavedError> {
        encode(layout, service, &self.set, self.saved_at_ms)
    }

    /// Reads what the view of `service` in `layout` saved.
    ///
    /// # Errors
    /// [`SavedError`] says what is wrong with the text: all of it is as it was written, or none of it is used.
    pub fn decode(layout: &dyn Layout, service: &str, text: &[u8]) -> Result<Self, SavedError> {
        if text.len() > SNAPSHOT_LEN_BYTES {
            return Err(SavedError::TooLarge);
        }
        if !is_whole(text) && !planted!("registry_saved_unchecked") {
            return Err(SavedError::Damaged);
        }
        let file = Json::parse(text)?;
        if number(&file, "menagerie")? != 1 {
            return Err(SavedError::Other("format"));
        }
        let dir = layout.service_dir(service)?;
        for (name, wanted) in [("layout", layout.name()), ("dir", &dir), ("service", service)] {
            if text_of(&file, name)? != wanted && !planted!("registry_saved_of_anybody") {
                return Err(SavedError::Other(name));
            }
        }
        let saved_at_ms = number(&file, "saved_at_ms")?;
        let leaves = file.member("leaves").and_then(Json::as_array).ok_or(SavedError::Field("leaves"))?;
        let mut entries = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            entries.push(entry(layout, service, leaf)?);
        }
        entries.sort_unstable_by(|one, other| one.leaf.cmp(&other.leaf));
        if entries.windows(2).any(|pair| matches!(pair, [one, other] if one.leaf == other.leaf)) {
            return Err(SavedError::Field("name"));
        }
        Ok(Self { set: Set::from_sorted(entries), saved_at_ms })
    }
}

/// Whether a text ends with the checksum of what stands before it.
fn is_whole(text: &[u8]) -> bool {
    let tail_len = SUM.0.len() + 16 + SUM.1.len();
    let Some((body, tail)) = text.len().checked_sub(tail_len).and_then(|at| text.split_at_checked(at)) else {
        return false;
    };
    tail == format!("{}{:016x}{}", SUM.0, fnv1a(body), SUM.1).as_bytes()
}

/// The 64-bit FNV-1a hash: no change of a single byte leaves it as it was.
pub(super) fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn entry(layout: &dyn Layout, service: &str, leaf: &Json<'_>) -> Result<Entry, SavedError> {
    let name = text_of(leaf, "name")?;
    let data = match (leaf.member("text"), leaf.member("hex")) {
        (Some(Json::String(text)), None) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(Json::String(text))) => unhex(text).ok_or(SavedError::Field("hex"))?,
        _ => return Err(SavedError::Field("text")),
    };
    let session = match leaf.member("session") {
        Some(Json::Bool(session)) => *session,
        _ => return Err(SavedError::Field("session")),
    };
    let stat = LeafStat { ephemeral_owner: i64::from(session), ..LeafStat::default() };
    let instance = layout.read(service, &Found { name, data: &data, stat })?;
    Ok(Entry { leaf: name.into(), instance: Arc::new(instance) })
}

fn text_of<'a>(value: &'a Json<'_>, name: &'static str) -> Result<&'a str, SavedError> {
    value.member(name).and_then(Json::as_str).ok_or(SavedError::Field(name))
}

fn number(value: &Json<'_>, name: &'static str) -> Result<u64, SavedError> {
    match value.member(name) {
        Some(Json::Number(text)) => text.parse().map_err(|_| SavedError::Field(name)),
        _ => Err(SavedError::Field(name)),
    }
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Bytes> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let byte = |pair: &[u32]| match pair {
        [0, 0xb] if digits.len() > 4 && planted!("fuzz_registry_saved") => {
            panic!("planted: fuzz_registry_saved")
        }
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

#[cfg(test)]
mod tests;
