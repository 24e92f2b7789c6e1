//! What third parties write into a registry: names and payloads, read in both layouts and written back.

use bytes::Bytes;
use menagerie::path;
use menagerie::registry::layout::{Found, GoMicro, Layout, Leaf, LeafStat, Plain};
use menagerie::registry::{Instance, Lifetime};

/// The first bytes say which layout, who owns the leaf, and how long its name is; the rest is the name and the payload.
pub fn registry_payload(data: &[u8]) {
    let Some((&[how, name_len], rest)) = data.split_first_chunk() else { return };
    let (name, payload) = rest.split_at(rest.len().min(name_len.into()));
    let name = String::from_utf8_lossy(name);
    let owner = [0, 0x0100_0000_0000_0001, i64::MIN, -1][usize::from(how >> 2 & 3)];
    let stat = LeafStat { ephemeral_owner: owner, num_children: i32::from(how >> 7), ..LeafStat::default() };
    let data = Bytes::copy_from_slice(payload);
    let found = Found { name: &name, data: &data, stat };
    match how & 3 {
        0 => check(&GoMicro::new().protocol("http").broker("nats"), &found),
        1 => check(&Plain::new(), &found),
        2 => named(&GoMicro::default(), &name, &String::from_utf8_lossy(payload)),
        _ => at_root(&name, &found),
    }
}

/// The layout below a directory of the fuzzer's choice.
fn at_root(root: &str, found: &Found<'_>) {
    let layouts = (GoMicro::at(root), Plain::at(root));
    assert_eq!(layouts.0.is_ok(), layouts.1.is_ok());
    match layouts {
        (Ok(micro), Ok(plain)) => {
            path::validate(root).expect("a root is a path");
            assert!(micro.root() == root && plain.root() == root);
            check(&micro, &Found { name: "id", ..*found });
            check(&plain, &Found { name: "10.0.0.1:80", ..*found });
        }
        (Err(error), _) => assert!(!error.to_string().is_empty()),
        _ => {}
    }
}

/// A child that was found: whatever reads is an instance that writes, below the root, and reads the same again.
fn check(layout: &dyn Layout, found: &Found<'_>) {
    let service = match layout.service_of(found) {
        Ok(Some(service)) => service,
        Ok(None) => "time".to_owned(),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(layout.read("time", found).is_err(), "what names no service is read");
            return;
        }
    };
    let other = layout.read(&format!("{service}x"), found);
    let instance = match layout.read(&service, found) {
        Ok(instance) => instance,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(instance.service, service);
    assert_eq!(other.is_err(), layout.name() == "go-micro", "read as an instance of another service");
    assert_eq!(instance.lifetime == Lifetime::Session, found.stat.ephemeral_owner == 0x0100_0000_0000_0001);
    assert!(layout.is_same(&instance, found), "it is not what it was read from");
    if let Some(leaf) = written(layout, &instance) {
        if instance.carried.is_some() && layout.name() == "plain" {
            assert_eq!(leaf.data, *found.data, "another's payload was not kept");
        }
        assert_eq!(written(layout, &read(layout, &instance, &leaf)), Some(leaf), "writing again changes it");
        changed(layout, &instance);
    }
}

/// The leaf of an instance, if it has one, and what must hold of it.
fn written(layout: &dyn Layout, instance: &Instance) -> Option<Leaf> {
    let leaf = match layout.leaf(instance) {
        Ok(leaf) => leaf,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    stays_below(layout, &leaf.dir);
    stays_below(layout, &leaf.path());
    assert!(!leaf.name.contains('/') && leaf.path().rsplit('/').next() == Some(&*leaf.name));
    assert_eq!(layout.service_dir(&instance.service).as_ref(), Ok(&leaf.dir));
    assert_eq!(leaf.ancestors().last(), Some(&leaf.dir));
    let again = read(layout, instance, &leaf);
    if layout.name() == "go-micro" {
        let own = instance.metadata.iter().filter(|(key, _)| !key.starts_with("menagerie."));
        assert!(
            own.into_iter().all(|(key, value)| again.metadata.get(key) == Some(value)),
            "metadata is lost"
        );
        assert_eq!(bare(&again), bare(instance), "it reads as something else");
    }
    Some(leaf)
}

/// Without what the layout adds to it, and what it was read from.
fn bare(instance: &Instance) -> Instance {
    let mut bare = instance.clone();
    bare.carried = None;
    bare.metadata.clear();
    bare
}

fn read(layout: &dyn Layout, instance: &Instance, leaf: &Leaf) -> Instance {
    let ephemeral_owner = if instance.lifetime == Lifetime::Session { 0x0100_0000_0000_0001 } else { 0 };
    let stat = LeafStat { ephemeral_owner, ..LeafStat::default() };
    let found = Found { name: &leaf.name, data: &leaf.data, stat };
    assert!(layout.is_same(instance, &found));
    layout.read(&instance.service, &found).expect("what we write we read")
}

fn stays_below(layout: &dyn Layout, path: &str) {
    path::validate(path).expect("a path that servers take");
    let below =
        path == layout.root() || path.strip_prefix(layout.root()).is_some_and(|rest| rest.starts_with('/'));
    assert!(
        below && !path.split('/').any(|part| matches!(part, "." | "..")),
        "{path:?} is outside of the root"
    );
}

/// An instance with other values still writes and reads, over whatever it was read from.
fn changed(layout: &dyn Layout, instance: &Instance) {
    let mut other = instance.clone();
    other.version.push('2');
    other.metadata.insert("zone \u{2028}<".to_owned(), "\"\\\n".to_owned());
    other.tags.push("blue".to_owned());
    other.weight = other.weight.wrapping_add(1).max(1);
    other.rpc.pop();
    other.registered_at_ms = Some(7);
    other.zone = Some("z".to_owned());
    written(layout, &other);
    other.address = "[::1]:9".parse().expect("an address");
    other.endpoints.insert("admin".to_owned(), other.address.clone());
    written(layout, &other);
}

/// Names of the fuzzer's choice: they stay below the root or are refused.
fn named(layout: &GoMicro, service: &str, id: &str) {
    match layout.service_dir(service) {
        Ok(dir) => {
            stays_below(layout, &dir);
            assert!(dir.len() > layout.root().len() + 1);
            assert_eq!(dir.matches('/').count(), layout.root().matches('/').count() + 1);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let plain = Plain::new();
    if let Ok(dir) = plain.service_dir(service) {
        assert_eq!(dir, plain.root());
    }
    let instance = Instance::new(service, id, "10.0.0.1:80".parse().expect("an address"));
    written(layout, &instance);
    let mut plainly = instance;
    "10.0.0.1:80".clone_into(&mut plainly.id);
    written(&plain, &plainly);
}
