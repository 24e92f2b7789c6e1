//! The kinds of faults, one after the other: seeds in which nothing else goes wrong, every promise judged as ever, and the states
//! that the fault is to lead to reached. `tests/FAULTS.md` names these tests.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use menagerie_server::core::Like;
use menagerie_sim::agenda::{MILLI, SECOND};
use menagerie_sim::census::State;
use menagerie_sim::plan::{Fault, Plan};
use menagerie_sim::world::run_as;

/// Seeds of a test.
const SEEDS: u64 = 8;

/// Runs seeds with these faults only, each of which must occur, and tells the states that were reached.
fn states(faults: &[Fault], alter: impl Fn(&mut Plan)) -> BTreeSet<State> {
    let (mut states, mut occurred) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..SEEDS {
        let outcome = run_as(seed, 0, |plan| {
            plan.faults = faults.iter().map(|fault| (1, *fault)).collect();
            plan.fault_gap = 2 * SECOND;
            plan.deed_gap = 300 * MILLI;
            plan.active = 60 * SECOND;
            alter(plan);
        });
        if let Some(what) = outcome.violation {
            panic!("seed {seed} with {faults:?} only: {what}");
        }
        states.extend(outcome.census.states.into_keys());
        occurred.extend(outcome.census.faults.into_keys());
    }
    assert_eq!(occurred, faults.iter().copied().collect(), "others than these occur");
    states
}

#[track_caller]
fn leads_to(faults: &[Fault], expected: &[State], alter: impl Fn(&mut Plan)) {
    let states = states(faults, alter);
    let missing: Vec<_> = expected.iter().filter(|state| !states.contains(state)).collect();
    assert!(missing.is_empty(), "{faults:?} does not lead to {missing:?}");
}

#[test]
fn members_refuse_and_black_holes_swallow() {
    leads_to(&[Fault::Reset, Fault::Refuse, Fault::Swallow], &[State::Moved, State::UnknownFate], |_| {});
}

#[test]
fn names_hang_fail_and_lead_nowhere() {
    let names = [Fault::Reset, Fault::NamesHang, Fault::NamesFail, Fault::NamesMove];
    leads_to(&names, &[State::Moved, State::UnknownFate], |_| {});
}

#[test]
fn what_no_server_says_costs_the_connection() {
    leads_to(&[Fault::Garbage], &[State::Violation, State::UnknownFate], |_| {});
}

#[test]
fn connections_are_reset() {
    let expected = [State::Moved, State::Gap, State::PipelineCut];
    leads_to(&[Fault::Reset], &expected, |plan| plan.pipelines = 100);
}

#[test]
fn connections_are_reset_between_two_batches_of_watches() {
    leads_to(&[Fault::Reset], &[State::CutBetweenBatches], |plan| plan.long_paths = true);
}

#[test]
fn connections_are_closed_and_one_shot_watches_catch_up() {
    leads_to(&[Fault::Close], &[State::CaughtUp], |_| {});
}

#[test]
fn connections_stand_still() {
    leads_to(&[Fault::Stall], &[State::UnknownFate, State::Moved], |_| {});
}

#[test]
fn a_session_moves_and_its_old_connection_still_writes() {
    leads_to(&[Fault::Stall, Fault::Lag], &[State::SessionMoved], |plan| plan.deed_gap = 60 * MILLI);
}

#[test]
fn answers_are_lost() {
    let expected = [State::UnknownApplied, State::ClosedUnconfirmed];
    leads_to(&[Fault::LosesAnswers], &expected, |_| {});
}

#[test]
fn requests_are_lost() {
    let expected = [State::UnknownNotApplied, State::Moved];
    leads_to(&[Fault::LosesRequests], &expected, |_| {});
}

#[test]
fn members_read_nothing() {
    leads_to(&[Fault::Throttle], &[State::UnknownFate, State::Moved], |_| {});
}

#[test]
fn slow_lines_are_no_silence() {
    let states = states(&[Fault::Slow], |_| {});
    assert!(!states.contains(&State::Lost) && !states.contains(&State::Expired), "{states:?}");
    assert!(states.contains(&State::CancelledOnItsWay) && states.contains(&State::Leased));
}

#[test]
fn callers_give_up_on_the_way() {
    let expected = [State::CancelledOnItsWay, State::DeadlineOnItsWay];
    leads_to(&[Fault::Stall, Fault::Slow], &expected, |_| {});
}

#[test]
fn leaders_die() {
    let expected = [State::LeaderChange, State::LostWithLeader, State::SurvivedLeader];
    leads_to(&[Fault::LeaderCrash], &expected, |plan| plan.deed_gap = 30 * MILLI);
}

#[test]
fn leaders_are_deposed_and_do_not_know() {
    let expected = [State::LeaderChange, State::SyncByDeposed];
    leads_to(&[Fault::IsolateLeader], &expected, |plan| {
        (plan.apart, plan.deed_gap) = (true, 60 * MILLI);
    });
}

#[test]
fn the_quorum_is_lost_and_comes_back() {
    let expected = [State::NoQuorum, State::Lost, State::LostThenReattached];
    leads_to(&[Fault::NoQuorum], &expected, |plan| plan.read_only = false);
}

#[test]
fn the_quorum_comes_back_to_readers() {
    let expected = [State::ReadOnly, State::ReadOnlyThenReadWrite];
    leads_to(&[Fault::NoQuorum], &expected, |plan| plan.read_only = true);
}

#[test]
fn members_lag_and_close_on_who_is_ahead() {
    leads_to(&[Fault::Lag, Fault::Reset], &[State::ZxidAhead, State::Moved], |_| {});
}

#[test]
fn members_are_apart_for_long() {
    let expected = [State::ReadOnly, State::WriterFound, State::Leased];
    leads_to(&[Fault::Isolate], &expected, |plan| {
        (plan.apart, plan.read_only, plan.fault_gap) = (true, true, 5 * SECOND);
        (plan.deed_gap, plan.active) = (60 * MILLI, 90 * SECOND);
    });
}

#[test]
fn clients_are_cut_off_for_longer_than_their_sessions_live() {
    let expected = [State::Lost, State::Expired, State::ExpiredByLeader];
    leads_to(&[Fault::CutOffLong], &expected, |_| {});
}

#[test]
fn clients_stand_still_and_wake() {
    leads_to(&[Fault::Pause], &[State::Leased, State::Expired], |_| {});
}

#[test]
fn clocks_of_members_jump() {
    let states = states(&[Fault::ClockJumps], |_| {});
    assert!(states.contains(&State::Leased) && !states.contains(&State::Lost), "{states:?}");
    assert!(!states.contains(&State::Expired), "{states:?}");
}

#[test]
fn processes_die_and_others_take_their_sessions_up() {
    leads_to(
        &[Fault::Reset, Fault::CutOff],
        &[State::Resumed, State::Closed, State::ClosedUnconfirmed],
        |_| {},
    );
}

#[test]
fn servers_before_3_9_have_one_mode_a_path() {
    leads_to(&[Fault::Reset], &[State::Gap, State::CaughtUp], |plan| plan.like = Like::V3_8);
}
