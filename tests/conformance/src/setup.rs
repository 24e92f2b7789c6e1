//! How a server is set up: plain data, from which both a `zoo.cfg` and the embedded server's builder are filled.

/// The knobs that rows turn. Constants are made by `Setup { name: "..", knob: .., ..Setup::PLAIN }`; rows with the same name
/// share a server.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Names it; two different setups have two names.
    pub name: &'static str,
    /// `tickTime`.
    pub tick_ms: u32,
    /// `maxClientCnxns`; 0 is no limit.
    pub max_client_cnxns: u32,
    /// `zookeeper.globalOutstandingLimit`, if not Apache's 1,000.
    pub outstanding_limit: Option<u32>,
    /// Bytes that may wait for one connection; the real servers know no such bound.
    pub output_max: Option<usize>,
    /// `zookeeper.extendedTypesEnabled`.
    pub extended_types: bool,
    /// `zookeeper.enforceQuota`.
    pub enforce_quota: bool,
    /// `zookeeper.skipACL=yes`.
    pub skip_acl: bool,
    /// `reconfigEnabled`.
    pub reconfig: bool,
    /// The scheme by which everybody must authenticate (`zookeeper.enforce.auth.schemes`).
    pub required_scheme: Option<&'static str>,
    /// `super:secret` is all-powerful.
    pub super_user: bool,
    /// `4lw.commands.whitelist`; `None` leaves it out.
    pub four_letter_words: Option<&'static str>,
    /// How often containers and TTL nodes are looked at.
    pub container_check_ms: u32,
    /// After how long a container that never had a child is reaped; 0 is never.
    pub container_never_used_ms: u32,
    /// Servers of the ensemble; the embedded server is always one.
    pub nodes: usize,
    /// More lines of `zoo.cfg`, which the embedded server does not see.
    pub apache_config: &'static [(&'static str, &'static str)],
    /// More flags of the Java virtual machine.
    pub apache_jvm: &'static [&'static str],
}

impl Setup {
    /// What most rows run on: a tick of 500 ms, Apache's own bounds for timeouts, all four-letter words, TTL nodes on, no
    /// limit of connections, containers looked at five times a second.
    pub const PLAIN: Self = Self {
        name: "plain",
        tick_ms: 500,
        max_client_cnxns: 0,
        outstanding_limit: None,
        output_max: None,
        extended_types: true,
        enforce_quota: false,
        skip_acl: false,
        reconfig: false,
        required_scheme: None,
        super_user: true,
        four_letter_words: Some("*"),
        container_check_ms: 200,
        container_never_used_ms: 0,
        nodes: 1,
        apache_config: &[],
        apache_jvm: &[],
    };
    /// Quotas are enforced.
    pub const QUOTA: Self = Self { name: "quota", enforce_quota: true, ..Self::PLAIN };
}
