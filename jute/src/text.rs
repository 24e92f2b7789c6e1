//! Strings on the wire: null, or UTF-8 in a slice of the frame they came in.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;

/// A jute `ustring`: null, or text. Cheap to clone; decoded ones are slices of their frame.
#[derive(Clone, Default)]
pub struct Ustring(pub(crate) Repr);

/// Static text stands apart so that constants can hold it: [`Bytes`] has a counter inside, `&str` has not.
#[derive(Clone, Default)]
pub(crate) enum Repr {
    #[default]
    Null,
    Static(&'static str),
    Shared(Bytes),
}

/// Text that can be encoded as a `ustring` without being copied first.
pub trait Text {
    /// The pieces that make up the text, or `None` for null. Most texts are one piece.
    fn pieces(&self) -> Option<[&str; 2]>;
}

/// Two texts encoded as one: a chroot and the path below it.
#[derive(Debug, Clone, Copy)]
pub struct Joined<'a>(pub &'a str, pub &'a str);

impl Ustring {
    /// The null string, which is not the empty one.
    pub const NULL: Self = Self(Repr::Null);

    /// Text that lives as long as the program.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Repr::Static(text))
    }

    /// Wraps bytes that are UTF-8; `None` if they are not.
    #[must_use]
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(Repr::Shared(bytes)))
    }

    /// Whether this is the null string.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.0, Repr::Null)
    }

    /// The text, if it is not null.
    ///
    /// The bytes were checked when the value was made. They are checked again here, since the crate holds no `unsafe`;
    /// for a path that costs nanoseconds.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Repr::Null => None,
            Repr::Static(text) => Some(text),
            Repr::Shared(bytes) => std::str::from_utf8(bytes).ok(),
        }
    }

    /// The text; null reads as empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text().unwrap_or_default()
    }

    /// The bytes, if the string is not null.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Null => None,
            Repr::Static(text) => Some(text.as_bytes()),
            Repr::Shared(bytes) => Some(bytes),
        }
    }

    /// The bytes as a slice of the frame they came in, if the string is not null. Copies nothing.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Bytes> {
        match &self.0 {
            Repr::Null => None,
            Repr::Static(text) => Some(Bytes::from_static(text.as_bytes())),
            Repr::Shared(bytes) => Some(bytes.clone()),
        }
    }
}

impl PartialEq for Ustring {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Ustring {}

impl PartialOrd for Ustring {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ustring {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(&other.as_bytes())
    }
}

impl Hash for Ustring {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Ustring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => fmt::Debug::fmt(text, f),
            None => f.write_str("null"),
        }
    }
}

impl fmt::Display for Ustring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Ustring {
    fn from(text: &str) -> Self {
        Self(Repr::Shared(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl From<String> for Ustring {
    fn from(text: String) -> Self {
        Self(Repr::Shared(Bytes::from(text)))
    }
}

impl From<Cow<'_, str>> for Ustring {
    fn from(text: Cow<'_, str>) -> Self {
        Self::from(text.into_owned())
    }
}

impl PartialEq<str> for Ustring {
    fn eq(&self, other: &str) -> bool {
        self.text() == Some(other)
    }
}

impl PartialEq<&str> for Ustring {
    fn eq(&self, other: &&str) -> bool {
        self.text() == Some(*other)
    }
}

impl Text for Ustring {
    fn pieces(&self) -> Option<[&str; 2]> {
        self.text().map(|text| [text, ""])
    }
}

impl Text for str {
    fn pieces(&self) -> Option<[&str; 2]> {
        Some([self, ""])
    }
}

impl Text for String {
    fn pieces(&self) -> Option<[&str; 2]> {
        Some([self, ""])
    }
}

impl Text for Joined<'_> {
    fn pieces(&self) -> Option<[&str; 2]> {
        Some([self.0, self.1])
    }
}

impl<T: Text + ?Sized> Text for &T {
    fn pieces(&self) -> Option<[&str; 2]> {
        (**self).pieces()
    }
}
