//! A script for a session, its caller, its peer, its transport and its clock. After every step the session's word is
//! held against what the peer saw.
//!
//! The bytes are read from the front, one step after the other, so that an input can be cut and joined anywhere. Steps
//! that do the natural next thing are there to lead far in, and the others to do something else there.

mod ledger;
mod peer;
mod script;
mod world;

use arbitrary::Unstructured;
use world::World;

/// Most steps of one run: enough to expire a session and begin anew, and short enough for thousands of runs a second.
const STEPS: usize = 400;

/// The first bytes make the configuration, the others the steps.
pub fn session(data: &[u8]) {
    let mut script = Unstructured::new(data);
    let Ok(config) = script::config(&mut script) else { return };
    let mut world = World::new(config);
    for _ in 0..STEPS {
        if script.is_empty() || script::step(&mut world, &mut script).is_err() {
            break;
        }
        world.check();
    }
    world.finish();
}
