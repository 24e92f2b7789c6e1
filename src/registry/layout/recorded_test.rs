//! What other programs wrote is read, and written back to the byte.
//!
//! The files of `recorded` say who wrote them. `tests/interop` makes them, and sees to it that those programs still write the same.

use super::*;

/// A leaf as it was written.
struct Record {
    path: String,
    stat: LeafStat,
    data: Bytes,
}

/// Two lines for each leaf: its path and lifetime, and its bytes.
fn records(text: &str) -> Vec<Record> {
    let lines: Vec<_> = text.split_terminator('\n').filter(|line| !line.starts_with('#')).collect();
    assert!(!lines.is_empty() && lines.len() % 2 == 0, "{text}");
    let record = |pair: &[&str]| {
        let (path, lifetime) = pair[0].rsplit_once(' ').unwrap();
        let ephemeral_owner = match lifetime {
            "ephemeral" => 0x1000,
            "persistent" => 0,
            other => panic!("{other}"),
        };
        let stat = LeafStat { ephemeral_owner, ..LeafStat::default() };
        Record { path: path.to_owned(), stat, data: Bytes::copy_from_slice(pair[1].as_bytes()) }
    };
    lines.chunks(2).map(record).collect()
}

/// What was read of each leaf. All of them are written back to the byte; *alone* says that the model alone yields the bytes.
fn read_back(layout: &dyn Layout, service: &str, records: &[Record]) -> Vec<String> {
    let read = |record: &Record| {
        let mut instance = instance(layout, service, record);
        let leaf = layout.leaf(&instance).unwrap();
        assert_eq!((&leaf.path(), &leaf.data), (&record.path, &record.data));
        assert_eq!(leaf.mode == LeafMode::Ephemeral, record.stat.ephemeral_owner != 0, "{}", record.path);
        assert!(layout.is_same(&instance, &record.found()), "{}", record.path);
        instance.carried = None;
        let alone =
            layout.leaf(&instance).is_ok_and(|leaf| leaf.path() == record.path && leaf.data == record.data);
        let alone = if alone { " alone" } else { "" };
        format!("{} {} {:?}{alone}", instance.id, instance.address, instance.status)
    };
    records.iter().map(read).collect()
}

fn instance(layout: &dyn Layout, service: &str, record: &Record) -> Instance {
    layout.read(service, &record.found()).unwrap_or_else(|why| panic!("{}: {why}", record.path))
}

impl Record {
    fn found(&self) -> Found<'_> {
        let (_, name) = self.path.rsplit_once('/').unwrap();
        Found { name, data: &self.data, stat: self.stat }
    }
}

/// A value that the recordings have in their free text: writers differ in what they escape of it.
const ODD: &str = "a<b>&'c'=\"d\"\\ \u{1} é \u{2028}";

#[test]
fn what_curator_wrote() {
    let (drawn, by_id): (Vec<_>, Vec<_>) = records(include_str!("recorded/curator.txt"))
        .into_iter()
        .partition(|record| record.path.ends_with("0000000001"));
    let layout = Curator::at("/recorded/curator").unwrap();
    let expected = [
        "dynamic 10.0.0.5:8080 Up alone",
        "enabled-false 10.0.0.5:80 OutOfService alone",
        "enabled-true 10.0.0.5:80 Up",
        "ipv6 [2001:db8::1]:8080 Up alone",
        "list 10.0.0.5:8080 Up",
        "long 10.0.0.5:8080 Up",
        "map 10.0.0.5:8080 Up alone",
        "name host.example.org:8080 Up alone",
        "odd 10.0.0.5:8080 Up alone",
        "permanent 10.0.0.5:8080 Up",
        "ssl 10.0.0.5:80 Up alone",
        "ssl-only 10.0.0.5:443 Up",
        "static 10.0.0.5:8080 Up alone",
        "text 10.0.0.5:8080 Up",
    ];
    assert_eq!(read_back(&layout, "svc", &by_id), expected);
    let expected = ["dynamic_sequential0000000001 10.0.0.5:8080 Up"];
    assert_eq!(read_back(&layout.sequential(), "svc", &drawn), expected);
}

#[test]
fn what_curator_wrote_with_springs_payload() {
    let records = records(include_str!("recorded/spring-cloud.txt"));
    let layout = SpringCloud::at("/recorded/spring").unwrap();
    let expected = [
        "app-0 10.0.0.5:80 Up",
        "app-1 10.0.0.5:80 OutOfService alone",
        "app-2 10.0.0.5:80 Up alone",
        "app-5 10.0.0.5:80 Up",
    ];
    assert_eq!(read_back(&layout, "svc", &records), expected);
    let full = instance(&layout, "svc", records.last().unwrap());
    assert_eq!((full.weight, full.zone.as_deref(), full.metadata.get("k").unwrap()), (3, Some("z1"), ODD));
}

