//! The Menagerie command-line tool for ZooKeeper.

mod decode;
mod demo;
mod frame_text;
mod json;
mod server;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A tool for ZooKeeper: what is on the wire, in plain sight.
#[derive(Debug, Parser)]
#[command(name = "zooctl", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Decode(decode::Decode),
    Demo(demo::Demo),
    Server(server::Server),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Decode(decode) => decode.run(),
        Command::Demo(demo) => demo.run(),
        Command::Server(server) => server.run(),
    };
    result.unwrap_or_else(|error| {
        // Nobody is left to tell when stderr is closed too.
        let _ = writeln!(std::io::stderr(), "zooctl: {error:#}");
        ExitCode::FAILURE
    })
}
