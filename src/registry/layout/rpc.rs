//! Procedures as go-micro describes them in JSON, and as other layouts carry them in their metadata.

use super::ReadError;
use super::fields::{optional_text, read_metadata, write_pairs};
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::model::{RpcEndpoint, RpcValue};

pub(super) fn write_endpoints<S: Sink>(endpoints: &[RpcEndpoint], out: &mut Writer<S>) {
    if endpoints.is_empty() {
        return out.null();
    }
    let write = |endpoint: &RpcEndpoint, out: &mut Writer<S>| {
        out.member("name").string(&endpoint.name);
        write_value(endpoint.request.as_ref(), out.member("request"));
        write_value(endpoint.response.as_ref(), out.member("response"));
        write_pairs(&endpoint.metadata, out.member("metadata"));
    };
    out.array(|out| {
        endpoints.iter().for_each(|endpoint| out.item().object(|out| write(endpoint, out)));
    });
}

/// The same as a text of its own.
pub(super) fn endpoints_text(endpoints: &[RpcEndpoint]) -> String {
    let mut out = Writer::new(Style::Go, String::new());
    write_endpoints(endpoints, &mut out);
    out.into_sink()
}

// As deep as the model lets values be.
fn write_value<S: Sink>(value: Option<&RpcValue>, out: &mut Writer<S>) {
    let Some(value) = value else { return out.null() };
    out.object(|out| {
        out.member("name").string(&value.name);
        out.member("type").string(&value.kind);
        match &value.values[..] {
            [] => out.member("values").null(),
            values => out
                .member("values")
                .array(|out| values.iter().for_each(|value| write_value(Some(value), out.item()))),
        }
    });
}

pub(super) fn read_endpoints(value: Option<&Json<'_>>) -> Result<Vec<RpcEndpoint>, ReadError> {
    let read = |endpoint: &Json<'_>| {
        let planted = planted!("fuzz_registry_payload");
        if planted && endpoint.member("metadata").is_some_and(|map| matches!(map, Json::Object(_))) {
            panic!("planted: fuzz_registry_payload")
        }
        Ok(RpcEndpoint {
            name: optional_text(endpoint, "name")?.to_owned(),
            request: read_value(endpoint.member("request"))?,
            response: read_value(endpoint.member("response"))?,
            metadata: read_metadata(endpoint.member("metadata"), "endpoints")?,
        })
    };
    list(value)?.iter().map(read).collect()
}

fn read_value(value: Option<&Json<'_>>) -> Result<Option<RpcValue>, ReadError> {
    let Some(value @ Json::Object(_)) = value else { return Ok(None) };
    let inner = list(value.member("values"))?;
    let values = inner.iter().filter_map(|inner| read_value(Some(inner)).transpose());
    Ok(Some(RpcValue {
        name: optional_text(value, "name")?.to_owned(),
        kind: optional_text(value, "type")?.to_owned(),
        values: values.collect::<Result<_, _>>()?,
    }))
}

fn list<'v, 'a>(value: Option<&'v Json<'a>>) -> Result<&'v [Json<'a>], ReadError> {
    match value {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(ReadError::Field { field: "endpoints" }),
    }
}
