//! Texts, piece by piece: compact, with the escapes of one of three libraries.

use super::Json;

/// Whose escapes a text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Go's `encoding/json`: `<`, `>` and `&` for HTML, U+2028 and U+2029 for JavaScript.
    Go,
    /// Java's Jackson: nothing but what JSON asks for; digits in upper case.
    Jackson,
    /// Java's Gson as it comes: Go's, and `=` and the apostrophe.
    Gson,
}

/// What becomes of a text: a `String` keeps it; bytes are what it is compared with, and are used up as far as they are
/// the same.
pub(crate) trait Sink {
    fn put(&mut self, text: &str);

    /// A character of ASCII.
    fn put_byte(&mut self, byte: u8);
}

impl Sink for String {
    #[inline]
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) {
        self.push(char::from(byte));
    }
}

/// The rest that is to come; nothing once something else came.
impl Sink for Option<&[u8]> {
    #[inline]
    fn put(&mut self, text: &str) {
        *self = self.and_then(|rest| rest.strip_prefix(text.as_bytes()));
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) {
        *self = self
            .and_then(|rest| rest.split_first())
            .filter(|(first, _)| **first == byte)
            .map(|(_, rest)| rest);
    }
}

/// Writes one value, and commas and colons where they belong.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    style: Style,
    sink: S,
    /// Whether something stands before in the same list.
    is_further: bool,
}

impl<S: Sink> Writer<S> {
    pub(crate) fn new(style: Style, sink: S) -> Self {
        Self { style, sink, is_further: false }
    }

    pub(crate) fn into_sink(self) -> S {
        self.sink
    }

    pub(crate) fn null(&mut self) {
        self.sink.put("null");
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.sink.put(if value { "true" } else { "false" });
    }

    pub(crate) fn number(&mut self, value: impl Into<u64>) {
        self.sink.put(decimal(value.into(), &mut [0; 20]));
    }

    /// A number that is text already.
    pub(crate) fn digits(&mut self, text: &str) {
        self.sink.put(text);
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.joined(&[text]);
    }

    /// One string of several parts.
    pub(crate) fn joined(&mut self, parts: &[&str]) {
        self.sink.put_byte(b'"');
        for part in parts {
            self.escaped(part);
        }
        self.sink.put_byte(b'"');
    }

    /// An object of what `members` writes, each behind a [`member`](Self::member).
    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.list([b'{', b'}'], members);
    }

    /// An array of what `items` writes, each behind an [`item`](Self::item).
    pub(crate) fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.list([b'[', b']'], items);
    }

    /// A member begins: its value follows.
    pub(crate) fn member(&mut self, name: &str) -> &mut Self {
        self.item().string(name);
        self.sink.put_byte(b':');
        self
    }

    /// An item begins: its value follows.
    pub(crate) fn item(&mut self) -> &mut Self {
        if std::mem::replace(&mut self.is_further, true) {
            self.sink.put_byte(b',');
        }
        self
    }

    fn list(&mut self, [open, close]: [u8; 2], content: impl FnOnce(&mut Self)) {
        self.sink.put_byte(open);
        self.is_further = false;
        content(self);
        self.is_further = true;
        self.sink.put_byte(close);
    }

    // Recursion is as deep as the value: at most `JSON_DEPTH`, as values are parsed.
    pub(crate) fn value(&mut self, value: &Json<'_>) {
        match value {
            Json::Null => self.null(),
            Json::Bool(value) => self.bool(*value),
            Json::Number(text) => self.sink.put(text),
            Json::String(text) => self.string(text),
            Json::Array(items) => self.array(|out| items.iter().for_each(|item| out.item().value(item))),
            Json::Object(members) => {
                self.object(|out| members.iter().for_each(|(name, value)| out.member(name).value(value)));
            }
        }
    }

    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.bytes().position(may_be_escaped) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.sink.put(plain);
            let mut chars = special.chars();
            if let Some(c) = chars.next() {
                self.escape(c);
            }
            rest = chars.as_str();
        }
        self.sink.put(rest);
    }

    fn escape(&mut self, c: char) {
        let style = self.style;
        match c {
            '"' => self.sink.put("\\\""),
            '\\' => self.sink.put("\\\\"),
            '\n' => self.sink.put("\\n"),
            '\r' => self.sink.put("\\r"),
            '\t' => self.sink.put("\\t"),
            // Go has had the short forms since 1.22; the long ones are what the recorded programs wrote.
            '\x08' if style != Style::Go => self.sink.put("\\b"),
            '\x0c' if style != Style::Go => self.sink.put("\\f"),
            '\0'..='\x1f' if style == Style::Jackson => self.sink.put(&format!("\\u{:04X}", u32::from(c))),
            c if is_escaped(c, style) => self.sink.put(&format!("\\u{:04x}", u32::from(c))),
            c => self.sink.put(c.encode_utf8(&mut [0; 4])),
        }
    }
}

