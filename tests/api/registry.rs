//! The registry on a client whose server does what the test says.

use menagerie::jute::{Create2Response, ErrorCode, EventType, GetChildren2Response, OpCode, Ustring};
use menagerie::registry::layout::{Kind, Plain};
use menagerie::registry::{
    Discovery, Error, Instance, InstanceBuilder, Registration, RegistrationState, Status, ZooKeeper,
};
use menagerie::session::End;

use crate::support::{Server, connected, connected_as, settle, soon, stat};

const NAMES: [&str; 3] = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"];

fn instance() -> InstanceBuilder {
    Instance::builder("time").host("10.0.0.1").port(1)
}

async fn reply_children(server: &mut Server) {
    let children = Some(NAMES.iter().map(|name| Ustring::from(*name)).collect());
    server.reply(&GetChildren2Response { children, stat: stat() }).await;
}

#[tokio::test(start_paused = true)]
async fn with_one_place_a_view_reads_its_instances_one_after_the_other() {
    let (client, mut server) = connected_as(|builder| builder.places(1)).await;
    let registry = ZooKeeper::new(&client, Plain::new()).one_shot_watches();
    let (services, ()) = tokio::join!(registry.discover("time"), async {
        server.expect(OpCode::GET_CHILDREN2, "/go_servers").await;
        reply_children(&mut server).await;
        for name in NAMES {
            server.expect(OpCode::GET_DATA, &format!("/go_servers/{name}")).await;
            server.reply_data("").await;
        }
    });
    assert_eq!(services.unwrap().snapshot().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn leaves_of_another_layout_are_named_with_whom_ours_would_harm() {
    let (client, mut server) = connected().await;
    let registry = ZooKeeper::new(&client, Plain::new());
    let (clashes, ()) = tokio::join!(registry.clashes("time"), async {
        server.expect(OpCode::GET_CHILDREN2, "/go_servers").await;
        reply_children(&mut server).await;
        for (name, data) in NAMES.iter().zip(["", r#"{"name":"time","nodes":[]}"#, "?"]) {
            server.expect(OpCode::GET_DATA, &format!("/go_servers/{name}")).await;
            server.reply_data(data).await;
        }
    });
    let clashes = clashes.unwrap();
    let [clash] = &clashes[..] else { panic!("{clashes:?}") };
    assert_eq!((clash.ours, clash.theirs, clash.leaves), (Kind::Plain, Kind::GoMicro, 1));
    assert_eq!(clash.example, NAMES[1]);
    assert!(clash.their_readers.is_some_and(|harm| harm.contains("GetService")));
}

#[tokio::test(start_paused = true)]
async fn a_view_of_a_closed_client_is_told_that_it_was_closed() {
    let (client, mut server) = connected().await;
    let registry = ZooKeeper::new(&client, Plain::new());
    let (closed, ()) = tokio::join!(client.close(), server.expect_close());
    closed.unwrap();
    let error = soon(registry.discover("time")).await.unwrap_err();
    assert!(matches!(error, Error::Ended(End::Closed)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_wish_shows_at_once_also_while_a_request_is_under_way() {
    let (client, mut server) = connected().await;
    let registry = ZooKeeper::new(&client, Plain::new());
    let registered = soon(registry.register(instance())).await.unwrap();
    let leaf = format!("/go_servers/{}", NAMES[0]);
    server.expect(OpCode::EXISTS, &leaf).await;
    server.expect(OpCode::GET_CHILDREN2, "/go_servers").await;
    server.refuse(ErrorCode::NO_NODE).await;
    server.refuse(ErrorCode::NO_NODE).await;
    server.expect(OpCode::CREATE2, &leaf).await;
    server.reply(&Create2Response { path: leaf.as_str().into(), stat: stat() }).await;
    soon(registered.registered()).await.unwrap();
    server.notify(EventType::NODE_DATA_CHANGED, &leaf).await;
    server.expect(OpCode::EXISTS, &leaf).await;
    let mut drained = Instance::clone(&registered.instance());
    drained.status = Status::Draining;
    registered.update(drained).unwrap();
    settle().await;
    assert_eq!(registered.state(), RegistrationState::Pending, "it is registered, and is not to be");
    server.refuse(ErrorCode::NO_NODE).await;
    soon(async { while registered.events().next().await.unwrap().state != RegistrationState::Withdrawn {} })
        .await;
}
