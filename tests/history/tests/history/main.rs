//! The checks on histories that are right and on histories that are not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod model;
mod mutated;
mod planted;

use model::{Shape, valid};

const SHAPES: [Shape; 3] = [
    Shape { headers: true, event_zxids: true, clients: 3, steps: 400 },
    Shape { headers: false, event_zxids: true, clients: 4, steps: 400 },
    Shape { headers: false, event_zxids: false, clients: 3, steps: 400 },
];

#[test]
fn what_a_right_ensemble_does_is_right() {
    for seed in 0..300 {
        for shape in SHAPES {
            let history = valid(seed, shape);
            let report = history.check();
            assert!(report.is_sound(), "seed {seed} {shape:?}\n{report}");
            assert_eq!(report.figures.undecided, 0, "seed {seed} {shape:?}");
        }
    }
}
