//! A fixed list of instances: what there is before there is a registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::api::{BoxFuture, Discovery, Error, Registered, Registration, Services, Snapshot};
use super::view::{Entry, Set};
use super::{Address, Instance, InstanceBuilder, Lifetime};

/// A fixed list: `orders=10.0.0.1:80,10.0.0.2:80;users=10.0.0.3:81`. Its instances count as persistent: nothing removes
/// them, so one that fails is passed over while others are left.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    services: BTreeMap<String, watch::Sender<Snapshot>>,
}

impl Fixed {
    /// Reads the list.
    ///
    /// # Errors
    /// [`Error::Listed`] names the part that is not an instance.
    pub fn parse(list: &str) -> Result<Self, Error> {
        let mut fixed = Self::default();
        for part in list.split(';').filter(|part| !part.trim().is_empty()) {
            let bad = || Error::Listed(part.to_owned());
            let (service, addresses) = part.split_once('=').ok_or_else(bad)?;
            let mut entries = Vec::new();
            for text in addresses.split(',') {
                let address: Address = text.trim().parse().map_err(|_| bad())?;
                let name: Arc<str> = address.to_string().into();
                let mut instance = Instance::new(service.trim(), name.to_string(), address);
                instance.lifetime = Lifetime::Persistent;
                instance.check()?;
                entries.push(Entry { leaf: name, instance: Arc::new(instance) });
            }
            entries.sort_by(|a, b| a.leaf.cmp(&b.leaf));
            entries.dedup_by(|a, b| a.leaf == b.leaf);
            let set = Arc::new(Set::from_sorted(entries));
            let snapshot = Snapshot { set, ..Snapshot::default() };
            fixed.services.insert(service.trim().to_owned(), watch::Sender::new(snapshot));
        }
        Ok(fixed)
    }
}

impl Registration for Fixed {
    fn register(&self, _: InstanceBuilder) -> BoxFuture<'_, Result<Registered, Error>> {
        Box::pin(async { Err(Error::Fixed) })
    }
}

impl Discovery for Fixed {
    /// A service that is not listed has no instances.
    fn discover(&self, service: &str) -> BoxFuture<'_, Result<Services, Error>> {
        let receiver = match self.services.get(service) {
            Some(sender) => sender.subscribe(),
            None => watch::channel(Snapshot::default()).1,
        };
        let services = Services::new(service, receiver);
        Box::pin(async move { Ok(services) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_what_it_says() {
        let fixed = Fixed::parse("clock=127.0.0.1:2,[::1]:1,127.0.0.1:2; other=h:3").unwrap();
        let clock = fixed.discover("clock").await.unwrap().snapshot();
        let addresses: Vec<_> = clock.set.iter().map(|instance| instance.address.to_string()).collect();
        assert_eq!(addresses, ["127.0.0.1:2", "[::1]:1"]);
        assert_eq!(fixed.discover("other").await.unwrap().snapshot().set.len(), 1);
        assert!(fixed.discover("none").await.unwrap().snapshot().set.is_empty());
        let refused = fixed.register(Instance::builder("clock").host("h").port(1)).await;
        assert!(matches!(refused, Err(Error::Fixed)));
    }

    #[test]
    fn what_is_not_a_list_is_named() {
        for bad in ["clock", "clock=", "clock=host", "clock=host:0", "=h:1", "clock=h:1,"] {
            assert!(Fixed::parse(bad).is_err(), "{bad:?}");
        }
    }
}
