//! What third parties write into a registry: names and payloads, read in every layout and written back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use menagerie::path;
use menagerie::registry::layout::{
    Category, Curator, DubboApplication, DubboInterface, DubboUrl, Encoder, Found, Further, GoMicro, Kind,
    Layout, Leaf, LeafMode, LeafStat, Plain, Recognising, Registrator, Rule, ServerSet, SpringCloud,
    WeightVector, clashes,
};
use menagerie::registry::limits::PAYLOAD_LEN_BYTES;
use menagerie::registry::{Instance, Lifetime, RpcEndpoint};

const SESSION: i64 = 0x0100_0000_0000_0001;

/// The first bytes say which layout, who owns the leaf, and how long its name is; the rest is the name and the payload.
pub fn registry_payload(data: &[u8]) {
    let Some((&[how, name_len], rest)) = data.split_first_chunk() else { return };
    let (name, payload) = rest.split_at(rest.len().min(name_len.into()));
    let name = String::from_utf8_lossy(name);
    let owner = [0, SESSION, i64::MIN, -1][usize::from(how >> 4 & 3)];
    let stat = LeafStat { ephemeral_owner: owner, num_children: i32::from(how >> 7), ..LeafStat::default() };
    let data = Bytes::copy_from_slice(payload);
    let found = Found { name: &name, data: &data, stat };
    match how & 15 {
        0 => check(&GoMicro::new().protocol("http").broker("nats"), &found),
        1 => check(&Plain::new(), &found),
        2 => named(&name, &String::from_utf8_lossy(payload)),
        3 => at_root(&name, &found),
        4 => check(&curator(), &found),
        5 => check(&curator().sequential(), &found),
        6 => check(&SpringCloud::new(), &found),
        7 => check(&DubboInterface::new(), &found),
        8 => check(&DubboInterface::new().encoder(Encoder::Go).protocol("tri"), &found),
        9 => check(&DubboApplication::new().serves("org.x.Demo", "", "1"), &found),
        10 => check(&Registrator::at("/services").expect("a path"), &found),
        11 => check(&server_set(), &found),
        12 => told_apart(&found),
        13 => whole(&name, payload),
        14 => blown_up(&name, payload),
        _ => both_ways(&found),
    }
}

fn curator() -> Curator {
    Curator::at("/services").expect("a path")
}

fn server_set() -> ServerSet {
    ServerSet::at("/discovery/prod").expect("a path")
}

/// The layout below a directory of the fuzzer's choice.
fn at_root(root: &str, found: &Found<'_>) {
    let layouts = (GoMicro::at(root), Plain::at(root));
    assert_eq!(layouts.0.is_ok(), layouts.1.is_ok());
    assert_eq!(layouts.0.is_ok(), DubboInterface::at(root).is_ok());
    match layouts {
        (Ok(micro), Ok(plain)) => {
            path::validate(root).expect("a root is a path");
            assert!(micro.root() == root && plain.root() == root);
            check(&micro, &Found { name: "id", ..*found });
            check(&plain, &Found { name: "10.0.0.1:80", ..*found });
            check(&SpringCloud::at(root).expect("as the others"), &Found { name: "id", ..*found });
        }
        (Err(error), _) => assert!(!error.to_string().is_empty()),
        _ => {}
    }
    assert_eq!(layouts_at(root).is_some(), GoMicro::at(root).is_ok());
    for layout in layouts_at(root).into_iter().flatten() {
        check(&*layout, &Found { name: "member_0000000001", ..*found });
        written(&*layout, &Instance::new("time", "id", "[::1]:80".parse().expect("an address")));
    }
}

/// The layouts that have no root of their own, or a second one.
fn layouts_at(root: &str) -> Option<[Box<dyn Layout>; 4]> {
    Some([
        Box::new(Curator::at(root).ok()?),
        Box::new(Registrator::at(root).ok()?),
        Box::new(ServerSet::at(root).ok()?),
        Box::new(DubboApplication::at(root, "/dubbo").ok()?),
    ])
}

