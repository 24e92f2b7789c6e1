//! What the server imitates, and the switches of the real one that change what a request comes to.

use std::fmt;

/// Which server to behave like, where they differ. Imitations: the version is a name here, not a promise of every detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Like {
    /// Apache ZooKeeper 3.4.
    V3_4,
    /// Apache ZooKeeper 3.5.
    V3_5,
    /// Apache ZooKeeper 3.8, as Debian patches it.
    V3_8,
    /// Apache ZooKeeper 3.9.
    #[default]
    V3_9,
    /// ClickHouse Keeper: a new session where a re-attach is refused, and failed reads of a multiRead typed by their operation.
    Keeper,
}

/// The switches that change what a request comes to.
#[derive(Clone)]
pub struct Rules {
    /// Which server to behave like.
    pub like: Like,
    /// TTL nodes (`zookeeper.extendedTypesEnabled`).
    pub extended_types: bool,
    /// Hard quota limits are enforced (`zookeeper.enforceQuota`).
    pub enforce_quota: bool,
    /// No ACL is checked (`zookeeper.skipACL`).
    pub skip_acl: bool,
    /// `super:` and the base64 SHA-1 of `super:password` (`zookeeper.DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<String>,
    /// `reconfig` is on (`reconfigEnabled`).
    pub reconfig_enabled: bool,
    /// Containers that never had a child are reaped when their data was not set for longer than this, in milliseconds; 0: never
    /// (`znode.container.maxNeverUsedIntervalMs`).
    pub max_never_used_millis: i64,
}

/// Without the digest of `super`.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { like, extended_types, enforce_quota, skip_acl, super_digest, .. } = self;
        f.debug_struct("Rules")
            .field("like", like)
            .field("extended_types", extended_types)
            .field("enforce_quota", enforce_quota)
            .field("skip_acl", skip_acl)
            .field("super_digest", &super_digest.as_ref().map(|_| "***"))
            .finish_non_exhaustive()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            like: Like::default(),
            extended_types: true,
            enforce_quota: false,
            skip_acl: false,
            super_digest: None,
            reconfig_enabled: false,
            max_never_used_millis: 0,
        }
    }
}
