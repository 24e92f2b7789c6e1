//! Metadata in the making: borrowed from what is read or written, in the order of the keys.

use std::borrow::Cow;

use crate::registry::metadata::Metadata;

/// Free text by key, each key once. A change of one entry is cheap; many at once belong in [`extend`](Self::extend).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Pairs<'a> {
    pub(super) fn of(metadata: &'a Metadata) -> Self {
        Self(metadata.iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// Of two entries with the same key the last one counts.
    pub(super) fn extend(&mut self, pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) {
        self.0.extend(pairs);
        if self.0.is_sorted_by(|one, other| one.0 < other.0) {
            return;
        }
        // Stable: of equal keys the last is last, and stays.
        self.0.sort_by(|one, other| one.0.cmp(&other.0));
        self.0.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let at = self.find(key).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    pub(super) fn insert(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (key, value) = (key.into(), value.into());
        match self.find(&key) {
            Ok(at) => {
                if let Some(pair) = self.0.get_mut(at) {
                    pair.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Sets what is not there.
    pub(super) fn complete(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let key = key.into();
        if let Err(at) = self.find(&key) {
            self.0.insert(at, (key, value.into()));
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let at = self.find(key).ok()?;
        Some(self.0.remove(at).1)
    }

    /// Takes out what `read` can read, and leaves the rest.
    pub(super) fn take<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let at = self.find(key).ok()?;
        let value = read(&self.0.get(at)?.1)?;
        self.0.remove(at);
        Some(value)
    }

    /// Keeps only the entries of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    pub(super) fn metadata(&self) -> Metadata {
        Metadata::from_sorted(self.0.iter().map(|(key, value)| (&**key, &**value)))
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(key))
    }
}

impl<'a> FromIterator<(Cow<'a, str>, Cow<'a, str>)> for Pairs<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>>(pairs: I) -> Self {
        let mut all = Self::default();
        all.extend(pairs);
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_a_map(all in prop::collection::vec(("[a-c]{0,2}", "[x-z]{0,2}"), 0..12), key in "[a-c]{0,2}") {
            let mut model: BTreeMap<String, String> = all.iter().cloned().collect();
            let mut pairs: Pairs<'_> =
                all.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
            prop_assert_eq!(pairs.metadata(), Metadata::from(model.clone()));
            prop_assert_eq!(pairs.get(&key), model.get(&key).map(String::as_str));
            pairs.complete(&key, "new");
            model.entry(key.clone()).or_insert("new".to_owned());
            prop_assert_eq!(pairs.metadata(), Metadata::from(model.clone()));
            pairs.insert(&key, "newer");
            prop_assert_eq!(pairs.take(&key, |_| None::<()>), None);
            let newer = pairs.remove(&key);
            prop_assert_eq!(newer.as_deref(), Some("newer"));
            model.remove(&key);
            pairs.retain(|key, _| key.starts_with('a'));
            model.retain(|key, _| key.starts_with('a'));
            prop_assert_eq!(pairs.metadata(), Metadata::from(model));
        }
    }
}
