//! Fields of payloads, taken out and put in with the same refusals by all layouts.

use super::ReadError;
use super::pairs::Pairs;
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::metadata::Metadata;

/// Go's nil map is `null`, and nobody has made one for an instance without metadata.
pub(super) fn write_map<S: Sink>(pairs: &Pairs<'_>, out: &mut Writer<S>) {
    if pairs.is_empty() { out.null() } else { write_pairs(pairs.iter(), out) }
}

/// The same as a text of its own.
pub(super) fn map_text(pairs: &Pairs<'_>) -> String {
    let mut out = Writer::new(Style::Go, String::new());
    write_map(pairs, &mut out);
    out.into_sink()
}

/// An object of these texts.
pub(super) fn write_pairs<'p, S: Sink>(
    pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
    out: &mut Writer<S>,
) {
    out.object(|out| pairs.into_iter().for_each(|(key, value)| out.member(key).string(value)));
}

pub(super) fn read_map<'a>(value: Option<&'a Json<'_>>, field: &'static str) -> Result<Pairs<'a>, ReadError> {
    match value {
        None | Some(Json::Null) => Ok(Pairs::default()),
        Some(Json::Object(members)) if members.iter().all(|(_, value)| value.as_str().is_some()) => {
            let text = |value: &'a Json<'_>| value.as_str().unwrap_or_default().into();
            Ok(members.iter().map(|(key, value)| ((&**key).into(), text(value))).collect())
        }
        Some(_) => Err(ReadError::Field { field }),
    }
}

pub(super) fn read_metadata(value: Option<&Json<'_>>, field: &'static str) -> Result<Metadata, ReadError> {
    read_map(value, field).map(|pairs| pairs.metadata())
}

pub(super) fn text<'a>(object: &'a Json<'_>, field: &'static str) -> Result<&'a str, ReadError> {
    optional_text(object, field)
        .and_then(|text| if text.is_empty() { Err(ReadError::Field { field }) } else { Ok(text) })
}

pub(super) fn optional_text<'a>(object: &'a Json<'_>, field: &'static str) -> Result<&'a str, ReadError> {
    match object.member(field) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(ReadError::Field { field }),
    }
}
