//! Coming from Spring Cloud ZooKeeper.
//!
//! The layout is [`SpringCloud`](crate::registry::layout::SpringCloud): `zk://host1,host2/?layout=spring-cloud`, with `root=` for another
//! `spring.cloud.zookeeper.discovery.root` than `/services`.
//!
//! | Spring | here | what differs |
//! |---|---|---|
//! | `spring.cloud.zookeeper.connect-string` | the URL's hosts | |
//! | `discovery.instance-host`, `instance-port` | [`InstanceBuilder::host`](crate::registry::InstanceBuilder::host), [`port`](crate::registry::InstanceBuilder::port) | |
//! | `discovery.instance-ssl-port` | an [`endpoint`](crate::registry::InstanceBuilder::endpoint) named `ssl` at the same host | |
//! | `discovery.instance-id` | [`InstanceBuilder::id`](crate::registry::InstanceBuilder::id) | |
//! | `discovery.metadata.*` | [`InstanceBuilder::metadata`](crate::registry::InstanceBuilder::metadata) | `zone` and `weight` are fields of their own |
//! | `discovery.initial-status`, `setStatus` | [`InstanceBuilder::status`](crate::registry::InstanceBuilder::status), [`Registered::update`](crate::registry::Registered::update) | an instance that drains is `OUT_OF_SERVICE` to Spring |
//! | `ServiceRegistry.register` | [`Registration::register`](crate::registry::Registration::register) | a reconnect in the same session writes nothing; Curator deletes and creates the leaf |
//! | `DiscoveryClient.getInstances` | [`Discovery::discover`](crate::registry::Discovery::discover) | a live view: no read for each call |
//! | load balancer: round robin, random | [`Balance`](crate::registry::Balance) | |
//!
//! Spring's load balancer keeps what it read for 35 s, so an instance that ends should [`drain`](crate::registry::Registered::drain): it
//! is `OUT_OF_SERVICE` for 40 s, and then gone.
//!
//! # Who else is in the directory
//!
//! Spring and Dubbo both use `/services`, and each one's reader throws on the other's payload, for all instances of the service.
//! [`layout::clashes`](crate::registry::layout::clashes) says so before it happens.
//!
//! # What is not carried
//!
//! `dependencies`, the TreeCache's heartbeat events, configuration from ZooKeeper. A `uriSpec` of one's own is kept on writing
//! back, and not read.
