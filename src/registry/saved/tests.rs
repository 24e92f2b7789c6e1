//! What is saved is read back and of nobody else; what came to harm is refused by name.

use proptest::prelude::*;

use super::*;
use crate::registry::Instance;
use crate::registry::layout::{GoMicro, Plain};

fn set(layout: &dyn Layout, hosts: usize) -> Set {
    let entry = |host| {
        let address = format!("10.0.0.{host}:80").parse().unwrap();
        let mut instance = Instance::new("time", format!("10.0.0.{host}:80"), address);
        instance.lifetime = if host % 2 == 0 { Lifetime::Session } else { Lifetime::Persistent };
        let leaf = layout.leaf(&instance).unwrap();
        let stat = LeafStat { ephemeral_owner: i64::from(host % 2 == 0), ..LeafStat::default() };
        let found = Found { name: &leaf.name, data: &leaf.data, stat };
        let instance = layout.read("time", &found).unwrap();
        Entry { leaf: leaf.name.as_str().into(), instance: Arc::new(instance) }
    };
    Set::from_sorted((0..hosts).map(entry).collect())
}

fn saved(layout: &dyn Layout, hosts: usize) -> SavedSet {
    SavedSet { set: set(layout, hosts), saved_at_ms: 5 }
}

/// The same text with another end: the checksum of what it holds now.
fn sealed(text: &str) -> String {
    let (body, _) = text.rsplit_once(SUM.0).unwrap();
    format!("{body}{}{:016x}{}", SUM.0, fnv1a(body.as_bytes()), SUM.1)
}

#[test]
fn what_is_saved_is_read_back_and_of_nobody_else() {
    for layout in [&GoMicro::new() as &dyn Layout, &Plain::new()] {
        let set = saved(layout, 9);
        let text = set.encode(layout, "time").unwrap();
        assert_eq!(SavedSet::decode(layout, "time", text.as_bytes()).unwrap(), set);
        assert_eq!(sealed(&text), text);
        let other = SavedSet::decode(layout, "users", text.as_bytes()).unwrap_err();
        assert!(matches!(other, SavedError::Other("dir" | "service")), "{other}");
    }
    let text = saved(&Plain::new(), 1).encode(&Plain::new(), "time").unwrap();
    let other = SavedSet::decode(&GoMicro::new(), "time", text.as_bytes());
    assert_eq!(other, Err(SavedError::Other("layout")));
    let huge = vec![b' '; SNAPSHOT_LEN_BYTES + 1];
    assert_eq!(SavedSet::decode(&Plain::new(), "time", &huge), Err(SavedError::TooLarge));
}

#[test]
fn a_text_that_is_none_is_refused_by_name() {
    let good = saved(&Plain::new(), 2).encode(&Plain::new(), "time").unwrap();
    for (from, to, named) in [
        ("\"menagerie\":1", "\"menagerie\":2", "it is of another format"),
        ("\"menagerie\":1", "\"menagerie\":-1", "the field menagerie is missing or malformed"),
        ("/go_servers", "/go_servers/../etc", "it is of another dir"),
        ("\"service\":\"time\"", "\"service\":[]", "the field service is missing or malformed"),
        ("\"saved_at_ms\":5", "\"saved_at_ms\":NaN", "it is not JSON: unexpected byte"),
        ("\"session\":true", "\"session\":1", "the field session is missing or malformed"),
        ("\"text\":\"\"", "\"hex\":\"0g\"", "the field hex is missing or malformed"),
        ("\"text\":\"\"", "\"hex\":\"000\"", "the field hex is missing or malformed"),
        ("10.0.0.1:80", "10.0.0.0:80", "the field name is missing or malformed"),
        ("10.0.0.1:80", "../../etc/passwd", "a leaf stands for no instance"),
    ] {
        assert!(good.contains(from), "{from}");
        let changed = good.replace(from, to);
        let read = |text: &str| SavedSet::decode(&Plain::new(), "time", text.as_bytes()).unwrap_err();
        assert_eq!(read(&changed), SavedError::Damaged, "{to}");
        let error = read(&sealed(&changed)).to_string();
        assert!(error.starts_with(named), "{to}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_harms(text in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
        let _ = SavedSet::decode(&Plain::new(), "time", &text);
        let good = saved(&Plain::new(), 2).encode(&Plain::new(), "time").unwrap();
        let mut bad = good.clone().into_bytes();
        let at = at % bad.len();
        bad.splice(at..(at + 3).min(good.len()), text);
        let read = SavedSet::decode(&Plain::new(), "time", &bad);
        prop_assert!(read.is_err() || bad == good.as_bytes());
    }

    #[test]
    fn hex_is_read_back(data in prop::collection::vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(unhex(&hex(&data)).unwrap(), data);
    }
}
