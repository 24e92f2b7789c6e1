//! A time server as in the article: `timestamp` in, `host:time` out.

use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::{Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What is asked.
const QUESTION: &str = "timestamp";

/// The longest line that is read from a peer, in bytes.
const LINE_LEN_BYTES: u64 = 256;

/// A server that tells the time until it is dropped.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) address: SocketAddr,
    task: AbortHandle,
}

impl Clock {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whatever goes wrong with one caller is that caller's to notice.
                let _ = answer(stream, address).await;
            }
        });
        Ok(Self { address, task: task.abort_handle() })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, address: SocketAddr) -> Result<()> {
    if line(&mut stream).await? == QUESTION {
        stream.write_all(format!("{address}:{}\n", time()).as_bytes()).await?;
    }
    Ok(())
}

/// Asks the server at this address for the time, and yields its answer.
pub(super) async fn ask(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("{QUESTION}\n").as_bytes()).await?;
    let answer = line(&mut stream).await?;
    match answer.strip_prefix(address).and_then(|rest| rest.strip_prefix(':')) {
        Some(time) => Ok(time.to_owned()),
        None => bail!("{address} answered {answer:?}"),
    }
}

async fn line(stream: &mut TcpStream) -> Result<String> {
    let mut text = String::new();
    let mut reader = BufReader::new(tokio::io::AsyncReadExt::take(stream, LINE_LEN_BYTES));
    reader.read_line(&mut text).await?;
    Ok(text.trim_end().to_owned())
}

/// The time of day, UTC.
#[expect(clippy::disallowed_methods, reason = "telling the time is what this server is for")]
fn time() -> String {
    let since =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() % 86_400;
    format!("{:02}:{:02}:{:02} UTC", since / 3_600, since / 60 % 60, since % 60)
}
