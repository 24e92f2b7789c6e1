//! What the tree and its checks promise, rule by rule.
