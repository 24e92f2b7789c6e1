//! Which places this registry keeps already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::registry::Error;
use crate::registry::layout::Leaf;

/// The places that registrations hold. Two wishes for one leaf would undo each other; two services in one directory
/// would be read as one.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    leaves: BTreeSet<String>,
    /// The service of each directory, and how many leaves it has.
    dirs: BTreeMap<String, (String, usize)>,
}

/// One place, held until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    /// The directory, if one service's alone.
    dir: Option<String>,
    path: String,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a leaf; and for `service`, if one is named, the directory it stands in.
    pub(super) fn claim(&self, leaf: &Leaf, service: Option<&str>) -> Result<Place, Error> {
        let (dir, path) = (service.map(|_| leaf.dir.clone()), leaf.path());
        let mut taken = self.lock();
        if let (Some(dir), Some(service)) = (&dir, service) {
            if let Some((other, _)) = taken.dirs.get(dir).filter(|(other, _)| other != service) {
                return Err(Error::SharedDirectory { dir: dir.clone(), service: other.clone() });
            }
        }
        if !taken.leaves.insert(path.clone()) {
            return Err(Error::Taken { place: path });
        }
        if let (Some(dir), Some(service)) = (&dir, service) {
            taken.dirs.entry(dir.clone()).or_insert_with(|| (service.to_owned(), 0)).1 += 1;
        }
        Ok(Place { places: self.clone(), dir, path })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.leaves.remove(&self.path);
        let Some(dir) = &self.dir else { return };
        if let Some((_, leaves)) = taken.dirs.get_mut(dir) {
            *leaves -= 1;
            if *leaves == 0 {
                taken.dirs.remove(dir);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Instance;
    use crate::registry::layout::{GoMicro, Layout};

    fn claim(places: &Places, service: &str, id: &str) -> Result<Place, Error> {
        let instance = Instance::new(service, id, "h:1".parse().unwrap());
        places.claim(&GoMicro::new().leaf(&instance).unwrap(), Some(service))
    }

    #[test]
    fn a_place_is_held_once_and_a_directory_by_one_service() {
        let places = Places::default();
        let first = claim(&places, "x/y", "a").unwrap();
        assert!(matches!(claim(&places, "x/y", "a"), Err(Error::Taken { .. })));
        let second = claim(&places, "x/y", "b").unwrap();
        assert!(
            matches!(claim(&places, "x-y", "c"), Err(Error::SharedDirectory { service, .. }) if service == "x/y")
        );
        drop(first);
        assert!(claim(&places, "x-y", "c").is_err(), "one is left");
        drop(second);
        claim(&places, "x-y", "c").unwrap();
    }
}
