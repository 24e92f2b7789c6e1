//! Weights beside a server set: znodes named `vector_*`, each a list of which members weigh how much.

use std::collections::BTreeMap;

use crate::registry::address::Address;
use crate::registry::json::Json;
use crate::registry::layout::form::parse;
use crate::registry::layout::{Found, ReadError};
use crate::registry::model::Instance;

/// What a weight of 1 becomes: the model's weights are whole.
const ONE: f64 = 100.0;

/// The heaviest a member can get.
const MOST: f64 = 1_000_000.0;

/// One `vector_*` znode of a server set.
///
/// A view multiplies the weight of every member by [`of`](Self::of) as soon as there is a vector: then 100 stands for a weight
/// of 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightVector {
    members: BTreeMap<String, f64>,
    addresses: BTreeMap<Address, f64>,
    shards: BTreeMap<i32, f64>,
}

impl WeightVector {
    /// Whether a child of a set's directory is named as a vector.
    #[must_use]
    pub fn is_named(name: &str) -> bool {
        name.starts_with("vector_")
    }

    /// Reads a vector. Entries that select nothing known are passed over, as by Finagle.
    ///
    /// # Errors
    /// [`ReadError`] if the child is none or is malformed.
    pub fn read(found: &Found<'_>) -> Result<Self, ReadError> {
        if !Self::is_named(found.name) {
            return Err(ReadError::Name { why: "vectors begin with vector_" });
        }
        let json = parse(found)?;
        let list =
            json.member("vector").and_then(Json::as_array).ok_or(ReadError::Field { field: "vector" })?;
        let mut vector = Self::default();
        for entry in list {
            vector.add(entry);
        }
        Ok(vector)
    }

    /// The weight of a member under all these vectors: the product of all that select it, 100 for 1, at most a million.
    #[must_use]
    pub fn of<'a>(vectors: impl IntoIterator<Item = &'a Self>, leaf_name: &str, instance: &Instance) -> u32 {
        whole(ONE * vectors.into_iter().map(|vector| vector.factor(leaf_name, instance)).product::<f64>())
    }

    /// Takes an entry in; one that selects nothing known changes nothing.
    fn add(&mut self, entry: &Json<'_>) -> Option<()> {
        let (what, argument) = entry.member("select")?.as_str()?.split_once('=')?;
        let weight = match entry.member("weight") {
            Some(Json::Number(text)) => text.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0)?,
            _ => 1.0,
        };
        let factor = match what {
            "member" => self.members.entry(argument.to_owned()).or_insert(1.0),
            "inet" => self.addresses.entry(argument.parse().ok()?).or_insert(1.0),
            "shard" => self.shards.entry(argument.parse().ok()?).or_insert(1.0),
            _ => return None,
        };
        *factor *= weight;
        Some(())
    }

    fn factor(&self, leaf_name: &str, instance: &Instance) -> f64 {
        let shard = instance.metadata.get(super::SHARD).and_then(super::read_shard);
        let selected = [
            self.members.get(leaf_name),
            self.addresses.get(&instance.address),
            shard.and_then(|shard| self.shards.get(&shard)),
        ];
        selected.into_iter().flatten().product()
    }
}

/// The nearest whole number up to [`MOST`]; halves are rounded up.
fn whole(value: f64) -> u32 {
    let (mut low, mut high) = (0_u32, 1_000_000_u32);
    if value >= MOST {
        return high;
    }
    // Bisected: no cast can go wrong where there is none.
    while low < high {
        let middle = low + (high - low) / 2;
        if f64::from(middle) + 0.5 > value { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::registry::layout::LeafStat;

    /// By the documentation of Finagle's server sets (`Vector.scala` at `0e26b57`), the selectors one by one.
    const VECTOR: &str = r#"{"vector":[{"select":"member=member_0000000001","weight":1.2,"priority":1},{"select":"inet=10.0.0.1:80","weight":0.5,"priority":1},{"select":"shard=3","weight":2,"priority":1},{"select":"rack=7","weight":9}]}"#;

    fn read(data: &str) -> Result<WeightVector, ReadError> {
        let data = Bytes::copy_from_slice(data.as_bytes());
        WeightVector::read(&Found { name: "vector_0000000000", data: &data, stat: LeafStat::default() })
    }

    #[test]
    fn weights_of_all_that_select_a_member_multiply() {
        let vector = read(VECTOR).unwrap();
        let mut instance = Instance::new("s", "i", "10.0.0.1:80".parse().unwrap());
        let weight = |leaf: &str, instance: &Instance| WeightVector::of([&vector], leaf, instance);
        assert_eq!(weight("member_0000000001", &instance), 60);
        assert_eq!(weight("member_0000000002", &instance), 50);
        instance.metadata.insert("menagerie.shard", "3");
        assert_eq!(weight("member_0000000002", &instance), 100);
        assert_eq!(WeightVector::of([&vector, &vector], "member_0000000001", &instance), 144);
        instance.address = "h:1".parse().unwrap();
        instance.metadata.clear();
        assert_eq!(weight("member_0000000002", &instance), 100);
        assert_eq!(WeightVector::of([], "x", &instance), 100);
    }

    #[test]
    fn weights_stay_within_their_bounds() {
        let instance = Instance::new("s", "i", "h:1".parse().unwrap());
        for (weight, expected) in
            [("0", 0), ("1e300", 1_000_000), ("0.004", 0), ("0.005", 1), ("9999.99", 999_999)]
        {
            let text = format!(r#"{{"vector":[{{"select":"member=m","weight":{weight}}}]}}"#);
            assert_eq!(WeightVector::of([&read(&text).unwrap()], "m", &instance), expected, "{weight}");
        }
        for ignored in ["1e400", "-1", "\"2\""] {
            let text = format!(r#"{{"vector":[{{"select":"member=m","weight":{ignored}}}]}}"#);
            assert_eq!(WeightVector::of([&read(&text).unwrap()], "m", &instance), 100, "{ignored}");
        }
        assert_eq!(read("{}"), Err(ReadError::Field { field: "vector" }));
        assert_eq!(read(""), Err(ReadError::Empty));
    }
}
