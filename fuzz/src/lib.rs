//! What the fuzz targets do with their bytes. One function a target; each panics if what it holds against the code is
//! not so, and returns otherwise.
//!
//! The targets below `fuzz_targets/` hand libFuzzer's bytes on; `replay` does the same with files, without libFuzzer.

mod frame;
mod record;
mod server_frames;
mod server_operations;
mod session;
mod wire;

pub use frame::frame;
pub use record::record;
pub use server_frames::server_frames;
pub use server_operations::server_operations;
pub use session::session;

/// A target: what it is called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] = [
    ("frame", frame),
    ("record", record),
    ("session", session),
    ("server_frames", server_frames),
    ("server_operations", server_operations),
];
