//! Procedures as go-micro describes them in JSON, and as other layouts carry them in their metadata.

use super::ReadError;
use super::fields::{filled_map, optional_text, read_map};
use crate::registry::json::Json;
use crate::registry::model::{RpcEndpoint, RpcValue};

pub(super) fn write_endpoints(endpoints: &[RpcEndpoint]) -> Json {
    if endpoints.is_empty() {
        return Json::Null;
    }
    let write = |endpoint: &RpcEndpoint| {
        Json::object([
            ("name", Json::string(&endpoint.name)),
            ("request", endpoint.request.as_ref().map_or(Json::Null, write_value)),
            ("response", endpoint.response.as_ref().map_or(Json::Null, write_value)),
            ("metadata", filled_map(&endpoint.metadata)),
        ])
    };
    Json::Array(endpoints.iter().map(write).collect())
}

fn write_value(value: &RpcValue) -> Json {
    let values = match &value.values[..] {
        [] => Json::Null,
        values => Json::Array(values.iter().map(write_value).collect()),
    };
    Json::object([
        ("name", Json::string(&value.name)),
        ("type", Json::string(&value.kind)),
        ("values", values),
    ])
}

pub(super) fn read_endpoints(value: Option<&Json>) -> Result<Vec<RpcEndpoint>, ReadError> {
    let read = |endpoint: &Json| {
        let planted = planted!("fuzz_registry_payload");
        if planted && endpoint.member("metadata").is_some_and(|map| matches!(map, Json::Object(_))) {
            panic!("planted: fuzz_registry_payload")
        }
        Ok(RpcEndpoint {
            name: optional_text(endpoint, "name")?.to_owned(),
            request: read_value(endpoint.member("request"))?,
            response: read_value(endpoint.member("response"))?,
            metadata: read_map(endpoint.member("metadata"), "endpoints")?,
        })
    };
    list(value)?.iter().map(read).collect()
}

fn read_value(value: Option<&Json>) -> Result<Option<RpcValue>, ReadError> {
    let Some(value @ Json::Object(_)) = value else { return Ok(None) };
    let inner = list(value.member("values"))?;
    let values = inner.iter().filter_map(|inner| read_value(Some(inner)).transpose());
    Ok(Some(RpcValue {
        name: optional_text(value, "name")?.to_owned(),
        kind: optional_text(value, "type")?.to_owned(),
        values: values.collect::<Result<_, _>>()?,
    }))
}

fn list(value: Option<&Json>) -> Result<&[Json], ReadError> {
    match value {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(ReadError::Field { field: "endpoints" }),
    }
}
