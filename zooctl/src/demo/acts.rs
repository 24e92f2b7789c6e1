//! The acts, and what has to be seen of each.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use menagerie::Client;
use menagerie::registry::view::Set;
use menagerie::registry::{
    Discovery as _, Instance, Registered, Registration as _, ServiceChanges, ZooKeeper,
};
use menagerie::session::State;
use tokio::time::{Instant, timeout, timeout_at};

use super::SERVICE;
use super::account::Account;
use super::cable::Cable;
use super::caller::{Caller, Replies};
use super::clock::Clock;
use super::expire::expire;

/// Everybody who takes part.
pub(super) struct Stage {
    pub(super) account: Account,
    pub(super) cable: Cable,
    pub(super) provider: Client,
    pub(super) registry: ZooKeeper,
    pub(super) discovery: ZooKeeper,
    pub(super) witness: Client,
    pub(super) witness_view: ZooKeeper,
    /// Where the service's instances stand.
    pub(super) dir: String,
    /// Between two calls.
    pub(super) pace: Duration,
    /// How long each change may take to be seen.
    pub(super) patience: Duration,
}

/// A time server and its registration.
struct Provided {
    clock: Clock,
    registered: Registered,
}

impl Stage {
    pub(super) async fn play(self) -> Result<ExitCode> {
        let mut provided = Vec::new();
        let result = tokio::select! {
            result = self.acts(&mut provided) => result,
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        };
        self.clean_up(provided).await;
        match result {
            Ok(()) => {
                self.account
                    .say(format_args!("every change was seen by the witness, and every instance answered"));
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                self.account.say(format_args!("FAILED: {error:#}"));
                Ok(ExitCode::FAILURE)
            }
        }
    }

    async fn acts(&self, provided: &mut Vec<Provided>) -> Result<()> {
        let services = timeout(self.patience, self.witness_view.discover(SERVICE)).await??;
        let caller = {
            let services = timeout(self.patience, self.discovery.discover(SERVICE)).await??;
            Caller::start(self.account.clone(), services, self.pace)
        };
        let changes = services.changes();
        let mut view =
            Witness { stage: self, changes, latest: Arc::default(), replies: caller.replies.clone() };
        let pause = self.pace * 2;

        self.account.act(Duration::ZERO, "three instances come").await;
        for _ in 0..3 {
            provided.push(self.provide().await?);
        }
        view.expect(provided).await?;

        self.account.act(pause, "one instance goes").await;
        let gone = provided.remove(0);
        self.account.say(format_args!("provider: stopping {}", gone.clock.address));
        timeout(self.patience, gone.registered.deregister()).await??;
        drop(gone.clock);
        view.expect(provided).await?;

        self.account.act(pause, "another one comes").await;
        provided.push(self.provide().await?);
        view.expect(provided).await?;

        self.account.act(pause, "the provider's connection is cut").await;
        self.cut(&mut view, provided).await?;

        self.account.act(pause, "the provider's session expires").await;
        self.expire(&mut view, provided).await
    }

    /// Starts a time server and registers it.
    async fn provide(&self) -> Result<Provided> {
        let clock = Clock::start().await?;
        let address = clock.address;
        let instance =
            Instance::builder(SERVICE).host(address.ip().to_string()).port(address.port()).version("1");
        let registered = self.registry.register(instance).await?;
        let done = timeout(self.patience, registered.registered()).await;
        done.with_context(|| format!("registering {address}: {:?}", registered.status()))??;
        self.account.say(format_args!("provider: registered {address}"));
        Ok(Provided { clock, registered })
    }

    /// A cut connection costs neither the session nor a single write: nobody sees anything.
    async fn cut(&self, view: &mut Witness<'_>, provided: &[Provided]) -> Result<()> {
        let before = self.provider.status();
        let made = view.makers().await?;
        self.cable.cut();
        self.account.say(format_args!("provider: connection cut"));
        let deadline = Instant::now() + self.patience;
        let mut seen = before;
        while seen.disconnects == before.disconnects || seen.state != State::Connected {
            seen = timeout_at(deadline, self.provider.status_change(&seen)).await.context("reconnecting")?;
            self.account.say(format_args!("provider: {:?}", seen.state));
        }
        ensure!(seen.session_id == before.session_id, "the session did not survive the cut");
        view.expect(provided).await?;
        ensure!(
            view.makers().await? == made,
            "registrations were written again although the session survived"
        );
        self.account.say(format_args!("witness: the same session, the same znodes, nothing to be seen"));
        Ok(())
    }

