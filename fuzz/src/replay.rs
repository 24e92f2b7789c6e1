//! Runs files through a target, without libFuzzer: to repeat a finding, and to measure what a corpus covers.
//!
//! `replay TARGET FILE|FOLDER...`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use menagerie_fuzz::TARGETS;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().unwrap_or_default();
    let Some((_, run)) = TARGETS.iter().find(|(name, _)| *name == target) else {
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: replay {} FILE|FOLDER...", names.join("|"));
        return ExitCode::from(2);
    };
    match arguments.map(|path| replay(*run, Path::new(&path))).sum::<std::io::Result<usize>>() {
        Ok(0) => {
            eprintln!("no file to replay");
            ExitCode::FAILURE
        }
        Ok(files) => {
            println!("{target}: {files} files");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one file, or all files right below a folder in the order of their names. How many there were.
fn replay(run: fn(&[u8]), path: &Path) -> std::io::Result<usize> {
    let mut files: Vec<PathBuf> = vec![path.into()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        files.sort();
    }
    for file in &files {
        let bytes = std::fs::read(file)?;
        std::panic::catch_unwind(|| run(&bytes))
            .map_err(|_| std::io::Error::other(format!("the target panicked at {}", file.display())))?;
    }
    Ok(files.len())
}
