//! The last set of a view on disk, for a start without ZooKeeper.
//!
//! Encoding and decoding are pure; leaves are written and read by the layout, so that a file holds what the znodes held. What
//! is not exactly what this module writes is refused as a whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::session::now;
use crate::registry::json::{Json, JsonError, Style, Writer};
use crate::registry::layout::{Found, Layout, LayoutError, LeafStat, ReadError};
use crate::registry::limits::{COLD_START_AFTER, SAVE_EVERY, SNAPSHOT_LEN_BYTES};
use crate::registry::model::Lifetime;
use crate::registry::services::Seen;
use crate::registry::view::{Entry, Set};

const FORMAT: &str = "1";

/// Where one view is kept.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    layout: Arc<dyn Layout>,
    service: String,
    dir: String,
    file: PathBuf,
}

/// Why a file is no set of this view.
#[derive(Debug, Error)]
pub(super) enum DiskError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it has more than {SNAPSHOT_LEN_BYTES} bytes")]
    TooLarge,
    #[error("it is not JSON: {0}")]
    Json(#[from] JsonError),
    #[error("the field {0} is missing or malformed")]
    Field(&'static str),
    #[error("it is of another {0}")]
    Other(&'static str),
    #[error("a leaf stands for no instance: {0}")]
    Leaf(#[from] ReadError),
}

impl Disk {
    pub(super) fn new(folder: &Path, layout: &Arc<dyn Layout>, service: &str) -> Result<Self, LayoutError> {
        let dir = layout.service_dir(service)?;
        let file = folder.join(file_name(layout.name(), &dir));
        Ok(Self { layout: Arc::clone(layout), service: service.to_owned(), dir, file })
    }

    /// The set as a text; leaves that the layout cannot write are left out.
    fn encode(&self, set: &Set, saved_at_ms: u64) -> String {
        let mut out = Writer::new(Style::Go, String::new());
        out.object(|out| {
            out.member("menagerie").digits(FORMAT);
            out.member("layout").string(self.layout.name());
            out.member("dir").string(&self.dir);
            out.member("service").string(&self.service);
            out.member("saved_at_ms").number(saved_at_ms);
            out.member("leaves").array(|out| set.entries().iter().for_each(|entry| self.write(entry, out)));
        });
        out.into_sink()
    }

    fn write(&self, entry: &Entry, out: &mut Writer<String>) {
        let Ok(leaf) = self.layout.leaf(&entry.instance) else { return };
        out.item().object(|out| {
            out.member("name").string(&entry.leaf);
            out.member("session").bool(entry.instance.lifetime == Lifetime::Session);
            match std::str::from_utf8(&leaf.data) {
                Ok(text) => out.member("text").string(text),
                Err(_) => out.member("hex").string(&hex(&leaf.data)),
            }
        });
    }

    /// The set that a text holds, and when it was saved.
    fn decode(&self, text: &[u8]) -> Result<(Set, u64), DiskError> {
        let file = Json::parse(text)?;
        if number(&file, "menagerie")? != 1 {
            return Err(DiskError::Other("format"));
        }
        for (name, wanted) in [("layout", self.layout.name()), ("dir", &self.dir), ("service", &self.service)]
        {
            if text_of(&file, name)? != wanted {
                return Err(DiskError::Other(name));
            }
        }
        let saved_at_ms = number(&file, "saved_at_ms")?;
        let leaves = file.member("leaves").and_then(Json::as_array).ok_or(DiskError::Field("leaves"))?;
        let mut entries = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            entries.push(self.entry(leaf)?);
        }
        entries.sort_unstable_by(|one, other| one.leaf.cmp(&other.leaf));
        if entries.windows(2).any(|pair| matches!(pair, [one, other] if one.leaf == other.leaf)) {
            return Err(DiskError::Field("name"));
        }
        Ok((Set::from_sorted(entries), saved_at_ms))
    }

    fn entry(&self, leaf: &Json<'_>) -> Result<Entry, DiskError> {
        let name = text_of(leaf, "name")?;
        let data = match (leaf.member("text"), leaf.member("hex")) {
            (Some(Json::String(text)), None) => Bytes::copy_from_slice(text.as_bytes()),
            (None, Some(Json::String(text))) => unhex(text).ok_or(DiskError::Field("hex"))?,
            _ => return Err(DiskError::Field("text")),
        };
        let session = match leaf.member("session") {
            Some(Json::Bool(session)) => *session,
            _ => return Err(DiskError::Field("session")),
        };
        let stat = LeafStat { ephemeral_owner: i64::from(session), ..LeafStat::default() };
        let instance = self.layout.read(&self.service, &Found { name, data: &data, stat })?;
        Ok(Entry { leaf: name.into(), instance: Arc::new(instance) })
    }

    /// The set that was saved last, and how long ago.
    pub(super) fn load(&self) -> Result<(Set, Duration), DiskError> {
        let limit = u64::try_from(SNAPSHOT_LEN_BYTES).unwrap_or(u64::MAX);
        let mut text = Vec::new();
        File::open(&self.file)?.take(limit + 1).read_to_end(&mut text)?;
        if text.len() > SNAPSHOT_LEN_BYTES {
            return Err(DiskError::TooLarge);
        }
        let (set, saved_at_ms) = self.decode(&text)?;
        // By a clock that may have been set since: of the future means now.
        let age = wall_clock_ms().saturating_sub(saved_at_ms);
        Ok((set, Duration::from_millis(age)))
    }

    /// Saves the set. Whoever reads meanwhile reads the one before.
    pub(super) fn save(&self, set: &Set) -> Result<(), DiskError> {
        let text = self.encode(set, wall_clock_ms());
        if text.len() > SNAPSHOT_LEN_BYTES {
            return Err(DiskError::TooLarge);
        }
        if planted!("registry_saved_in_place") {
            return Ok(fs::write(&self.file, text.get(..text.len() / 2).unwrap_or_default())?);
        }
        let unfinished = self.file.with_extension(format!("{:016x}.tmp", crate::client::seed()));
        let written = File::create_new(&unfinished).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.file)
        });
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        Ok(written?)
    }
}