#[test]
fn what_curator_wrote_with_dubbos_payload() {
    let records = records(include_str!("recorded/dubbo-application.txt"));
    let layout = DubboApplication::at("/recorded/dubbo", "/recorded/metadata").unwrap();
    assert_eq!(read_back(&layout, "shop", &records), ["10.0.0.5:20880 10.0.0.5:20880 Up alone"]);
    assert_eq!(instance(&layout, "shop", &records[0]).metadata.get("k").unwrap(), ODD);
}

#[test]
fn what_go_wrote_with_go_micros_structs() {
    let records = records(include_str!("recorded/go-micro.txt"));
    let layout = GoMicro::new();
    let expected =
        ["bare/1", "bare/2", "bare/4", "full/1", "full/2", "full/4", "server/1", "server/2", "server/4"];
    let expected =
        expected.map(|id| format!("{id} 10.0.0.3:8080 Up{}", if id == "server/4" { " alone" } else { "" }));
    assert_eq!(read_back(&layout, "recorded/greeter", &records), expected);
    for record in records.iter().filter(|record| record.path.contains("full")) {
        let full = instance(&layout, "recorded/greeter", record);
        assert_eq!((full.metadata.get("odd").unwrap(), &*full.version), (ODD, "1"));
        assert_eq!(full.rpc[0].request.as_ref().unwrap().values[0].name, "name");
    }
}

#[test]
fn what_the_go_demo_wrote() {
    let records = records(include_str!("recorded/plain.txt"));
    assert_eq!(read_back(&Plain::new(), "time", &records), ["127.0.0.1:50001 127.0.0.1:50001 Up alone"]);
}

#[test]
fn what_was_written_as_registrator_does() {
    let records = records(include_str!("recorded/registrator.txt"));
    let layout = Registrator::at("/recorded-registrator").unwrap();
    let expected = ["10.1.1.1:10000 10.1.1.1:10000 Up", "2001:db8::1:10000 [2001:db8::1]:10000 Up"];
    assert_eq!(read_back(&layout, "db", &records), expected);
}

#[test]
fn what_was_written_as_finagle_does() {
    let records = records(include_str!("recorded/serverset.txt"));
    let layout = ServerSet::at("/recorded/sets").unwrap();
    let expected = ["member_0000000000 10.0.0.5:80 Up alone", "member_0000000001 10.0.0.5:80 Draining"];
    assert_eq!(read_back(&layout, "svc", &records), expected);
}

#[test]
fn what_twitters_own_library_wrote() {
    let records = records(include_str!("recorded/serverset-twitter.txt"));
    let layout = ServerSet::at("/interop/twitter").unwrap();
    assert_eq!(read_back(&layout, "web", &records), ["member_0000000000 10.0.0.5:8080 Up"]);
    let read = instance(&layout, "web", &records[0]);
    assert_eq!((read.endpoints["admin"].port(), read.metadata.get("menagerie.shard").unwrap()), (9990, "3"));
}

#[test]
fn what_was_written_as_dubbo_does() {
    // Java writes its address beside the name, as we do, and Go nothing.
    for (text, root, encoder, alone) in [
        (include_str!("recorded/dubbo-java.txt"), "/recorded-java", Encoder::Java, " alone"),
        (include_str!("recorded/dubbo-go.txt"), "/recorded-go", Encoder::Go, ""),
    ] {
        let records = records(text);
        let layout = DubboInterface::at(root).unwrap().encoder(encoder);
        let read = instance(&layout, "org.x.Demo$Inner", &records[0]);
        assert_eq!((&*read.version, read.registered_at_ms), ("1.0*~", Some(1_700_000_000_000)));
        assert_eq!(read.metadata.get("methods").unwrap(), "sayHello,sayBye");
        let bare = Instance { carried: None, ..read };
        assert_eq!(layout.leaf(&bare).unwrap().path(), records[0].path);
        let expected = [format!("10.0.0.5:20880 10.0.0.5:20880 Up{alone}")];
        assert_eq!(read_back(&layout, "org.x.Demo$Inner", &records), expected);
    }
}

#[test]
fn what_go_wrote_with_dubbo_gos_structs() {
    let records = records(include_str!("recorded/dubbo-go-application.txt"));
    let layout = DubboApplication::at("/recorded-applications", "/recorded-metadata").unwrap();
    assert_eq!(read_back(&layout, "app", &records), ["10.0.0.5:20880 10.0.0.5:20880 Up"]);
}
