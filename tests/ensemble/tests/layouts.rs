//! The main rows of the registry's failure matrix (`tests/REGISTRY.md`) on a real server: each row once, with every layout in it.

#![expect(clippy::unwrap_used, reason = "a test fails by unwrapping, also in its helpers")]

use std::future::Future;
use std::time::Duration;

use menagerie::Client;
use menagerie::registry::layout::{
    Curator, DubboApplication, DubboInterface, GoMicro, Layout, Plain, Registrator, ServerSet, SpringCloud,
};
use menagerie::registry::{
    Discovery, Instance, InstanceBuilder, Registered, Registration, RegistrationState, ServiceChanges,
    Services, ZooKeeper,
};
use menagerie::session::State;
use menagerie_ensemble::{Ensemble, Version, proxy::Proxy};

const BUDGET: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(4);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BUDGET, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {BUDGET:?}: {what}"),
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    within(what, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn client(connect: &str) -> Client {
    let builder = Client::builder(connect).unwrap().session_timeout(TIMEOUT);
    within("a session", builder.connect()).await.unwrap()
}

fn wish(port: u16) -> InstanceBuilder {
    let wish = Instance::builder("time").id(format!("time-{port}")).host("10.0.0.1").port(port);
    wish.registered_at_ms(1_700_000_000_000)
}

/// A layout, a provider and a consumer.
struct Case {
    layout: Box<dyn Layout>,
    provider: ZooKeeper,
    consumer: ZooKeeper,
}

/// Every layout at a root of its own.
fn cases(provider: &Client, consumer: &Client) -> Vec<Case> {
    fn case(provider: &Client, consumer: &Client, layout: impl Layout + Clone + 'static) -> Case {
        let provider = ZooKeeper::new(provider, layout.clone());
        Case { provider, consumer: ZooKeeper::new(consumer, layout.clone()), layout: Box::new(layout) }
    }
    vec![
        case(provider, consumer, GoMicro::new()),
        case(provider, consumer, Curator::at("/curator").unwrap()),
        case(provider, consumer, SpringCloud::new()),
        case(provider, consumer, DubboInterface::new()),
        case(provider, consumer, DubboApplication::at("/applications", "/dubbo").unwrap()),
        case(provider, consumer, Registrator::at("/registrator").unwrap()),
        case(provider, consumer, ServerSet::at("/discovery/prod").unwrap()),
        case(provider, consumer, Plain::new()),
    ]
}

impl Case {
    fn name(&self) -> &'static str {
        self.layout.name()
    }

    async fn register(&self, port: u16) -> Registered {
        let registered = within(self.name(), self.provider.register(wish(port))).await.unwrap();
        within(self.name(), registered.registered()).await.unwrap();
        registered
    }

    async fn view(&self) -> Services {
        within(self.name(), self.consumer.discover("time")).await.unwrap()
    }

    fn path(&self, registered: &Registered) -> String {
        self.layout.leaf(&registered.instance()).unwrap().path()
    }

    /// The session that owns the leaf of a registration.
    async fn owner(&self, registered: &Registered) -> Option<i64> {
        let stat = self.consumer.client().exists(self.path(registered)).await.unwrap();
        stat.map(|stat| stat.ephemeral_owner)
    }

    async fn shows(&self, services: &Services, ports: &[u16]) {
        until(&format!("{}: a view of {ports:?}", self.name()), || {
            let mut found: Vec<u16> = services.snapshot().iter().map(|one| one.address.port()).collect();
            found.sort_unstable();
            found == ports && services.health().is_fresh()
        })
        .await;
    }

    /// One instance, registered and in a view.
    async fn begun(self) -> Row {
        let registered = self.register(80).await;
        let services = self.view().await;
        self.shows(&services, &[80]).await;
        let mut changes = services.changes();
        assert_eq!(within(self.name(), changes.next()).await.unwrap().added.len(), 1);
        Row { case: self, registered, services, changes }
    }
}

struct Row {
    case: Case,
    registered: Registered,
    services: Services,
    changes: ServiceChanges,
}

impl Row {
    /// Registers one more: nothing but that has happened to the view since it was looked at last.
    async fn nothing_else_happened(&mut self, provider: &ZooKeeper) {
        let _more = provider.register(wish(81)).await.unwrap();
        let change = within(self.case.name(), self.changes.next()).await.unwrap();
        let told = (change.added.len(), change.updated.len(), change.removed.len());
        assert_eq!(told, (1, 0, 0), "{}", self.case.name());
        self.case.shows(&self.services, &[80, 81]).await;
    }
}

async fn begun(provider: &Client, consumer: &Client) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases(provider, consumer) {
        rows.push(case.begun().await);
    }
    rows
}

