//! Writes at one node of an ensemble and reads at another: once as it stands there, once behind a sync.

use std::process::ExitCode;

use menagerie::Client;
use menagerie::client::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(write_at), Some(read_at)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: pseudo-cluster HOST:PORT HOST:PORT");
        return Ok(ExitCode::from(2));
    };
    let writer = Client::connect(&write_at).await?;
    let reader = Client::connect(&read_at).await?;

    writer.create("/pseudo-cluster").parents().data("").await.map(drop).or_else(|error| {
        let there = error.code() == Some(menagerie::jute::ErrorCode::NODE_EXISTS);
        if there { Ok(()) } else { Err(error) }
    })?;
    let stat = writer.set("/pseudo-cluster", "written at the first node").await?;
    println!("{write_at}: wrote version {} in transaction 0x{:x}", stat.version, stat.mzxid);

    // A follower may lag: what it answers now may be older.
    let (_, as_it_stands) = reader.get("/pseudo-cluster").await?;
    println!("{read_at}: read version {} as it stands there", as_it_stands.version);
    // Behind a sync it has everything that was written before.
    let (data, synced) = reader.sync("/pseudo-cluster").get("/pseudo-cluster").await?;
    println!("{read_at}: read version {} behind a sync: {:?}", synced.version, data);

    if !cfg!(plant = "example_leaves_its_znode") {
        writer.delete("/pseudo-cluster").await?;
    }
    writer.close().await?;
    reader.close().await?;
    let complete = synced.version >= stat.version;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
