//! Right histories with one thing changed, which the checks must see whatever the thing.

use crate::{
    SHAPES,
    model::{Chance, valid},
};
use menagerie_history::{Answer, History, NO_NODE, Op, OpId, Outcome, Value};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What is changed.
#[derive(Debug, Clone, Copy)]
enum Mutation {
    /// A value that nobody wrote.
    StrangeValue,
    /// A write whose value was read is said not to have been sent.
    NotSent,
    /// The same, refused.
    Refused,
    /// The last read of a path shows an earlier state.
    OldRead,
    /// The version behind a set is another.
    Version,
    /// A write is said to have been done before everything.
    Early,
    /// A child is missing in the last list.
    ChildMissing,
    /// Two sequential znodes have one number.
    Number,
}

const ALL: [Mutation; 8] = [
    Mutation::StrangeValue,
    Mutation::NotSent,
    Mutation::Refused,
    Mutation::OldRead,
    Mutation::Version,
    Mutation::Early,
    Mutation::ChildMissing,
    Mutation::Number,
];

fn all(history: &History) -> Vec<(OpId, Op, Outcome)> {
    let known = history.operations();
    known.filter_map(|(op, _, what, outcome)| Some((op, what.clone(), outcome?.clone()))).collect()
}

fn values_read(history: &History) -> BTreeSet<Value> {
    let read = all(history).into_iter().filter_map(|(_, _, outcome)| match outcome {
        Outcome::Done { answer: Answer::Data(value, _), .. } => Some(value),
        _ => None,
    });
    read.collect()
}

/// An operation that the mutation can be done to, and its outcome then.
fn mutate(history: &History, mutation: Mutation, chance: &mut Chance) -> Option<(OpId, Outcome)> {
    let (known, read) = (all(history), values_read(history));
    let mut can: Vec<(OpId, Outcome)> = Vec::new();
    for (op, what, outcome) in &known {
        let Outcome::Done { answer, zxid } = outcome else { continue };
        let zxid = *zxid;
        let with = |answer| Outcome::Done { answer, zxid };
        let new = match (mutation, what, answer) {
            (Mutation::StrangeValue, _, Answer::Data(_, stat)) => Some(with(Answer::Data(9_999_999, *stat))),
            (Mutation::NotSent | Mutation::Refused, Op::Set { value, .. } | Op::Create { value, .. }, _)
                if *value != 0 && read.contains(value) =>
            {
                Some(match mutation {
                    Mutation::NotSent => Outcome::NotSent,
                    _ => Outcome::Refused(NO_NODE),
                })
            }
            (Mutation::OldRead, Op::Get { path, .. }, Answer::Data(_, stat)) => {
                let last = known.iter().rev().take(8).any(|(last, ..)| last == op);
                let old = known.iter().find_map(|(_, other, outcome)| match (other, outcome) {
                    (Op::Get { path: same, .. }, Outcome::Done { answer: Answer::Data(value, old), .. })
                        if same == path && old.mzxid < stat.mzxid && old.czxid == stat.czxid =>
                    {
                        Some(Answer::Data(*value, *old))
                    }
                    _ => None,
                });
                // It was a write that was answered, so that the sync ahead of the read brings it.
                let answered = known.iter().any(|(_, what, outcome)| {
                    what.path() == Some(path) && matches!(outcome, Outcome::Done { answer: Answer::Stat(Some(seen)), .. } if what.is_write() && seen.mzxid == stat.mzxid)
                });
                old.filter(|_| last && answered).map(with)
            }
            (Mutation::Version, Op::Set { .. }, Answer::Stat(Some(stat))) => {
                let mut stat = *stat;
                stat.version += 50;
                Some(with(Answer::Stat(Some(stat))))
            }
            (Mutation::Early, Op::Set { .. }, Answer::Stat(Some(stat))) => {
                let mut stat = *stat;
                stat.mzxid = 1;
                Some(Outcome::Done { answer: Answer::Stat(Some(stat)), zxid: zxid.map(|_| 1) })
            }
            (Mutation::ChildMissing, _, Answer::Children(names, stat)) if !names.is_empty() => {
                let last = known.iter().rev().take(8).any(|(last, ..)| last == op);
                let is_lasting = |name: &String| {
                    known.iter().any(|(_, what, outcome)| {
                        let created = matches!(outcome, Outcome::Done { answer: Answer::Created(path, _), .. } if path.ends_with(name.as_str()));
                        created && matches!(what, Op::Create { mode, .. } if !mode.ephemeral)
                    })
                };
                let missing = names.iter().position(is_lasting)?;
                let mut names = names.clone();
                names.remove(missing);
                last.then(|| with(Answer::Children(names, *stat)))
            }
            (Mutation::Number, Op::Create { mode, .. }, Answer::Created(path, stat)) if mode.sequential => {
                let other = known.iter().find_map(|(_, _, outcome)| match outcome {
                    Outcome::Done { answer: Answer::Created(other, _), .. }
                        if other != path && other.starts_with("/s/n-") =>
                    {
                        Some(other.clone())
                    }
                    _ => None,
                });
                other.map(|other| with(Answer::Created(other, *stat)))
            }
            _ => None,
        };
        can.extend(new.map(|new| (*op, new)));
    }
    (!can.is_empty()).then(|| can.swap_remove(chance.below(can.len())))
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_changed_is_seen(seed: u64, shape in 0..SHAPES.len(), which in 0..ALL.len()) {
        let mut history = valid(seed, SHAPES[shape]);
        let mutated = mutate(&history, ALL[which], &mut Chance(seed ^ 1));
        prop_assume!(mutated.is_some());
        let (op, outcome) = mutated.unwrap();
        *history.outcome_mut(op).unwrap() = outcome;
        let report = history.check();
        prop_assert!(!report.is_sound(), "{:?} of {op} is not seen", ALL[which]);
        let (again, same) = (valid(seed, SHAPES[shape]), valid(seed, SHAPES[shape]));
        prop_assert_eq!(&again, &same);
        prop_assert!(again.check().is_sound());
    }
}

#[test]
fn watches_that_say_nothing_are_seen() {
    let silent = |seed| {
        let mut history = valid(seed, SHAPES[1]);
        history.silence_watches();
        !history.check().is_sound()
    };
    let seen = (0..50).filter(|seed| silent(*seed)).count();
    assert!(seen >= 40, "{seen} of 50");
}