async fn reconnected(client: &Client, disconnects: u64) {
    let mut seen = client.status();
    within("a reconnect", async {
        while seen.disconnects < disconnects || seen.state != State::Connected {
            seen = client.status_change(&seen).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let (provider, consumer) =
        (client(&proxy.connect_string()).await, client(&ensemble.connect_string()).await);
    let rows = begun(&provider, &consumer).await;
    proxy.refuse().unwrap();
    let again = client(&ensemble.connect_string()).await;
    for (row, after) in rows.iter().zip(cases(&again, &consumer)) {
        row.case.shows(&row.services, &[]).await;
        assert_eq!(row.case.owner(&row.registered).await, None);
        let _back = after.register(80).await;
        row.case.shows(&row.services, &[80]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let (provider, consumer) =
        (client(&proxy.connect_string()).await, client(&ensemble.connect_string()).await);
    let mut rows = begun(&provider, &consumer).await;
    let session = provider.status().session_id;
    proxy.reset_counts();
    for round in 1..=3 {
        assert_eq!(proxy.cut(), 1);
        reconnected(&provider, round).await;
        // Every registration looks after its leaf.
        let reads = round * u64::try_from(rows.len()).unwrap();
        proxy.wait_counts(BUDGET, |counts| counts.frames(4) >= reads).unwrap();
    }
    // create, delete, setData, multi, create2, createContainer, createTTL.
    let counts = proxy.counts();
    assert_eq!([1, 2, 5, 14, 15, 19, 21].map(|opcode| counts.frames(opcode)), [0; 7]);
    assert_eq!(provider.status().session_id, session);
    for row in &mut rows {
        assert_eq!(row.case.owner(&row.registered).await, session, "{}", row.case.name());
        let provider = row.case.provider.clone();
        row.nothing_else_happened(&provider).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let connect = ensemble.connect_string();
    let (provider, consumer) = (client(&connect).await, client(&connect).await);
    let rows = begun(&provider, &consumer).await;
    for client in [&provider, &consumer] {
        let epoch = client.status().epoch;
        let thief = Client::builder(&connect).unwrap().resume(client.credentials().unwrap());
        within("close", thief.connect().await.unwrap().close()).await.unwrap();
        until("the next session", || {
            client.status().epoch > epoch && client.status().state == State::Connected
        })
        .await;
        for row in &rows {
            let owner = provider.status().session_id;
            within(row.case.name(), async {
                while row.case.owner(&row.registered).await != owner {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
            within(row.case.name(), row.registered.registered()).await.unwrap();
            row.case.shows(&row.services, &[80]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let connect = ensemble.connect_string();
    let (provider, stranger) = (client(&connect).await, client(&connect).await);
    for row in begun(&provider, &stranger).await {
        let writes = row.registered.status().writes;
        stranger.delete(row.case.path(&row.registered)).await.unwrap();
        until(row.case.name(), || {
            row.registered.status().writes > writes && row.registered.state() == RegistrationState::Registered
        })
        .await;
        assert_eq!(row.case.owner(&row.registered).await, provider.status().session_id);
        row.case.shows(&row.services, &[80]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_twin() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    let proxy = Proxy::start(ensemble.node(1).client_addr()).unwrap();
    let (old, consumer) = (client(&proxy.connect_string()).await, client(&ensemble.connect_string()).await);
    let mut rows = begun(&old, &consumer).await;
    // It stands as long as the old session does.
    old.create("/of-the-old-session").ephemeral().await.unwrap();
    proxy.refuse().unwrap();
    let new = client(&ensemble.connect_string()).await;
    let mut taken = Vec::new();
    for after in cases(&new, &consumer) {
        taken.push(after.register(80).await);
        assert_eq!(after.owner(taken.last().unwrap()).await, new.status().session_id, "{}", after.name());
    }
    within("the end of the old session", async {
        while consumer.exists("/of-the-old-session").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for ((row, after), taken) in rows.iter_mut().zip(cases(&new, &consumer)).zip(&taken) {
        assert_eq!(after.owner(taken).await, new.status().session_id, "{}", after.name());
        row.nothing_else_happened(&after.provider).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_gone() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let connect = ensemble.connect_string();
    let (provider, consumer) = (client(&connect).await, client(&connect).await);
    for mut row in begun(&provider, &consumer).await {
        within(row.case.name(), row.registered.deregister()).await.unwrap();
        let change = within(row.case.name(), row.changes.next()).await.unwrap();
        assert_eq!((change.removed.len(), change.set.len()), (1, 0), "{}", row.case.name());
        assert!(row.services.health().is_fresh() && row.services.pick().is_none());
        // A server reaps an empty container as a stranger removes an empty directory.
        consumer.delete(row.case.layout.service_dir("time").unwrap()).await.unwrap();
        let _next = row.case.register(81).await;
        row.case.shows(&row.services, &[81]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_at_start() {
    let ensemble = Ensemble::standalone(Version::V3_8).unwrap();
    ensemble.node(1).kill().unwrap();
    let builder = Client::builder(&ensemble.connect_string()).unwrap().session_timeout(TIMEOUT);
    let client = builder.connect_lazy().unwrap();
    let mut wished = Vec::new();
    for case in cases(&client, &client) {
        wished.push(case.provider.register(wish(80)).await.unwrap());
    }
    ensemble.node(1).start().unwrap();
    for (case, registered) in cases(&client, &client).iter().zip(&wished) {
        within(case.name(), registered.registered()).await.unwrap();
        case.shows(&case.view().await, &[80]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed() {
    let ensemble = Ensemble::standalone(Version::V3_9).unwrap();
    let connect = ensemble.connect_string();
    let (provider, stranger) = (client(&connect).await, client(&connect).await);
    let long = "x".repeat(10_000);
    for row in begun(&provider, &stranger).await {
        let dir = row.case.layout.service_dir("time").unwrap();
        let names = ["lock", "\u{202e}gnp.exe", "%2F..%2Fetc", "...", "member_0000000001", long.as_str()];
        let nested = "[".repeat(100_000);
        for (name, data) in names.iter().zip(["", "{", "null", &nested, r#"{"port":NaN}"#, "\u{0}"]) {
            stranger.create(format!("{dir}/{name}")).data(data.to_owned()).await.unwrap();
        }
        until(row.case.name(), || row.services.invalid().len() == names.len()).await;
        row.case.shows(&row.services, &[80]).await;
        let more = row.case.register(81).await;
        row.case.shows(&row.services, &[80, 81]).await;
        drop(more);
    }
}
