//! Quotas: limits and usage are text in znodes below `/zookeeper/quota`.
//!
//! Usage is kept up to date in place, whether limits are enforced or not; nobody's watch fires for it and no Stat moves but the length of
//! the data.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::path::{self, QUOTA};
use super::tree::Tree;
use crate::jute::ErrorCode;

const LIMITS: &str = "zookeeper_limits";
const USAGE: &str = "zookeeper_stats";
const COUNT: &str = "count";
const BYTES: &str = "bytes";

/// Text of the form `count=1,bytes=2=;byteHardLimit=3;countHardLimit=4` (`StatsTrack`). What is not there is -1.
#[derive(Debug, Default)]
struct Track(BTreeMap<String, i64>);

impl Track {
    fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let pair = |pair: &str| {
            let mut parts = pair.split('=');
            let name = parts.next().filter(|name| !name.is_empty())?;
            Some((String::from(name), parts.next().and_then(|value| value.parse().ok()).unwrap_or(-1)))
        };
        Self(text.split([',', ';']).filter_map(pair).collect())
    }

    fn of(tree: &Tree, path: &str) -> Option<Self> {
        let node = tree.node(path)?;
        Some(Self::parse(node.data.as_deref().unwrap_or_default()))
    }

    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(-1)
    }

    fn add(&mut self, name: &str, more: i64) {
        let sum = self.get(name).saturating_add(more);
        self.0.insert(String::from(name), sum);
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES))?;
        let others: Vec<_> = self.0.iter().filter(|(name, _)| !matches!(&***name, COUNT | BYTES)).collect();
        if !others.is_empty() {
            f.write_str("=")?;
        }
        others.iter().try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

fn long(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Tree {
    /// Whether a hard limit leaves room for so many more znodes and bytes at a path. What a multi did before it is not counted, as
    /// in the real server.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub(super) fn check_quota(&self, path: &str, znodes: i64, bytes: i64) -> Result<(), ErrorCode> {
        let Some(root) = self.quota_root(path) else { return Ok(()) };
        let limits = Track::of(self, &format!("{QUOTA}{root}/{LIMITS}"));
        let usage = Track::of(self, &format!("{QUOTA}{root}/{USAGE}"));
        let (Some(limits), Some(usage)) = (limits, usage) else { return Ok(()) };
        let exceeds = |name, more, limit| {
            let limit = limits.get(limit);
            more != 0 && limit > -1 && usage.get(name).saturating_add(more) > limit
        };
        if exceeds(COUNT, znodes, "countHardLimit") || exceeds(BYTES, bytes, "byteHardLimit") {
            return Err(ErrorCode::QUOTA_EXCEEDED);
        }
        Ok(())
    }

    /// A znode came: it may be a limit, or usage to be counted for the first time, and it may count.
    pub(super) fn account_creation(&mut self, path: &str, len_bytes: usize) {
        if let Some((root, name)) = quota_node(path) {
            match name {
                LIMITS => {
                    self.limited.insert(Arc::from(root));
                }
                USAGE => {
                    let (count, bytes) = self.weigh(root);
                    let counts = [(String::from(COUNT), count), (String::from(BYTES), bytes)];
                    self.replace_text(path, &Track(counts.into()));
                }
                _ => {}
            }
        }
        self.account(path, 1, long(len_bytes));
    }

    /// A znode went: it may have been a limit, and it may have counted.
    pub(super) fn account_deletion(&mut self, path: &str, len_bytes: usize) {
        if let Some((root, LIMITS)) = quota_node(path) {
            self.limited.remove(root);
        }
        self.account(path, -1, -long(len_bytes));
    }

    /// A znode's data has another length.
    pub(super) fn account_data(&mut self, path: &str, before_bytes: usize, after_bytes: usize) {
        self.account(path, 0, long(after_bytes).saturating_sub(long(before_bytes)));
    }

    fn account(&mut self, path: &str, znodes: i64, bytes: i64) {
        let Some(root) = self.quota_root(path) else { return };
        let usage_path = format!("{QUOTA}{root}/{USAGE}");
        if let Some(mut usage) = Track::of(self, &usage_path) {
            usage.add(COUNT, znodes);
            usage.add(BYTES, bytes);
            self.replace_text(&usage_path, &usage);
        }
    }

    fn replace_text(&mut self, path: &str, track: &Track) {
        if !planted!("server_quota_usage_stays") {
            self.replace_data(path, Some(Bytes::from(track.to_string().into_bytes())));
        }
    }

    /// The nearest path at or above this one that a quota holds for; one for the root is not looked at.
    fn quota_root(&self, path: &str) -> Option<&Arc<str>> {
        if self.limited.is_empty() {
            return None;
        }
        let mut at = path;
        while !at.is_empty() {
            if let Some(root) = self.limited.get(at) {
                return Some(root);
            }
            at = at.rsplit_once('/')?.0;
        }
        None
    }
}

/// For a znode below `/zookeeper/quota/..`: the path that it says something about, and its name.
fn quota_node(path: &str) -> Option<(&str, &str)> {
    let (parent, name) = path::split(path)?;
    Some((parent.strip_prefix(QUOTA).filter(|root| root.starts_with('/'))?, name))
}
