//! Fields of payloads, taken out and put in with the same refusals by all layouts.

use std::collections::BTreeMap;

use super::ReadError;
use crate::registry::json::Json;

/// Go's nil map is `null`, and nobody has made one for an instance without metadata.
pub(super) fn write_map(map: &BTreeMap<String, String>) -> Json {
    if map.is_empty() { Json::Null } else { filled_map(map) }
}

pub(super) fn filled_map(map: &BTreeMap<String, String>) -> Json {
    Json::Object(map.iter().map(|(key, value)| (key.clone(), Json::string(value))).collect())
}

pub(super) fn read_map(
    value: Option<&Json>,
    field: &'static str,
) -> Result<BTreeMap<String, String>, ReadError> {
    let malformed = || ReadError::Field { field };
    match value {
        None | Some(Json::Null) => Ok(BTreeMap::new()),
        Some(Json::Object(members)) => members
            .iter()
            .map(|(key, value)| Ok((key.clone(), value.as_str().ok_or_else(malformed)?.to_owned())))
            .collect(),
        Some(_) => Err(malformed()),
    }
}

pub(super) fn text<'a>(object: &'a Json, field: &'static str) -> Result<&'a str, ReadError> {
    optional_text(object, field)
        .and_then(|text| if text.is_empty() { Err(ReadError::Field { field }) } else { Ok(text) })
}

pub(super) fn optional_text<'a>(object: &'a Json, field: &'static str) -> Result<&'a str, ReadError> {
    match object.member(field) {
        None | Some(Json::Null) => Ok(""),
        Some(Json::String(text)) => Ok(text),
        Some(_) => Err(ReadError::Field { field }),
    }
}
