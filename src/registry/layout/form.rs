//! Payloads that are one JSON value: read, written, and changed without losing what the model has no word for.

use bytes::Bytes;

use super::{Found, LayoutError, Leaf, LeafMode, ParentMode, ReadError, check_payload};
use crate::registry::json::{Json, Sink, Style, Writer};
use crate::registry::limits::PAYLOAD_LEN_BYTES;
use crate::registry::model::{Carried, Instance, Lifetime};

/// A schema between instances and JSON. What it writes, it reads as the same.
pub(super) trait Form {
    /// The name of the layout.
    const NAME: &'static str;

    /// The escapes of the library that the layout's own writers use.
    const STYLE: Style;

    /// Writes all that the schema has a place for, in the order in which the layout's own writers write it.
    fn write<S: Sink>(&self, instance: &Instance, out: &mut Writer<S>);

    /// The instance as far as the schema goes; `leaf_name` is the name of its leaf.
    fn instance_of(&self, service: &str, json: &Json<'_>, leaf_name: &str) -> Result<Instance, ReadError>;
}

fn text_of<F: Form>(form: &F, instance: &Instance) -> String {
    let mut out = Writer::new(F::STYLE, String::new());
    form.write(instance, &mut out);
    out.into_sink()
}

/// Whether this is what the schema writes for the instance. Makes no text to compare with.
pub(super) fn is_written<F: Form>(form: &F, instance: &Instance, data: &[u8]) -> bool {
    if planted!("registry_payloads_written_anew") {
        return text_of(form, instance).as_bytes() == data;
    }
    let mut out = Writer::new(F::STYLE, Some(data));
    form.write(instance, &mut out);
    out.is_same()
}

/// The payload of `instance`: the one it was read from, with what differs replaced, or a new one.
pub(super) fn payload<F: Form>(form: &F, instance: &Instance, leaf_name: &str) -> Result<Bytes, LayoutError> {
    let now = text_of(form, instance);
    let data = overlaid(form, instance, leaf_name, &now).unwrap_or_else(|| now.into());
    if data.len() > PAYLOAD_LEN_BYTES {
        return Err(LayoutError::TooLarge { len_bytes: data.len() });
    }
    Ok(data)
}

/// What the instance was read from, with what differs between what the schema made of it then and makes `now`.
fn overlaid<F: Form>(form: &F, instance: &Instance, leaf_name: &str, now: &str) -> Option<Bytes> {
    let carried = instance.carried.as_ref().filter(|carried| carried.layout == F::NAME)?;
    let mut json = Json::parse(&carried.payload).ok()?;
    let mut was = form.instance_of(&instance.service, &json, leaf_name).ok()?;
    // The znode tells it, whatever the payload says of it.
    was.lifetime = instance.lifetime;
    let was = text_of(form, &was);
    if was == now {
        return Some(carried.payload.clone());
    }
    json.merge(&Json::parse(was.as_bytes()).ok()?, &Json::parse(now.as_bytes()).ok()?);
    Some(json.to_text_as(F::STYLE).into())
}

/// The instance of a child.
pub(super) fn read<F: Form>(form: &F, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
    if found.stat.num_children > 0 {
        return Err(ReadError::Directory);
    }
    let mut instance = form.instance_of(service, &parse(found)?, found.name)?;
    instance.lifetime = found.stat.lifetime();
    // Most payloads would be written the same from the model alone; only the others are worth their memory.
    if !is_written(form, &instance, found.data) {
        instance.carried = Some(Carried { layout: F::NAME, payload: found.data.clone() });
    }
    Ok(instance)
}

/// The payload of a child as JSON.
pub(super) fn parse<'a>(found: &Found<'a>) -> Result<Json<'a>, ReadError> {
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
