//! The core with everything around it: peers, a network that takes what it likes, and a clock that moves by hand.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Buf;
use menagerie_server::core::{Config, ConnectionId, Core, Kind, Like, Limits, Transmit, What, Why};

use super::peer::Peer;

/// What stands in every secret, and nowhere else.
pub(super) const SECRET: &str = "hunter2hunter2zz";

/// Most connections at once.
const PEERS: usize = 8;

pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Instant,
    pub(super) peers: Vec<Peer>,
    pub(super) limits: Limits,
    like: Like,
    /// The greatest zxid seen, unless a test set it back.
    pub(super) zxid: i64,
    port: u16,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "virtual time needs one moment to count from")]
    pub(super) fn new(config: Config) -> Self {
        let now = Instant::now();
        let (limits, like) = (config.limits.clone(), config.rules.like);
        let core = Core::new(config, now, 1_700_000_000_000);
        Self { core, now, peers: Vec::new(), limits, like, zxid: 0, port: 0 }
    }

    pub(super) fn accept(&mut self) {
        if self.peers.len() < PEERS {
            self.port = self.port.wrapping_add(1);
            let ip = if self.port % 3 == 0 { [10, 0, 0, 1] } else { [127, 0, 0, 1] };
            let id = self.core.accept(SocketAddr::from((ip, self.port)), self.now);
            self.peers.push(Peer::new(id));
            self.settle();
        }
    }

    pub(super) fn peer(&mut self, at: u8) -> Option<&mut Peer> {
        let count = self.peers.len().max(1);
        self.peers.get_mut(usize::from(at) % count)
    }

    /// Bytes of a peer, if the server reads from it.
    pub(super) fn send(&mut self, at: u8, bytes: &[u8]) {
        let frame_len = self.limits.frame_len;
        let Some(id) = self.peer(at).map(|peer| peer.id) else { return };
        if self.core.wants_input(id) {
            if let Some(peer) = self.peer(at) {
                peer.send(bytes, frame_len);
            }
            self.core.handle_input(id, bytes, self.now);
            self.settle();
        }
    }

    pub(super) fn cut(&mut self, at: u8) {
        let Some(peer) = self.peer(at) else { return };
        (peer.is_over, peer.unwritten) = (true, 0);
        let id = peer.id;
        self.core.handle_closed(id, self.now);
        assert!(matches!(self.core.poll_transmit(id), Transmit::HangUp));
        self.settle();
    }

    /// Hears which connections there is something to do for, and sees that the line is not endless.
    pub(super) fn settle(&mut self) {
        let most = 4 * (self.peers.len() + 4);
        let mut ready = 0;
        while let Some(id) = self.core.poll_ready() {
            ready += 1;
            assert!(ready <= most, "the line of connections does not end");
            if !self.peers.iter().any(|peer| peer.id == id) {
                assert!(matches!(self.core.poll_transmit(id), Transmit::HangUp));
            }
        }
        self.peers.retain(|peer| !peer.is_over);
    }

    /// Takes a connection's output; so many bytes of what was taken leave. Whether anything happened.
    pub(super) fn take(&mut self, at: usize, most: usize) -> bool {
        let Some(id) = self.peers.get(at).map(|peer| peer.id) else { return false };
        let transmit = self.core.poll_transmit(id);
        let (zxid, like, bound) = (self.core.zxid(), self.like, self.output_bound());
        let peer = &mut self.peers[at];
        let mut moved = false;
        match transmit {
            Transmit::Wait => {}
            Transmit::HangUp => {
                peer.is_over = true;
                return true;
            }
            Transmit::Write(mut output) => {
                let len = output.remaining();
                assert!(len > 0 && len <= bound, "{len} bytes waited, at most {bound}");
                peer.unwritten += len;
                peer.receive(&output.copy_to_bytes(len), like, zxid);
                moved = true;
            }
        }
        let leaving = peer.unwritten.min(most);
        if leaving > 0 {
            peer.unwritten -= leaving;
            self.core.handle_written(id, leaving, self.now);
            moved = true;
        }
        moved
    }

    /// Everything leaves, and what can be answered is, until nobody has anything to say.
    pub(super) fn drain(&mut self) {
        let mut rounds = 0;
        loop {
            let mut moved = false;
            for at in 0..self.peers.len() {
                moved |= self.take(at, usize::MAX);
            }
            self.settle();
            if !moved {
                return;
            }
            rounds += 1;
            assert!(rounds < 20_000, "output does not end");
        }
    }

    /// What may wait for one connection: up to the mark and an answer more, or notifications; or one word's text.
    fn output_bound(&self) -> usize {
        let tree = self.core.tree().approximate_data_size() + 200 * self.core.tree().node_count();
        self.limits.output_mark.max(self.limits.output_max) + self.limits.answer_len + 2 * tree + (64 << 10)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..64 {
            let due = self.core.poll_timeout();
            if due > end {
                break;
            }
            self.now = self.now.max(due);
            self.core.handle_timeout(self.now);
            self.settle();
        }
        self.now = self.now.max(end);
        self.core.handle_timeout(self.now);
        self.settle();
        assert!(self.core.poll_timeout() > self.now, "a timer is left in the past");
    }

    /// What must hold between any two steps.
    pub(super) fn check(&mut self, deeply: bool) {
        assert!(self.core.zxid() >= self.zxid, "the zxid went back");
        self.zxid = self.core.zxid();
        if deeply {
            self.check_sessions();
            self.check_tree();
        }
        for peer in &self.peers {
            assert!(
                !(peer.must_end() && peer.is_bad) || !self.core.wants_input(peer.id) || peer.has_unanswered()
            );
        }
    }

    fn check_sessions(&self) {
        let mut owned = 0;
        let mut spoken_for = BTreeSet::new();
        let sessions = self.core.sessions();
        for session in &sessions {
            if let Some(id) = session.connection {
                assert!(spoken_for.insert(id), "two sessions on one connection");
            }
            for path in &session.ephemerals {
                let kind = self.core.tree().znode(path).map(|znode| znode.kind());
                assert_eq!(kind, Some(Kind::Ephemeral { owner: session.id }), "{path}");
                owned += 1;
            }
        }
        assert_eq!(owned, self.core.tree().ephemerals_count(), "ephemerals of nobody");
        for watch in self.core.watches() {
            let of = |session: &menagerie_server::SessionView| session.id == watch.session;
            assert!(watch.session != 0, "a watch of nobody: {watch:?}");
            assert!(sessions.iter().any(of), "a watch of a session that is over: {watch:?}");
            assert!(watch.data || watch.child || watch.persistent || watch.recursive);
        }
    }

    fn check_tree(&self) {
        let tree = self.core.tree();
        let mut size = 0;
        let mut count = 0;
        for (path, znode) in tree.walk() {
            let stat = znode.stat();
            count += 1;
            size += path.len() + znode.data().map_or(0, bytes::Bytes::len);
            assert_eq!(usize::try_from(stat.num_children).unwrap(), znode.children().len(), "{path}");
            assert!(stat.czxid <= stat.mzxid && stat.czxid <= stat.pzxid && stat.pzxid <= tree.zxid());
            assert!(stat.ephemeral_owner == 0 || stat.num_children == 0, "{path}");
            assert!(!znode.acl().is_empty());
        }
        assert_eq!((count + 1, size), (tree.node_count(), tree.approximate_data_size()));
        assert!(tree.zxid() <= self.core.zxid());
    }

    /// Lets everything out; whoever must be gone is gone, and every other request is answered.
    pub(super) fn finish(&mut self) {
        self.core.forget_plans();
        self.core.resume(None, self.now);
        self.core.release(self.now);
        self.settle();
        self.drain();
        self.check(true);
        for peer in &self.peers {
            assert!(!peer.must_end(), "a connection stays open: {peer:?}");
            let is_served = peer.response.is_some();
            assert!(!is_served || !peer.has_unanswered(), "a request is not answered: {peer:?}");
        }
        self.assert_secrets_kept();
        self.check_whys();
        // Without a word from anyone, every connection and every session ends.
        let most = self.limits.greeting.saturating_mul(4) + Duration::from_secs(300);
        if !self.core.is_read_only() {
            self.pass(most);
            self.pass(most);
            assert_eq!(self.core.sessions(), [], "sessions outlive their time");
            self.drain();
            assert_eq!(self.core.connections_count(), 0, "a connection outlives its time");
            assert_eq!(self.core.tree().ephemerals_count(), 0);
        }
        self.check(true);
    }

    /// Nobody is said to have closed what the server closed, and nothing happens that no test wished.
    fn check_whys(&self) {
        for entry in self.core.log() {
            if let (What::Closed(Why::Peer), Some(id)) = (&entry.what, entry.connection) {
                assert!(!self.is_open(id), "{id} is closed by its peer, and open");
            }
        }
    }

    fn is_open(&self, id: ConnectionId) -> bool {
        self.peers.iter().any(|peer| peer.id == id)
    }

    pub(super) fn assert_secrets_kept(&self) {
        let entries: Vec<_> = self.core.log().collect();
        let shown = format!("{} {:?} {entries:?}", self.core.trace(usize::MAX), self.core);
        assert!(!shown.contains(SECRET), "a secret is printed");
        for peer in &self.peers {
            let Some(password) = peer.response.as_ref().and_then(|response| response.passwd.clone()) else {
                continue;
            };
            let bytes = format!("{:?}", &password[..]);
            let is_none = password.iter().all(|byte| *byte == 0);
            assert!(is_none || !shown.contains(bytes.trim_matches(['[', ']'])), "a password is printed");
        }
    }
}
