//! Who may do what, and what a list may hold.

use std::net::IpAddr;

use super::super::{authenticate, digest_id, ip_id};
use super::*;

fn entry(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl::new(Perms(perms), scheme, id)
}

fn digest(user: &str) -> Id {
    digest_id(format!("{user}:secret").as_bytes())
}

/// A world with a znode `/a` that has this list.
fn with_list(acl: &[Acl]) -> World {
    let mut world = World::new();
    world.made("/a");
    world.set_acl("/a", acl, -1).unwrap();
    world
}

#[test]
fn digests_are_those_of_the_real_server() {
    assert_eq!(digest_id(b"alice:secret").id, "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=");
    let without_colon = digest_id(b"data");
    assert!(without_colon.id.as_str().starts_with("data:"), "{without_colon:?}");
    assert!(digest_id(b"a:b:c").id.as_str().starts_with("a:"));
}

#[test]
fn credentials_add_identities_or_are_refused() {
    let mut rules = Rules::default();
    let only = Id { scheme: "digest".into(), id: digest_id(b"super:secret").id };
    assert_eq!(authenticate(&rules, "digest", b"super:secret"), Some(vec![only.clone()]));
    rules.super_digest = Some(only.id.to_string());
    let both = vec![Id { scheme: "super".into(), id: "".into() }, only];
    assert_eq!(authenticate(&rules, "digest", b"super:secret"), Some(both));
    assert_eq!(authenticate(&rules, "digest", b"super:other").unwrap().len(), 1);
    assert_eq!(authenticate(&rules, "ip", b""), Some(Vec::new()));
    for scheme in ["world", "auth", "sasl", "x509", ""] {
        assert_eq!(authenticate(&rules, scheme, b""), None, "{scheme}");
    }
    let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
    assert_eq!(ip_id(mapped).id, "10.1.2.3");
}

#[test]
fn lists_are_checked_entry_by_entry() {
    let mut world = World::new();
    world.ids = vec![ip_id("10.0.0.1".parse().unwrap())];
    world.made("/a");
    let bad = [
        entry(31, "world", "someone"),
        entry(31, "auth", ""),
        entry(31, "digest", "a"),
        entry(31, "digest", "a:"),
        entry(31, "digest", "a:b:c"),
        entry(31, "ip", "10.0.0"),
        entry(31, "ip", "10.0.0.1/33"),
        entry(31, "ip", "10.0.0.1/-1"),
        entry(31, "ip", "::1/129"),
        entry(31, "sasl", "me"),
        Acl { perms: Perms::ALL, id: Id { scheme: Ustring::NULL, id: "x".into() } },
    ];
    for acl in bad {
        let list = [Acl::OPEN[0].clone(), acl];
        assert_eq!(world.set_acl("/a", &list, -1), Err(ErrorCode::INVALID_ACL), "{:?}", list[1]);
    }
    assert_eq!(world.set_acl("/a", &[], -1), Err(ErrorCode::INVALID_ACL));
    let good = [
        entry(0, "digest", "a:b"),
        entry(255, "digest", ":b"),
        entry(1, "digest", "a:b:"),
        entry(1, "ip", "10.0.0.0/8"),
        entry(1, "ip", "0.0.0.0/0"),
        entry(1, "ip", "fe80::/10"),
        entry(31, "world", "anyone"),
    ];
    world.set_acl("/a", &good, -1).unwrap();
    assert_eq!(&**world.tree.znode("/a").unwrap().acl(), good, "as given, in that order");
}

#[test]
fn duplicates_go_and_order_stays() {
    let [a, b] = [entry(1, "digest", "a:1"), entry(1, "digest", "b:1")];
    let other = entry(2, "digest", "a:1");
    let world = with_list(&[b.clone(), a.clone(), b.clone(), other.clone(), a.clone()]);
    assert_eq!(&**world.tree.znode("/a").unwrap().acl(), [b, a, other]);
}

#[test]
fn auth_stands_for_whoever_proved_something() {
    let mut world = World::new();
    let above = Id { scheme: "super".into(), id: "".into() };
    world.ids = vec![ip_id("10.0.0.1".parse().unwrap()), above, digest("alice"), digest("bob")];
    world.made("/a");
    world.set_acl("/a", &[entry(3, "auth", "whatever"), entry(1, "world", "anyone")], -1).unwrap();
    let kept = [
        Acl { perms: Perms(3), id: digest("alice") },
        Acl { perms: Perms(3), id: digest("bob") },
        entry(1, "world", "anyone"),
    ];
    assert_eq!(&**world.tree.znode("/a").unwrap().acl(), kept);
}

#[test]
fn a_list_that_grows_without_bound_is_refused() {
    let ids: Vec<_> = (0..300).map(|at| digest(&at.to_string())).collect();
    let acl: Vec<_> = (0..300).map(|perms| entry(perms, "auth", "")).collect();
    assert_eq!(super::super::acl::fixed_up(Some(&acl), &ids), Err(ErrorCode::INVALID_ACL));
    assert_eq!(super::super::acl::fixed_up(Some(&acl[..200]), &ids).unwrap().len(), 60_000);
}

