use super::*;

#[test]
fn ancestors_are_listed_from_the_top() {
    let leaf = |dir: &str| Leaf {
        dir: dir.to_owned(),
        name: "n".to_owned(),
        data: Bytes::new(),
        mode: LeafMode::Ephemeral,
        parents: ParentMode::Persistent,
    };
    assert_eq!(leaf("/a").ancestors(), ["/a"]);
    assert_eq!(leaf("/a/bé/c").ancestors(), ["/a", "/a/bé", "/a/bé/c"]);
    assert_eq!(leaf("/a/b").path(), "/a/b/n");
}

#[test]
fn without_a_word_for_a_status_the_leaf_goes() {
    let mut instance = Instance::new("s", "i", "h:1".parse().unwrap());
    assert!(GoMicro::new().keeps_leaf(&instance) && Plain::new().keeps_leaf(&instance));
    for status in [Status::Draining, Status::OutOfService] {
        instance.status = status;
        assert!(!GoMicro::new().keeps_leaf(&instance) && !Plain::new().keeps_leaf(&instance));
    }
}

#[test]
fn components_follow_javas_rules() {
    for good in ["a", "...", "a b", "é", "%2f", "\u{202e}x", " ", "\u{d7ff}", "\u{f900}", "\u{ffef}"] {
        assert_eq!(check_component("service", good), Ok(()), "{good:?}");
    }
    let long = "x".repeat(NAME_LEN_BYTES + 1);
    for bad in
        ["", ".", "..", "a/b", "a\n", "\0", "\x7f", "\u{85}", "\u{e000}", "\u{fff0}", "\u{1f600}", &long]
    {
        assert!(matches!(check_component("service", bad), Err(LayoutError::BadName { .. })), "{bad:?}");
    }
    for bad in ["", "/", "a", "/a/", "//a", "/a/../b"] {
        assert!(check_root(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn only_sessions_own_ephemerals() {
    let lifetime = |ephemeral_owner| LeafStat { ephemeral_owner, ..LeafStat::default() }.lifetime();
    assert_eq!(lifetime(0), Lifetime::Persistent);
    assert_eq!(lifetime(i64::MIN), Lifetime::Persistent);
    assert_eq!(lifetime(-0x0100_0000_0000_0000 | 5000), Lifetime::Persistent);
    assert_eq!(lifetime(0x0100_0000_0000_0001), Lifetime::Session);
    assert_eq!(lifetime(-0x0200_0000_0000_0000), Lifetime::Session);
}