    /// An expired session takes its registrations along; they come back under the next one.
    async fn expire(&self, view: &mut Witness<'_>, provided: &[Provided]) -> Result<()> {
        let before = self.provider.status();
        let made = view.makers().await?;
        let credentials = self.provider.credentials().context("the provider has no session")?;
        let server = self.provider.server().context("the provider is not connected")?;
        expire(&server, &credentials).await.context("expiring the session")?;
        self.account
            .say(format_args!("provider: session 0x{:x} is closed on the server", credentials.session_id));
        view.changed().await.context("the loss of the session was not seen")?;
        view.expect(provided).await?;
        let deadline = Instant::now() + self.patience;
        let mut seen = before;
        while seen.epoch == before.epoch || seen.session_id.is_none() {
            seen = timeout_at(deadline, self.provider.status_change(&seen)).await.context("a new session")?;
        }
        let again = view.makers().await?;
        ensure!(again.is_disjoint(&made), "a registration of the expired session is still there");
        let session = seen.session_id.unwrap_or_default();
        self.account.say(format_args!("provider: registered again under session 0x{session:x}"));
        Ok(())
    }

    /// Takes away what was put in: registrations, and directories that nobody else uses.
    async fn clean_up(&self, provided: Vec<Provided>) {
        for each in provided {
            let _ = timeout(self.patience, each.registered.deregister()).await;
        }
        let mut dir = Some(self.dir.clone());
        while let Some(path) = dir {
            if path == "/" || self.witness.delete(path.as_str()).await.is_err() {
                break;
            }
            dir = menagerie::path::parent(&path).map(str::to_owned);
        }
        let _ = timeout(self.patience, self.provider.close()).await;
    }
}

/// The witness: a view of its own, kept by events alone.
struct Witness<'a> {
    stage: &'a Stage,
    changes: ServiceChanges,
    /// What the changes so far have made of the service.
    latest: Arc<Set>,
    replies: Replies,
}

impl Witness<'_> {
    /// Waits until exactly these instances are seen, and until each of them has answered since.
    async fn expect(&mut self, provided: &[Provided]) -> Result<()> {
        let wanted: BTreeSet<String> = provided.iter().map(|each| each.clock.address.to_string()).collect();
        let deadline = Instant::now() + self.stage.patience;
        while self.seen() != wanted {
            if timeout_at(deadline, self.changed()).await.is_err() {
                bail!("the witness sees {:?} instead of {wanted:?}", self.seen());
            }
        }
        let before = self.replies.so_far();
        let missing = || {
            let now = self.replies.so_far();
            let answered = |address: &&String| now.get(*address) > before.get(*address);
            wanted.iter().filter(|address| !answered(address)).cloned().collect::<Vec<_>>()
        };
        while !missing().is_empty() {
            ensure!(Instant::now() < deadline, "no reply from {:?}", missing());
            tokio::time::sleep(self.stage.pace / 4).await;
        }
        let names = wanted.into_iter().collect::<Vec<_>>().join(" ");
        self.stage.account.say(format_args!("witness: sees exactly {names}, and each has answered"));
        Ok(())
    }

    fn seen(&self) -> BTreeSet<String> {
        self.latest.iter().map(|instance| instance.address.to_string()).collect()
    }

    /// Waits for the next change, and tells it.
    async fn changed(&mut self) -> Result<()> {
        let change =
            timeout(self.stage.patience, self.changes.next()).await?.context("the view has ended")?;
        self.latest = change.set.clone();
        for instance in &change.added {
            self.stage.account.say(format_args!("witness: {} came", instance.address));
        }
        for instance in &change.removed {
            self.stage.account.say(format_args!("witness: {} went", instance.address));
        }
        for update in &change.updated {
            self.stage.account.say(format_args!("witness: {} changed", update.new.address));
        }
        Ok(())
    }

    /// The transactions that created the registrations.
    async fn makers(&self) -> Result<BTreeSet<i64>> {
        let dir = self.stage.dir.clone();
        let zk = &self.stage.witness;
        let (children, _) = zk.children(dir.as_str()).await?;
        let mut made = BTreeSet::new();
        for name in &children {
            let path = menagerie::path::join(&dir, name);
            if let Some(stat) = zk.exists(path).await? {
                made.insert(stat.czxid);
            }
        }
        Ok(made)
    }
}
