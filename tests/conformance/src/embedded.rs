//! The embedded server on a runtime of its own, set up as the real ones are.

use crate::Setup;
use menagerie_server::{Like, Limits, Rules, Server};
use std::{net::SocketAddr, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// `super:secret`, as ZooKeeper's DigestAuthenticationProvider hashes it.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// What the embedded server imitates: 3.9, or what `MENAGERIE_LIKE` says. The rows hold it to that.
pub(crate) fn like() -> Like {
    match std::env::var("MENAGERIE_LIKE").as_deref() {
        Err(_) | Ok("3.9") => Like::V3_9,
        Ok("3.8") => Like::V3_8,
        Ok(other) => panic!("MENAGERIE_LIKE is 3.8 or 3.9, not {other}"),
    }
}

/// A running embedded server. Dropping it stops it.
#[derive(Debug)]
pub struct Embedded {
    server: Server,
    /// Behind the server, which is to go first.
    _runtime: Runtime,
}

impl Embedded {
    pub(crate) fn start(setup: &Setup) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|why| why.to_string())?;
        let rules = Rules {
            like: like(),
            extended_types: setup.extended_types,
            enforce_quota: setup.enforce_quota,
            required_schemes: setup.required_scheme.into_iter().map(str::to_owned).collect(),
            reconfig_enabled: setup.reconfig,
            skip_acl: setup.skip_acl,
            super_digest: setup.super_user.then(|| SUPER_DIGEST.to_owned()),
            max_never_used_millis: setup.container_never_used_ms.into(),
        };
        let mut limits = Limits::default();
        limits.tick = Duration::from_millis(setup.tick_ms.into());
        limits.connections_per_address = usize::try_from(setup.max_client_cnxns).unwrap_or(usize::MAX);
        if let Some(limit) = setup.outstanding_limit {
            limits.outstanding = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        limits.output_max = setup.output_max.unwrap_or(limits.output_max);
        let mut builder = Server::builder()
            .rules(rules)
            .limits(limits)
            .reap_interval(Duration::from_millis(setup.container_check_ms.into()));
        match setup.four_letter_words {
            Some("*") => {}
            words => builder = builder.words(words.unwrap_or("srvr").split(',').map(str::trim)),
        }
        let server = runtime.block_on(builder.start()).map_err(|why| why.to_string())?;
        Ok(Self { server, _runtime: runtime })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }
}
