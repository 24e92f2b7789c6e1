//! Dubbo's URLs, and how they become names of znodes: encoded whole, once, as a form's value.
//!
//! The values of parameters are not encoded on their own, so none can hold what separates them. Java's and Go's encoders
//! differ in two characters; what they wrote is compared decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::registry::json::decimal;
use crate::registry::layout::ReadError;
use crate::registry::layout::pairs::Pairs;
use crate::registry::limits::PAYLOAD_LEN_BYTES;

/// Which library's encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoder {
    /// `java.net.URLEncoder`: leaves `.`, `-`, `*` and `_`.
    #[default]
    Java,
    /// Go's `url.QueryEscape`: leaves `.`, `-`, `_` and `~`.
    Go,
}

/// A URL of Dubbo: `protocol://user@host:port/path?key=value&key=value`.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DubboUrl {
    /// `dubbo`, `tri`, `rest`; `consumer`, `override`, `condition` in other categories than providers.
    pub protocol: String,
    /// `user:password`, if there is one. Not shown by `Debug`.
    pub user: Option<String>,
    /// The host, IPv6 without brackets.
    pub host: String,
    /// The port, if there is one.
    pub port: Option<u16>,
    /// The path without its first slash: mostly the interface.
    pub path: String,
    /// The parameters. One without a value has an empty one.
    pub parameters: BTreeMap<String, String>,
}

impl DubboUrl {
    /// Reads the name of a child.
    ///
    /// # Errors
    /// [`ReadError::Name`] says why it is no encoded URL.
    pub fn decode(name: &str) -> Result<Self, ReadError> {
        let text = text_of(name)?;
        let Parts { protocol, user, host, port, path, parameters } = Parts::parse(&text)?;
        let parameters = parameters.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let [protocol, host, path] = [protocol, host, path].map(Cow::into_owned);
        Ok(Self { protocol, user: user.map(Cow::into_owned), host, port, path, parameters })
    }

    /// The name of the child that says this URL: parameters in the order of their keys, as Java and Go sort them.
    #[must_use]
    pub fn encode(&self, encoder: Encoder) -> String {
        encode(&self.text(), encoder)
    }

    /// Whether both stand for the same, but for when and by which process they were written.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let settled = |url: &Self| {
            let mut url = url.clone();
            url.parameters.retain(|key, _| !matches!(&**key, "timestamp" | "pid"));
            url
        };
        settled(self) == settled(other)
    }

    fn text(&self) -> String {
        self.parts().text()
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        let pairs = self.parameters.iter().map(|(key, value)| ((&**key).into(), (&**value).into()));
        Parts {
            protocol: (&*self.protocol).into(),
            user: self.user.as_deref().map(Cow::from),
            host: (&*self.host).into(),
            port: self.port,
            path: (&*self.path).into(),
            parameters: pairs.collect(),
        }
    }
}

/// The same, borrowed from what it is read from or made of.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) protocol: Cow<'a, str>,
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) host: Cow<'a, str>,
    pub(super) port: Option<u16>,
    pub(super) path: Cow<'a, str>,
    pub(super) parameters: Pairs<'a>,
}

impl<'a> Parts<'a> {
    /// Reads what [`unescape`] gave.
    pub(super) fn parse(text: &'a str) -> Result<Self, ReadError> {
        let bad = |why| ReadError::Name { why };
        let (protocol, rest) = text.split_once("://").ok_or_else(|| bad("it has no protocol"))?;
        if protocol.is_empty()
            || !protocol.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
        {
            return Err(bad("its protocol is none"));
        }
        let (body, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = body.split_once('/').unwrap_or((body, ""));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user.into()), place),
            None => (None, authority),
        };
        let (host, port) = place_of(place).ok_or_else(|| bad("its port is none"))?;
        // Java takes a semicolon for an ampersand.
        let pairs = query.split(['&', ';']).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let parameters = pairs.filter(|(key, _)| !key.is_empty());
        let parameters = parameters.map(|(key, value)| (key.into(), value.into())).collect();
        Ok(Self { protocol: protocol.into(), user, host: host.into(), port, path: path.into(), parameters })
    }

    pub(super) fn text(&self) -> String {
        let Self { protocol, user, host, port, path, parameters } = self;
        let mut out = format!("{protocol}://");
        if let Some(user) = user {
            out.extend([user, "@"]);
        }
        if host.contains(':') {
            out.extend(["[", host, "]"])
        } else {
            out.push_str(host)
        }
        if let Some(port) = port {
            out.extend([":", decimal((*port).into(), &mut [0; 20])]);
        }
        out.extend(["/", path]);
        let mut mark = "?";
        for (key, value) in parameters.iter() {
            out.extend([mark, key, "=", value]);
            mark = "&";
        }
        out
    }
}

impl fmt::Debug for DubboUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|_| "...".to_owned());
        let shown = Self { user, ..self.clone() };
        write!(f, "DubboUrl({:?})", shown.text())
    }
}

/// Cuts host and port. IPv6 may stand without brackets, as Java writes it: the last colon is then the port's.
fn place_of(place: &str) -> Option<(&str, Option<u16>)> {
    let bare = |host: &'_ str| -> Option<usize> { host.strip_prefix('[')?.strip_suffix(']').map(str::len) };
    if let Some(len) = bare(place) {
        return Some((place.get(1..=len)?, None));
    }
    let Some((host, port)) = place.rsplit_once(':') else { return Some((place, None)) };
    let host = bare(host).and_then(|len| host.get(1..=len)).unwrap_or(host);
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    Some((host, Some(port.parse().ok().filter(|_| digits)?)))
}

