//! Who else's leaves stand where ours are to stand: read once, beside a registration, and said.

use std::sync::Arc;

use tracing::{debug, warn};

use super::requests::leaf_stat;
use crate::Client;
use crate::client::Error;
use crate::jute::ErrorCode;
use crate::registry::layout::{Clash, Found, Layout, clashes as judge};
use crate::registry::limits::NEIGHBOURS_READ;

/// Whose readers would be harmed in `dir`.
pub(super) async fn clashes(client: &Client, layout: &dyn Layout, dir: String) -> Result<Vec<Clash>, Error> {
    let names: Vec<String> = match client.children(dir.as_str()).await {
        Ok((children, _)) => children.iter().take(NEIGHBOURS_READ).map(str::to_owned).collect(),
        Err(error) if error.code() == Some(ErrorCode::NO_NODE) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // All of them in one round trip.
    let asked: Vec<_> =
        names.into_iter().map(|name| (client.get(format!("{dir}/{name}")).send(), name)).collect();
    let mut read = Vec::with_capacity(asked.len());
    for (reply, name) in asked {
        // What goes meanwhile, or must not be read, harms nobody that we could name.
        if let Ok((data, stat)) = reply.await {
            read.push((name, data, leaf_stat(&stat)));
        }
    }
    Ok(judge(layout, read.iter().map(|(name, data, stat)| Found { name, data, stat: *stat })))
}

/// Warns of each. That nobody could be asked is no reason to.
pub(super) async fn warn(client: Client, layout: Arc<dyn Layout>, dir: String) {
    match clashes(&client, &*layout, dir.clone()).await {
        Ok(clashes) => {
            for clash in clashes {
                warn!(target: "menagerie::registration", %dir, %clash, "leaves of another layout stand where this one registers");
            }
        }
        Err(error) => {
            debug!(target: "menagerie::registration", %dir, %error, "who else registers here is not known")
        }
    }
}
