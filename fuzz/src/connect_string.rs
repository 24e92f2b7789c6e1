//! Text to servers, a chroot and options: connect strings, and the URLs of registries.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use menagerie::client::{Builder, ConnectString};
use menagerie::path;
use menagerie::registry::{self, Address, Error, Registry};

/// Stands in front of an `@` wherever it stands, and must never be repeated.
const SECRET: &str = "hunter2";

/// The first byte says what is made of the rest: the text itself, a secret within it, a registry's URL.
pub fn connect_string(data: &[u8]) {
    let Some((&how, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match how % 4 {
        0 => whole(&text),
        1 => secret(&text, usize::from(how >> 2)),
        2 => registry_url(&text),
        _ => registry_url(&format!(
            "{}{text}",
            ["zk://a?", "static:", "zk:", "memory:"][usize::from(how >> 2 & 3)]
        )),
    }
}

fn whole(text: &str) {
    let parsed = match text.parse::<ConnectString>() {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(Builder::new(text).unwrap_err().connect_string_error(), Some(&error));
            return;
        }
    };
    assert!(Builder::new(text).is_ok());
    assert!(!parsed.servers.is_empty());
    for server in &parsed.servers {
        assert!(
            server.port > 0 && !server.host.is_empty() && !server.host.contains(['/', ',', '@']),
            "{server}"
        );
    }
    // Nothing below a chroot is outside of it.
    if !parsed.chroot.is_empty() {
        path::validate(&parsed.chroot).expect("a chroot is a path");
        assert!(parsed.chroot.len() > 1 && !parsed.chroot.ends_with('/'));
        assert!(!parsed.chroot.split('/').any(|part| matches!(part, "." | "..")));
    }
    assert_eq!(
        written(&parsed).parse::<ConnectString>().as_ref(),
        Ok(&parsed),
        "{text:?} does not round-trip"
    );
}

/// The same once more, as a URL where there are parts that only a URL has.
fn written(parsed: &ConnectString) -> String {
    let hosts: Vec<_> = parsed.servers.iter().map(ToString::to_string).collect();
    let hosts = hosts.join(",") + &parsed.chroot;
    if parsed.auth.is_none() && options(parsed).is_empty() {
        return hosts;
    }
    let mut text = String::from("zk://");
    if let Some(auth) = &parsed.auth {
        assert_eq!(auth.scheme, "digest");
        auth.auth.iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
        text.push('@');
    }
    format!("{text}{hosts}?{}", options(parsed).join("&"))
}

fn options(parsed: &ConnectString) -> Vec<String> {
    let mut options = Vec::new();
    let times = [("session_timeout", parsed.session_timeout), ("connect_timeout", parsed.connect_timeout)];
    for (name, time) in times.into_iter().filter_map(|(name, time)| Some((name, time?))) {
        let millis = time.as_millis();
        // Milliseconds where they fit, as any time read in milliseconds or seconds of less than seven weeks does.
        match (u32::try_from(millis), u32::try_from(time.as_secs())) {
            (Ok(_), _) => options.push(format!("{name}={millis}ms")),
            (_, Ok(seconds)) => options.push(format!("{name}={seconds}s")),
            _ => options.push(format!("{name}={}m", time.as_secs() / 60)),
        }
    }
    options.extend(parsed.read_only.map(|allowed| format!("read_only={allowed}")));
    options
}

/// Credentials may stand where they do not belong: no error, and nothing that is printed, repeats them.
fn secret(text: &str, at: usize) {
    let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(text.len());
    let (before, behind) = text.split_at(at);
    if text.contains(SECRET) {
        return;
    }
    let text = format!("{before}user:{SECRET}@{behind}");
    match text.parse::<ConnectString>() {
        Ok(parsed) => assert!(!format!("{:?}", parsed.auth).contains(SECRET)),
        Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET), "{error} of {text:?}"),
    }
    match Builder::new(&text) {
        Ok(builder) => drop(builder),
        Err(error) => assert!(!format!("{error} {error:?}").contains(SECRET), "{error} of {text:?}"),
    }
    if let Err(error) = connected(&format!("zk://user:{SECRET}@{behind}")) {
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error} of a registry");
    }
}

/// What `registry::connect` says at once. Without a runtime no client is begun, so whatever is an ensemble's URL ends there.
fn connected(url: &str) -> Result<Arc<dyn Registry>, Error> {
    at_once(registry::connect(url))
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn registry_url(url: &str) {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match connected(url) {
        Ok(registry) => {
            assert!(matches!(scheme, "static" | "memory"), "{url:?} is connected to without a runtime");
            assert!(!format!("{registry:?}").is_empty());
            if let ("static", Some((_, lists))) = (scheme, url.split_once(':')) {
                listed(&*registry, lists);
            }
        }
        Err(Error::Client(error)) => {
            assert!(matches!(scheme, "zk" | "zookeeper"));
            assert!(error.is_no_runtime() || error.connect_string_error().is_some(), "{error} of {url:?}");
        }
        Err(error) => assert!(matches!(error, Error::Url(_)) && !error.to_string().is_empty(), "{error}"),
    }
}

/// Every service of the list is discovered with its addresses, each once, and its URL reads the same again.
fn listed(registry: &dyn Registry, lists: &str) {
    for list in lists.split(';').filter(|list| !list.is_empty()) {
        let (service, addresses) = list.split_once('=').expect("taken without a name");
        let services = at_once(registry.discover(service)).expect("a fixed list is there at once");
        let mut wanted: Vec<String> =
            addresses.split(',').filter(|text| !text.is_empty()).map(canonical).collect();
        let mut found: Vec<String> =
            services.snapshot().iter().map(|instance| instance.address.to_string()).collect();
        found.sort();
        wanted.sort();
        wanted.dedup();
        assert_eq!(found, wanted, "{service:?}");
    }
}

fn canonical(text: &str) -> String {
    let address: Address = text.parse().expect("taken although it cannot be called");
    let again: Address = address.to_string().parse().expect("an address that is printed is read");
    assert_eq!(again, address);
    again.to_string()
}
