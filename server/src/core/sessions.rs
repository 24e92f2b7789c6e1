//! Who has a session, until when, and by what password: the server's session tracker.
//!
//! Time is in milliseconds since the core began. Deadlines are rounded up to ticks, so that those of many sessions fall together
//! (`ExpiryQueue.java`): a session of timeout T that is heard of no more ends between T and T and one tick later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sha1_smol::Sha1;

use super::connection::ConnectionId;

/// 16 bytes that nobody can guess from the session's id, which stands in every Stat of its ephemerals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Password(pub(super) [u8; 16]);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<16 bytes>")
    }
}

impl Password {
    /// Looks at every byte, whether or not one before it was wrong.
    pub(super) fn is(&self, offered: &[u8]) -> bool {
        let difference = self.0.iter().zip(offered).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
        offered.len() == self.0.len() && difference == 0
    }
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) password: Password,
    pub(super) timeout_millis: i32,
    pub(super) connection: Option<ConnectionId>,
    /// Begun while the server was read-only: no log knows it.
    pub(super) local: bool,
    /// Another server has it now, or so a test says.
    pub(super) moved: bool,
    due: u64,
}

#[derive(Debug)]
pub(super) struct Sessions {
    live: BTreeMap<i64, Session>,
    due: BTreeMap<u64, BTreeSet<i64>>,
    next_id: i64,
    seed: u64,
    tick: u64,
}

impl Sessions {
    /// `unix_millis` goes into the ids, as at the real server: 8 bits of server id, 40 of time, 16 of a counter.
    pub(super) fn new(seed: u64, server_id: u8, unix_millis: i64, tick: u64) -> Self {
        let [_, _, _, a, b, c, d, e] = unix_millis.to_be_bytes();
        let id = i64::from_be_bytes([server_id, a, b, c, d, e, 0, 0]);
        Self { live: BTreeMap::new(), due: BTreeMap::new(), next_id: id, seed, tick }
    }

    /// Begins a session.
    pub(super) fn open(&mut self, timeout_millis: i32, local: bool, now: u64) -> (i64, Password) {
        let id = self.reserve();
        let password = self.password(id);
        let due = self.bucket(timeout_millis, now);
        let session = Session { password, timeout_millis, connection: None, local, moved: false, due };
        self.live.insert(id, session);
        self.due.entry(due).or_default().insert(id);
        (id, password)
    }

    /// A session that another server may have begun, and that is still to be attached to here.
    pub(super) fn learn(&mut self, id: i64, timeout_millis: i32, now: u64) {
        if self.live.contains_key(&id) {
            return;
        }
        let (password, due) = (self.password(id), self.bucket(timeout_millis, now));
        let session = Session { password, timeout_millis, connection: None, local: false, moved: false, due };
        self.live.insert(id, session);
        self.due.entry(due).or_default().insert(id);
    }

    /// A number for a session that is to begin.
    pub(super) fn reserve(&mut self) -> i64 {
        // Neither 0, which asks for a new session, nor the owner that stands for containers.
        while self.next_id == 0 || self.next_id == i64::MIN || self.live.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    pub(super) fn get(&self, id: i64) -> Option<&Session> {
        self.live.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Session> {
        self.live.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Session)> {
        self.live.iter().map(|(id, session)| (*id, session))
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// The session was heard of: its time begins anew.
    pub(super) fn touch(&mut self, id: i64, now: u64) {
        let Some(timeout_millis) = self.get(id).map(|session| session.timeout_millis) else { return };
        let due = self.bucket(timeout_millis, now);
        let Some(session) = self.live.get_mut(&id) else { return };
        let before = std::mem::replace(&mut session.due, due);
        if before != due && !planted!("server_sessions_untouched") {
            self.forget_due(id, before);
            self.due.entry(due).or_default().insert(id);
        }
    }

    /// All of them were heard of: the server had stopped, and its time with it.
    pub(super) fn touch_all(&mut self, now: u64) {
        let ids: Vec<_> = self.live.keys().copied().collect();
        for id in ids {
            self.touch(id, now);
        }
    }

    pub(super) fn close(&mut self, id: i64) -> Option<Session> {
        let session = self.live.remove(&id)?;
        self.forget_due(id, session.due);
        Some(session)
    }

    /// When the session's time is over.
    pub(super) fn due(&self, id: i64) -> Option<u64> {
        self.get(id).map(|session| session.due)
    }

    /// When the next sessions may be over.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.first_key_value().map(|(due, _)| *due)
    }

    /// The sessions whose time is over, in order; they are still there.
    pub(super) fn overdue(&self, now: u64) -> Vec<i64> {
        self.due.range(..=now).flat_map(|(_, ids)| ids.iter().copied()).collect()
    }

    /// The deadlines and who has them.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, &BTreeSet<i64>)> {
        self.due.iter().map(|(due, ids)| (*due, ids))
    }

    fn forget_due(&mut self, id: i64, due: u64) {
        if let Some(ids) = self.due.get_mut(&due) {
            ids.remove(&id);
            if ids.is_empty() {
                self.due.remove(&due);
            }
        }
    }

    fn bucket(&self, timeout_millis: i32, now: u64) -> u64 {
        let end = now.saturating_add(u64::try_from(timeout_millis).unwrap_or_default());
        (end / self.tick).saturating_add(1).saturating_mul(self.tick)
    }

    pub(super) fn password(&self, id: i64) -> Password {
        if planted!("server_password_from_id") {
            let [a, b, c, d, e, f, g, h] = id.to_be_bytes();
            return Password([a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h]);
        }
        let mut hash = Sha1::new();
        hash.update(&self.seed.to_be_bytes());
        hash.update(&id.to_be_bytes());
        let digest = hash.digest().bytes();
        Password(digest.first_chunk().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(7, 1, 1_700_000_000_000, 500)
    }

    #[test]
    fn ids_carry_the_server_in_their_first_byte_and_count_up() {
        let mut sessions = sessions();
        let (first, _) = sessions.open(1000, false, 0);
        let (second, _) = sessions.open(1000, false, 0);
        assert_eq!(first.to_be_bytes()[0], 1);
        assert_eq!(second, first + 1);
    }

    #[test]
    fn a_session_ends_at_the_first_tick_behind_its_timeout() {
        let mut sessions = sessions();
        let (id, _) = sessions.open(1000, false, 0);
        assert_eq!(sessions.next_due(), Some(1500));
        sessions.touch(id, 499);
        assert_eq!(sessions.next_due(), Some(1500), "the same bucket");
        sessions.touch(id, 500);
        assert_eq!(sessions.next_due(), Some(2000));
        assert_eq!(sessions.overdue(1999), []);
        assert_eq!(sessions.overdue(2000), [id]);
        assert!(sessions.close(id).is_some());
        assert_eq!((sessions.next_due(), sessions.len()), (None, 0));
    }

    #[test]
    fn passwords_differ_and_are_checked_whole() {
        let mut sessions = sessions();
        let (_, first) = sessions.open(1000, false, 0);
        let (_, second) = sessions.open(1000, false, 0);
        assert_ne!(first, second);
        assert!(first.is(&first.0));
        assert!(!first.is(&second.0) && !first.is(&[]) && !first.is(&first.0[..15]));
        assert!(!format!("{sessions:?}").contains(&format!("{:?}", first.0)));
    }
}
