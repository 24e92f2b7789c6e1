//! Row `hash`.

use anyhow::Result;
use serde_json::Value;

pub(crate) fn run(_: &mut dyn FnMut(Value) -> Result<()>) -> Result<()> {
    Ok(())
}
