//! JSON as registries need it: the order of members, the text of numbers and unknown members are kept.
//!
//! Reading is as lenient as Go's `encoding/json`, whose programs wrote most of what is found: bytes that are not UTF-8
//! and lone surrogates become U+FFFD, the last of two equal members wins, names match without regard to ASCII case
//! when none matches exactly. Depth is bounded. Writing is compact, with the escapes of the library that a layout's own
//! writers use. What was read is changed by merging, so that all else stays as it was. It knows no schema.
//!
//! A value borrows its texts from what it was read from, but for those with escapes in them; a text is written piece by piece,
//! without a value, and may be compared with another instead of being made.

mod merge;
mod write;

use std::borrow::Cow;

use thiserror::Error;

pub(crate) use self::write::{Sink, Style, Writer, decimal};
use super::limits::JSON_DEPTH;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// The number's text, as read: no width and no precision is lost.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a text is not JSON that is accepted here, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Where, counted in bytes from the start of the payload.
    pub offset: usize,
}

/// What is wrong with a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text ends within a value.
    #[error("the text ends too early")]
    Truncated,
    /// A byte that cannot stand there.
    #[error("unexpected byte")]
    Unexpected,
    /// Something follows the value.
    #[error("something follows the value")]
    Trailing,
    /// More levels than [`limits::JSON_DEPTH`](super::limits::JSON_DEPTH).
    #[error("nested too deeply")]
    TooDeep,
}

