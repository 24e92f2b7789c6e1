//! What stands beside instances and changes them: weights of members, parameters of providers.
//!
//! Rules change what a view shows, and nothing that is written.

use std::sync::Arc;

use super::dubbo::DubboOverride;
use super::server_set::WeightVector;
use crate::registry::model::Instance;

/// A child that stands for no instance and says something of those that do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Weights of the members of a server set.
    Weights(WeightVector),
    /// Parameters of the providers of a Dubbo interface.
    Override(DubboOverride),
}

impl Rule {
    /// The instance of a leaf as these rules have it; `None` if they leave it as it is.
    ///
    /// Weights multiply, 100 being a weight of 1. Of Dubbo's rules those for one host come behind those for all, and among them
    /// those of a higher `priority` later: the last one counts.
    #[must_use]
    pub fn applied(rules: &[Arc<Self>], leaf: &str, instance: &Instance) -> Option<Instance> {
        let vectors = || {
            rules
                .iter()
                .filter_map(|rule| if let Self::Weights(vector) = &**rule { Some(vector) } else { None })
        };
        let overrides = rules
            .iter()
            .filter_map(|rule| if let Self::Override(rule) = &**rule { Some(rule) } else { None });
        let mut overrides: Vec<&DubboOverride> = overrides.filter(|rule| rule.is_for(instance)).collect();
        let is_weighed = vectors().next().is_some() && !planted!("layout_vectors_ignored");
        if !is_weighed && overrides.is_empty() {
            return None;
        }
        let mut changed = instance.clone();
        if is_weighed {
            changed.weight = changed.weight.saturating_mul(WeightVector::of(vectors(), leaf, instance));
        }
        overrides.sort_by_key(|rule| rule.order());
        for rule in overrides {
            rule.apply(&mut changed);
        }
        (changed != *instance).then_some(changed)
    }
}
