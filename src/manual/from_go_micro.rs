//! Coming from go-micro's ZooKeeper plugin.
//!
//! The layout is [`GoMicro`](crate::registry::layout::GoMicro), the default: `zk://host1,host2/?layout=go-micro`. Go programs with the
//! plugin find what is registered here, and are found.
//!
//! | plugin | here | what differs |
//! |---|---|---|
//! | `NewRegistry(Addrs(..))` | [`registry::connect`](crate::registry::connect) | a ZooKeeper that is down is an error or a wait, not a nil registry |
//! | `Register(service)` | [`Registration::register`](crate::registry::Registration::register) | a standing wish: repaired after an expiry or a deletion, so there is nothing to repeat |
//! | `RegisterTTL`, `RegisterInterval` | none | the plugin ignores the TTL; here the session is the lease |
//! | `Register` of a service with several nodes | [`ZooKeeper::register_all`](crate::registry::ZooKeeper::register_all) | in one transaction, under one handle |
//! | `Register` again with other metadata | [`Registered::update`](crate::registry::Registered::update) | set in place, by version |
//! | `Deregister(service)` | [`Registered::deregister`](crate::registry::Registered::deregister) | a leaf that is gone already is success |
//! | `GetService(name)` | [`Discovery::discover`](crate::registry::Discovery::discover) | one malformed child does not fail the others; a missing service is an empty set |
//! | `Watch(..)` | [`Services::changes`](crate::registry::Services::changes) | says what was added, updated and removed, also after an outage |
//! | selector: random, round robin | [`Balance`](crate::registry::Balance) | |
//! | `broker`, `transport`, `server` | metadata of every node, set by [`GoMicro::broker`](crate::registry::layout::GoMicro::broker) and [`GoMicro::protocol`](crate::registry::layout::GoMicro::protocol) | go-micro's clients filter on them |
//!
//! Leaves are ephemeral, and the plugin's are not: it never looks, so both see each other. A dead Go process stays listed until
//! somebody deletes its leaf; it is read as persistent, and passed over once it has failed.
//!
//! In a path the plugin turns `/` into `-`, and so do we: `x/y` and `x-y` share a directory. The name in the payload decides; the second of
//! the two that a process registers is refused.
//!
//! # What is not carried
//!
//! go-micro's own RPC protocol (mucp), its brokers and its codecs: this is a registry, and calls are yours. A status: an
//! instance that drains or is out of service has no leaf meanwhile. Weight, zone, tags, registration time and further addresses
//! are in the node's metadata under `menagerie.`, where Go programs see them as text.
