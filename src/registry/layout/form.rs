//! Payloads that are one JSON value: read, written, and changed without losing what the model has no word for.

use bytes::Bytes;

use super::{Found, LayoutError, Leaf, LeafMode, ParentMode, ReadError, check_payload};
use crate::registry::json::{Json, Style};
use crate::registry::limits::PAYLOAD_LEN_BYTES;
use crate::registry::model::{Carried, Instance, Lifetime};

/// A schema between instances and JSON. What it writes, it reads as the same.
pub(super) trait Form {
    /// The name of the layout.
    const NAME: &'static str;

    /// The escapes of the library that the layout's own writers use.
    const STYLE: Style;

    /// All that the schema has a place for, in the order in which the layout's own writers write it.
    fn to_json(&self, instance: &Instance) -> Json;

    /// The instance as far as the schema goes; `leaf_name` is the name of its leaf.
    fn instance_of(&self, service: &str, json: &Json, leaf_name: &str) -> Result<Instance, ReadError>;
}

/// The payload of `instance`: the one it was read from, with what differs replaced, or a new one.
pub(super) fn payload<F: Form>(form: &F, instance: &Instance, leaf_name: &str) -> Result<Bytes, LayoutError> {
    let now = form.to_json(instance);
    let data = match read_before(form, instance, leaf_name) {
        Some((_, was, bytes)) if was == now => bytes,
        Some((mut json, was, _)) => {
            json.merge(&was, &now);
            json.to_text_as(F::STYLE).into()
        }
        None => now.to_text_as(F::STYLE).into(),
    };
    if data.len() > PAYLOAD_LEN_BYTES {
        return Err(LayoutError::TooLarge { len_bytes: data.len() });
    }
    Ok(data)
}

/// What the instance was read from: as it was, and as the schema would have written it.
fn read_before<F: Form>(form: &F, instance: &Instance, leaf_name: &str) -> Option<(Json, Json, Bytes)> {
    let carried = instance.carried.as_ref().filter(|carried| carried.layout == F::NAME)?;
    let json = Json::parse(&carried.payload).ok()?;
    let mut was = form.instance_of(&instance.service, &json, leaf_name).ok()?;
    // The znode tells it, whatever the payload says of it.
    was.lifetime = instance.lifetime;
    let was = form.to_json(&was);
    Some((json, was, carried.payload.clone()))
}

/// The instance of a child.
pub(super) fn read<F: Form>(form: &F, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
    if found.stat.num_children > 0 {
        return Err(ReadError::Directory);
    }
    let mut instance = form.instance_of(service, &parse(found)?, found.name)?;
    instance.lifetime = found.stat.lifetime();
    // Most payloads would be written the same from the model alone; only the others are worth their memory.
    if form.to_json(&instance).to_text_as(F::STYLE).as_bytes() != &found.data[..] {
        instance.carried = Some(Carried { layout: F::NAME, payload: found.data.clone() });
    }
    Ok(instance)
}

/// The payload of a child as JSON.
pub(super) fn parse(found: &Found<'_>) -> Result<Json, ReadError> {
    check_payload(found.data)?;
    if found.data.is_empty() {
        return Err(ReadError::Empty);
    }
    Ok(Json::parse(found.data)?)
}

/// The leaf `name` in `dir`, in the mode that the instance's lifetime asks for.
pub(super) fn leaf(dir: String, name: String, data: Bytes, instance: &Instance, parents: ParentMode) -> Leaf {
    let mode = match instance.lifetime {
        Lifetime::Session => LeafMode::Ephemeral,
        Lifetime::Persistent => LeafMode::Persistent,
    };
    Leaf { dir, name, data, mode, parents }
}
