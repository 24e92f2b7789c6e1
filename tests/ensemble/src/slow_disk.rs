//! A library that is loaded into a server before all others, and makes it wait at every `fsync` for as long as a file says.
//!
//! A throttled file system would need a block device; stopping the whole process would stop its network too. In C, since
//! what replaces a function of libc is `unsafe` in Rust.

use crate::{Error, Result, install};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/slow_disk.c");

/// Compiles it into `directory`.
pub(crate) fn build(directory: &Path) -> Result<PathBuf> {
    let library = directory.join("slow_disk.so");
    let mut cc = Command::new(install::program("cc")?);
    let done = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(SOURCE).output();
    let done = done.map_err(|cause| Error::io("running cc", cause))?;
    if done.status.success() {
        return Ok(library);
    }
    Err(Error::new(format!("{SOURCE} does not compile: {}", String::from_utf8_lossy(&done.stderr))))
}