impl Writer<Option<&[u8]>> {
    /// Whether all that was written is all that was to be.
    pub(crate) fn is_same(&self) -> bool {
        self.sink.is_some_and(<[u8]>::is_empty)
    }
}

impl Json<'_> {
    /// The text, with the escapes of `style`.
    pub(crate) fn to_text_as(&self, style: Style) -> String {
        let mut out = Writer::new(style, String::new());
        out.value(self);
        out.into_sink()
    }

    /// The text, with Go's escapes.
    pub(crate) fn to_text(&self) -> String {
        self.to_text_as(Style::Go)
    }
}

/// A number in digits, written to the end of a buffer that holds the longest.
pub(crate) fn decimal(mut value: u64, buffer: &mut [u8; 20]) -> &str {
    let mut start = buffer.len();
    for digit in buffer.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or_default();
        start -= 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    buffer.get(start..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
}

/// The first bytes of all characters that some style escapes: U+2028 and U+2029 begin with 0xe2.
fn may_be_escaped(byte: u8) -> bool {
    MAY_BE_ESCAPED.get(usize::from(byte)).is_none_or(|may| *may)
}

/// By byte: a look at it is the most of what comparing a payload costs.
const MAY_BE_ESCAPED: [bool; 256] = {
    let mut all = [false; 256];
    let mut rest: &mut [bool] = &mut all;
    let mut byte = 0;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = matches!(byte, 0..=0x1f | b'"' | b'\\' | b'<' | b'>' | b'&' | b'=' | b'\'' | 0xe2);
        byte = byte.wrapping_add(1);
        rest = others;
    }
    all
};

fn is_escaped(c: char, style: Style) -> bool {
    match c {
        '\0'..='\x1f' => true,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => style != Style::Jackson,
        '=' | '\'' => style == Style::Gson,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_escapes_what_its_library_escapes() {
        let value = Json::string("\u{1f}\x08\x0c<>&='\u{2028}/\x7fé");
        let written = |style| value.to_text_as(style);
        assert_eq!(written(Style::Go), "\"\\u001f\\u0008\\u000c\\u003c\\u003e\\u0026='\\u2028/\x7fé\"");
        assert_eq!(written(Style::Jackson), "\"\\u001F\\b\\f<>&='\u{2028}/\x7fé\"");
        assert_eq!(written(Style::Gson), "\"\\u001f\\b\\f\\u003c\\u003e\\u0026\\u003d\\u0027\\u2028/\x7fé\"");
        for style in [Style::Go, Style::Jackson, Style::Gson] {
            assert_eq!(Json::parse(written(style).as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn numbers_are_written_in_digits() {
        for value in [0, 7, 10, 65_535, u64::MAX] {
            assert_eq!(decimal(value, &mut [0; 20]), value.to_string());
        }
    }

    #[test]
    fn a_text_is_compared_with_another_to_its_end() {
        let value = Json::parse(br#"{"a":[1,"<x>"],"b":null}"#).unwrap();
        let text = value.to_text();
        let is_same = |other: &str| {
            let mut out = Writer::new(Style::Go, Some(other.as_bytes()));
            out.value(&value);
            out.is_same()
        };
        assert!(is_same(&text) && !is_same(&format!("{text} ")));
        assert!((0..text.len()).all(|len| !is_same(&text[..len])));
        assert!(!is_same(&text.replace("\\u003c", "<")));
    }
}
