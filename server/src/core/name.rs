//! A znode's name within its parent. Short ones, which are most, stand in the map of children itself: a lookup that compares a dozen of
//! them then follows no pointer.

use std::borrow::Borrow;
use std::cmp::Ordering;

/// The longest name that stands in place, in bytes: as much as fits in three words.
const SHORT: usize = 22;

/// A name, ordered as its text is.
#[derive(Debug, Clone)]
pub(super) struct Name(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Name {
    pub(super) fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Long(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Long(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        let place = bytes.get_mut(..text.len()).zip(u8::try_from(text.len()).ok());
        let Some((place, len)) = place else { return Self(Repr::Long(text.into())) };
        place.copy_from_slice(text.as_bytes());
        Self(Repr::Short { len, bytes })
    }
}

/// Bytes of UTF-8 have the order of the text.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length_are_kept_and_ordered_as_text() {
        let mut texts = vec!["", "a", "é", "\u{ffef}", "z"];
        let (short, long, longer) = ("s".repeat(SHORT), "s".repeat(SHORT + 1), "é".repeat(300));
        texts.extend([&*short, &*long, &*longer]);
        for one in &texts {
            assert_eq!(Name::from(*one).as_str(), *one);
            for other in &texts {
                assert_eq!(Name::from(*one).cmp(&Name::from(*other)), one.cmp(other), "{one} {other}");
            }
        }
        assert_eq!(size_of::<Name>(), 24);
    }
}