/// Publishes what was saved last, unless ZooKeeper is faster; then saves what the view sees until it ends.
pub(super) async fn keep(disk: Disk, sender: watch::Sender<Seen>, mut seen: watch::Receiver<Seen>) {
    let first = async { while seen.borrow_and_update().set.is_none() && seen.changed().await.is_ok() {} };
    if tokio::time::timeout(COLD_START_AFTER, first).await.is_err() {
        let (place, loaded) = on_thread(&disk, Disk::load).await;
        match loaded {
            Some(Ok((set, age))) => {
                let since = now().checked_sub(age).unwrap_or_else(now);
                sender.send_if_modified(|seen| {
                    let is_cold = seen.set.is_none();
                    if is_cold {
                        (seen.set, seen.stale_since) = (Some(Arc::new(set)), Some(since));
                    }
                    is_cold
                });
            }
            Some(Err(DiskError::Io(error))) if error.kind() == io::ErrorKind::NotFound => {}
            Some(Err(error)) => warn!(file = %place, %error, "the saved set is not used"),
            None => {}
        }
    }
    drop(sender);
    let mut saved: Option<Arc<Set>> = None;
    seen.mark_changed();
    while seen.changed().await.is_ok() {
        let latest = {
            let seen = seen.borrow_and_update();
            // What may be out of date is what was saved already.
            seen.set.clone().filter(|_| seen.stale_since.is_none())
        };
        let Some(set) = latest.filter(|set| !saved.as_ref().is_some_and(|saved| Arc::ptr_eq(saved, set)))
        else {
            continue;
        };
        saved = Some(Arc::clone(&set));
        let (place, outcome) = on_thread(&disk, move |disk| disk.save(&set)).await;
        match outcome {
            Some(Err(error)) => warn!(file = %place, %error, "the set cannot be saved"),
            _ => debug!(file = %place, "the set was saved"),
        }
        tokio::time::sleep(SAVE_EVERY).await;
    }
}

/// Files are for threads that may wait. `None` if the runtime ends.
async fn on_thread<T: Send + 'static>(
    disk: &Disk,
    work: impl FnOnce(&Disk) -> T + Send + 'static,
) -> (String, Option<T>) {
    let disk = disk.clone();
    let place = disk.file.display().to_string();
    (place, tokio::task::spawn_blocking(move || work(&disk)).await.ok())
}

/// A name for the file that holds the view of a directory. The file says itself whose it is.
fn file_name(layout: &str, dir: &str) -> String {
    const LEN_BYTES: usize = 180;
    let mut name = String::new();
    for byte in format!("{layout}{dir}").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > LEN_BYTES {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
        name.truncate(LEN_BYTES);
        name.push_str(&format!("-{hash:016x}"));
    }
    name + ".json"
}

