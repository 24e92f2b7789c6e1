//! Operations of three sessions against the server's core, held against a model that keeps its znodes in a map: every answer, every
//! event and the whole tree.
//!
//! The model shares nothing with the server but the records. The bytes are read from the front, one step after the other.

mod changes;
mod model;
mod reads;
mod script;
mod world;

use arbitrary::Unstructured;
use world::World;

/// Most steps of one run.
const STEPS: usize = 200;

/// The bytes make the steps.
pub fn server_operations(data: &[u8]) {
    let mut script = Unstructured::new(data);
    let mut world = World::new();
    for step in 0..STEPS {
        if script.is_empty() || script::step(&mut world, &mut script).is_err() {
            break;
        }
        world.check(step % 8 == 0);
    }
    world.finish();
}
