//! A service that leaves without a failed call: on SIGTERM or ctrl-c it says that it drains, serves on for the grace of its
//! layout, deregisters and ends.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use menagerie::registry::{self, Error, Instance};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(service)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: drained-service zk://HOST:PORT/?layout=LAYOUT SERVICE [GRACE_SECONDS]");
        return ExitCode::from(2);
    };
    let grace = arguments.next().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    match serve(&url, &service, grace).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(url: &str, service: &str, grace: Option<Duration>) -> Result<(), Box<dyn std::error::Error>> {
    // Caught from here on, also while the service is starting.
    let terminated = registry::terminated()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(greet(listener));
    let registry = registry::connect(url).await?;
    let instance = Instance::builder(service).host("127.0.0.1").port(address.port());
    let registered = registry.register(instance).await?;
    println!("serving {service} at {address}");

    terminated.await;
    println!("draining");
    let grace = grace.unwrap_or_else(|| registered.drain_grace());
    let drained = registered.drain_for(grace);
    // Bounded: without ZooKeeper there is nobody to deregister from, and the instance goes with its session.
    let drained: Result<(), Error> =
        tokio::time::timeout(grace * 2 + Duration::from_secs(5), drained).await.unwrap_or(Ok(()));
    drained?;
    registry.close().await?;
    serving.abort();
    println!("gone");
    Ok(())
}

async fn greet(listener: TcpListener) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(b"hello\n").await?;
    }
}
