//! The last set of a view on disk, for a start without ZooKeeper.
//!
//! What a file says is [`saved`](crate::registry::saved)'s business.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::session::now;
use crate::registry::layout::{Layout, LayoutError};
use crate::registry::limits::{COLD_START_AFTER, SAVE_EVERY, SNAPSHOT_LEN_BYTES};
use crate::registry::saved::{self, SavedError, SavedSet};
use crate::registry::seldom::Seldom;
use crate::registry::services::Seen;
use crate::registry::view::Set;

/// Where one view is kept.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    layout: Arc<dyn Layout>,
    service: String,
    file: PathBuf,
}

/// Why a file is not used, or not written.
#[derive(Debug, Error)]
pub(super) enum DiskError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Saved(#[from] SavedError),
}

impl Disk {
    pub(super) fn new(folder: &Path, layout: &Arc<dyn Layout>, service: &str) -> Result<Self, LayoutError> {
        let dir = layout.service_dir(service)?;
        let file = folder.join(file_name(layout.name(), &dir));
        Ok(Self { layout: Arc::clone(layout), service: service.to_owned(), file })
    }

    /// The set that was saved last, and how long ago.
    pub(super) fn load(&self) -> Result<(Set, Duration), DiskError> {
        let limit = u64::try_from(SNAPSHOT_LEN_BYTES).unwrap_or(u64::MAX);
        let file = File::open(&self.file)?;
        if file.metadata()?.len() > limit {
            return Err(SavedError::TooLarge.into());
        }
        let mut text = Vec::new();
        file.take(limit + 1).read_to_end(&mut text)?;
        let saved = SavedSet::decode(&*self.layout, &self.service, &text)?;
        // By a clock that may have been set since: of the future means now.
        let age = wall_clock_ms().saturating_sub(saved.saved_at_ms);
        Ok((saved.set, Duration::from_millis(age)))
    }

    /// Saves the set. Whoever reads meanwhile reads the one before.
    pub(super) fn save(&self, set: &Set) -> Result<(), DiskError> {
        let text = saved::encode(&*self.layout, &self.service, set, wall_clock_ms())?;
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
            Some(Err(error)) => {
                warn!(target: "menagerie::discovery", file = %place, %error, "the saved set is not used")
            }
            None => {}
        }
    }
    drop(sender);
    let (mut saved, mut troubled): (Option<Arc<Set>>, _) = (None, Seldom::default());
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
            Some(Err(error)) => {
                if troubled.lets(now()) {
                    warn!(target: "menagerie::discovery", file = %place, %error, "the set cannot be saved");
                }
            }
            _ => debug!(target: "menagerie::discovery", file = %place, "the set was saved"),
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
        let hash = saved::fnv1a(name.as_bytes());
        name.truncate(LEN_BYTES);
        name.push_str(&format!("-{hash:016x}"));
    }
    name + ".json"
}

fn wall_clock_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a file outlives the clock of one process")]
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Instance;
    use crate::registry::layout::{GoMicro, Plain};
    use crate::registry::view::Entry;

    fn disk(folder: &Path, layout: impl Layout + 'static) -> Disk {
        let layout: Arc<dyn Layout> = Arc::new(layout);
        Disk::new(folder, &layout, "time").unwrap()
    }

    fn set(hosts: u16) -> Set {
        let entry = |port| {
            let address: crate::registry::Address = format!("10.0.0.1:{}", 1000 + port).parse().unwrap();
            let instance = Instance::new("time", address.to_string(), address.clone());
            Entry { leaf: address.to_string().into(), instance: Arc::new(instance) }
        };
        Set::from_sorted((0..hosts).map(entry).collect())
    }

    #[test]
    fn every_view_has_a_file_of_its_own() {
        let nowhere = Path::new("/nowhere");
        let (micro, plain) = (disk(nowhere, GoMicro::new()), disk(nowhere, Plain::new()));
        assert!(matches!(micro.load(), Err(DiskError::Io(_))));
        assert_ne!(micro.file, plain.file);
        assert!(file_name("l", &"/\u{202e}..".repeat(99)).len() < 255);
    }

    /// Cut anywhere, swapped with another view's, grown without end, or no file at all.
    #[test]
    fn a_file_that_came_to_harm_is_refused_by_name() {
        let folder = std::env::temp_dir().join(format!("menagerie-disk-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (micro, plain) = (disk(&folder, GoMicro::new()), disk(&folder, Plain::new()));
        plain.save(&set(3)).unwrap();
        assert_eq!(plain.load().unwrap().0, set(3));
        let good = fs::read(&plain.file).unwrap();
        let refused = |disk: &Disk| disk.load().unwrap_err().to_string();
        for len in 0..good.len() {
            fs::write(&plain.file, &good[..len]).unwrap();
            assert_eq!(refused(&plain), SavedError::Damaged.to_string(), "{len}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&plain.file, &bad).unwrap();
            assert_eq!(refused(&plain), SavedError::Damaged.to_string(), "{at}");
        }
        fs::write(&micro.file, &good).unwrap();
        assert_eq!(refused(&micro), "it is of another layout");
        // Holes take no room on a disk, and a file of them is not read.
        File::create(&plain.file).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(refused(&plain), SavedError::TooLarge.to_string());
        fs::remove_file(&plain.file).unwrap();
        fs::create_dir(&plain.file).unwrap();
        assert!(matches!(plain.load(), Err(DiskError::Io(_))));
        assert!(matches!(plain.save(&set(1)), Err(DiskError::Io(_))));
        fs::remove_dir_all(&folder).unwrap();
    }
}
