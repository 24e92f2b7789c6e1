//! Operations: every metric, event, line in the log and error, with its meaning and what to do.
//!
//! Tests hold these tables against the code: what is not listed here does not pass, and what is listed is there.
//!
//! # Health
//!
//! [`Registry::health`](crate::registry::Registry::health) says how the registry fares, as one value that never waits for the network; its
//! [verdict](crate::registry::Verdict) is for a readiness endpoint, its text for whoever looks:
//!
//! | verdict | means | do |
//! |---|---|---|
//! | [`Verdict::Good`](crate::registry::Verdict::Good) | all is as wished | nothing |
//! | [`Verdict::Impaired`](crate::registry::Verdict::Impaired) | it goes on by what it last knew, or not in everything | look; leave the process in service, since taking it out would not help |
//! | [`Verdict::Bad`](crate::registry::Verdict::Bad) | others cannot find this process, or it cannot find others | no calls for it; restart it if the client has ended |
//!
//! **An outage of ZooKeeper is no reason to be unready.** Views keep their last good set and calls go on. A process that said otherwise would be
//! taken out of service together with all others at the same moment.
//!
//! | trouble | verdict | means | do |
//! |---|---|---|---|
//! | [`Trouble::Session`](crate::registry::Trouble::Session) | impaired; bad if the client has ended | not connected to a server that takes writes | look at the ensemble, and at the last loss in the log |
//! | [`Trouble::Registration`](crate::registry::Trouble::Registration) | impaired; bad if the place is taken or the server refuses | a registration is not as wished | see its state below |
//! | [`Trouble::View`](crate::registry::Trouble::View) | impaired; bad if it was never read or has ended | a view is not fresh | see its health below |
//!
//! Health checks of one's own ([`register_checked`](crate::registry::Registration::register_checked)) take an instance out of service, and are no part of this: what is
//! out of service because it wants no calls is as wished.
//!
//! # Health checks
//!
//! An instance that is registered with checks is up only while all of them pass. Until then, and when one falls, it is wished out of service, and the reason
//! names the check. Where the layout has no word for that, it has no leaf.
//!
//! ```no_run
//! # async fn run() -> Result<(), menagerie::registry::Error> {
//! use menagerie::registry::{self, HealthCheck, Instance};
//!
//! let registry = registry::connect("zk://zk1,zk2,zk3/prod").await?;
//! let checks = vec![
//!     HealthCheck::http("/health")?,
//!     HealthCheck::custom("queue", || async { Ok::<(), std::io::Error>(()) }),
//! ];
//! let orders = registry.register_checked(Instance::builder("orders").port(8080), checks).await?;
//! println!("{:?}", orders.checks());
//! # Ok(())
//! # }
//! ```
//!
//! | | here | Consul's agent | Registrator on ZooKeeper |
//! |---|---|---|---|
//! | who asks | the process itself | an agent on its host | nobody: `SERVICE_CHECK_*` become attributes that nothing reads |
//! | before the first answer | down, unless `up_at_first` | critical, unless the definition says otherwise | listed as soon as the container runs |
//! | passes | TCP: a connection; HTTP: 200 to 299 | the same; 429 is a warning | a container that runs |
//! | time for an answer | 2 s | 10 s | |
//! | answers that make a difference | 2 successes or 3 failures in a row, asked every 0.5 s meanwhile | one, unless told | |
//! | several | all must pass | the worst counts | |
//! | what a failed one does | out of service, or no leaf; the wish stays | it stays in the catalogue as critical; after a time that is set it is removed for good | |
//! | HTTPS | by a function of yours | yes | |
//!
//! A check that asks what all instances share, a database perhaps, takes all of them out at once. Check what this process alone can be ill with.
//!
//! # Metrics
//!
//! No metrics crate is taken on: [`Client::metrics`](crate::Client::metrics), [`Registered::metrics`](crate::registry::Registered::metrics),
//! [`Services::metrics`](crate::registry::Services::metrics) and [`RegistryHealth::metrics`](crate::registry::RegistryHealth::metrics) yield plain values, and
//! [`prometheus`](crate::client::prometheus) writes them out. Counters begin anew with what they count: those of a session with the next session, those of a
//! view with the view.
//!
//! | name | kind | labels | means | look when |
//! |---|---|---|---|---|
//! | `menagerie_client_connected` | gauge |  | 1 while a server serves the session | 0 for longer than the session timeout |
//! | `menagerie_client_read_only` | gauge |  | 1 on a server that takes no writes | 1 for minutes: that member has lost its quorum |
//! | `menagerie_client_ended` | gauge |  | 1 once no further session will come | 1 without a `close`: make a new client |
//! | `menagerie_client_sessions_total` | counter |  | sessions begun | it grows: sessions expire, by pauses of this process or outages longer than the timeout |
//! | `menagerie_client_disconnects_total` | counter |  | connections lost | it grows while the network is well |
//! | `menagerie_client_session_timeout_seconds` | gauge |  | the timeout that the server granted | it is not what you asked for: the server has bounds of its own |
//! | `menagerie_client_in_flight` | gauge |  | requests waiting or under way | it stays near the bound of places |
//! | `menagerie_session_connects_total` | counter |  | connections accepted | it grows faster than disconnects are explained |
//! | `menagerie_session_dials_total` | counter |  | addresses dialled | it grows fast: nobody takes the connection |
//! | `menagerie_session_probes_total` | counter |  | servers asked whether they take writes | it grows: the client is on a read-only server |
//! | `menagerie_session_violations_total` | counter |  | connections dropped because the peer broke the protocol | it is not 0: something other than ZooKeeper answers, or tampers |
//! | `menagerie_session_ignored_replies_total` | counter |  | answers to pings and the like that nobody asked for | it is not 0: the same |
//! | `menagerie_session_ignored_events_total` | counter |  | watch events that nobody waits for | never: they were on their way when their watcher went |
//! | `menagerie_session_garbled_events_total` | counter |  | watch events whose path is not UTF-8 | it is not 0: somebody makes such znodes |
//! | `menagerie_session_oversize_replies_total` | counter |  | answers over the inbound limit, thrown away | it is not 0: raise the limit, or make the znode smaller |
//! | `menagerie_session_watch_batches_total` | counter |  | batches of watches set again | it grows with every reconnect; many a reconnect: many watches |
//! | `menagerie_session_pings_total` | counter |  | pings sent | never |
//! | `menagerie_operations_total` | counter | op, outcome | operations that were answered or failed | `failed` grows; refusals by the server count as failures, also those that you expect |
//! | `menagerie_operation_latency_seconds_bucket` | counter | op, le | operations that took less than `le` | the quantile that you promise is crossed |
//! | `menagerie_registry_ready` | gauge |  | 1 unless the verdict is bad | 0 |
//! | `menagerie_registry_troubles` | gauge |  | things that are not as they should be | it is not 0 for minutes |
//! | `menagerie_registration_state` | gauge | state, service, id | 1 for the state in which the registration is, 0 for the others | `conflict` or `ended`; `pending` for longer than a session timeout |
//! | `menagerie_registration_writes_total` | counter | service, id | writes tried for it | it grows without an outage: others undo the work, or a health check flaps |
//! | `menagerie_registration_wishes_total` | counter | service, id | how often it was wished otherwise, by you or by its health checks | never |
//! | `menagerie_registration_losses_total` | counter | service, id | how often it was lost after it had been as wished | it grows: sessions expire, or others delete or change it |
//! | `menagerie_registration_refused` | gauge | service, id | 1 while the server refuses to read or write it | 1: mostly an ACL |
//! | `menagerie_health_check_up` | gauge | check, service, id | 1 while the check lets the instance be up | 0 |
//! | `menagerie_health_check_runs_total` | counter | check, service, id | how often it was asked | it stands still: a check blocks its thread |
//! | `menagerie_health_check_failures_total` | counter | check, service, id | how often it failed | it grows although the check is up: it fails now and then |
//! | `menagerie_health_check_turns_total` | counter | check, service, id | how often it rose or fell | it grows: raise `fall` or `rise` |
//! | `menagerie_view_fresh` | gauge | service | 1 while the view follows the registry, and all could be read | 0 for longer than a session timeout |
//! | `menagerie_view_ended` | gauge | service | 1 once the client has ended | 1 |
//! | `menagerie_view_instances` | gauge | service | instances in the set, whatever their status | it falls much, or to 0 |
//! | `menagerie_view_stale_seconds` | gauge | service | how old the set may be; 0 while it is fresh | it exceeds what you bear |
//! | `menagerie_view_invalid` | gauge | service | children that stand for no instance now | it is not 0: somebody writes what this layout does not know; `Services::invalid` lists them |
//! | `menagerie_view_invalid_total` | counter | service | how often one was found | the same |
//! | `menagerie_view_reads_total` | counter | service | reads begun; a multiRead is one | it grows faster than changes |
//! | `menagerie_view_events_total` | counter | service | watch events heard | it grows fast: instances flap |
//! | `menagerie_view_gaps_total` | counter | service | how often all was read again | it grows: reconnects |
//! | `menagerie_view_held_down` | gauge | service | children that come and go too often, and are not read for the moment | it is not 0: find out who restarts |
//! | `menagerie_view_held_down_total` | counter | service | how often one was held down | the same |
//! | `menagerie_view_held_back` | gauge | service | instances not registered any more, and kept for the moment | it is not 0: much of the set vanished during an outage |
//! | `menagerie_view_held_back_total` | counter | service | how often a sudden loss was held back | the same |
//! | `menagerie_picks_total` | counter | service | picks that found an instance | it stands still while you call |
//! | `menagerie_picks_empty_total` | counter | service | picks that found nobody | it grows: nobody is up, or a filter leaves nobody |
//! | `menagerie_picks_probes_total` | counter | service | picks that let a call through to a suspect | it grows for hours: somebody's leaf was never removed; delete it |
//! | `menagerie_picks_succeeded_total` | counter | service | calls reported to have succeeded | it stands still although you report |
//! | `menagerie_picks_failed_total` | counter | service | calls reported to have failed | its share grows |
//! | `menagerie_picks_suspected_total` | counter | service | how often an instance became a suspect | it grows: persistent leaves of dead processes |
//! | `menagerie_picks_ejected_total` | counter | service | how often an instance was ejected | it grows: somebody is registered and fails |
//! | `menagerie_picks_passed_over` | gauge | service | instances passed over now | it nears the number of instances |
//!
//! `Services::stats` and `Client::stats` hold the same as structures.
//!
//! # Events
//!
//! What a program hears of by itself, as values: of the client by [`status_change`](crate::Client::status_change), of watches by their streams, of a registration by
//! [`Registered::events`](crate::registry::Registered::events), of a view by [`Services::events`](crate::registry::Services::events).
//!
//! | event | means | do |
//! |---|---|---|
//! | [`State::Connecting`](crate::session::State::Connecting) | no server has accepted the session yet | wait; requests wait too, within their deadlines |
//! | [`State::Connected`](crate::session::State::Connected) | a server that takes writes serves it | nothing |
//! | [`State::ConnectedReadOnly`](crate::session::State::ConnectedReadOnly) | a server without a quorum serves reads | expect old answers; the client looks for another by itself |
//! | [`State::Disconnected`](crate::session::State::Disconnected) | no connection; the session probably lives | nothing; leaders stop at `lease_until` |
//! | [`State::Lost`](crate::session::State::Lost) | no contact for 4/3 of the timeout | take nothing that belongs to the session for granted |
//! | [`State::Ended`](crate::session::State::Ended) | over | see the end below |
//! | [`End::Expired`](crate::session::End::Expired) | the server gave the session up | with `OnExpiry::Follow` nothing; else a new client |
//! | [`End::AuthFailed`](crate::session::End::AuthFailed) | the credentials were refused | correct them; nothing is tried again |
//! | [`End::Closed`](crate::session::End::Closed) | closed, and the server confirmed it | nothing |
//! | [`End::ClosedUnconfirmed`](crate::session::End::ClosedUnconfirmed) | closed without the server's word | its ephemerals may live until the timeout |
//! | [`End::Contended`](crate::session::End::Contended) | another client uses the same session | resume a session in one place only |
//! | [`WatchEvent::Event`](crate::client::WatchEvent::Event) | what was watched happened | read again |
//! | [`WatchEvent::Gap`](crate::client::WatchEvent::Gap) | events may be missing | read everything again |
//! | [`WatchEvent::NotWatched`](crate::client::WatchEvent::NotWatched) | the server is too old for the watch | read by polling, or wait for another server |
//! | [`WatchEvent::SessionEnded`](crate::client::WatchEvent::SessionEnded) | the watch ended with its session | set it again under the next one |
//! | [`RegistrationState::Pending`](crate::registry::RegistrationState::Pending) | not known to be as wished: being done, ZooKeeper is away, or it refuses | wait; if `refusal` says a code, mend that |
//! | [`RegistrationState::Registered`](crate::registry::RegistrationState::Registered) | as wished | nothing |
//! | [`RegistrationState::Conflict`](crate::registry::RegistrationState::Conflict) | somebody else's znode is in the place | see the kind below; it is done by itself when that one goes |
//! | [`RegistrationState::Withdrawn`](crate::registry::RegistrationState::Withdrawn) | nothing is there, and nothing is to be | nothing; of an instance with health checks: look at `checks` |
//! | [`RegistrationState::Ended`](crate::registry::RegistrationState::Ended) | the client has ended | make a new client, and register again |
//! | [`ConflictKind::Foreign`](crate::registry::reconcile::ConflictKind::Foreign) | another instance's znode | find out whose it is; ids must differ |
//! | [`ConflictKind::Twin`](crate::registry::reconcile::ConflictKind::Twin) | a living process registers the same id | give each process its own id |
//! | [`ConflictKind::KeptPersistent`](crate::registry::reconcile::ConflictKind::KeptPersistent) | a persistent znode of this instance, which is to be kept | delete it, or do without `keep_persistent` |
//! | [`reconcile::Loss::Expired`](crate::registry::reconcile::Loss::Expired) | its session ended, and the leaf with it | nothing; often: a longer session timeout |
//! | [`reconcile::Loss::Deleted`](crate::registry::reconcile::Loss::Deleted) | somebody deleted the leaf | find out who cleans up there |
//! | [`reconcile::Loss::Changed`](crate::registry::reconcile::Loss::Changed) | somebody set other data | find out who else writes this instance |
//! | [`reconcile::Loss::Taken`](crate::registry::reconcile::Loss::Taken) | a living process registers the same id, and has taken the leaf | give each process its own id |
//! | [`ServiceEvent::Snapshot`](crate::registry::ServiceEvent::Snapshot) | the present set, first of all | take it |
//! | [`ServiceEvent::Added`](crate::registry::ServiceEvent::Added) | an instance on a new leaf | nothing |
//! | [`ServiceEvent::Updated`](crate::registry::ServiceEvent::Updated) | an instance that differs on the same leaf | compare old and new |
//! | [`ServiceEvent::Removed`](crate::registry::ServiceEvent::Removed) | its leaf is gone | end what is under way to it |
//! | [`ServiceEvent::Stale`](crate::registry::ServiceEvent::Stale) | the set may be out of date from here on | go on |
//! | [`ServiceEvent::Fresh`](crate::registry::ServiceEvent::Fresh) | it is up to date; what had changed has been told | nothing |
//! | [`ViewHealth::Fresh`](crate::registry::ViewHealth::Fresh) | the view follows | nothing |
//! | [`ViewHealth::Impaired`](crate::registry::ViewHealth::Impaired) | it follows, but not everything can be read | see the failure below |
//! | [`ViewHealth::Stale`](crate::registry::ViewHealth::Stale) | ZooKeeper is away, or what it says is doubted | look at the ensemble |
//! | [`ViewHealth::Ended`](crate::registry::ViewHealth::Ended) | the client has ended | a new client, and `discover` again |
//! | [`Reason::Suspect`](crate::registry::balance::Reason::Suspect) | a persistent instance failed | if it is dead for good, delete its leaf |
//! | [`Reason::Ejected`](crate::registry::balance::Reason::Ejected) | its calls fail, although it is registered | look at that process |
//!
//! # The log
//!
//! By `tracing`, each line with a target that does not change with the code's files, so that a filter such as
//! `menagerie::registration=info,menagerie=warn` stays right. What could come in every round of a retry is said at most once a minute and view. A lost connection is
//! said each time: no client dials more than twice a second.
//!
//! Lines hold paths, names and addresses, never payloads, passwords or credentials. A path may say more than you think: a Dubbo leaf's name holds all of its
//! parameters.
//!
//! | target | level | line | fields | means | do |
//! |---|---|---|---|---|---|
//! | `menagerie::client` | info | connected | server, session, timeout, read_only, reattached | a server has accepted the session; not `reattached` is a new one | nothing |
//! | `menagerie::client` | warn | disconnected | loss | a connection went | see the loss below |
//! | `menagerie::client` | debug | could not connect | server, loss | an attempt failed | see the loss below |
//! | `menagerie::client` | warn | no contact for 4/3 of the session timeout |  | the session may be gone | look at the ensemble |
//! | `menagerie::client` | warn | the session is taken away again and again: another client seems to use it |  | two clients resumed one session | resume it in one place only |
//! | `menagerie::client` | warn | lease refused | lease, code | the znode of a lease is gone or was changed | whoever holds the lock or leads must stop |
//! | `menagerie::client` | info | session ended | end | over | see the end above |
//! | `menagerie::client` | warn | digest credentials travel to another machine in plain text | server | anybody on the way can read the password | use a transport with TLS |
//! | `menagerie::client` | warn | the machine slept, or its clock was set: looking whether the session lives | slept | the clock jumped | nothing; leases from before are not believed |
//! | `menagerie::registration` | debug | address settled | service, id, address, source | where the announced address comes from | compare it when nobody can call the instance |
//! | `menagerie::registration` | info | registered | service, id | all is in the tree as wished | nothing |
//! | `menagerie::registration` | info | nothing is registered, as wished | service, id | deregistered, or wants no calls | nothing |
//! | `menagerie::registration` | debug | a registration is not as wished | service, id | it is being done, or ZooKeeper is away | nothing |
//! | `menagerie::registration` | warn | a registration was lost, and is made again | service, id, loss | it had been as wished | see the loss above |
//! | `menagerie::registration` | warn | somebody else's znode is in a registration's place | path, kind, owner | a conflict | see the kind above; `owner` is a session of the server's log |
//! | `menagerie::registration` | warn | a registration ends with its client | service, id, end | nothing more is done | a new client |
//! | `menagerie::registration` | debug | a write of a registration | path, step, together | a write is begun for it, with so many in one transaction | nothing |
//! | `menagerie::registration` | warn | a persistent registration of this instance is replaced by an ephemeral one | path | another program registered the same instance, to stay for ever | let only one of them register it |
//! | `menagerie::registration` | warn | leaves of another layout stand where this one registers | dir, clash | readers of one of the layouts would break | use another root |
//! | `menagerie::registration` | debug | who else registers here is not known | dir, error | the directory could not be read | nothing |
//! | `menagerie::registration` | warn | not in the fixed list of instances | service, address | the fixed list has no such address | add it to the list |
//! | `menagerie::health` | warn | a health check fell | service, id, check, failure | the instance is out of service | see the failure below |
//! | `menagerie::health` | info | a health check rose | service, id, check | it lets the instance be up again | nothing |
//! | `menagerie::health` | warn | what a health check says cannot be registered | service, id, error | the layout refused the status | report it |
//! | `menagerie::discovery` | debug | the view is stale | dir | ZooKeeper is away | nothing |
//! | `menagerie::discovery` | debug | the view is fresh | dir, instances | all was read | nothing |
//! | `menagerie::discovery` | debug | the view ends with its client | dir, end | nothing changes any more | nothing |
//! | `menagerie::discovery` | warn | the service cannot be watched | dir, error | the watch was refused; tried again with pauses | mostly an ACL, or a server that is too old |
//! | `menagerie::discovery` | warn | the service cannot be read completely | dir, failure | reads are refused; tried again with pauses | mostly an ACL |
//! | `menagerie::discovery` | warn | a sudden loss after a gap is held back | dir, instances | much of the set vanished in an outage | nothing, if its processes live: they come back. Else they go after one session timeout |
//! | `menagerie::discovery` | debug | children that come and go are held down | dir, children | they are read once a second at most | find out who restarts |
//! | `menagerie::discovery` | warn | children that stand for no instance are skipped | dir, count, seen, leaf, reason | somebody writes what the layout does not know | see the reason below; `leaf` is the first, shortened |
//! | `menagerie::discovery` | warn | the saved set is not used | file, error | the file is not as this library writes it | delete it |
//! | `menagerie::discovery` | warn | the set cannot be saved | file, error | a start without ZooKeeper would begin with an older set | see to the disk |
//! | `menagerie::discovery` | debug | the set was saved | file |  | nothing |
//! | `menagerie::discovery` | debug | the list of services ends with its client | root, end | nothing changes any more | nothing |
//! | `menagerie::discovery` | warn | the services cannot be listed | root, error | the list was refused; tried again with pauses | mostly an ACL |
//! | `menagerie::picks` | debug | a call failed: a suspect | service, id, address | a persistent instance is passed over | nothing |
//! | `menagerie::picks` | warn | calls fail: ejected | service, id, address, span | an instance gets no calls for `span` | look at that process |
//! | `menagerie::picks` | debug | a suspect was probed | service, id, address, works | a TCP connect told whether it is back | nothing |
//! | `menagerie::picks` | debug | a suspect works: trusted again | service, id, address | it gets calls again | nothing |
//!
//! # Errors
//!
//! Of the registry, then of reads, of health checks, and of the session beneath. What a request's error says of its effect stands in
//! [`errors_and_retries`](super::errors_and_retries).
//!
//! | error | means | do |
//! |---|---|---|
//! | [`Error::Url`](crate::registry::Error::Url) | the registry's URL is not one | see the next ones |
//! | [`Error::Address`](crate::registry::Error::Address) | there is no address to announce | see below |
//! | [`Error::Instance`](crate::registry::Error::Instance) | the instance is incomplete | see below |
//! | [`Error::HealthCheck`](crate::registry::Error::HealthCheck) | a check's target is not one | see below |
//! | [`Error::Layout`](crate::registry::Error::Layout) | the layout has no place for the instance | see below |
//! | [`Error::Client`](crate::registry::Error::Client) | ZooKeeper, or the way to it | it says whose doing it was: `who()` |
//! | [`Error::Nothing`](crate::registry::Error::Nothing) | `register_all` was given no instance | give it at least one |
//! | [`Error::Taken`](crate::registry::Error::Taken) | registered through this registry already | keep the first handle |
//! | [`Error::SharedDirectory`](crate::registry::Error::SharedDirectory) | two services whose names share a directory | rename one; `x/y` and `x-y` are one to go-micro |
//! | [`Error::Moved`](crate::registry::Error::Moved) | an update would move the instance | deregister, and register the other |
//! | [`Error::NotRead`](crate::registry::Error::NotRead) | nothing was read in time | look at the ensemble; `saved_in` starts without it |
//! | [`Error::Ended`](crate::registry::Error::Ended) | the client has ended | make a new one |
//! | [`Error::NoRuntime`](crate::registry::Error::NoRuntime) | called outside of tokio | call it inside |
//! | [`UrlError::Scheme`](crate::registry::UrlError::Scheme) | no registry has that scheme | `zk:`, `static:` or `memory:` |
//! | [`UrlError::Value`](crate::registry::UrlError::Value) | an option's value is not one | the message says what it takes |
//! | [`UrlError::Root`](crate::registry::UrlError::Root) | the layout's directory is not a path | begin it with `/` |
//! | [`UrlError::List`](crate::registry::UrlError::List) | no service in front of a static list | `service=host:port,host:port` |
//! | [`UrlError::Twice`](crate::registry::UrlError::Twice) | a service is listed twice | one list each |
//! | [`UrlError::Address`](crate::registry::UrlError::Address) | an address of a list cannot be called | see below |
//! | [`AddressError::NoHost`](crate::registry::AddressError::NoHost) | no host was given, and none found | give one, or set `ADVERTISE_ADDRESS` or `POD_IP` |
//! | [`AddressError::NoPort`](crate::registry::AddressError::NoPort) | no port was given | give the one that the service listens on |
//! | [`AddressError::PortZero`](crate::registry::AddressError::PortZero) | port 0 is a wish, not a port | bind first, then register |
//! | [`AddressError::Wildcard`](crate::registry::AddressError::Wildcard) | one listens on it, nobody can call it | give the host to announce |
//! | [`AddressError::BadHost`](crate::registry::AddressError::BadHost) | neither an IP address nor a name | correct it |
//! | [`AddressError::BadPort`](crate::registry::AddressError::BadPort) | no number from 1 to 65535 | correct it |
//! | [`AddressError::Environment`](crate::registry::AddressError::Environment) | a variable holds no address | correct the variable that it names |
//! | [`InstanceError::NoService`](crate::registry::InstanceError::NoService) | the service has no name | name it |
//! | [`InstanceError::NoId`](crate::registry::InstanceError::NoId) | the instance has an empty id | leave it out, or give one |
//! | [`InstanceError::TooLong`](crate::registry::InstanceError::TooLong) | a name of more than 1,024 bytes | shorten it |
//! | [`InstanceError::TooDeep`](crate::registry::InstanceError::TooDeep) | an RPC description nests too deep | flatten it |
//! | [`LayoutError::Instance`](crate::registry::layout::LayoutError::Instance) | the instance is incomplete | see above |
//! | [`LayoutError::BadName`](crate::registry::layout::LayoutError::BadName) | a name that ZooKeeper does not take | rename it |
//! | [`LayoutError::TooLarge`](crate::registry::layout::LayoutError::TooLarge) | a payload over 1 MiB | less metadata |
//! | [`LayoutError::NameTooLong`](crate::registry::layout::LayoutError::NameTooLong) | a leaf's name that readers would not bear | fewer parameters |
//! | [`LayoutError::Reserved`](crate::registry::layout::LayoutError::Reserved) | a metadata key that means something to the layout | use the field, or another key |
//! | [`LayoutError::NotExpressible`](crate::registry::layout::LayoutError::NotExpressible) | a value that the layout's readers cannot read | the message says which |
//! | [`InvalidReason::Malformed`](crate::registry::view::InvalidReason::Malformed) | a child that the layout does not recognise | see the next ones |
//! | [`InvalidReason::NoAuth`](crate::registry::view::InvalidReason::NoAuth) | its ACL does not let this client read it | credentials for this client, or another ACL |
//! | [`InvalidReason::TooLarge`](crate::registry::view::InvalidReason::TooLarge) | larger than a reply may be | raise `inbound_limit` |
//! | [`InvalidReason::Refused`](crate::registry::view::InvalidReason::Refused) | reading it failed; it is read again | wait |
//! | [`InvalidReason::Name`](crate::registry::view::InvalidReason::Name) | no name of a child | report the server |
//! | [`ReadError::Empty`](crate::registry::layout::ReadError::Empty) | no payload | find its writer |
//! | [`ReadError::TooLarge`](crate::registry::layout::ReadError::TooLarge) | a payload over 1 MiB | find its writer |
//! | [`ReadError::Json`](crate::registry::layout::ReadError::Json) | not JSON | find its writer |
//! | [`ReadError::Field`](crate::registry::layout::ReadError::Field) | a field is missing or of another type | find its writer |
//! | [`ReadError::Address`](crate::registry::layout::ReadError::Address) | an address that cannot be called | find its writer |
//! | [`ReadError::OtherService`](crate::registry::layout::ReadError::OtherService) | it belongs to a service whose name has the same path | rename one |
//! | [`ReadError::Directory`](crate::registry::layout::ReadError::Directory) | it has children, and a leaf of this layout has none | is it the right root? |
//! | [`ReadError::Name`](crate::registry::layout::ReadError::Name) | its name is none of this layout | is it the right layout? |
//! | [`JsonErrorKind::Truncated`](crate::registry::layout::JsonErrorKind::Truncated) | the JSON ends too early | find its writer |
//! | [`JsonErrorKind::Unexpected`](crate::registry::layout::JsonErrorKind::Unexpected) | a byte that cannot stand there | find its writer |
//! | [`JsonErrorKind::Trailing`](crate::registry::layout::JsonErrorKind::Trailing) | something follows the value | find its writer |
//! | [`JsonErrorKind::TooDeep`](crate::registry::layout::JsonErrorKind::TooDeep) | more than 64 levels | find its writer |
//! | [`ReadFailure::Lost`](crate::registry::ReadFailure::Lost) | the connection or the session went | nothing; it is read again |
//! | [`ReadFailure::Refused`](crate::registry::ReadFailure::Refused) | the server refused | mostly an ACL |
//! | [`ReadFailure::TooLarge`](crate::registry::ReadFailure::TooLarge) | larger than a reply may be | raise `inbound_limit` |
//! | [`SavedError::TooLarge`](crate::registry::SavedError::TooLarge) | a saved set over 64 MiB | it is not saved; nothing else suffers |
//! | [`SavedError::Damaged`](crate::registry::SavedError::Damaged) | cut off, changed since, or none of ours | delete the file |
//! | [`SavedError::Json`](crate::registry::SavedError::Json) | not JSON | delete the file |
//! | [`SavedError::Field`](crate::registry::SavedError::Field) | a field is missing, or a leaf there twice | delete the file |
//! | [`SavedError::Other`](crate::registry::SavedError::Other) | of another view, layout or version | one folder for each program and layout |
//! | [`SavedError::Leaf`](crate::registry::SavedError::Leaf) | a leaf stands for no instance | delete the file |
//! | [`SavedError::Layout`](crate::registry::SavedError::Layout) | the service has no directory in this layout | see above |
//! | [`HealthCheckError::Https`](crate::registry::HealthCheckError::Https) | there is no TLS in here | `HealthCheck::custom` with an HTTP client of yours |
//! | [`HealthCheckError::NotHttp`](crate::registry::HealthCheckError::NotHttp) | neither a path nor an `http:` URL | begin it with `/` or `http://` |
//! | [`HealthCheckError::Credentials`](crate::registry::HealthCheckError::Credentials) | a URL with a user in it | leave it out |
//! | [`HealthCheckError::BadCharacter`](crate::registry::HealthCheckError::BadCharacter) | what cannot stand in a request | percent-encode it |
//! | [`HealthCheckError::TooLong`](crate::registry::HealthCheckError::TooLong) | more than 1,024 bytes | shorten it |
//! | [`HealthCheckError::Address`](crate::registry::HealthCheckError::Address) | nobody to ask | see the addresses above |
//! | [`CheckFailure::Connect`](crate::registry::CheckFailure::Connect) | no connection | is the process up, and on that port? |
//! | [`CheckFailure::Lost`](crate::registry::CheckFailure::Lost) | the connection broke | the same |
//! | [`CheckFailure::CutShort`](crate::registry::CheckFailure::CutShort) | closed before the head of an answer was whole | look at that process's log |
//! | [`CheckFailure::TimedOut`](crate::registry::CheckFailure::TimedOut) | no answer in time | raise `within`, or find out why it is slow |
//! | [`CheckFailure::NotHttp`](crate::registry::CheckFailure::NotHttp) | the answer is not HTTP/1 | does something else listen there, or TLS? |
//! | [`CheckFailure::HeadTooLong`](crate::registry::CheckFailure::HeadTooLong) | more than 16 KiB of headers | check another path |
//! | [`CheckFailure::Redirected`](crate::registry::CheckFailure::Redirected) | a redirect, which is not followed | check what it leads to |
//! | [`CheckFailure::Status`](crate::registry::CheckFailure::Status) | answered, and not by success | look at that process |
//! | [`CheckFailure::Said`](crate::registry::CheckFailure::Said) | a check of your own says so | its text |
//! | [`CheckFailure::Panicked`](crate::registry::CheckFailure::Panicked) | a check of your own panicked | mend it |
//! | [`Loss::NotFound`](crate::session::Loss::NotFound) | the name was not found | look at the name service; each name is looked up at each attempt |
//! | [`Loss::Refused`](crate::session::Loss::Refused) | nobody listens there | is the server up? |
//! | [`Loss::Network`](crate::session::Loss::Network) | the network or the transport failed | look at the way there |
//! | [`Loss::Closed`](crate::session::Loss::Closed) | the server closed the connection | look at its log |
//! | [`Loss::ClosedBeforeHandshake`](crate::session::Loss::ClosedBeforeHandshake) | it is behind this client, has no quorum, or serves only readers | look at the quorum |
//! | [`Loss::HandshakeRefused`](crate::session::Loss::HandshakeRefused) | the server refused the session | look at its log |
//! | [`Loss::ConnectTimeout`](crate::session::Loss::ConnectTimeout) | the attempt took too long | look at the way there: a firewall drops |
//! | [`Loss::Silence`](crate::session::Loss::Silence) | nothing was heard for two thirds of the timeout | a pause of the server, or a way that is cut |
//! | [`Loss::Violation`](crate::session::Loss::Violation) | the peer broke the protocol | is it a ZooKeeper, and does nothing tamper? |
//! | [`Loss::UnknownOperation`](crate::session::Loss::UnknownOperation) | the server does not know an operation | nothing; it is remembered |
//! | [`Loss::Removed`](crate::session::Loss::Removed) | the list does not name this server any more | nothing |
//! | [`Loss::Rebalanced`](crate::session::Loss::Rebalanced) | it was this client's turn to move | nothing |
//! | [`Loss::ReadWriteFound`](crate::session::Loss::ReadWriteFound) | a server that takes writes was found | nothing |
//! | [`Cause::Server`](crate::session::Cause::Server) | the server answered with a code | the code says what |
//! | [`Cause::ConnectionLost`](crate::session::Cause::ConnectionLost) | the connection went with the answer outstanding | a write: find out whether it was done |
//! | [`Cause::SessionLost`](crate::session::Cause::SessionLost) | no server in reach for 4/3 of the timeout | later again |
//! | [`Cause::SessionEnded`](crate::session::Cause::SessionEnded) | the session ended, and the request with it | see the end above |
//! | [`Cause::Deadline`](crate::session::Cause::Deadline) | its time was up | raise it, or look why it is slow |
//! | [`Cause::Cancelled`](crate::session::Cause::Cancelled) | dropped by the caller | nothing |
//! | [`Cause::QueueFull`](crate::session::Cause::QueueFull) | too many under way | wait for `ready()` |
//! | [`Cause::RequestTooLarge`](crate::session::Cause::RequestTooLarge) | over the outbound limit | make it smaller; servers hang up at more |
//! | [`Cause::ReplyTooLarge`](crate::session::Cause::ReplyTooLarge) | over the inbound limit | raise `inbound_limit` |