#[test]
fn each_operation_needs_its_permission() {
    let needs = |perms: i32| {
        let mut world = World::new();
        world.made("/a");
        world.made("/a/b");
        world.set_acl("/a", &[entry(perms, "world", "anyone")], -1).unwrap();
        let reads = world.tree.reads(world.access());
        let allowed = |result: bool| result;
        let seen = [
            allowed(reads.data("/a").is_ok()),
            allowed(reads.children("/a").is_ok()),
            allowed(reads.all_children_number("/a").is_ok()),
            allowed(reads.exists("/a").is_ok()),
            allowed(reads.acl("/a").is_ok()),
        ];
        let checked = matches!(world.multi([check("/a", -1)]), Answer::Multi(_));
        let set = world.set("/a", "", -1).is_ok();
        let created = world.create("/a/c", CreateMode::PERSISTENT).is_ok();
        let deleted = world.delete("/a/b", -1).is_ok();
        let administered = world.set_acl("/a", Acl::OPEN, -1).is_ok();
        (seen, [checked, set, created, deleted, administered])
    };
    assert_eq!(needs(Perms::READ.0), ([true; 5], [true, false, false, false, false]));
    assert_eq!(needs(Perms::WRITE.0), ([false; 5], [false, true, false, false, false]));
    assert_eq!(needs(Perms::CREATE.0), ([false; 5], [false, false, true, false, false]));
    assert_eq!(needs(Perms::DELETE.0), ([false; 5], [false, false, false, true, false]));
    assert_eq!(
        needs(Perms::ADMIN.0),
        ([false, false, false, false, true], [false, false, false, false, true])
    );
    assert_eq!(needs(0), ([false; 5], [false; 5]));
}

#[test]
fn exists_asks_by_version() {
    let asks = |like| {
        let mut world = World::like(like);
        world.made("/a");
        world.set_acl("/a", &[entry(Perms::WRITE.0, "world", "anyone")], -1).unwrap();
        world.tree.reads(world.access()).exists("/a")
    };
    assert!([Like::V3_4, Like::V3_5, Like::V3_8, Like::Keeper].into_iter().all(|like| asks(like).is_ok()));
    assert_eq!(asks(Like::V3_9), Err(ErrorCode::NO_AUTH));
}

#[test]
fn permission_comes_before_version_and_existence() {
    let mut world = with_list(&[entry(Perms::READ.0, "world", "anyone")]);
    assert_eq!(world.set("/a", "", 9), Err(ErrorCode::NO_AUTH));
    assert_eq!(world.set_acl("/a", Acl::OPEN, 9), Err(ErrorCode::NO_AUTH));
    assert_eq!(world.delete("/a/none", 9), Err(ErrorCode::NO_AUTH));
    assert_eq!(
        world.delete("/a", 9),
        Err(ErrorCode::BAD_VERSION),
        "the parent's list decides over a deletion"
    );
}

#[test]
fn identities_match_by_their_scheme() {
    let may = |acl: &Acl, ids: &[Id]| {
        Access { rules: &Rules::default(), ids }.allows(std::slice::from_ref(acl), Perms::READ)
    };
    let from = |address: &str| [ip_id(address.parse().unwrap())];
    for (network, address, meant) in [
        ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("fe80::/10", "fe80::1", true),
        ("fe80::/10", "fec0::1", false),
        ("::/0", "1.2.3.4", false),
    ] {
        assert_eq!(may(&entry(1, "ip", network), &from(address)), meant, "{address} in {network}");
    }
    assert!(may(&Acl { perms: Perms(1), id: digest("a") }, &[digest("b"), digest("a")]));
    assert!(!may(&Acl { perms: Perms(1), id: digest("a") }, &[digest("b")]));
    assert!(!may(&entry(1, "digest", "10.0.0.1"), &from("10.0.0.1")), "of another scheme");
    assert!(may(&entry(0, "digest", "a:b"), &[Id { scheme: "super".into(), id: "".into() }]));
    let open = Rules { skip_acl: true, ..Rules::default() };
    assert!(Access { rules: &open, ids: &[] }.allows(&[entry(0, "digest", "a:b")], Perms::ADMIN));
}

#[test]
fn hashes_are_shown_to_who_may_set_the_list() {
    let mine = Acl { perms: Perms::ALL, id: digest("alice") };
    let others = entry(Perms::READ.0, "world", "anyone");
    let mut world = with_list(&[mine.clone(), others.clone()]);
    let seen = |world: &World| world.tree.reads(world.access()).acl("/a").unwrap().0;
    assert_eq!(seen(&world), [entry(31, "digest", "alice:x"), others.clone()]);
    world.ids = vec![digest("alice")];
    assert_eq!(seen(&world), [mine, others]);
}
