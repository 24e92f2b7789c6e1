//! A registry by its URL: application code names none.

use std::sync::Arc;

use super::InstanceBuilder;
use super::api::{BoxFuture, Discovery, Error, Registered, Registration, Services};
use super::fixed::Fixed;
use super::layout::{GoMicro, Layout, Plain};
use super::memory::Memory;
use super::zookeeper::ZooKeeper;
use crate::client::Builder;

/// A registry, whatever it is made of. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    registration: Arc<dyn Registration>,
    discovery: Arc<dyn Discovery>,
}

impl Registry {
    /// Connects to the registry of a URL:
    ///
    /// * `zk://host1,host2/chroot?layout=go-micro` (the default) or `layout=plain`, with the options of
    ///   [`Builder::new`](crate::client::Builder::new);
    /// * `static:orders=10.0.0.1:80,10.0.0.2:80;users=10.0.0.3:81`;
    /// * `memory:`, an empty one within this process.
    ///
    /// # Errors
    /// What is wrong with the URL; what connecting may meet.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        if url == "memory:" {
            return Ok(Self::of(Memory::new()));
        }
        if let Some(list) = url.strip_prefix("static:") {
            return Ok(Self::of(Fixed::parse(list)?));
        }
        if !url.starts_with("zk://") {
            return Err(Error::Scheme(url.split(':').next().unwrap_or(url).to_owned()));
        }
        let (url, layout) = split_layout(url)?;
        let client = Builder::new(&url)?.connect().await?;
        client.ensure_chroot().await?;
        Ok(Self::of(ZooKeeper::with_layout(client, layout)))
    }

    /// A registry that is there already.
    pub fn of(registry: impl Registration + Discovery + Clone + 'static) -> Self {
        Self { registration: Arc::new(registry.clone()), discovery: Arc::new(registry) }
    }
}

impl Registration for Registry {
    fn register(&self, instance: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        self.registration.register(instance)
    }
}

impl Discovery for Registry {
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        self.discovery.discover(service)
    }
}

/// Takes `layout=` out of the URL's options.
fn split_layout(url: &str) -> Result<(String, Arc<dyn Layout>), Error> {
    let (main, query) = url.split_once('?').unwrap_or((url, ""));
    let mut layout = "go-micro";
    let mut others = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.strip_prefix("layout=") {
            Some(name) => layout = name,
            None => others.push(pair),
        }
    }
    let rest = if others.is_empty() { main.to_owned() } else { format!("{main}?{}", others.join("&")) };
    let layout: Arc<dyn Layout> = match layout {
        "go-micro" => Arc::new(GoMicro::default()),
        "plain" => Arc::new(Plain::default()),
        other => return Err(Error::UnknownLayout(other.to_owned())),
    };
    Ok((rest, layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn urls_pick_the_registry() {
        assert!(Registry::connect("memory:").await.is_ok());
        assert!(Registry::connect("static:a=h:1").await.is_ok());
        assert!(
            matches!(Registry::connect("consul://h").await, Err(Error::Scheme(scheme)) if scheme == "consul")
        );
        let layout = Registry::connect("zk://h?layout=none").await;
        assert!(matches!(layout, Err(Error::UnknownLayout(name)) if name == "none"));
    }

    #[test]
    fn the_layout_is_taken_out_of_the_options() {
        let (rest, layout) = split_layout("zk://h/a?layout=plain&session_timeout=4s").unwrap();
        assert_eq!((rest.as_str(), layout.name()), ("zk://h/a?session_timeout=4s", "plain"));
    }
}
