//! Serves on the given address, 127.0.0.1:2181 without one, and says where on the first line of stdout.

use std::net::SocketAddr;

use menagerie_server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:2181"));
    let server = Server::builder().listen(listen.parse::<SocketAddr>()?).start().await?;
    println!("listening on {}", server.local_addr());
    std::future::pending::<()>().await;
    drop(server);
    Ok(())
}
