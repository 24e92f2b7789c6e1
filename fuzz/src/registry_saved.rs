//! What a file says that a view saved: cut, changed, swapped, or written by somebody else.

use menagerie::path;
use menagerie::registry::layout::{
    Curator, DubboApplication, DubboInterface, GoMicro, Layout, Plain, Registrator, ServerSet, SpringCloud,
};
use menagerie::registry::{SavedError, SavedSet};

const SERVICE: &str = "time";

/// The first byte says which layout, and whether the rest is a text as it stands, one that gets its checksum here, or leaves
/// that a text is made of, and what becomes of that.
pub fn registry_saved(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    let layouts: [&dyn Layout; 8] = [
        &GoMicro::new(),
        &Curator::at("/services").expect("a path"),
        &SpringCloud::new(),
        &DubboInterface::new(),
        &DubboApplication::new(),
        &Registrator::at("/services").expect("a path"),
        &ServerSet::at("/discovery/prod").expect("a path"),
        &Plain::new(),
    ];
    let at = usize::from(how & 7);
    let (layout, other) = (layouts[at], layouts[(at + 1) % 8]);
    match how >> 3 & 3 {
        0 => drop(read(layout, rest)),
        1 => drop(read(layout, &sealed(rest))),
        2 => harmed(layout, rest),
        _ => made(layout, other, rest),
    }
}

/// Reads a text. What is read is written, and reads the same again.
fn read(layout: &dyn Layout, text: &[u8]) -> Result<SavedSet, SavedError> {
    let saved = match SavedSet::decode(layout, SERVICE, text) {
        Ok(saved) => saved,
        Err(error) => {
            assert!((1..400).contains(&error.to_string().len()), "{error}");
            return Err(error);
        }
    };
    let leaves: Vec<&str> = saved.set.entries().iter().map(|entry| &*entry.leaf).collect();
    assert!(leaves.is_sorted() && leaves.windows(2).all(|pair| pair[0] != pair[1]), "a leaf is there twice");
    assert!(saved.set.iter().all(|instance| instance.service == SERVICE), "an instance of another service");
    for leaf in saved.set.iter().filter_map(|instance| layout.leaf(instance).ok()) {
        path::validate(&leaf.path()).expect("a path that servers take");
    }
    let written = saved.encode(layout, SERVICE).expect("the service has a directory");
    let again = SavedSet::decode(layout, SERVICE, written.as_bytes()).expect("what we write we read");
    let kept = saved.set.entries().iter().filter(|entry| layout.leaf(&entry.instance).is_ok());
    assert!(
        kept.eq(again.set.entries()) && again.saved_at_ms == saved.saved_at_ms,
        "it reads as something else"
    );
    Ok(saved)
}

/// A good text that is cut, or of which a few bytes are others: refused, whatever it says now.
fn harmed(layout: &dyn Layout, script: &[u8]) {
    let Some((&[high, low, len], new)) = script.split_first_chunk() else { return };
    let good = text(layout, &[(b"10.0.0.1:80".to_vec(), Vec::new(), true)]);
    let at = usize::from(u16::from_be_bytes([high, low])) % good.len();
    let mut bad = good.clone();
    let end = (at + usize::from(len)).min(good.len());
    bad.splice(at..end, new.iter().copied());
    assert!(bad == good || read(layout, &bad).is_err(), "a changed text is used");
    assert!(read(layout, &good[..at]).is_err(), "half a text is used");
}

/// A text of leaves of the fuzzer's choice is that set, or refused; for another view it is none.
fn made(layout: &dyn Layout, other: &dyn Layout, mut script: &[u8]) {
    let mut leaves = Vec::new();
    while let Some((&[how, name_len, data_len], rest)) = script.split_first_chunk() {
        let (name, rest) = rest.split_at(rest.len().min(name_len.into()));
        let (data, rest) = rest.split_at(rest.len().min(data_len.into()));
        let repeats = if how & 2 == 0 { 1 } else { 1 << (how >> 5) };
        leaves.push((name.to_vec(), data.repeat(repeats), how & 1 == 0));
        script = rest;
    }
    let text = text(layout, &leaves);
    if let Ok(saved) = read(layout, &text) {
        assert_eq!(saved.set.len(), leaves.len());
    }
    let error = read(other, &text).expect_err("another view's set is used");
    assert!(matches!(error, SavedError::Other(_)), "{error}");
}

/// A text as a view would save it, of leaves with these names and payloads that end with their session or do not.
fn text(layout: &dyn Layout, leaves: &[(Vec<u8>, Vec<u8>, bool)]) -> Vec<u8> {
    let leaf = |(name, data, session): &(Vec<u8>, Vec<u8>, bool)| {
        let name = quoted(&String::from_utf8_lossy(name));
        let data = match std::str::from_utf8(data) {
            Ok(text) if !data.starts_with(b"#") => format!("\"text\":{}", quoted(text)),
            _ => format!("\"hex\":\"{}\"", data.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        };
        format!("{{\"name\":{name},\"session\":{session},{data}}}")
    };
    let leaves: Vec<String> = leaves.iter().map(leaf).collect();
    let dir = layout.service_dir(SERVICE).expect("a directory");
    let head = format!("{{\"menagerie\":1,\"layout\":\"{}\",\"dir\":\"{dir}\"", layout.name());
    let rest = format!("\"service\":\"{SERVICE}\",\"saved_at_ms\":5,\"leaves\":[{}]", leaves.join(","));
    sealed(format!("{head},{rest}").as_bytes())
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        '\0'..='\u{1f}' => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// A text with the checksum of what it says.
fn sealed(body: &[u8]) -> Vec<u8> {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = body.iter().fold(0xcbf2_9ce4_8422_2325, step);
    [body, format!(",\"fnv1a\":\"{sum:016x}\"}}").as_bytes()].concat()
}
