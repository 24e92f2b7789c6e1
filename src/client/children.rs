//! Names of children: one slice of the reply and offsets into it, strings only on demand.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use super::engine::private::Described;
use super::engine::{Answer, Call};
use super::watch::Changed;
use super::watched::{Watchable, Watched};
use super::{Client, Error, Kind, under};
use crate::jute::{DecodeError, DecodeErrorKind, Encode, GetChildren2Request, OpCode, Reader, Stat};
use crate::session::WatchKind;

/// The names of a znode's children, in no order. Cheap to clone: one buffer, shared.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Children {
    text: Bytes,
    /// Where each name begins and ends in `text`.
    spans: Vec<(u32, u32)>,
}

/// Lists children. Yields `(Children, Stat)`, the stat being the parent's.
#[derive(Debug)]
pub struct GetChildren<'a>(Cow<'a, str>);

/// As [`GetChildren`], with a watch. Yields `(Children, Stat, Changed)`.
pub type GetChildrenWatched<'a> = Watched<GetChildren<'a>>;

impl Client {
    /// Lists a znode's children, with the znode's own stat.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, and what any request may meet; a list longer than the inbound limit is
    /// [`Cause::ReplyTooLarge`](crate::session::Cause::ReplyTooLarge).
    pub fn children<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, GetChildren<'p>> {
        Call::new(self, GetChildren(path.into()))
    }
}

impl<'a, 'p> Call<'a, GetChildren<'p>> {
    /// Sets a watch with the read: it resolves once a child comes or goes, or the znode is deleted.
    pub fn watch(self) -> Call<'a, GetChildrenWatched<'p>> {
        self.map(Watched)
    }
}

impl Children {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.spans.iter().map(|&(start, end)| self.name(start, end))
    }

    /// Whether this is one of them. Looks at each.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|child| child == name)
    }

    /// The names as strings of their own, an allocation each.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    fn name(&self, start: u32, end: u32) -> &str {
        let bytes = self.text.get(start as usize..end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Reads the list in place: checks lengths and text, and notes where the names are.
    pub(super) fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let before = reader.rest();
        let start = reader.offset();
        let count = reader.count("children", 4)?.unwrap_or(0);
        let mut spans = Vec::with_capacity(count);
        // One pass over the whole list tells whether all names are plain ASCII, as they nearly always are.
        let mut plain = None;
        for _ in 0..count {
            let name = reader.buffer("children")?.unwrap_or_default();
            let end = reader.offset() - start;
            let is_text =
                *plain.get_or_insert_with(|| before.is_ascii()) || std::str::from_utf8(&name).is_ok();
            let span = u32::try_from(end - name.len()).ok().zip(u32::try_from(end).ok());
            match span {
                Some(span) if is_text => spans.push(span),
                _ => return Err(reader.error("children", DecodeErrorKind::BadUtf8)),
            }
        }
        let text = before.slice(..(reader.offset() - start).min(before.len()));
        Ok(Self { text, spans })
    }
}

impl<'a> IntoIterator for &'a Children {
    type Item = &'a str;
    type IntoIter = Box<dyn ExactSizeIterator<Item = &'a str> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn children_and_stat(answer: Answer<'_>) -> Result<(Children, Stat), Error> {
    let mut reader = Reader::new(answer.reply()?.body);
    let read = Children::read(&mut reader).and_then(|children| Ok((children, reader.record()?)));
    read.map_err(|error| Error::new(Kind::Garbled(error)))
}

impl Described for GetChildren<'_> {
    type Output = (Children, Stat);

    fn op(&self) -> OpCode {
        OpCode::GET_CHILDREN2
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn with_body<R>(&self, chroot: &str, watch: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetChildren2Request { path: under(chroot, &self.0), watch })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        children_and_stat(answer)
    }
}

impl Watchable for GetChildren<'_> {
    type Watched = (Children, Stat, Changed);
    const KIND: WatchKind = WatchKind::Child;

    fn with_changed((children, stat): Self::Output, changed: Changed) -> Self::Watched {
        (children, stat, changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::{Ustring, Writer};

    fn list(names: &[&str]) -> Bytes {
        let mut out = Writer::new();
        let names: Vec<_> = names.iter().map(|name| Ustring::from(*name)).collect();
        out.vector(Some(&names), |out, name| out.ustring(name));
        out.into_bytes()
    }

    #[test]
    fn names_are_read_in_place() {
        for names in [&[][..], &["a"], &["a", "", "ccc"], &["é", "日本", "z"]] {
            let children = Children::read(&mut Reader::new(list(names))).unwrap();
            assert_eq!(children.to_vec(), names);
            assert_eq!(children.len(), names.len());
        }
    }

    #[test]
    fn a_name_that_is_not_text_fails_the_list() {
        let mut bytes = list(&["ab", "cd"]).to_vec();
        bytes[8] = 0xff;
        let error = Children::read(&mut Reader::new(bytes.into())).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::BadUtf8);
    }

    #[test]
    fn a_claimed_count_allocates_nothing() {
        let bytes = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let error = Children::read(&mut Reader::new(bytes)).unwrap_err();
        assert!(matches!(error.kind, DecodeErrorKind::BadCount { .. }));
    }
}
