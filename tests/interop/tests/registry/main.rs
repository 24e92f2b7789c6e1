//! The registry beside the systems that it shares ZooKeeper with: each finds what the other registers, and sees it change.
//!
//! Every test runs on the embedded server and on both real ones. The other side is a [`Peer`]: Curator's own service
//! discovery, or a program on somebody else's client that makes the calls of a system which Debian does not package.
//! `README.md` says which is which. The tests of `recorded` hold the bytes that peers write against the fixtures of the
//! layouts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, also in its helpers"
)]

mod curator;
mod dubbo;
mod go_demo;
mod go_micro;
mod kazoo;
mod mortal;
mod recorded;

use std::{future::Future, sync::Arc, time::Duration};

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
const BUDGET: Duration = Duration::from_secs(60);

/// Many times the pace at which servers look for empty containers.
const REAPED_WITHIN: Duration = Duration::from_secs(20);

/// A server of one kind for a test, and a runtime for what the test does with it.
fn on<F: Future<Output = ()>>(target: Result<impl Target, String>, test: impl FnOnce(String) -> F) {
    let target = target.unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(target.connect_string()));
}

/// Runs tests on every server there is.
macro_rules! on_every_server {
    ($($test:ident),*) => {
        mod on_the_embedded_server {
            $(#[test] fn $test() { crate::on(menagerie_interop::Embedded::reaping(), super::$test); })*
        }
        mod on_apache_3_8 {
            use menagerie_ensemble::Version;
            $(#[test] fn $test() { crate::on(menagerie_interop::Real::reaping(Version::V3_8), super::$test); })*
        }
        mod on_apache_3_9 {
            use menagerie_ensemble::Version;
            $(#[test] fn $test() { crate::on(menagerie_interop::Real::reaping(Version::V3_9), super::$test); })*
        }
    };
}
use on_every_server;

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BUDGET, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {BUDGET:?}: {what}"),
    }
}

/// Our side: a registry of one layout with a session of its own.
async fn ours(connect: &str, layout: impl Layout + 'static) -> ZooKeeper {
    ZooKeeper::new(within("a session", Client::connect(connect)).await.unwrap(), layout)
}

/// The other side.
async fn peer(program: Result<Program, String>, connect: &str) -> Peer {
    let connect = connect.to_owned();
    tokio::task::spawn_blocking(move || Peer::start(&program.unwrap(), &connect).unwrap()).await.unwrap()
}

async fn ask(peer: &mut Peer, request: impl AsRef<str>) -> String {
    peer.ask(request.as_ref()).await.unwrap()
}

async fn ask_json(peer: &mut Peer, request: impl AsRef<str>) -> Value {
    serde_json::from_str(&ask(peer, request).await).unwrap()
}

/// The events of a peer up to the one that is wanted.
async fn told(peer: &mut Peer, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut before = Vec::new();
    loop {
        match peer.event().await {
            Ok(event) if wanted(&event) => return event,
            Ok(event) => before.push(event),
            Err(why) => panic!("not told of {what}, but of {before:#?}: {why}"),
        }
    }
}

async fn register(registry: &ZooKeeper, instance: InstanceBuilder) -> Registered {
    let registered = registry.register(instance).await.unwrap();
    within("registered", registered.registered()).await.unwrap();
    registered
}

/// Has the registration changed, and waits until it is.
async fn update(registered: &Registered, change: impl FnOnce(&mut Instance)) {
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

async fn discover(registry: &ZooKeeper, service: &str) -> (Services, ServiceChanges) {
    let services = within("discovered", registry.discover(service)).await.unwrap();
    let changes = services.changes();
    (services, changes)
}

/// The first change from which on the view is as wanted.
async fn seen(changes: &mut ServiceChanges, what: &str, wanted: impl Fn(&Change) -> bool) -> Change {
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

fn one(change: &Change) -> Option<&Arc<Instance>> {
    change.set.iter().next().filter(|_| change.set.len() == 1)
}

/// A directory that the server removes once it is empty, as those who use containers expect.
async fn reaped(registry: &ZooKeeper, dir: &str) {
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
async fn stays(registry: &ZooKeeper, dir: &str) {
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
async fn call(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"timestamp").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Answers such calls until the test ends, and yields where.
async fn answering() -> std::net::SocketAddr {
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
