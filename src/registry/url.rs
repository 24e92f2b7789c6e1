//! What a registry's URL says.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::address::{Address, AddressError, shorten};
use super::layout::{
    Curator, DubboApplication, DubboInterface, GoMicro, Layout, LayoutError, Plain, Registrator, ServerSet,
    SpringCloud,
};

/// A URL taken apart.
#[derive(Debug)]
pub(super) enum RegistryUrl {
    ZooKeeper(ZooKeeperOptions),
    Static(BTreeMap<String, Vec<Address>>),
    Memory(String),
}

/// Not printed whole: the client's part may hold a password.
pub(super) struct ZooKeeperOptions {
    /// The URL without the registry's own options.
    pub(super) client_url: String,
    pub(super) layout: Arc<dyn Layout>,
    pub(super) keep_persistent: bool,
    pub(super) one_shot: bool,
}

/// Why a registry's URL is not one. It never holds the URL itself, in which there may be a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// No registry of that scheme, or no scheme.
    #[error("no registry has the scheme {scheme:?}: use zk:, static: or memory:")]
    Scheme {
        /// What stands before the first colon, shortened.
        scheme: String,
    },
    /// An option's value is not one.
    #[error("{value:?} is not a value for {option}: use {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value, shortened.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// The layout's directory is not a path.
    #[error("the option root: {0}")]
    Root(#[source] LayoutError),
    /// A list of the static registry has no service in front of it.
    #[error("{text:?} is not service=host:port,host:port")]
    List {
        /// The list, shortened.
        text: String,
    },
    /// A service of the static registry stands there twice.
    #[error("the service {service:?} is listed twice")]
    Twice {
        /// The service, shortened.
        service: String,
    },
    /// An address of the static registry cannot be called.
    #[error("the service {service:?}: {source}")]
    Address {
        /// The service, shortened.
        service: String,
        /// What is wrong.
        source: AddressError,
    },
}

impl RegistryUrl {
    pub(super) fn parse(url: &str) -> Result<Self, UrlError> {
        match url.split_once(':') {
            Some(("zk" | "zookeeper", _)) => zookeeper(url).map(Self::ZooKeeper),
            Some(("static", lists)) => fixed(lists).map(Self::Static),
            Some(("memory", name)) => Ok(Self::Memory(name.trim_start_matches('/').to_owned())),
            // Without a scheme it may be anything, credentials included.
            Some((scheme, _)) if !scheme.contains('@') => Err(UrlError::Scheme { scheme: shorten(scheme) }),
            _ => Err(UrlError::Scheme { scheme: String::new() }),
        }
    }
}

/// Takes the registry's options out and leaves the rest to the client, which knows its own and refuses others.
fn zookeeper(url: &str) -> Result<ZooKeeperOptions, UrlError> {
    let (main, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut layout, mut root, mut keep_persistent, mut one_shot) = ("go-micro", None, false, false);
    let mut others = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("layout", value) => layout = value,
            ("root", value) => root = Some(value),
            ("keep_persistent", value) => {
                keep_persistent = choice("keep_persistent", value, "true", "false", "true or false")?;
            }
            ("watches", value) => {
                one_shot = choice("watches", value, "one-shot", "recursive", "recursive or one-shot")?;
            }
            _ => others.push(pair),
        }
    }
    let layout = layout_named(layout, root)?;
    let separator = if others.is_empty() { "" } else { "?" };
    let client_url = format!("{main}{separator}{}", others.join("&"));
    Ok(ZooKeeperOptions { client_url, layout, keep_persistent, one_shot })
}

fn choice(
    option: &'static str,
    value: &str,
    yes: &str,
    no: &str,
    expected: &'static str,
) -> Result<bool, UrlError> {
    match value {
        _ if value == yes => Ok(true),
        _ if value == no => Ok(false),
        _ => Err(UrlError::Value { option, value: shorten(value), expected }),
    }
}

const LAYOUTS: &str =
    "go-micro, curator, spring-cloud, dubbo, dubbo-application, registrator, serverset or plain";

fn layout_named(name: &str, root: Option<&str>) -> Result<Arc<dyn Layout>, UrlError> {
    fn shared(layout: Result<impl Layout + 'static, LayoutError>) -> Result<Arc<dyn Layout>, UrlError> {
        layout.map(|layout| Arc::new(layout) as Arc<dyn Layout>).map_err(UrlError::Root)
    }
    match name {
        "go-micro" => shared(GoMicro::at(root.unwrap_or("/micro-registry"))),
        "curator" => shared(Curator::at(root.unwrap_or("/services"))),
        "spring-cloud" => shared(SpringCloud::at(root.unwrap_or("/services"))),
        "dubbo" => shared(DubboInterface::at(root.unwrap_or("/dubbo"))),
        "dubbo-application" => shared(DubboApplication::at(root.unwrap_or("/services"), "/dubbo")),
        "registrator" => shared(Registrator::at(root.unwrap_or("/services"))),
        "serverset" => shared(ServerSet::at(root.unwrap_or("/discovery"))),
        "plain" => shared(Plain::at(root.unwrap_or("/go_servers"))),
        _ => Err(UrlError::Value { option: "layout", value: shorten(name), expected: LAYOUTS }),
    }
}

