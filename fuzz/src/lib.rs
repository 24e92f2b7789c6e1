//! What the fuzz targets do with their bytes. One function a target; each panics if what it holds against the code is
//! not so, and returns otherwise.
//!
//! The targets below `fuzz_targets/` hand libFuzzer's bytes on; `replay` does the same with files, without libFuzzer.

mod connect_string;
mod frame;
mod record;
mod registry_payload;
mod registry_saved;
mod reply;
mod server_frames;
mod server_operations;
mod session;
mod wire;

pub use connect_string::connect_string;
pub use frame::frame;
pub use record::record;
pub use registry_payload::registry_payload;
pub use registry_saved::registry_saved;
pub use reply::reply;
pub use server_frames::server_frames;
pub use server_operations::server_operations;
pub use session::session;

/// A target: what it is called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 9] = [
    ("frame", frame),
    ("record", record),
    ("session", session),
    ("reply", reply),
    ("connect_string", connect_string),
    ("registry_payload", registry_payload),
    ("registry_saved", registry_saved),
    ("server_frames", server_frames),
    ("server_operations", server_operations),
];
