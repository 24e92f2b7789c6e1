//! From values to text: compact, with the escapes of one of three libraries.

use std::fmt::Write as _;

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

impl Json {
    /// The text, with Go's escapes.
    pub(crate) fn to_text(&self) -> String {
        self.to_text_as(Style::Go)
    }

    /// The text, with the escapes of `style`.
    pub(crate) fn to_text_as(&self, style: Style) -> String {
        let mut out = String::new();
        self.write(style, &mut out);
        out
    }

    // Recursion is as deep as the value: at most `JSON_DEPTH` when parsed, and the registry builds no deeper ones but
    // for request types, whose depth the model bounds.
    fn write(&self, style: Style, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => write_string(text, style, out),
            Self::Array(items) => {
                write_list(out, ['[', ']'], items, |item, out| item.write(style, out));
            }
            Self::Object(members) => write_list(out, ['{', '}'], members, |(name, value), out| {
                write_string(name, style, out);
                out.push(':');
                value.write(style, out);
            }),
        }
    }
}

fn write_list<T>(out: &mut String, braces: [char; 2], items: &[T], each: impl Fn(&T, &mut String)) {
    let [open, close] = braces;
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(close);
}

fn write_string(text: &str, style: Style, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Go has had the short forms since 1.22; the long ones are what the recorded programs wrote.
            '\x08' if style != Style::Go => out.push_str("\\b"),
            '\x0c' if style != Style::Go => out.push_str("\\f"),
            // Writing to a String does not fail.
            '\0'..='\x1f' if style == Style::Jackson => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c if is_escaped(c, style) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

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
}
