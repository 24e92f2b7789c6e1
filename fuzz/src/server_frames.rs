//! A script of bytes for the server's core: several connections that say what they like, a network that cuts it into pieces, a
//! clock, and a test that spoils it. After every step the server's word is held against what each peer sent and saw.
//!
//! The bytes are read from the front, one step after the other, so that an input can be cut and joined anywhere.

mod bodies;
mod peer;
mod script;
mod world;

use arbitrary::Unstructured;
use world::World;

/// Most steps of one run.
const STEPS: usize = 300;

/// The first bytes make the configuration, the others the steps.
pub fn server_frames(data: &[u8]) {
    let mut script = Unstructured::new(data);
    let Ok(config) = script::config(&mut script) else { return };
    let mut world = World::new(config);
    for step in 0..STEPS {
        if script.is_empty() || script::step(&mut world, &mut script).is_err() {
            break;
        }
        world.check(step % 8 == 0);
    }
    world.finish();
}
