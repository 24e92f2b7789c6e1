//! Who moves where when the server list changes, so that the clients of the ensemble stay evenly spread although none knows of
//! another: each decides by chance, with ZOOKEEPER-1355's odds (`StaticHostProvider.updateServerList`). It knows nothing of
//! connections.

use std::collections::VecDeque;

use super::Server;
use super::chance::Chance;

/// A client on its way from one list to the next: servers to try before the usual turns begin.
#[derive(Debug)]
pub(super) struct Moving {
    /// Servers that were not in the list before, and that were; those of them not tried yet.
    newer: VecDeque<Server>,
    older: VecDeque<Server>,
    /// A newer one comes next this many times of so many.
    newer_odds: (u64, u64),
}

impl Moving {
    /// What becomes of a client of `current` when `before` becomes `order`, which was shuffled: `None` if it stays.
    ///
    /// With s servers before and t now, a server that stays in a list that grew keeps s of t of its clients; the others go
    /// to new servers. If the list did not grow, those whose server is still there stay, and the clients of a server that
    /// is gone fill up the old and the new ones to the same level.
    pub(super) fn decide(
        before: &[Server],
        order: &[Server],
        current: Option<&Server>,
        chance: &mut Chance,
    ) -> Option<Self> {
        let (older, newer): (VecDeque<_>, VecDeque<_>) =
            order.iter().cloned().partition(|server| before.contains(server));
        let (s, t, old) = (before.len() as u64, order.len() as u64, older.len() as u64);
        let listed = current.is_some_and(|server| order.contains(server));
        let stays = listed
            && !(t > s && chance.wins(t - s, t) && !planted!("session_never_rebalances"))
            && !planted!("session_always_rebalances");
        if stays {
            return None;
        }
        let newer_odds = if t > s {
            (1, 1)
        } else {
            let (to_old, of) = (old * (s - t), t * (s.saturating_sub(old)));
            (of.saturating_sub(to_old), of)
        };
        Some(Self { newer, older, newer_odds })
    }

    /// The next server to try; `None` when all were.
    pub(super) fn next(&mut self, chance: &mut Chance) -> Option<Server> {
        let (odds, of) = self.newer_odds;
        let takes_newer = chance.wins(odds, of) || self.older.is_empty();
        let first = if takes_newer { self.newer.pop_front() } else { None };
        first.or_else(|| self.older.pop_front()).or_else(|| self.newer.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use crate::session::Server;
    use crate::session::chance::Chance;
    use crate::session::servers::Servers;

    fn named(names: &str) -> Vec<Server> {
        names.chars().map(|name| Server { host: name.into(), port: 2181 }).collect()
    }

    /// Clients that begin evenly spread over the first list, and follow the lists one after the other: how they are spread
    /// at the end, and how many moves that took.
    fn spread(lists: &[&str], clients: u64) -> (Vec<u64>, u64) {
        let (first, changes) = lists.split_first().unwrap();
        let last = named(lists.last().unwrap());
        let (mut counts, mut moves) = (vec![0; last.len()], 0);
        for seed in 0..clients {
            let mut chance = Chance::new(seed);
            let mut servers = Servers::new(named(first), None, &mut chance);
            let mut current = servers.next(&mut chance).unwrap().0;
            servers.arrived();
            for list in changes {
                if servers.replace(named(list), Some(&current), &mut chance) {
                    current = servers.next(&mut chance).unwrap().0;
                    moves += 1;
                }
                servers.arrived();
            }
            counts[last.iter().position(|server| *server == current).unwrap()] += 1;
        }
        (counts, moves)
    }

    /// Pearson's statistic against an even spread.
    fn chi_square(counts: &[u64]) -> f64 {
        let total: u64 = counts.iter().sum();
        let expected = total as f64 / counts.len() as f64;
        counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum()
    }

    #[test]
    fn clients_stay_evenly_spread_whatever_becomes_of_the_list() {
        for lists in [
            &["abc", "abcde"][..],
            &["abcde", "abc"],
            &["abcdefgh", "defghi"],
            &["abc", "xyz"],
            &["abc", "bcd"],
            &["abcd", "cdxy"],
            &["abcdef", "efx"],
            &["a", "abcdef"],
            &["abc", "abcdef", "defg", "gxyz", "abc"],
            &["abc", "bcde", "abcdefgh", "ah"],
        ] {
            let (counts, _) = spread(lists, 9_000);
            // The 99.9th percentile for 7 degrees of freedom, the most there are here, is 24.3.
            assert!(chi_square(&counts) < 24.3, "{lists:?}: {counts:?}");
        }
    }

    #[test]
    fn no_more_clients_move_than_must() {
        for (lists, fewest) in [
            (["abc", "abcde"], 3_600.0),
            (["abcde", "abc"], 3_600.0),
            (["abc", "abc"], 0.0),
            (["abc", "bcd"], 3_000.0),
            (["abcd", "ab"], 4_500.0),
        ] {
            let (_, moves) = spread(&lists, 9_000);
            // Four standard deviations of 9,000 draws are 190 at most.
            assert!((moves as f64 - fewest).abs() < 190.0, "{lists:?}: {moves} moves, {fewest} would do");
        }
    }

    #[test]
    fn whoever_moves_tries_new_servers_first_and_then_all_others_once() {
        let mut first = Vec::new();
        for seed in 0..200 {
            let mut chance = Chance::new(seed);
            let mut servers = Servers::new(named("abc"), None, &mut chance);
            if !servers.replace(named("abcde"), Some(&named("a")[0]), &mut chance) {
                continue;
            }
            let tried: Vec<_> = (0..5).map(|_| servers.next(&mut chance).unwrap().0.host).collect();
            first.push(tried[0].clone());
            assert!(tried[..2].iter().all(|host| host == "d" || host == "e"), "{tried:?}");
            let mut all = tried.clone();
            all.sort();
            assert_eq!(all, ["a", "b", "c", "d", "e"], "a pass that leaves one out");
        }
        assert!(first.contains(&"d".into()) && first.contains(&"e".into()));
    }
}
