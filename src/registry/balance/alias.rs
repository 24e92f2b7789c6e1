//! Walker's alias table: an index drawn by shares, in constant time and with one random number.

use crate::registry::rng::SplitMix64;

/// Which index a draw hits, by shares. Made in linear time, by Vose's method in whole numbers, so without rounding.
#[derive(Clone, Debug, Default)]
pub(super) struct Alias {
    columns: Vec<Column>,
}

/// A column of the table: below the threshold a draw is the column's own, from there on another's.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    threshold: u64,
    own: u32,
    other: u32,
}

impl Alias {
    /// The table of these shares, of which one at least is not 0. Their sum times their number stays below 2^64, as that
    /// of a pool's shares does.
    pub(super) fn new(shares: &[u64]) -> Self {
        let (len, total) = (shares.len() as u64, shares.iter().sum::<u64>());
        // A column holds `total`; each share has `share * len` to put there.
        let mut rest: Vec<u64> = shares.iter().map(|share| share * len).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for (at, have) in (0u32..).zip(&rest) {
            if *have < total { small.push(at) } else { large.push(at) }
        }
        let full = |own| Column { threshold: u64::MAX, own, other: own };
        let mut columns: Vec<Column> = (0u32..).zip(shares).map(|(at, _)| full(at)).collect();
        while let (Some(least), Some(most)) = (small.pop(), large.last().copied()) {
            let have = rest.get(least as usize).copied().unwrap_or_default();
            let threshold = threshold(have, total);
            if let Some(column) = columns.get_mut(least as usize) {
                *column = Column { threshold, own: least, other: most };
            }
            let Some(left) = rest.get_mut(most as usize) else { break };
            *left = (*left + have).saturating_sub(total);
            if *left < total {
                large.pop();
                small.push(most);
            }
        }
        Self { columns }
    }

    pub(super) fn draw(&self, rng: &mut SplitMix64) -> Option<usize> {
        let wide = u128::from(rng.next_u64()) * (self.columns.len() as u128);
        let at = usize::try_from(wide >> 64).ok()?;
        let within = u64::try_from(wide & u128::from(u64::MAX)).ok()?;
        let column = self.columns.get(at)?;
        let is_own = within < column.threshold || planted!("balance_alias_ignored");
        // Without a branch, which no processor could predict.
        let mask = u32::from(is_own).wrapping_neg();
        Some((column.other ^ ((column.other ^ column.own) & mask)) as usize)
    }
}

/// `have / total` as a part of 2^64.
fn threshold(have: u64, total: u64) -> u64 {
    let part = (u128::from(have) << 64).checked_div(u128::from(total)).unwrap_or_default();
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What each index is worth, out of `len * 2^64`.
    fn worth(alias: &Alias) -> Vec<f64> {
        let mut worth = vec![0.0; alias.columns.len()];
        for (at, column) in alias.columns.iter().enumerate() {
            let own = column.threshold as f64 / 2f64.powi(64);
            worth[at] += own;
            worth[column.other as usize] += 1.0 - own;
        }
        worth
    }

    proptest! {
        #[test]
        fn every_index_is_worth_its_share(shares in proptest::collection::vec(0..=1u64 << 20, 1..200)) {
            prop_assume!(shares.iter().any(|share| *share > 0));
            let total: u64 = shares.iter().sum();
            for (worth, share) in worth(&Alias::new(&shares)).iter().zip(&shares) {
                let due = *share as f64 * shares.len() as f64 / total as f64;
                prop_assert!((worth - due).abs() < 1e-9, "{worth} instead of {due}");
                prop_assert!(*share > 0 || *worth == 0.0);
            }
        }
    }
}