/// A form's value: what a decoder does not need told apart stays, a space becomes a plus sign.
pub(super) fn encode(text: &str, encoder: Encoder) -> String {
    let kept: &[u8] = match encoder {
        Encoder::Java => b".-*_",
        Encoder::Go if planted!("layout_dubbo_encoders_alike") => b".-*_",
        Encoder::Go => b".-_~",
    };
    let mut out = String::with_capacity(text.len() * 3 / 2);
    for byte in text.bytes() {
        match byte {
            _ if byte.is_ascii_alphanumeric() || kept.contains(&byte) => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.extend(['%', hex(byte >> 4), hex(byte & 15)]),
        }
    }
    out
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

/// The text of a child's name, unless that is longer than is parsed.
pub(super) fn text_of(name: &str) -> Result<String, ReadError> {
    match name.len() {
        len_bytes if len_bytes > PAYLOAD_LEN_BYTES => Err(ReadError::TooLarge { len_bytes }),
        _ => unescape(name),
    }
}

/// The text of an encoded name. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn unescape(name: &str) -> Result<String, ReadError> {
    let broken = || ReadError::Name { why: "an escape in it is broken" };
    let mut out = Vec::with_capacity(name.len());
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                let (high, low) = (digit().ok_or_else(broken)?, digit().ok_or_else(broken)?);
                out.push(u8::try_from(high * 16 + low).map_err(|_| broken())?);
            }
            b'+' => out.push(b' '),
            b'!'..=b'~' if byte != b'/' => out.push(byte),
            _ => return Err(ReadError::Name { why: "it is not encoded" }),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_encoders_differ_in_two_characters() {
        // Checked with Java's URLEncoder and Go's url.QueryEscape.
        assert_eq!(encode("a b*c~d-e_f.g", Encoder::Java), "a+b*c%7Ed-e_f.g");
        assert_eq!(encode("a b*c~d-e_f.g", Encoder::Go), "a+b%2Ac~d-e_f.g");
        assert_eq!(encode("/:?é\u{1f600}", Encoder::Java), "%2F%3A%3F%C3%A9%F0%9F%98%80");
        for name in ["a+b*c%7Ed-e_f.g", "a+b%2Ac~d-e_f.g", "a+b%2ac%7ed-e_f.g"] {
            assert_eq!(unescape(name).unwrap(), "a b*c~d-e_f.g");
        }
    }

    #[test]
    fn every_part_is_read() {
        let url = DubboUrl::decode(
            "dubbo%3A%2F%2Fu%3Ap%4010.0.0.5%3A20880%2Forg.x.Demo%24Inner%3Fa%3D1%26m%3Dx%2Cy%3Bn",
        );
        let url = url.unwrap();
        assert_eq!((&*url.protocol, url.user.as_deref(), &*url.host), ("dubbo", Some("u:p"), "10.0.0.5"));
        assert_eq!((url.port, &*url.path), (Some(20880), "org.x.Demo$Inner"));
        let parameters: Vec<_> = url.parameters.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(parameters, [("a", "1"), ("m", "x,y"), ("n", "")]);
        let shown = format!("{url:?}");
        assert!(!shown.contains("u:p") && shown.contains("10.0.0.5"), "{shown}");
    }

    #[test]
    fn ipv6_is_read_with_and_without_brackets() {
        for (place, host, port) in [
            ("[2001:db8::1]:80", "2001:db8::1", Some(80)),
            ("2001:db8:0:0:0:0:0:1:80", "2001:db8:0:0:0:0:0:1", Some(80)),
            ("[::1]", "::1", None),
            ("h", "h", None),
            ("h:80", "h", Some(80)),
        ] {
            assert_eq!(place_of(place), Some((host, port)), "{place}");
        }
        for bad in ["h:", "h:x", "h:65536", "h:+1", "[::1]80"] {
            assert_eq!(place_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_by_name() {
        for (name, why) in [
            ("", "it has no protocol"),
            ("lock", "it has no protocol"),
            ("%3A%2F%2Fh", "its protocol is none"),
            ("a%2Fb%3A%2F%2Fh", "its protocol is none"),
            ("dubbo%3A%2F%2Fh%3Ax", "its port is none"),
            ("dubbo%3A%2F%2", "an escape in it is broken"),
            ("dubbo%3A%zz", "an escape in it is broken"),
            ("dubbo%3A%2F%2Fh\n", "it is not encoded"),
            ("dubbo%3A%2F%2Fh/s", "it is not encoded"),
            ("dubbo%3A%2F%2Fé", "it is not encoded"),
        ] {
            assert_eq!(DubboUrl::decode(name), Err(ReadError::Name { why }), "{name:?}");
        }
    }

    #[test]
    fn when_and_by_whom_make_no_difference() {
        let read =
            |tail: &str| DubboUrl::decode(&format!("dubbo%3A%2F%2Fh%3A1%2Fs%3Fa%3D%2A%26{tail}")).unwrap();
        assert!(read("pid%3D1%26timestamp%3D2").is_same_as(&read("timestamp%3D3")));
        assert!(!read("b%3D1").is_same_as(&read("b%3D2")));
    }

    proptest! {
        #[test]
        fn both_encoders_are_undone(text in any::<String>()) {
            for encoder in [Encoder::Java, Encoder::Go] {
                let name = encode(&text, encoder);
                prop_assert!(name.is_ascii() && !name.contains('/'));
                prop_assert_eq!(unescape(&name).unwrap(), &*text);
            }
        }

        #[test]
        fn arbitrary_names_never_panic(name in "[a-z:/?&=;%@\\[\\]0-9+.]{0,40}|\\PC{0,20}") {
            if let Ok(url) = DubboUrl::decode(&name) {
                let _ = DubboUrl::decode(&url.encode(Encoder::Go));
            }
        }
    }
}
