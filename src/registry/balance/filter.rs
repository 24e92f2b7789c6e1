//! Which instances are meant: by version, tags, zone and metadata.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::registry::model::Instance;
use crate::registry::view::Set;

/// Wishes that an instance has to meet, all of them. Without any, every instance does.
///
/// ```
/// use menagerie::registry::{Instance, balance::Filter};
///
/// let blue = Filter::new().version("2").tag("blue");
/// let mut instance = Instance::new("time", "a", "10.0.0.1:80".parse()?);
/// instance.version = "2".into();
/// assert!(!blue.matches(&instance));
/// instance.tags.push("blue".into());
/// assert!(blue.matches(&instance));
/// # Ok::<(), menagerie::registry::AddressError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    version: Option<String>,
    zone: Option<String>,
    tags: Vec<String>,
    metadata: Vec<(String, String)>,
}

impl Filter {
    /// No wish.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this version, letter by letter.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Only instances in this zone. To prefer it and take others if need be, see
    /// [`Balancing::zone_first`](super::Balancing::zone_first).
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Only instances with this tag, and with all others asked for.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Only instances with this text under this key of their metadata, and with all others asked for.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Whether an instance meets all wishes.
    #[must_use]
    pub fn matches(&self, instance: &Instance) -> bool {
        let has_version = self.version.as_ref().is_none_or(|version| *version == instance.version);
        let has_zone = self.zone.is_none() || self.zone == instance.zone;
        let has_tags = self.tags.iter().all(|tag| instance.tags.contains(tag));
        let has_metadata = |(key, value): &(String, String)| instance.metadata.get(key) == Some(&**value);
        let filtered = has_version && has_zone && has_tags && self.metadata.iter().all(has_metadata);
        filtered || planted!("balance_filter_ignored")
    }
}

impl Set {
    /// The set of those that a filter lets through.
    #[must_use]
    pub fn filtered(&self, filter: &Filter) -> Self {
        let entries = self.entries().iter().filter(|entry| filter.matches(&entry.instance));
        Self::from_sorted(entries.cloned().collect())
    }

    /// The instances by version, as go-micro's `GetService` groups them: its services are these versions, and it shows
    /// the metadata and endpoints of the first instance of each. Instances without a version stand under the empty one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), menagerie::registry::Error> {
    /// let registry = menagerie::registry::connect("static:time=10.0.0.1:80,10.0.0.2:80").await?;
    /// let set = registry.discover("time").await?.snapshot();
    /// let versions = set.by_version();
    /// assert_eq!(versions[""].len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn by_version(&self) -> BTreeMap<&str, Vec<&Arc<Instance>>> {
        let mut versions: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for instance in self.iter() {
            let version = if planted!("balance_versions_mixed") { "" } else { &*instance.version };
            versions.entry(version).or_default().push(instance);
        }
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::view::Entry;

    #[test]
    fn every_wish_counts_alone_and_all_together() {
        let mut instance = Instance::new("s", "i", "h:1".parse().unwrap());
        let wishes = [
            Filter::new().version("2"),
            Filter::new().zone("z"),
            Filter::new().tag("a").tag("b"),
            Filter::new().metadata("k", "v").metadata("l", "w"),
        ];
        assert!(Filter::new().matches(&instance));
        assert!(!wishes.iter().any(|wish| wish.matches(&instance)));
        instance.version = "2".into();
        instance.zone = Some("z".into());
        instance.tags = vec!["b".into()];
        instance.metadata = [("k", "v"), ("l", "x")].into();
        let met: Vec<_> = wishes.iter().map(|wish| wish.matches(&instance)).collect();
        assert_eq!(met, [true, true, false, false]);
        assert!(!Filter::new().version("2").zone("y").matches(&instance));
        instance.tags.push("a".into());
        instance.metadata.insert("l", "w");
        let all = Filter::new().version("2").zone("z").tag("a").tag("b").metadata("k", "v");
        assert!(all.matches(&instance) && wishes.iter().all(|wish| wish.matches(&instance)));
    }

    #[test]
    fn sets_are_filtered_and_grouped_in_their_order() {
        let entry = |(leaf, version): (&str, &str)| {
            let mut instance = Instance::new("s", leaf, "h:1".parse().unwrap());
            instance.version = version.into();
            Entry { leaf: leaf.into(), instance: Arc::new(instance) }
        };
        let set = [("a", "2"), ("b", ""), ("c", "1"), ("d", "2")].into_iter().map(entry);
        let set = Set::from_sorted(set.collect());
        let ids = |instances: &[&Arc<Instance>]| -> Vec<String> {
            instances.iter().map(|instance| instance.id.clone()).collect()
        };
        let versions: Vec<_> =
            set.by_version().into_iter().map(|(version, all)| (version, ids(&all))).collect();
        assert_eq!(
            versions,
            [("", vec!["b".into()]), ("1", vec!["c".into()]), ("2", vec!["a".into(), "d".into()])]
        );
        let second = set.filtered(&Filter::new().version("2"));
        assert_eq!(ids(&second.iter().collect::<Vec<_>>()), ["a", "d"]);
        assert!(set.filtered(&Filter::new().tag("none")).is_empty());
    }
}
