//! The null server: a thread for each connection that reads what there is and answers each request with bytes laid
//! out before. A write is told to every connection whose last read asked to be told. What the loader reaches against it
//! is what the loader can do, and what a request costs it is nearly all the kernel's: no server can do for much less.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
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
    let watchers = Watchers::default();
    loop {
        let (stream, _) = listener.accept()?;
        let watchers = watchers.clone();
        // A connection that ends in an error is the loader's to report.
        thread::spawn(move || drop(attend(&Arc::new(stream), &watchers)));
    }
}

/// Connections to be told of the next write.
#[derive(Clone, Default)]
struct Watchers(Arc<Mutex<Vec<Arc<TcpStream>>>>);

impl Watchers {
    fn add(&self, stream: &Arc<TcpStream>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(stream.clone());
    }

    fn tell(&self, notification: &[u8]) -> Result<()> {
        let told = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        told.iter().try_for_each(|stream| Ok((&**stream).write_all(notification)?))
    }
}

fn attend(stream: &Arc<TcpStream>, watchers: &Watchers) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream_io = &**stream;
    let answers = Answers::default();
    let (mut unread, mut out) = (Vec::new(), Vec::new());
    let mut space = vec![0; 64 * 1024];
    let mut greeted = false;
    loop {
        let read = stream_io.read(&mut space)?;
        unread.extend_from_slice(space.get(..read).unwrap_or_default());
        let (mut at, mut closing) = (0, read == 0);
        while let Some(body) = frame(&unread, at)? {
            out.extend_from_slice(if greeted { answers.to(body) } else { answers.to_connect() });
            match int_at(body, 4).filter(|_| greeted) {
                Some(op::CLOSE_SESSION) => closing = true,
                Some(op::SET_DATA) => watchers.tell(answers.notification())?,
                Some(op::GET_DATA) if body.last() == Some(&1) => watchers.add(stream),
                _ => {}
            }
            greeted = true;
            at += PREFIX + body.len();
        }
        unread.drain(..at);
        stream_io.write_all(&out)?;
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
