//! The null server: a thread for each connection that reads what there is and answers each request with bytes laid
//! out before. What the loader reaches against it is what the loader can do; no server that understands its
//! requests can cost less by much.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result};

use crate::frames::{Answers, PREFIX, int_at, op};

/// Listens on a free port, says where in its first line, and serves until it is killed.
///
/// # Errors
/// A port that cannot be had.
pub fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        // A connection that ends in an error is the loader's to report.
        thread::spawn(move || drop(attend(stream)));
    }
}

fn attend(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let answers = Answers::default();
    let (mut unread, mut out) = (Vec::new(), Vec::new());
    let mut space = vec![0; 64 * 1024];
    let mut greeted = false;
    loop {
        let read = stream.read(&mut space)?;
        unread.extend_from_slice(space.get(..read).unwrap_or_default());
        let (mut at, mut closing) = (0, read == 0);
        while let Some(body) = frame(&unread, at)? {
            out.extend_from_slice(if greeted { answers.to(body) } else { answers.to_connect() });
            closing |= greeted && int_at(body, 4) == Some(op::CLOSE_SESSION);
            greeted = true;
            at += PREFIX + body.len();
        }
        unread.drain(..at);
        stream.write_all(&out)?;
        out.clear();
        if closing {
            return Ok(());
        }
    }
}

fn frame(bytes: &[u8], at: usize) -> Result<Option<&[u8]>> {
    let Some(length) = int_at(bytes, at) else { return Ok(None) };
    let length = usize::try_from(length).context("a frame of negative length")?;
    Ok(bytes.get(at + PREFIX..).and_then(|rest| rest.get(..length)))
}