impl<'a> Json<'a> {
    /// The one value that `text` holds.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, JsonError> {
        let mut parser = Parser { text, valid: std::str::from_utf8(text).ok(), at: 0 };
        let value = parser.value(JSON_DEPTH)?;
        parser.skip_space();
        if parser.at < text.len() { Err(parser.error(JsonErrorKind::Trailing)) } else { Ok(value) }
    }

    pub(crate) fn string(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    /// The member of this name: the last of exactly this name, or the last one if case is forgiven.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.get(position(members, name)?).map(|(_, value)| value)
    }

    pub(crate) fn member_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        let at = position(members, name)?;
        members.get_mut(at).map(|(_, value)| value)
    }

    /// The last member of exactly this name, as Java's libraries read: case is not forgiven.
    pub(crate) fn exact(&self, name: &str) -> Option<&Self> {
        self.members().iter().rfind(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The members of an object; none of anything else.
    pub(crate) fn members(&self) -> &[(Cow<'a, str>, Self)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// Sets the member that [`Json::member`] would find, or appends it. Does nothing to a value that is no object.
    pub(crate) fn set(&mut self, name: &'a str, value: Self) {
        if let Some(old) = self.member_mut(name) {
            *old = value;
        } else if let Self::Object(members) = self {
            members.push((name.into(), value));
        }
    }
}

fn position(members: &[(Cow<'_, str>, Json<'_>)], name: &str) -> Option<usize> {
    members
        .iter()
        .rposition(|(key, _)| key == name)
        .or_else(|| members.iter().rposition(|(key, _)| key.eq_ignore_ascii_case(name)))
}

/// Room for so many members of an object at once; most have no more.
const MEMBERS: usize = 8;

struct Parser<'a> {
    text: &'a [u8],
    /// The same, if all of it is UTF-8.
    valid: Option<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        if depth == 0 {
            return Err(self.error(JsonErrorKind::TooDeep));
        }
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(depth - 1),
            b'[' => self.array(depth - 1),
            b'"' => self.string().map(Json::String),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true", Json::Bool(true)),
            b'f' => self.word(b"false", Json::Bool(false)),
            b'n' => self.word(b"null", Json::Null),
            _ => Err(self.error(JsonErrorKind::Unexpected)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut members = Vec::new();
        self.list(b'}', |parser| {
            parser.skip_space();
            let name = parser.string()?;
            parser.skip_space();
            parser.expect(b':')?;
            let value = parser.value(depth)?;
            if members.is_empty() {
                members.reserve(MEMBERS);
            }
            members.push((name, value));
            Ok(())
        })?;
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut items = Vec::new();
        self.list(b']', |parser| {
            items.push(parser.value(depth)?);
            Ok(())
        })?;
        Ok(Json::Array(items))
    }

    fn list(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.at += 1;
        self.skip_space();
        if self.peek()? == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_space();
            if self.peek()? == close {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn word(&mut self, word: &[u8], value: Json<'a>) -> Result<Json<'a>, JsonError> {
        for &byte in word {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        self.skip_if(|byte| byte == b'-');
        // A zero stands alone before the point: 01 is two values.
        if self.peek()? == b'0' {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.skip_if(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.skip_if(|byte| matches!(byte, b'e' | b'E')) {
            self.skip_if(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Ok(Json::Number(self.since(start)))
    }

    /// The text from there to here. Bytes that are not UTF-8 become U+FFFD.
    fn since(&self, start: usize) -> Cow<'a, str> {
        match self.valid.and_then(|text| text.get(start..self.at)) {
            Some(text) => Cow::Borrowed(text),
            None => String::from_utf8_lossy(self.text.get(start..self.at).unwrap_or_default()),
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek()?.is_ascii_digit() {
            return Err(self.error(JsonErrorKind::Unexpected));
        }
        while self.skip_if(|byte| byte.is_ascii_digit()) {}
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"')?;
        let whole = self.run();
        if self.peek()? == b'"' {
            self.at += 1;
            return Ok(whole);
        }
        let mut out = whole.into_owned();
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                b'\\' => out.push(self.escape()?),
                _ => return Err(self.error(JsonErrorKind::Unexpected)),
            }
            out.push_str(&self.run());
        }
    }

    /// What stands for itself in a string, up to what does not.
    fn run(&mut self) -> Cow<'a, str> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
        self.at += plain.unwrap_or(rest.len());
        self.since(start)
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let byte = self.peek()?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.error(JsonErrorKind::Unexpected)),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let high = self.unit()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let back = self.at;
        if self.text.get(back..back.saturating_add(2)) == Some(b"\\u") {
            self.at += 1;
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // What follows is no second half but a character of its own.
            self.at = back;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// The four digits behind `u`, on which the parser stands.
    fn unit(&mut self) -> Result<u32, JsonError> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()?).to_digit(16);
            unit = unit * 16 + digit.ok_or_else(|| self.error(JsonErrorKind::Unexpected))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn skip_space(&mut self) {
        while self.skip_if(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {}
    }

    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.text.get(self.at).is_some_and(|&byte| wanted(byte));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek()? != byte {
            return Err(self.error(JsonErrorKind::Unexpected));
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Result<u8, JsonError> {
        self.text.get(self.at).copied().ok_or_else(|| self.error(JsonErrorKind::Truncated))
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { kind, offset: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &[u8]) -> JsonErrorKind {
        Json::parse(text).unwrap_err().kind
    }

    #[test]
    fn order_numbers_and_unknown_members_are_kept() {
        let text = r#"{"z":1.50,"a":[null,true,false,-0,1e400,123456789012345678901234567890],"z2":{}}"#;
        assert_eq!(Json::parse(text.as_bytes()).unwrap().to_text(), text);
    }

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let value = Json::string("<a href=\"x\">&\u{2028}\u{2029}\x08\x0c\n\r\t\0\x7fé\u{1f600}\\/");
        let text = "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026\\u2028\\u2029\\u0008\\u000c\\n\\r\\t\\u0000\x7fé\u{1f600}\\\\/\"";
        assert_eq!(value.to_text(), text);
        assert_eq!(Json::parse(text.as_bytes()).unwrap(), value);
    }

    #[test]
    fn bad_utf8_and_lone_surrogates_become_replacement_characters() {
        assert_eq!(Json::parse(b"\"a\xff\xfeb\"").unwrap(), Json::string("a\u{fffd}\u{fffd}b"));
        assert_eq!(Json::parse(br#""\ud83d\ude00""#).unwrap(), Json::string("\u{1f600}"));
        assert_eq!(
            Json::parse(br#""\ud83dx\ud83d\u0041\ude00""#).unwrap(),
            Json::string("\u{fffd}x\u{fffd}A\u{fffd}")
        );
    }

    #[test]
    fn the_last_member_wins_and_case_is_forgiven() {
        let value = Json::parse(br#"{"name":"a","NAME":"b","name":"c","Id":"d"}"#).unwrap();
        assert_eq!(value.member("name").and_then(Json::as_str), Some("c"));
        assert_eq!(value.member("id").and_then(Json::as_str), Some("d"));
        assert_eq!(value.member("port"), None);
    }

    #[test]
    fn malformed_texts_are_refused_by_kind() {
        for text in [&b""[..], b" ", b"{", b"[1,", b"\"a", b"\"\\u12", b"-", b"1.", b"tru", b"{\"a\":"] {
            assert_eq!(kind(text), JsonErrorKind::Truncated, "{text:?}");
        }
        for text in [
            &b"NaN"[..],
            b"[1,]",
            b"{a:1}",
            b"'a'",
            b"\"\n\"",
            b"\"\\x\"",
            b"+1",
            b".5",
            b"{\"a\" 1}",
            b"\xff",
        ] {
            assert_eq!(kind(text), JsonErrorKind::Unexpected, "{text:?}");
        }
        for text in [&b"1 2"[..], b"{}}", b"01", b"null,"] {
            assert_eq!(kind(text), JsonErrorKind::Trailing, "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(Json::parse(&nested(JSON_DEPTH)).is_ok());
        assert_eq!(kind(&nested(JSON_DEPTH + 1)), JsonErrorKind::TooDeep);
        assert_eq!(kind(&vec![b'['; 1 << 20]), JsonErrorKind::TooDeep);
        assert_eq!(kind("{\"a\":".repeat(1 << 16).as_bytes()), JsonErrorKind::TooDeep);
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in any_json()) {
            let text = value.to_string();
            let ours = Json::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&ours.to_text()).unwrap(), value);
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_accepted_ones_round_trip(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = Json::parse(&bytes) {
                let text = value.to_text();
                prop_assert_eq!(Json::parse(text.as_bytes()).unwrap(), value);
            }
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{}\",:0-9eE.+\\-a-c\\\\u ntrfalse]{0,24}") {
            let ours = Json::parse(text.as_bytes());
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(ours.is_ok(), "{}", text);
            } else if ours.is_ok() {
                // More lenient only where Go is: lone surrogates, and numbers beyond a double.
                prop_assert!(text.contains("\\u") || text.contains(['e', 'E']), "{}", text);
            }
        }
    }
}
