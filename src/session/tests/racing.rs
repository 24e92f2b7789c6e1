//! Dialling the addresses of one name.

use std::time::Duration;

use super::rig::{Rig, SESSION_ID, config, servers};
use crate::limits;
use crate::session::{Address, Config, ConnId, Event, Loss, State};

/// IPv6 addresses by small numbers, IPv4 ones by those over 100.
fn address(number: u16) -> Address {
    if number < 100 {
        Address::Ip(([0, 0, 0, 0, 0, 0, 0, number], 2181).into())
    } else {
        Address::Ip(([127, 0, 0, 1], number).into())
    }
}

/// A session that dials the addresses of its one name.
fn racing(numbers: &[u16]) -> Rig {
    let mut rig = Rig::new(Config { servers: servers(&["a"]), ..config() });
    found(&mut rig, numbers);
    rig
}

fn found(rig: &mut Rig, numbers: &[u16]) {
    let (dial, _) = rig.lookups.pop_back().expect("a look-up waits");
    rig.session.handle_resolved(rig.now, dial, Ok(numbers.iter().map(|&number| address(number)).collect()));
    rig.drain();
}

fn dialled(rig: &Rig) -> Vec<Address> {
    rig.addresses.iter().map(|(_, address)| *address).collect()
}

fn waiting(rig: &Rig) -> Vec<ConnId> {
    rig.dials.iter().map(|(conn, _)| *conn).collect()
}

fn connect(rig: &mut Rig, conn: ConnId) {
    rig.dials.retain(|(dialled, _)| *dialled != conn);
    rig.session.handle_connected(rig.now, conn);
    rig.conn = Some(conn);
    rig.forget_input();
    rig.drain();
    rig.take_bytes();
}

#[test]
fn a_black_holed_family_costs_one_stagger() {
    let mut rig = racing(&[1, 2, 3, 101, 102]);
    assert_eq!(dialled(&rig), [address(1)]);
    rig.pass(limits::DIAL_STAGGER);
    assert_eq!(dialled(&rig), [address(1), address(101)], "the other family comes second");
    let answers = waiting(&rig)[1];
    connect(&mut rig, answers);
    rig.grant(9_000, SESSION_ID);
    assert_eq!(rig.session.state(), State::Connected);
    assert_eq!(rig.now - rig.started, limits::DIAL_STAGGER);
}

#[test]
fn the_first_that_answers_wins_and_the_others_are_hung_up() {
    let mut rig = racing(&[1, 101, 2]);
    rig.pass(limits::DIAL_WINDOW);
    let dials = waiting(&rig);
    assert_eq!(dials.len(), 3);
    connect(&mut rig, dials[0]);
    assert_eq!(rig.hung_up, dials[1..], "the first may win late");
    // Facts about those that lost are about what is over.
    rig.session.handle_connected(rig.now, dials[1]);
    rig.session.handle_dial_failed(rig.now, dials[2], Loss::Refused);
    rig.session.handle_connection_lost(rig.now, dials[1], Loss::Closed);
    rig.drain();
    rig.grant(9_000, SESSION_ID);
    assert_eq!((rig.session.state(), rig.session.stats().connects), (State::Connected, 1));
    assert!(rig.events.iter().all(|event| matches!(event, Event::Connected { .. })));
}

#[test]
fn a_refusal_brings_the_next_address_at_once() {
    let mut rig = racing(&[1, 101]);
    let first = waiting(&rig)[0];
    rig.dials.clear();
    rig.session.handle_dial_failed(rig.now, first, Loss::Refused);
    rig.drain();
    assert_eq!((dialled(&rig), rig.now), (vec![address(1), address(101)], rig.started));
    let second = waiting(&rig)[0];
    rig.session.handle_dial_failed(rig.now, second, Loss::Network);
    rig.drain();
    assert!(matches!(rig.events[..], [Event::AttemptFailed { loss: Loss::Network, .. }]));
}

