//! Another client uses the same session: what is noticed, what is mistaken for it, and how it ends.

use std::time::Duration;

use bytes::Bytes;

use super::rig::{PASSWORD, Rig, SESSION_ID, config};
use crate::jute::Xid;
use crate::limits;
use crate::session::{Config, Credentials, End, Event, State};

const T: Duration = Duration::from_secs(9);

fn resumed() -> Rig {
    let credentials =
        Credentials { session_id: SESSION_ID, password: Bytes::from_static(PASSWORD), last_zxid: 0 };
    let mut rig = Rig::new(Config { credentials: Some(credentials), ..config() });
    rig.connect();
    rig
}

impl Rig {
    /// The connection serves, and is closed so much later, as the other one attaches.
    fn taken(&mut self, after: Duration) {
        self.sent();
        self.pass(after);
        self.reply(Xid::PING, 1, &());
        self.cut();
    }

    fn noticed(&self) -> usize {
        self.count(&Event::Contended)
    }
}

#[test]
fn a_session_that_is_taken_away_again_and_again_is_noticed_and_fought_for_ever_less() {
    let mut rig = Rig::connected();
    for taken in 1..=200 {
        rig.taken(T / 3 + Duration::from_millis(100));
        assert_eq!(rig.noticed(), usize::from(taken >= limits::CONTENDED), "{taken} times");
        rig.connect();
    }
    assert_eq!(rig.session.state(), State::Connected, "whoever began the session keeps it");
    let apart = (rig.now - rig.started) / 200 - T / 3;
    assert!(apart > T / 9, "back within {apart:?}, as if nothing had happened");
    assert_eq!(rig.count(&Event::Lost), 0);

    // The other one has stopped: from here on a loss is one like any other, and the next row is noticed again.
    rig.pass(T * 2 / 3 - Duration::from_millis(1));
    rig.reply(Xid::PING, 1, &());
    rig.pass(T * 2 / 3 - Duration::from_millis(1));
    rig.reply(Xid::PING, 1, &());
    for _ in 0..limits::CONTENDED {
        assert_eq!(rig.noticed(), 1);
        rig.taken(Duration::from_millis(100));
        rig.connect();
    }
    assert_eq!(rig.noticed(), 2);
}

#[test]
fn who_resumed_the_session_leaves_it_to_the_other_in_the_end_without_closing_it() {
    let mut rig = resumed();
    for _ in 1..limits::CONTENDED_END {
        rig.taken(Duration::from_millis(500));
        rig.connect();
    }
    rig.sent();
    rig.taken(Duration::from_millis(500));
    assert_eq!(rig.session.state(), State::Ended(End::Contended));
    assert!(rig.sent().is_empty() && rig.lookups.is_empty());
    assert_eq!(rig.events.last(), Some(&Event::Ended(End::Contended)));
}

#[test]
fn servers_that_drop_restart_or_stop_now_and_then_are_not_mistaken_for_another_client() {
    // Accepts and hangs up.
    let mut rig = resumed();
    for _ in 0..50 {
        rig.cut();
        rig.connect();
    }
    // Serves, goes, and refuses for a while.
    for _ in 0..50 {
        rig.taken(Duration::from_millis(500));
        rig.accept_next();
        rig.cut();
        rig.connect();
    }
    // Serves for longer than the timeout.
    for _ in 0..50 {
        for _ in 0..4 {
            rig.millis(2_900);
            rig.reply(Xid::PING, 1, &());
        }
        rig.taken(Duration::ZERO);
        rig.connect();
    }
    assert_eq!((rig.noticed(), rig.session.state()), (0, State::Connected));
}
