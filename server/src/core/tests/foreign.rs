//! Entries that do not fit the tree, and requests that nobody should make: neither does harm.

use proptest::prelude::*;

use super::super::{Creation, Kind, due_for_reaping};
use super::*;

/// Paths that are near each other, and some that are none.
fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(prop::sample::select(vec!["a", "b", "zookeeper", "quota", "zookeeper_limits", "zookeeper_stats"]), 1..4)
            .prop_map(|names| format!("/{}", names.join("/"))),
        1 => prop::sample::select(vec!["", "/", "//", "/a/", "a", "/a//b", "/.", "/\0", "/🦀"]).prop_map(String::from),
    ]
}

fn changes() -> impl Strategy<Value = Change> {
    let kinds = prop_oneof![
        Just(Kind::Persistent),
        (0i64..3).prop_map(|owner| Kind::Ephemeral { owner }),
        Just(Kind::Container),
        any::<i64>().prop_map(|millis| Kind::Ttl { millis }),
    ];
    let data = || prop::option::of("[a-z=,;0-9]{0,9}").prop_map(|text| text.map(Bytes::from));
    let one = prop_oneof![
        any::<i32>().prop_map(|timeout_millis| Change::OpenSession { timeout_millis }),
        Just(Change::CloseSession),
        (paths(), data(), kinds, any::<bool>()).prop_map(|(path, data, kind, with_stat)| {
            Change::Create(Creation { path: path.into(), data, acl: Acl::OPEN.into(), kind, with_stat })
        }),
        paths().prop_map(|path| Change::Delete { path: path.into() }),
        (paths(), data(), any::<i32>()).prop_map(|(path, data, version)| Change::SetData {
            path: path.into(),
            data,
            version
        }),
        (paths(), any::<i32>()).prop_map(|(path, aversion)| Change::SetAcl {
            path: path.into(),
            acl: [].into(),
            aversion
        }),
        Just(Change::Check),
        any::<i32>().prop_map(|code| Change::Refused(ErrorCode(code))),
    ];
    one.prop_recursive(2, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Change::Multi))
}

fn is_sound(tree: &Tree) {
    let znodes: Vec<_> = tree.walk().collect();
    assert_eq!(znodes.len() + 1, tree.node_count(), "every node hangs somewhere");
    let size: usize =
        znodes.iter().map(|(path, znode)| path.len() + znode.data().map_or(0, Bytes::len)).sum();
    assert_eq!(size, tree.approximate_data_size());
    let (mut owned, mut passing) = (0, 0);
    for (path, znode) in znodes {
        match znode.kind() {
            Kind::Ephemeral { owner } => {
                owned += usize::from(tree.ephemerals(owner).any(|known| *known == path));
            }
            Kind::Container | Kind::Ttl { .. } => passing += usize::from(tree.passing.contains(&path)),
            Kind::Persistent => {}
        }
    }
    assert_eq!((owned, passing), (tree.ephemerals_count(), tree.passing.len()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_log_is_taken_in(log in prop::collection::vec((0i64..3, any::<i64>(), changes()), 0..60)) {
        let mut tree = Tree::new(Like::V3_9);
        for (at, (session, time, change)) in log.into_iter().enumerate() {
            let txn = Txn { zxid: i64::try_from(at).unwrap(), time, session, change };
            tree.apply(&txn);
            is_sound(&tree);
            let _ = due_for_reaping(&tree, &Rules::default(), time);
        }
    }

    #[test]
    fn any_request_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..80), op in -12i32..110) {
        let mut world = World::new();
        if let Ok(body) = RequestBody::decode(OpCode(op), &mut Reader::new(bytes.into())) {
            world.write(&body);
            is_sound(&world.tree);
        }
    }
}
