//! `zooctl demo`: services that come, go, lose their connection and their session, as seen by those who call them.
//!
//! Three parties: the provider registers small time servers, the consumer discovers and calls them, and a witness with a
//! client of its own watches the same service. What the demo says of itself comes from the witness's view and from the
//! replies that the consumer received, never from having got to the end.

mod account;
mod acts;
mod cable;
mod caller;
mod clock;
mod expire;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use menagerie::Client;
use menagerie::client::{Builder, ConnectString, Transport};
use menagerie::registry::ZooKeeper;
use menagerie::registry::layout::{GoMicro, Layout as _, Plain};
use menagerie_server::Server;

use account::Account;
use acts::Stage;
use cable::Cable;

/// The service that the demo registers.
const SERVICE: &str = "zooctl-demo";

/// Register, discover and fail over, with an account of each change as it happens.
///
/// Starts three small TCP servers that tell the time, registers them, and calls them once a second. Then it stops one, adds
/// one, cuts the provider's connection, and expires its session for real. The exit code is 0 if a second, independent client
/// saw every change and every instance answered; else 1.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The ensemble: host1:2181,host2:2181/chroot. The chroot is created if it is missing. Without it, the demo brings a server
    /// of its own.
    #[arg(long)]
    connect: Option<String>,
    /// How registrations are written.
    #[arg(long, value_enum, default_value_t = LayoutName::GoMicro)]
    layout: LayoutName,
    /// Calls ten times a second instead of once, and pauses for nobody to read.
    #[arg(long)]
    quick: bool,
    /// How long each change may take to be seen, in seconds.
    #[arg(long, default_value_t = 20)]
    patience: u64,
}

/// The layouts that the demo speaks.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LayoutName {
    /// /micro-registry/SERVICE/ID with go-micro's JSON.
    GoMicro,
    /// /go_servers/HOST:PORT without data.
    Plain,
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.play())
    }

    async fn play(self) -> Result<ExitCode> {
        let account = Account::new();
        let Some(connect) = &self.connect else {
            let server = Server::start().await.context("starting a server")?;
            account.say(format_args!("started a server in memory, on {}", server.connect_string()));
            return self.play_on(&server.connect_string(), account).await;
        };
        let _: ConnectString = connect.parse().context("--connect")?;
        self.play_on(connect, account).await
    }

    async fn play_on(&self, connect: &str, account: Account) -> Result<ExitCode> {
        account.say(format_args!("connecting to {connect}"));
        let cable = Cable::default();
        let provider = self.client(connect, Some(cable.transport())).await?;
        let consumer = self.client(connect, None).await?;
        let witness = self.client(connect, None).await?;
        witness.ensure_chroot().await?;
        for (name, client) in [("provider", &provider), ("consumer", &consumer), ("witness", &witness)] {
            let status = client.status();
            let session = status.session_id.unwrap_or_default();
            account.say(format_args!("{name}: session 0x{session:x}, timeout {:?}", status.timeout));
        }
        let pace = if self.quick { Duration::from_millis(100) } else { Duration::from_secs(1) };
        let stage = Stage {
            account,
            cable,
            registry: self.registry(provider.clone()),
            provider,
            discovery: self.registry(consumer),
            witness_view: self.registry(witness.clone()),
            dir: self.dir()?,
            witness,
            pace,
            patience: Duration::from_secs(self.patience),
        };
        stage.play().await
    }

    async fn client(&self, connect: &str, transport: Option<Transport>) -> Result<Client> {
        let mut builder = Builder::new(connect)?.connect_timeout(Duration::from_secs(self.patience));
        if let Some(transport) = transport {
            builder = builder.transport(transport);
        }
        Ok(builder.connect().await?)
    }

    fn dir(&self) -> Result<String> {
        Ok(match self.layout {
            LayoutName::GoMicro => GoMicro::default().service_dir(SERVICE)?,
            LayoutName::Plain => Plain::default().service_dir(SERVICE)?,
        })
    }

    fn registry(&self, client: Client) -> ZooKeeper {
        match self.layout {
            LayoutName::GoMicro => ZooKeeper::new(client, GoMicro::default()),
            LayoutName::Plain => ZooKeeper::new(client, Plain::default()),
        }
    }
}
