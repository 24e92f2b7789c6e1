//! What the tests of registries beside each other share.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::{env, fmt::Write, fs, future::Future, path::Path, sync::Arc, time::Duration};

use menagerie::{
    Client,
    registry::{
        Discovery, Instance, InstanceBuilder, Registered, Registration, RegistrationState, ServiceChanges,
        Services, ZooKeeper, layout::Layout, view::Change,
    },
};
use menagerie_interop::{Peer, Program, Target};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// For one thing that is to happen.
pub(crate) const BUDGET: Duration = Duration::from_secs(30);

/// Many times the pace at which servers look for empty containers.
const REAPED_WITHIN: Duration = Duration::from_secs(10);

/// A server of one kind for a test, and a runtime for what the test does with it.
pub(crate) fn on<F: Future<Output = ()>>(
    target: Result<impl Target, String>,
    test: impl FnOnce(String) -> F,
) {
    let target = target.unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(target.connect_string()));
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BUDGET, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {BUDGET:?}: {what}"),
    }
}

/// Our side: a registry of one layout with a session of its own.
pub(crate) async fn ours(connect: &str, layout: impl Layout + 'static) -> ZooKeeper {
    ZooKeeper::new(within("a session", Client::connect(connect)).await.unwrap(), layout)
}

/// The other side.
pub(crate) async fn peer(program: Result<Program, String>, connect: &str) -> Peer {
    let connect = connect.to_owned();
    tokio::task::spawn_blocking(move || Peer::start(&program.unwrap(), &connect).unwrap()).await.unwrap()
}

pub(crate) async fn ask(peer: &mut Peer, request: impl AsRef<str>) -> String {
    peer.ask(request.as_ref()).await.unwrap()
}

pub(crate) async fn ask_json(peer: &mut Peer, request: impl AsRef<str>) -> Value {
    serde_json::from_str(&ask(peer, request).await).unwrap()
}

/// The events of a peer up to the one that is wanted.
pub(crate) async fn told(peer: &mut Peer, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut before = Vec::new();
    loop {
        match peer.event().await {
            Ok(event) if wanted(&event) => return event,
            Ok(event) if event.starts_with("error") => panic!("not told of {what}: {event}"),
            Ok(event) => before.push(event),
            Err(why) => panic!("not told of {what}, but of {before:#?}: {why}"),
        }
    }
}

pub(crate) async fn register(registry: &ZooKeeper, instance: InstanceBuilder) -> Registered {
    let registered = registry.register(instance).await.unwrap();
    within("registered", registered.registered()).await.unwrap();
    registered
}

/// Has the registration changed, and waits until it is.
pub(crate) async fn update(registered: &Registered, change: impl FnOnce(&mut Instance)) {
    let mut instance = Instance::clone(&registered.instance());
    change(&mut instance);
    let writes = registered.status().writes;
    registered.update(instance).unwrap();
    let mut events = registered.events();
    let is_done = async {
        loop {
            let status = events.next().await.unwrap();
            if status.writes > writes && status.state == RegistrationState::Registered {
                return;
            }
        }
    };
    within("updated", is_done).await;
}

pub(crate) async fn discover(registry: &ZooKeeper, service: &str) -> (Services, ServiceChanges) {
    let services = within("discovered", registry.discover(service)).await.unwrap();
    let changes = services.changes();
    (services, changes)
}

/// The first change from which on the view is as wanted.
pub(crate) async fn seen(
    changes: &mut ServiceChanges,
    what: &str,
    wanted: impl Fn(&Change) -> bool,
) -> Change {
    let mut last = None;
    let wait = async {
        loop {
            let change = changes.next().await.unwrap();
            if wanted(&change) {
                return change;
            }
            last = Some(change);
        }
    };
    match tokio::time::timeout(BUDGET, wait).await {
        Ok(change) => change,
        Err(_) => panic!("not seen: {what}; the last change was {last:#?}"),
    }
}

pub(crate) fn one(change: &Change) -> Option<&Arc<Instance>> {
    change.set.iter().next().filter(|_| change.set.len() == 1)
}

/// A directory that the server removes once it is empty, as those who use containers expect.
pub(crate) async fn reaped(registry: &ZooKeeper, dir: &str) {
    let gone = async {
        loop {
            match registry.client().exists(dir).watch().await.unwrap() {
                (None, _) => return,
                (Some(_), changed) => drop(changed.await),
            }
        }
    };
    let waited = tokio::time::timeout(REAPED_WITHIN, gone).await;
    assert!(waited.is_ok(), "{dir} is still there: it is no container");
}

/// A directory that stays although it is empty, as those expect who never make it again.
pub(crate) async fn stays(registry: &ZooKeeper, dir: &str) {
    let client = registry.client();
    let marker = format!("{dir}-marker");
    client.create(&marker).container().await.unwrap();
    let child = client.create(format!("{marker}/child")).await.unwrap();
    client.delete(&child.path).await.unwrap();
    // Whoever is removed by the same look as the marker, or an earlier one, is gone.
    reaped(registry, &marker).await;
    assert!(client.exists(dir).await.unwrap().is_some(), "{dir} was a container");
}

/// Calls as the article's demo does: `timestamp` in, `host:time` out.
pub(crate) async fn call(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"timestamp").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Answers such calls until the test ends, and yields where.
pub(crate) async fn answering() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 9];
            if stream.read_exact(&mut asked).await.is_ok() && &asked == b"timestamp" {
                let _ = stream.write_all(format!("{address}:now").as_bytes()).await;
            }
        }
    });
    address
}

/// All znodes below `path` that have no children, in the order of their paths.
pub(crate) async fn leaves(registry: &ZooKeeper, path: &str) -> String {
    let mut text = String::new();
    let mut paths = vec![path.to_owned()];
    while let Some(path) = paths.pop() {
        let (children, _) = registry.client().children(&path).await.unwrap();
        let mut names: Vec<String> = children.iter().map(str::to_owned).collect();
        names.sort_by(|one, other| other.cmp(one));
        if names.is_empty() {
            let (data, stat) = registry.client().get(&path).await.unwrap();
            let lifetime = if stat.ephemeral_owner == 0 { "persistent" } else { "ephemeral" };
            writeln!(text, "{path} {lifetime}\n{}", std::str::from_utf8(&data).unwrap()).unwrap();
        }
        paths.extend(names.iter().map(|name| format!("{path}/{name}")));
    }
    text
}

/// Holds `written` against the file `name`, or makes it the file.
pub(crate) fn is_recorded(name: &str, written: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/registry/layout/recorded");
    let file = folder.join(format!("{name}.txt"));
    if env::var_os("MENAGERIE_RECORD").is_some() {
        fs::create_dir_all(folder).unwrap();
        fs::write(&file, written).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), written, "{}", file.display());
}
