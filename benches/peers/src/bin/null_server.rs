//! `null-server [--listen 127.0.0.1:0]`: prints `listening on ADDRESS`, answers, and ends when its standard
//! input closes, so that it cannot outlive whoever started it.

use std::io::{Read, Write};

use peers::args::Args;
use peers::null_server::NullServer;

fn main() -> anyhow::Result<()> {
    let args = Args::from_env(&["--listen"], &[])?;
    let address: Option<String> = args.get("--listen")?;
    let mut server = NullServer::bind(address.as_deref().unwrap_or("127.0.0.1:0"))?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", server.local_addr()?)?;
    stdout.flush()?;
    // Asleep in one read for the server's whole life; the answering stays on the main thread.
    std::thread::spawn(|| {
        let mut ignored = [0; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(count) if count > 0) {}
        std::process::exit(0);
    });
    server.run()
}