fn wall_clock_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a file outlives the clock of one process")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn text_of<'a>(value: &'a Json<'_>, name: &'static str) -> Result<&'a str, DiskError> {
    value.member(name).and_then(Json::as_str).ok_or(DiskError::Field(name))
}

fn number(value: &Json<'_>, name: &'static str) -> Result<u64, DiskError> {
    match value.member(name) {
        Some(Json::Number(text)) => text.parse().map_err(|_| DiskError::Field(name)),
        _ => Err(DiskError::Field(name)),
    }
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Bytes> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registry::Instance;
    use crate::registry::layout::{GoMicro, Plain};

    fn disk(folder: &Path, layout: impl Layout + 'static) -> Disk {
        let layout: Arc<dyn Layout> = Arc::new(layout);
        Disk::new(folder, &layout, "time").unwrap()
    }

    fn set(layout: &dyn Layout, hosts: usize) -> Set {
        let entry = |host| {
            let address = format!("10.0.0.{host}:80").parse().unwrap();
            let mut instance = Instance::new("time", format!("10.0.0.{host}:80"), address);
            instance.lifetime = if host % 2 == 0 { Lifetime::Session } else { Lifetime::Persistent };
            let leaf = layout.leaf(&instance).unwrap();
            let stat = LeafStat { ephemeral_owner: i64::from(host % 2 == 0), ..LeafStat::default() };
            let found = Found { name: &leaf.name, data: &leaf.data, stat };
            let instance = layout.read("time", &found).unwrap();
            Entry { leaf: leaf.name.as_str().into(), instance: Arc::new(instance) }
        };
        Set::from_sorted((0..hosts).map(entry).collect())
    }

    #[test]
    fn what_is_saved_is_loaded_and_of_nobody_else() {
        let nowhere = Path::new("/nowhere");
        let (micro, plain) = (disk(nowhere, GoMicro::new()), disk(nowhere, Plain::new()));
        for (disk, layout) in [(&micro, &GoMicro::new() as &dyn Layout), (&plain, &Plain::new())] {
            let set = set(layout, 9);
            assert_eq!(disk.decode(disk.encode(&set, 77).as_bytes()).unwrap(), (set, 77));
        }
        let other = plain.encode(&set(&Plain::new(), 1), 0);
        assert!(matches!(micro.decode(other.as_bytes()), Err(DiskError::Other("layout"))));
        assert!(matches!(micro.load(), Err(DiskError::Io(_))));
        assert_ne!(micro.file, plain.file);
        assert!(file_name("l", &"/\u{202e}..".repeat(99)).len() < 255);
    }

    #[test]
    fn a_file_that_is_none_is_refused_by_name() {
        let disk = disk(Path::new("/nowhere"), Plain::new());
        let good = disk.encode(&set(&Plain::new(), 2), 5);
        for (from, to, named) in [
            ("\"menagerie\":1", "\"menagerie\":2", "it is of another format"),
            ("\"menagerie\":1", "\"menagerie\":-1", "the field menagerie is missing or malformed"),
            ("/go_servers", "/go_servers/../etc", "it is of another dir"),
            ("\"service\":\"time\"", "\"service\":[]", "the field service is missing or malformed"),
            ("\"saved_at_ms\":5", "\"saved_at_ms\":NaN", "it is not JSON: unexpected byte at byte 82"),
            ("\"session\":true", "\"session\":1", "the field session is missing or malformed"),
            ("\"text\":\"\"", "\"hex\":\"0g\"", "the field hex is missing or malformed"),
            ("\"text\":\"\"", "\"hex\":\"000\"", "the field hex is missing or malformed"),
            ("10.0.0.1:80", "10.0.0.0:80", "the field name is missing or malformed"),
            ("10.0.0.1:80", "../../etc/passwd", "a leaf stands for no instance"),
        ] {
            assert!(good.contains(from), "{from}");
            let error = disk.decode(good.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(named.split(" at byte").next().unwrap()), "{to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_harms(text in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
            let disk = disk(Path::new("/nowhere"), Plain::new());
            let _ = disk.decode(&text);
            let mut good = disk.encode(&set(&Plain::new(), 2), 5).into_bytes();
            let at = at % good.len();
            good.splice(at..(at + 3).min(good.len()), text);
            let _ = disk.decode(&good);
        }

        #[test]
        fn hex_is_read_back(data in prop::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(unhex(&hex(&data)).unwrap(), data);
        }
    }
}