/// `time=10.0.0.1:80,10.0.0.2:80;users=10.0.0.3:80`; a service may have none.
fn fixed(lists: &str) -> Result<BTreeMap<String, Vec<Address>>, UrlError> {
    let mut services = BTreeMap::new();
    for list in lists.split(';').filter(|list| !list.is_empty()) {
        let named = list.split_once('=').filter(|(service, _)| !service.is_empty());
        let (service, addresses) = named.ok_or_else(|| UrlError::List { text: shorten(list) })?;
        let wrong = |source| UrlError::Address { service: shorten(service), source };
        let addresses = addresses.split(',').filter(|text| !text.is_empty()).map(str::parse);
        let addresses = addresses.collect::<Result<Vec<Address>, _>>().map_err(wrong)?;
        if services.insert(service.to_owned(), addresses).is_some() {
            return Err(UrlError::Twice { service: shorten(service) });
        }
    }
    Ok(services)
}

impl std::fmt::Debug for ZooKeeperOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZooKeeperOptions").field("layout", &self.layout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zk(url: &str) -> ZooKeeperOptions {
        match RegistryUrl::parse(url) {
            Ok(RegistryUrl::ZooKeeper(options)) => options,
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn options_of_the_registry_are_taken_and_the_rest_left_to_the_client() {
        let options = zk("zk://u:p@a,b:1/app?layout=plain&session_timeout=4s&root=/x&read_only=1");
        assert_eq!(options.client_url, "zk://u:p@a,b:1/app?session_timeout=4s&read_only=1");
        assert_eq!((options.layout.name(), options.layout.root()), ("plain", "/x"));
        assert!(!format!("{options:?}").contains("u:p"));
        let options = zk("zk://a?keep_persistent=true&watches=one-shot");
        assert_eq!((options.client_url.as_str(), options.layout.name()), ("zk://a", "go-micro"));
        assert!(options.keep_persistent && options.one_shot);
    }

    #[test]
    fn every_layout_has_a_name_and_a_root() {
        for (name, root) in [
            ("go-micro", "/micro-registry"),
            ("curator", "/services"),
            ("spring-cloud", "/services"),
            ("dubbo", "/dubbo"),
            ("dubbo-application", "/services"),
            ("registrator", "/services"),
            ("serverset", "/discovery"),
            ("plain", "/go_servers"),
        ] {
            assert!(LAYOUTS.contains(name));
            let options = zk(&format!("zk://a?layout={name}"));
            assert_eq!((options.layout.name(), options.layout.root()), (name, root));
            assert_eq!(zk(&format!("zk://a?layout={name}&root=/x")).layout.root(), "/x");
        }
    }

    #[test]
    fn lists_are_read() {
        let Ok(RegistryUrl::Static(services)) = RegistryUrl::parse("static:time=a:1,[::1]:2;none=") else {
            panic!("not a list");
        };
        assert_eq!(services["time"].iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:1", "[::1]:2"]);
        assert!(services["none"].is_empty());
        assert!(matches!(RegistryUrl::parse("memory://x"), Ok(RegistryUrl::Memory(name)) if name == "x"));
    }

    #[test]
    fn what_is_no_url_is_refused_by_name() {
        let refused = |url: &str| RegistryUrl::parse(url).unwrap_err();
        assert_eq!(refused("etcd://a"), UrlError::Scheme { scheme: "etcd".into() });
        for url in ["", "a", "user:p", "u@x:secret"] {
            assert!(matches!(refused(url), UrlError::Scheme { .. }), "{url}");
        }
        assert!(!refused("secret@x:pw").to_string().contains("secret"));
        for (url, name) in [
            ("zk://a?layout=etcd", "layout"),
            ("zk://a?keep_persistent=yes", "keep_persistent"),
            ("zk://a?watches=", "watches"),
        ] {
            assert!(matches!(refused(url), UrlError::Value { option, .. } if option == name), "{url}");
        }
        assert!(matches!(refused("zk://a?root=x"), UrlError::Root(_)));
        assert!(matches!(refused("static:a:1"), UrlError::List { .. }));
        assert!(matches!(refused("static:=a:1"), UrlError::List { .. }));
        assert!(matches!(refused("static:s=a:1;s=b:1"), UrlError::Twice { .. }));
        assert!(matches!(refused("static:s=0.0.0.0:1"), UrlError::Address { .. }));
    }
}
