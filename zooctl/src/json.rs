//! Any record as JSON, under jute's own field names: buffers as hex, longs exact.

use std::fmt::Write as _;

use menagerie_jute::{Elements, Fields, Value};
use serde_json::{Map, Value as Json};

/// The fields of a record, in wire order.
pub(crate) fn object(record: &dyn Fields) -> Map<String, Json> {
    let mut object = Map::new();
    record.fields(&mut |name, field| {
        object.insert(name.to_owned(), value(field));
    });
    object
}

fn list(elements: &dyn Elements) -> Json {
    let mut list = Vec::new();
    elements.elements(&mut |element| list.push(value(element)));
    Json::Array(list)
}

fn value(value: Value<'_>) -> Json {
    match value {
        Value::Int(int) => int.into(),
        #[cfg(plant = "zooctl_long_as_double")]
        Value::Long(long) => (long as f64 as i64).into(),
        Value::Long(long) => long.into(),
        Value::Bool(bool) => bool.into(),
        Value::Buffer(bytes) => hex(bytes).into(),
        Value::Text(text) => text.into(),
        Value::Record(record) => Json::Object(object(record)),
        Value::List(elements) => list(elements),
        _ => Json::Null,
    }
}

/// Lower-case hex without spaces.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
