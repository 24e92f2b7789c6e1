//! Free text by key, as instances carry it: small, read often, hardly ever changed, and mostly the same for all instances of a
//! service.
//!
//! It knows no keys. All texts stand in one, behind a counted reference: a clone costs nothing, and a view lets instances
//! that say the same share it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Free text by key, each key once, in the order of the keys. Cheap to clone.
///
/// Made for the few entries of an instance: every change writes all of it anew.
///
/// ```
/// use menagerie::registry::Metadata;
///
/// let mut metadata = Metadata::from([("protocol", "grpc"), ("broker", "http")]);
/// assert_eq!(metadata.get("protocol"), Some("grpc"));
/// metadata.insert("protocol", "http");
/// assert_eq!(metadata.iter().collect::<Vec<_>>(), [("broker", "http"), ("protocol", "http")]);
/// assert_eq!(metadata.remove("broker").as_deref(), Some("http"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metadata(Option<Arc<Packed>>);

/// Keys and values in one text, and where each of them ends: key, value, key, value.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Packed {
    ends: Box<[usize]>,
    text: Box<str>,
}

impl Metadata {
    /// No entries.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// These entries, whose keys rise.
    pub(super) fn from_sorted<'a>(pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        debug_assert!(pairs.clone().is_sorted_by(|one, other| one.0 < other.0), "keys rise");
        if pairs.len() == 0 {
            return Self::new();
        }
        let mut ends = Vec::with_capacity(pairs.len() * 2);
        let mut text = String::with_capacity(pairs.clone().map(|(key, value)| key.len() + value.len()).sum());
        for part in pairs.flat_map(|(key, value)| [key, value]) {
            text.push_str(part);
            ends.push(text.len());
        }
        Self(Some(Arc::new(Packed { ends: ends.into(), text: text.into() })))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |packed| packed.ends.len() / 2)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The text under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.find(key).ok()?;
        self.entry(at).map(|(_, value)| value)
    }

    /// Whether there is a text under `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// All entries, in the order of their keys.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { metadata: self, at: 0, end: self.len() }
    }

    /// Sets the text under `key`; gives the one that was there.
    pub fn insert(&mut self, key: impl AsRef<str>, value: impl AsRef<str>) -> Option<String> {
        let (key, value) = (key.as_ref(), value.as_ref());
        let mut pairs: Vec<_> = self.iter().collect();
        let old = match self.find(key) {
            Ok(at) => pairs.get_mut(at).map(|pair| std::mem::replace(&mut pair.1, value)).map(str::to_owned),
            Err(at) => {
                pairs.insert(at, (key, value));
                None
            }
        };
        *self = Self::from_sorted(pairs.iter().copied());
        old
    }

    /// Takes the text under `key` out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let old = self.get(key)?.to_owned();
        self.retain(|other, _| other != key);
        Some(old)
    }

    /// Keeps only the entries of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.retain(|(key, value)| keep(key, value));
        if pairs.len() < self.len() {
            *self = Self::from_sorted(pairs.iter().copied());
        }
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Takes over the memory of `other` if it says the same.
    pub(super) fn share(&mut self, other: &Self) {
        if self == other && !planted!("registry_metadata_unshared") {
            self.0.clone_from(&other.0);
        }
    }

    fn entry(&self, at: usize) -> Option<(&str, &str)> {
        let packed = self.0.as_ref()?;
        let end = |part: usize| packed.ends.get(part).copied();
        let begin = match (at * 2).checked_sub(1) {
            Some(before) => end(before)?,
            None => 0,
        };
        let (middle, end) = (end(at * 2)?, end(at * 2 + 1)?);
        Some((packed.text.get(begin..middle)?, packed.text.get(middle..end)?))
    }

    /// Where `key` stands, or would.
    fn find(&self, key: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.entry(middle).map_or("", |(key, _)| key).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

/// The entries of [`Metadata`], in the order of their keys.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    metadata: &'a Metadata,
    at: usize,
    end: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.end {
            return None;
        }
        self.at += 1;
        self.metadata.entry(self.at - 1)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.at, Some(self.end - self.at))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.at == self.end {
            return None;
        }
        self.end -= 1;
        self.metadata.entry(self.end)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Metadata {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Of two entries with the same key the last one counts.
impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut metadata = Self::new();
        metadata.extend(pairs);
        metadata
    }
}

impl<K: AsRef<str>, V: AsRef<str>> Extend<(K, V)> for Metadata {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        let new: Vec<(K, V)> = pairs.into_iter().collect();
        let all = self.iter().chain(new.iter().map(|(key, value)| (key.as_ref(), value.as_ref())));
        let sorted: BTreeMap<&str, &str> = all.collect();
        let sorted: Vec<_> = sorted.into_iter().collect();
        *self = Self::from_sorted(sorted.iter().copied());
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> From<[(K, V); N]> for Metadata {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<String, String>> for Metadata {
    fn from(map: BTreeMap<String, String>) -> Self {
        map.into_iter().collect()
    }
}

impl From<Metadata> for BTreeMap<String, String> {
    fn from(metadata: Metadata) -> Self {
        metadata.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(metadata: &Metadata) -> BTreeMap<String, String> {
        metadata.clone().into()
    }

    proptest! {
        /// Steps on both; `None` takes out.
        #[test]
        fn it_is_a_map(
            first in prop::collection::vec(("[a-c]{0,2}", "é{0,3}"), 0..6),
            steps in prop::collection::vec(("[a-c]{0,2}", prop::option::of("[x-z]{0,2}")), 0..12),
        ) {
            let (mut metadata, mut model) =
                (first.iter().cloned().collect::<Metadata>(), first.into_iter().collect::<BTreeMap<_, _>>());
            for (key, value) in steps {
                let (old, expected) = match value {
                    Some(value) => (metadata.insert(&key, &value), model.insert(key.clone(), value)),
                    None => (metadata.remove(&key), model.remove(&key)),
                };
                prop_assert_eq!(old, expected);
                prop_assert_eq!(metadata.get(&key), model.get(&key).map(String::as_str));
                prop_assert_eq!(metadata.contains_key(&key), model.contains_key(&key));
                prop_assert_eq!((metadata.len(), metadata.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(map(&metadata), model.clone());
                prop_assert_eq!(format!("{metadata:?}"), format!("{model:?}"));
                prop_assert_eq!(&metadata, &Metadata::from(model.clone()));
                prop_assert!(metadata.iter().rev().eq(model.iter().rev().map(|(key, value)| (&**key, &**value))));
            }
            metadata.retain(|key, _| key.starts_with('a'));
            model.retain(|key, _| key.starts_with('a'));
            prop_assert_eq!(map(&metadata), model);
        }
    }

    #[test]
    fn a_clone_and_one_that_says_the_same_share_their_memory() {
        let shares = |one: &Metadata, other: &Metadata| {
            Arc::ptr_eq(one.0.as_ref().unwrap(), other.0.as_ref().unwrap())
        };
        let first = Metadata::from([("k", "v")]);
        assert!(shares(&first, &first.clone()));
        let mut same = Metadata::from([("k", "v")]);
        assert!(!shares(&first, &same));
        same.share(&first);
        assert!(shares(&first, &same));
        let mut other = Metadata::from([("k", "w")]);
        other.share(&first);
        assert_eq!(other.get("k"), Some("w"));
        same.insert("l", "w");
        assert_eq!((first.len(), same.len()), (1, 2), "a change is nobody else's");
    }
}