/// Whatever a child is taken for, reading it goes as with that layout, or as with the home layout.
fn told_apart(found: &Found<'_>) {
    let home = curator();
    let layout = Recognising::around(home.clone());
    let kind = Kind::of(found);
    if kind.is_none() || kind == Some(Kind::Curator) {
        assert_eq!(layout.read("time", found), home.read("time", found));
    }
    for clash in clashes(&home, [*found]) {
        assert!(!clash.to_string().is_empty() && Some(clash.theirs) == kind && clash.leaves == 1);
    }
    if let Ok(vector) = WeightVector::read(found) {
        let instance = Instance::new("s", "i", "10.0.0.1:80".parse().expect("an address"));
        let weight = WeightVector::of([&vector, &vector], "member_0000000001", &instance);
        assert!(weight <= 1_000_000);
    }
}

/// Names that are URLs mean the same once they are written by either encoder.
fn both_ways(found: &Found<'_>) {
    ruled(found);
    let Ok(url) = DubboUrl::decode(found.name) else { return };
    for encoder in [Encoder::Java, Encoder::Go] {
        let name = url.encode(encoder);
        assert!(name.is_ascii() && !name.contains('/'));
        if let Ok(again) = DubboUrl::decode(&name) {
            assert_eq!(
                again.encode(encoder),
                DubboUrl::decode(&again.encode(encoder)).map_or(name, |url| url.encode(encoder))
            );
        }
    }
}

/// Whatever stands beside an instance changes neither whose it is nor where.
fn ruled(found: &Found<'_>) {
    let mut instance = Instance::new("time", "i", "10.0.0.1:80".parse().expect("an address"));
    instance.weight = 100;
    instance.metadata.insert("menagerie.shard".to_owned(), "1".to_owned());
    let read = [DubboInterface::new().rule(found), server_set().rule(found)];
    for rule in read.into_iter().flatten().flatten() {
        let rules = [Arc::new(rule)];
        let Some(changed) = Rule::applied(&rules, "member_0000000001", &instance) else { continue };
        let kept = (&changed.service, &changed.id, &changed.address, changed.lifetime);
        assert_eq!(kept, (&instance.service, &instance.id, &instance.address, instance.lifetime));
        assert!(changed.weight <= 100_000_000 || matches!(*rules[0], Rule::Override(_)));
    }
}

