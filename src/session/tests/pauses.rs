//! A machine that sleeps: its clock stands still, and that of the ensemble does not.

use std::time::Duration;

use super::rig::{Rig, get, request};
use crate::jute::{OpCode, Xid};
use crate::session::{Event, Loss, State};

const T: Duration = Duration::from_secs(9);
const AN_HOUR: Duration = Duration::from_secs(3_600);

impl Rig {
    fn sleep(&mut self, slept: Duration) {
        self.session.handle_paused(self.now, slept);
        self.drain();
    }

    /// Writes, and is answered.
    fn write(&mut self, token: u32) {
        self.sent();
        self.submit(request(OpCode::SET_DATA, &get("/a")), token);
        let xid = self.one_sent().xid;
        self.reply(xid, i64::from(token), &());
    }
}

#[test]
fn after_a_sleep_the_server_is_asked_at_once_and_left_if_it_does_not_answer() {
    let mut rig = Rig::connected();
    rig.millis(1_000);
    rig.sleep(AN_HOUR);
    assert_eq!(rig.one_sent().op, OpCode::PING);
    rig.reply(Xid::PING, 1, &());
    rig.millis(2_999);
    assert_eq!(rig.session.state(), State::Connected);

    rig.sleep(AN_HOUR);
    rig.pass(T / 3);
    assert_eq!(rig.count(&Event::Disconnected { loss: Loss::Silence }), 1);
    rig.connect();
    assert_eq!(rig.session.state(), State::Connected, "the same session lives, if the ensemble says so");
    assert_eq!(rig.count(&Event::Lost), 0);
}

#[test]
fn what_was_proved_before_a_sleep_is_older_by_it_and_what_was_under_way_proves_nothing() {
    let mut rig = Rig::connected();
    rig.write(1);
    rig.millis(3_000);
    rig.write(2);
    assert_eq!(rig.session.lease_until(), Some(rig.started + T));
    rig.sleep(Duration::from_secs(2));
    assert_eq!(rig.session.lease_until(), Some(rig.started + T - Duration::from_secs(2)));

    rig.submit(request(OpCode::SET_DATA, &get("/a")), 3);
    let under_way = rig.sent().pop().unwrap().xid;
    rig.millis(1);
    rig.sleep(AN_HOUR);
    rig.reply(under_way, 3, &());
    rig.millis(1);
    let woken = rig.now;
    rig.write(4);
    assert!(rig.session.lease_until().is_none_or(|until| until < rig.now));
    rig.millis(2_990);
    rig.write(5);
    assert!(rig.session.lease_until().is_none_or(|until| until < rig.now), "two writes closer than T/3");
    rig.millis(10);
    rig.write(6);
    assert_eq!(rig.session.lease_until(), Some(woken + T));
}

#[test]
fn who_wakes_up_without_a_connection_does_not_sit_out_its_pause() {
    let mut rig = Rig::connected();
    rig.cut();
    let pause = rig.session.poll_timeout().unwrap();
    assert!(pause > rig.now && rig.lookups.is_empty());
    rig.sleep(AN_HOUR);
    rig.connect();
    assert!(rig.now < pause, "it sat out its pause");
}
