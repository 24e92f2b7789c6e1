//! The layout of the Go demo: one directory, children named `IP:PORT`, no payload.
//!
//! The demo's servers write `/go_servers/<IP:PORT>` and its clients list the children and dial one. Its own leaves are
//! persistent, so a reader sees dead servers too; they carry [`Lifetime::Persistent`](crate::registry::Lifetime::Persistent).

use bytes::Bytes;

use super::{
    Found, Layout, LayoutError, Leaf, LeafMode, ParentMode, ReadError, check_component, check_payload,
    check_root,
};
use crate::registry::address::Address;
use crate::registry::model::{Carried, Instance, Lifetime};

const NAME: &str = "plain";

/// `<root>/<host>:<port>`, empty leaves; IPv6 in brackets.
///
/// The root is the service: a leaf says nothing of a name, so every instance read carries the name that was asked
/// for, and services with different names need different roots. The address is the identity, and the id. Apart from
/// the address nothing of an [`Instance`] is written.
#[derive(Clone, Debug)]
pub struct Plain {
    root: String,
}

impl Plain {
    /// The layout under `/go_servers`, as in the demo.
    #[must_use]
    pub fn new() -> Self {
        Self { root: "/go_servers".to_owned() }
    }

    /// The layout under another directory.
    ///
    /// # Errors
    /// [`LayoutError::BadName`] if `root` is not an absolute path.
    pub fn at(root: &str) -> Result<Self, LayoutError> {
        Ok(Self { root: check_root(root)? })
    }
}

impl Default for Plain {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout for Plain {
    fn name(&self) -> &'static str {
        NAME
    }

    fn root(&self) -> &str {
        &self.root
    }

    fn service_dir(&self, service: &str) -> Result<String, LayoutError> {
        // No part of the path, but hostile names are refused alike by all layouts.
        check_component("service", service)?;
        Ok(self.root.clone())
    }

    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError> {
        instance.check()?;
        let own = instance.carried.as_ref().filter(|carried| carried.layout == NAME);
        Ok(Leaf {
            dir: self.service_dir(&instance.service)?,
            name: if planted!("layout_plain_named_by_id") {
                instance.id.clone()
            } else {
                instance.address.to_string()
            },
            data: own.map_or_else(Bytes::new, |carried| carried.payload.clone()),
            mode: match instance.lifetime {
                Lifetime::Session => LeafMode::Ephemeral,
                Lifetime::Persistent => LeafMode::Persistent,
            },
            parents: ParentMode::Persistent,
        })
    }

    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        if found.stat.num_children > 0 {
            return Err(ReadError::Directory);
        }
        check_payload(found.data)?;
        let address: Address = found.name.parse()?;
        let mut instance = Instance::new(service, found.name, address);
        instance.lifetime = found.stat.lifetime();
        if !found.data.is_empty() && !planted!("layout_plain_payload_dropped") {
            instance.carried = Some(Carried { layout: NAME, payload: found.data.clone() });
        }
        Ok(instance)
    }

    fn service_of(&self, _: &Found<'_>) -> Result<Option<String>, ReadError> {
        Ok(None)
    }

    fn service_at(&self, _: &str) -> Option<String> {
        None
    }

    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        found.name.parse().is_ok_and(|address: Address| address == instance.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::layout::LeafStat;

    const SESSION: LeafStat = LeafStat { ephemeral_owner: 0x1000, version: 0, czxid: 1, num_children: 0 };

    fn read(name: &str, data: &'static [u8], stat: LeafStat) -> Result<Instance, ReadError> {
        Plain::new().read("time", &Found { name, data: &Bytes::from_static(data), stat })
    }

    fn instance(host: &str, port: u16) -> Instance {
        Instance::builder("time").build(Address::new(host, port).unwrap(), [0; 16]).unwrap()
    }

    #[test]
    fn leaves_are_named_by_the_address_and_empty() {
        for (host, name) in
            [("10.0.0.1", "10.0.0.1:80"), ("2001:db8::1", "[2001:db8::1]:80"), ("h.example", "h.example:80")]
        {
            let leaf = Plain::new().leaf(&instance(host, 80)).unwrap();
            assert_eq!((leaf.path(), leaf.data.len()), (format!("/go_servers/{name}"), 0));
            assert_eq!(leaf.mode, LeafMode::Ephemeral);
            let back = read(name, b"", SESSION).unwrap();
            assert_eq!(back.address, Address::new(host, 80).unwrap());
            assert_eq!(Plain::new().leaf(&back).unwrap(), leaf);
        }
    }

    /// What the demo's `Create(path, []byte(""), 0, acl)` leaves behind, flags 0 being persistent.
    #[test]
    fn the_demos_own_leaves_are_read_as_persistent() {
        let found = read("127.0.0.1:9000", b"", LeafStat::default()).unwrap();
        assert_eq!((found.lifetime, found.id.as_str()), (Lifetime::Persistent, "127.0.0.1:9000"));
        assert_eq!(Plain::new().leaf(&found).unwrap().mode, LeafMode::Persistent);
    }

    #[test]
    fn payloads_of_others_survive() {
        let found = read("127.0.0.1:9000", b"since=monday", SESSION).unwrap();
        assert_eq!(&Plain::new().leaf(&found).unwrap().data[..], b"since=monday");
    }

    #[test]
    fn children_that_are_no_addresses_are_refused_by_name() {
        for name in ["", "lock", "0.0.0.0:80", "10.0.0.1:0", "10.0.0.1", "a:b", "::1:80", "127.0.0.1:80 "] {
            assert!(matches!(read(name, b"", SESSION), Err(ReadError::Address(_))), "{name}");
        }
        let parent = LeafStat { num_children: 1, ..SESSION };
        assert_eq!(read("10.0.0.1:80", b"", parent), Err(ReadError::Directory));
    }

    #[test]
    fn the_address_is_the_identity() {
        let ours = instance("::1", 80);
        let same =
            |name: &str| Plain::new().is_same(&ours, &Found { name, data: &Bytes::new(), stat: SESSION });
        assert!(same("[::1]:80") && same("[0::1]:80"));
        assert!(!same("[::1]:81") && !same("[::2]:80") && !same("x"));
    }

    #[test]
    fn another_root_is_taken_as_given() {
        let layout = Plain::at("/demo/servers").unwrap();
        assert_eq!(layout.leaf(&instance("10.0.0.1", 80)).unwrap().path(), "/demo/servers/10.0.0.1:80");
        assert!(layout.service_dir("..").is_err());
        assert!(Plain::at("demo").is_err());
    }
}
