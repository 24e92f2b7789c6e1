//! Golden frames, hex, and records as JSON.
#![allow(dead_code, reason = "each test binary uses its part")]

use bytes::Bytes;
use menagerie_jute::{Elements, Encode, Expected, Fields, OpCode, Value, Writer};
use serde_json::{Map, Value as Json};

/// One line of `frames.jsonl`.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) expected: Expected,
    pub(crate) payload: Bytes,
    pub(crate) fields: Json,
    pub(crate) note: Option<String>,
}

/// All golden frames.
pub(crate) fn golden() -> Vec<Golden> {
    include_str!("../golden/frames.jsonl").lines().map(parse).collect()
}

fn parse(line: &str) -> Golden {
    let json: Json = serde_json::from_str(line).unwrap();
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let op = text("op").unwrap();
    let expected = match (text("dir").unwrap().as_str(), op.as_str()) {
        ("request", "connect") => Expected::ConnectRequest,
        ("response", "connect") => Expected::ConnectResponse,
        ("request", _) => Expected::Request,
        ("response", _) => Expected::Reply(op_code(&op)),
        (other, _) => panic!("direction {other}"),
    };
    Golden {
        name: text("name").unwrap(),
        expected,
        payload: from_hex(&text("hex").unwrap()),
        fields: json["fields"].clone(),
        note: text("note"),
    }
}

fn op_code(name: &str) -> OpCode {
    let number = || OpCode(name.strip_prefix("unknown").unwrap().parse().unwrap());
    OpCode::from_name(name).unwrap_or_else(number)
}

/// The bytes that `record` encodes to.
pub(crate) fn encoded(record: &impl Encode) -> Bytes {
    let mut out = Writer::new();
    record.encode(&mut out);
    out.into_bytes()
}

pub(crate) fn from_hex(hex: &str) -> Bytes {
    assert_eq!(hex.len() % 2, 0);
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record in the form of the golden `fields`.
pub(crate) fn record_json(record: &dyn Fields) -> Json {
    let mut object = Map::new();
    record.fields(&mut |name, value| {
        assert!(object.insert(name.to_owned(), value_json(value)).is_none(), "{name} shown twice");
    });
    Json::Object(object)
}

fn list_json(elements: &dyn Elements) -> Json {
    let mut list = Vec::new();
    elements.elements(&mut |value| list.push(value_json(value)));
    Json::Array(list)
}

fn value_json(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(int) => int.into(),
        Value::Long(long) => long.into(),
        Value::Bool(bool) => bool.into(),
        Value::Buffer(bytes) => to_hex(bytes).into(),
        Value::Text(text) => text.into(),
        Value::Record(record) => record_json(record),
        Value::List(elements) => list_json(elements),
        other => panic!("a new kind of value: {other:?}"),
    }
}
