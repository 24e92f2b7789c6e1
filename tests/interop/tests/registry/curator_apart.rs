//! Curator and we lose our connections and keep our sessions. Curator then deletes and makes again all that it has registered; we
//! write nothing.

use crate::beside::{ask, ask_json, discover, lasting, ours, peer, register, seen};
use crate::on_every_server;
use menagerie::registry::{Instance, layout::Curator};
use menagerie_ensemble::Version;
use menagerie_interop::{Program, Target};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};

on_every_server!(on_one_that_breaks: both_are_found_again);

async fn both_are_found_again(target: Arc<impl Target>) {
    let connect = target.connect_string();
    let ours = ours(&connect, Curator::at("/interop/apart").unwrap()).await;
    lasting(&ours, "/interop/apart").await;
    let mut java = peer(Program::curator_registry(Version::V3_9), &connect).await;
    ask(&mut java, "open java.lang.Object /interop/apart true").await;
    ask(&mut java, "watch web").await;
    let registered = register(&ours, Instance::builder("web").id("ours").host("10.0.0.1").port(80)).await;
    let wish = json!({"name": "web", "id": "theirs", "address": "10.0.0.5", "port": 8080});
    ask(&mut java, format!("register {wish}")).await;
    let (view, mut changes) = discover(&ours, "web").await;
    seen(&mut changes, "both", |change| change.set.len() == 2).await;
    let leaf = |id: &str| format!("/interop/apart/web/{id}");
    let made = async |id: &str| ours.client().exists(leaf(id)).await.unwrap().map(|stat| stat.czxid);
    let (our_leaf, their_leaf) = (made("ours").await, made("theirs").await);
    let writes = registered.status().writes;

    target.drop_connections().unwrap();
    let again = async {
        loop {
            let now = made("theirs").await;
            if now.is_some() && now != their_leaf {
                return;
            }
        }
    };
    crate::beside::within("Curator's instance made again", again).await;
    // Both views have both, and ours is the leaf that it was.
    let both = BTreeSet::from(["ours".to_owned(), "theirs".to_owned()]);
    let ids = || view.snapshot().iter().map(|instance| instance.id.clone()).collect::<BTreeSet<_>>();
    let fresh = async {
        while ids() != both || view.stale_since().is_some() {
            tokio::task::yield_now().await;
        }
    };
    crate::beside::within("a fresh view of both", fresh).await;
    let cached = async { while ask_json(&mut java, "cached web").await.as_array().unwrap().len() != 2 {} };
    crate::beside::within("both in Curator's cache", cached).await;
    assert_eq!((made("ours").await, registered.status().writes), (our_leaf, writes));
    registered.deregister().await.unwrap();
}