#[test]
fn a_refusal_while_another_is_dialled_ends_nothing() {
    let mut rig = racing(&[1, 101]);
    rig.pass(limits::DIAL_STAGGER);
    let dials = waiting(&rig);
    rig.session.handle_dial_failed(rig.now, dials[1], Loss::Refused);
    rig.session.handle_dial_failed(rig.now, dials[1], Loss::Refused);
    rig.drain();
    assert!(rig.events.is_empty() && rig.lookups.is_empty());
    connect(&mut rig, dials[0]);
    rig.grant(9_000, SESSION_ID);
    assert_eq!(rig.session.state(), State::Connected);
}

#[test]
fn the_race_ends_with_the_attempt() {
    let mut rig = racing(&[1, 101, 2]);
    rig.millis(8_999);
    assert_eq!((rig.hung_up.len(), waiting(&rig).len()), (0, 3), "a slow address is given up early");
    rig.millis(1);
    assert_eq!((rig.hung_up.len(), waiting(&rig).len()), (3, 0));
    assert!(matches!(rig.events[..], [Event::AttemptFailed { loss: Loss::ConnectTimeout, .. }]));
}

#[test]
fn attempts_too_short_for_all_addresses_reach_them_one_after_the_other() {
    for count in 1..=u16::try_from(limits::ADDRESSES_PER_NAME).unwrap() {
        let mut rig = Rig::connected();
        rig.cut();
        rig.addresses.clear();
        let attempts = usize::from(count).div_ceil(limits::DIALS_A_WINDOW);
        for attempt in 1..=attempts {
            while rig.lookups.is_empty() {
                rig.millis(1);
            }
            let begun = rig.now;
            found(&mut rig, &(1..=count).collect::<Vec<_>>());
            let failed = |rig: &Rig| {
                rig.events.iter().filter(|event| matches!(event, Event::AttemptFailed { .. })).count()
            };
            while failed(&rig) < attempt {
                rig.millis(1);
                assert!(waiting(&rig).len() <= limits::DIALS_AT_ONCE, "too many at once");
            }
            // A third of the timeout, shared by three servers.
            assert_eq!(rig.now - begun, Duration::from_secs(1));
        }
        let mut reached = dialled(&rig);
        reached.sort();
        reached.dedup();
        assert_eq!(reached.len(), usize::from(count), "the same addresses again: {:?}", dialled(&rig));
    }
}

#[test]
fn more_addresses_than_may_be_dialled_at_once_get_their_turn() {
    let mut rig = racing(&(1..=9).collect::<Vec<_>>());
    rig.pass(limits::DIAL_WINDOW * 4);
    assert_eq!(dialled(&rig).len(), 9);
    assert_eq!((waiting(&rig).len(), rig.hung_up.len()), (limits::DIALS_AT_ONCE, 5));
    let oldest = waiting(&rig)[0];
    connect(&mut rig, oldest);
    assert_eq!(rig.hung_up.len(), 8);
}

#[test]
fn a_resolver_that_answers_without_end_is_not_believed() {
    let mut rig = racing(&(1..=99).collect::<Vec<_>>());
    rig.millis(8_999);
    assert_eq!(dialled(&rig).len(), limits::ADDRESSES_PER_NAME);
}

#[test]
fn a_new_server_list_hangs_up_on_the_whole_race() {
    let mut rig = racing(&[1, 101]);
    rig.pass(limits::DIAL_STAGGER);
    let dials = waiting(&rig);
    rig.session.set_servers(rig.now, servers(&["elsewhere"]));
    rig.drain();
    assert_eq!(rig.hung_up, dials);
    rig.pass(limits::DIAL_WINDOW);
    rig.session.handle_connected(rig.now, dials[0]);
    rig.drain();
    assert_eq!(rig.lookups.back().unwrap().1.host, "elsewhere");
    assert!(rig.take_bytes().is_empty(), "a handshake on a connection that was given up");
}
