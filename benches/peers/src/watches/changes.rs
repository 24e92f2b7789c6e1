//! The second client: it makes the znodes and changes them, past the proxy.

use anyhow::Result;
use menagerie::Client;

use super::Kind;

/// Requests in a pipeline at once.
const WINDOW: usize = 500;

/// Makes what every round begins with.
pub(super) async fn prepare(zk: &Client, watches: usize) -> Result<()> {
    for kind in Kind::ALL {
        zk.create(format!("/{}", kind.name())).await?;
        let all: Vec<_> = (0..watches).collect();
        if kind != Kind::Exists {
            create(zk, all.iter().map(|number| kind.path(*number)).collect()).await?;
        }
        if kind == Kind::Recursive {
            create(zk, all.iter().map(|number| kind.changed(*number)).collect()).await?;
        }
    }
    Ok(())
}

/// Changes the znodes of these watches; all is answered when it returns.
pub(super) async fn change(zk: &Client, round: u64, numbers: &[usize]) -> Result<()> {
    for kind in Kind::ALL {
        let paths: Vec<_> = numbers.iter().map(|number| kind.changed(*number)).collect();
        match kind {
            Kind::Exists => create(zk, paths).await?,
            Kind::Children if round % 2 == 1 => create(zk, paths).await?,
            Kind::Children => delete(zk, paths).await?,
            Kind::Data | Kind::Persistent | Kind::Recursive => set(zk, paths, round).await?,
        }
    }
    Ok(())
}

/// Removes what must be missing when the next round begins.
pub(super) async fn tidy(zk: &Client, watches: usize) -> Result<()> {
    delete(zk, (0..watches).map(|number| Kind::Exists.path(number)).collect()).await
}

async fn create(zk: &Client, paths: Vec<String>) -> Result<()> {
    for window in paths.chunks(WINDOW) {
        let sent: Vec<_> = window.iter().map(|path| zk.create(path.as_str()).send()).collect();
        for each in sent {
            each.await?;
        }
    }
    Ok(())
}

async fn delete(zk: &Client, paths: Vec<String>) -> Result<()> {
    for window in paths.chunks(WINDOW) {
        let sent: Vec<_> = window.iter().map(|path| zk.delete(path.as_str()).send()).collect();
        for each in sent {
            each.await?;
        }
    }
    Ok(())
}

async fn set(zk: &Client, paths: Vec<String>, round: u64) -> Result<()> {
    for window in paths.chunks(WINDOW) {
        let value = round.to_string();
        let sent: Vec<_> = window.iter().map(|path| zk.set(path.as_str(), value.clone()).send()).collect();
        for each in sent {
            each.await?;
        }
    }
    Ok(())
}