/// A child that was found: whatever reads is an instance that writes, below the root, and reads the same again.
fn check(layout: &dyn Layout, found: &Found<'_>) {
    let _ = layout.service_at(found.name);
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
    let names_it = matches!(layout.service_of(found), Ok(Some(_)));
    assert_eq!(other.is_err(), names_it, "read as an instance of another service");
    assert_eq!(instance.lifetime == Lifetime::Session, found.stat.ephemeral_owner == SESSION);
    assert!(layout.is_same(&instance, found), "it is not what it was read from");
    if let Some(leaf) = written(layout, &instance) {
        if instance.carried.is_some() && layout.name() != "go-micro" {
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
    stays_below(layout.root(), &leaf.dir);
    stays_below(layout.root(), &leaf.path());
    assert!(!leaf.name.contains('/') && leaf.path().rsplit('/').next() == Some(&*leaf.name));
    assert_eq!(layout.service_dir(&instance.service).as_ref(), Ok(&leaf.dir));
    assert_eq!(leaf.ancestors().last(), Some(&leaf.dir));
    let again = read(layout, instance, &leaf);
    if layout.name() != "plain" {
        let own = instance
            .metadata
            .iter()
            .filter(|(key, _)| !key.starts_with("menagerie.") && !key.starts_with("dubbo."));
        assert!(
            own.into_iter().all(|(key, value)| again.metadata.get(key) == Some(value)),
            "metadata is lost"
        );
        assert_eq!(bare(&again), bare(instance), "it reads as something else");
    }
    for further in layout.further(instance).unwrap_or_default() {
        match further {
            Further::Leaf(leaf) | Further::Shared(leaf) => stays_below("/dubbo", &leaf.path()),
            Further::Listed { leaf, .. } => stays_below("/dubbo", &leaf.path()),
            _ => {}
        }
    }
    Some(leaf)
}

/// Without what the layout adds to it, what it was read from, and what some have no word for.
fn bare(instance: &Instance) -> Instance {
    let mut bare = instance.clone();
    bare.carried = None;
    bare.metadata.clear();
    bare.status = menagerie::registry::Status::Up;
    bare.status_reason = None;
    // Dubbo's word for no weight.
    bare.weight = if bare.weight == 100 { 1 } else { bare.weight };
    bare
}

fn read(layout: &dyn Layout, instance: &Instance, leaf: &Leaf) -> Instance {
    assert_eq!(leaf.mode == LeafMode::Ephemeral, instance.lifetime == Lifetime::Session);
    let ephemeral_owner = if instance.lifetime == Lifetime::Session { SESSION } else { 0 };
    let stat = LeafStat { ephemeral_owner, ..LeafStat::default() };
    let found = Found { name: &leaf.name, data: &leaf.data, stat };
    assert!(layout.is_same(instance, &found));
    layout.read(&instance.service, &found).expect("what we write we read")
}

fn stays_below(root: &str, path: &str) {
    path::validate(path).expect("a path that servers take");
    let below = path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    assert!(
        below && !path.split('/').any(|part| matches!(part, "." | "..")),
        "{path:?} is outside of the root"
    );
}

/// An instance with other values still writes and reads, over whatever it was read from.
fn changed(layout: &dyn Layout, instance: &Instance) {
    let mut other = instance.clone();
    other.version.push('2');
    other.metadata.insert("zone \u{2028}<", "\"\\\n");
    other.tags.push("blue".to_owned());
    other.weight = other.weight.wrapping_add(1).max(1);
    other.rpc.clear();
    other.registered_at_ms = Some(7);
    other.zone = Some("z".to_owned());
    written(layout, &other);
    other.address = "[::1]:9".parse().expect("an address");
    other.endpoints.insert("admin".to_owned(), other.address.clone());
    written(layout, &other);
}

/// Every layout there is, the way it is written.
fn every_layout() -> [Box<dyn Layout>; 9] {
    [
        Box::new(GoMicro::new()),
        Box::new(curator()),
        Box::new(curator().sequential()),
        Box::new(SpringCloud::new()),
        Box::new(DubboInterface::new()),
        Box::new(DubboApplication::new().serves("org.x.Demo", "", "1")),
        Box::new(Registrator::at("/services").expect("a path")),
        Box::new(server_set()),
        Box::new(Plain::new()),
    ]
}

/// An instance with texts of the fuzzer's choice in every field comes back as it was from every layout, but for the fields that
/// the layout says it does not tell, or is refused by name.
fn whole(name: &str, payload: &[u8]) {
    let payload = String::from_utf8_lossy(payload);
    let mut texts = payload.split('\n').map(str::to_owned);
    let mut text = || texts.next().unwrap_or_default();
    let host = text();
    let Ok(address) = host.parse() else { return };
    let mut instance = Instance::new(name, text(), address);
    (instance.version, instance.zone) = (text(), Some(text()).filter(|zone| !zone.is_empty()));
    (instance.weight, instance.registered_at_ms) = (text().parse().unwrap_or(1), text().parse().ok());
    instance.rpc = vec![RpcEndpoint { name: text(), ..RpcEndpoint::default() }];
    instance.endpoints.extend(text().parse().map(|at| (text(), at)));
    instance.tags.extend([text(), text()].into_iter().filter(|tag| !tag.is_empty()));
    for (key, value) in [(text(), text()), (text(), text())] {
        instance.metadata.insert(key, value);
    }
    for layout in every_layout() {
        let Ok(leaf) = layout.leaf(&instance) else {
            assert!(layout.leaf(&instance).is_err_and(|error| (1..1000).contains(&error.to_string().len())));
            continue;
        };
        stays_below(layout.root(), &leaf.path());
        let (back, lost) = (read(&*layout, &instance, &leaf), layout.lost(&instance).expect("it has a leaf"));
        let kept = |field: &str, is_kept: bool| assert!(is_kept || lost.contains(&field), "{field} is lost");
        assert!(!lost.contains(&"address") && back.address == instance.address, "another address");
        kept("id", back.id == instance.id);
        kept("version", back.version == instance.version);
        kept("zone", back.zone == instance.zone);
        kept("weight", back.weight == instance.weight);
        kept("endpoints", back.endpoints == instance.endpoints);
        kept("tags", back.tags == instance.tags);
        kept("rpc", back.rpc == instance.rpc);
        assert_eq!(lost.contains(&"version"), layout.name() == "plain" && !instance.version.is_empty());
        assert_eq!(
            layout.leaf(&back).map(|leaf| leaf.path()),
            Ok(leaf.path()),
            "another leaf for the same instance"
        );
    }
}

/// Names and payloads of any length: refused or read, and no leaf is longer than a server takes.
fn blown_up(name: &str, payload: &[u8]) {
    let [times, rest @ ..] = payload else { return };
    let times = 1 << (times % 18);
    let (name, data) = (name.repeat(times), Bytes::from(rest.repeat(times)));
    if name.len() + data.len() > 4 << 20 {
        return;
    }
    let found = Found {
        name: &name,
        data: &data,
        stat: LeafStat { ephemeral_owner: SESSION, ..LeafStat::default() },
    };
    for layout in every_layout() {
        let _ = layout.service_of(&found);
        let read = layout.read("time", &found);
        assert!(read.is_err() || data.len() <= PAYLOAD_LEN_BYTES, "read beyond the bound");
        let instance = Instance::new(&*name, &*name, "h:1".parse().expect("an address"));
        if let Ok(leaf) = layout.leaf(&instance) {
            assert!(leaf.path().len() < 64 * 1024 && leaf.data.len() <= PAYLOAD_LEN_BYTES);
            stays_below(layout.root(), &leaf.path());
        }
    }
    let _ = Kind::of(&found);
}

/// Names of the fuzzer's choice: they stay below the root or are refused, in every layout.
fn named(service: &str, id: &str) {
    consumed(service, id);
    let layouts: [&dyn Layout; 10] = [
        &GoMicro::new(),
        &curator(),
        &curator().sequential(),
        &Recognising::around(curator().permanent()),
        &SpringCloud::new(),
        &DubboInterface::new().application(id).consumes(service).consumes(id),
        &DubboApplication::new().serves(id, service, id),
        &Registrator::at("/services").expect("a path"),
        &server_set(),
        &Plain::new(),
    ];
    for layout in layouts {
        match layout.service_dir(service) {
            Ok(dir) => {
                stays_below(layout.root(), &dir);
                let deeper = dir.matches('/').count() - layout.root().matches('/').count();
                let expected = match layout.name() {
                    "plain" => 0,
                    "dubbo" => 2,
                    _ => 1,
                };
                assert_eq!(deeper, expected);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if let Ok(Some(dir)) = layout.rules_dir(service) {
            stays_below(layout.root(), &dir);
        }
        assert!(layout.drain_grace() >= Duration::from_secs(5));
        let id = if layout.name() == "plain" { "10.0.0.1:80" } else { id };
        written(layout, &Instance::new(service, id, "10.0.0.1:80".parse().expect("an address")));
    }
}

/// Consumers of Dubbo's have leaves of their own, and an entry of a list is there once.
fn consumed(interface: &str, host: &str) {
    let layout = DubboInterface::new();
    for category in Category::ALL {
        if let Ok(dir) = layout.category_dir(interface, category) {
            stays_below(layout.root(), &dir);
        }
    }
    let parameters = [(host.to_owned(), interface.to_owned())].into();
    if let Ok(leaf) = layout.consumer(interface, host, parameters) {
        stays_below(layout.root(), &leaf.path());
        let found = Found { name: &leaf.name, data: &leaf.data, stat: LeafStat::default() };
        assert!(layout.read(interface, &found).is_err(), "a consumer is no instance");
    }
    if let Some(list) = Further::listed(host.as_bytes(), interface)
        .filter(|_| !interface.is_empty() && !interface.contains(','))
    {
        assert_eq!(Further::listed(&list, interface), None);
    }
}
