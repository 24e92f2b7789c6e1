//! The rows: what each says, what it aims at, and how it is printed.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::servers::Kind;

/// What a figure should come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// Nothing is promised.
    None,
    /// Less than this.
    Below(f64),
    /// So many times Apache's, in the direction that is better.
    Times(f64),
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The figure counts what is done.
    More,
    /// The figure counts what it takes.
    Less,
}

/// What a row says.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name, as `--rows` takes it.
    pub name: &'static str,
    /// What one figure counts.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What ours should come to.
    pub aim: Aim,
    /// The servers that have such a figure.
    pub of: &'static [Kind],
}

/// Every row, in the order of the table.
pub const SPECS: [Spec; 14] = [
    spec("start", "ms from process start to first reply", Better::Less, Aim::None, &BOTH),
    spec("start-cpu", "ms of CPU from process start to first reply", Better::Less, Aim::None, &BOTH),
    spec(
        "start-in-process",
        "ms from Server::start() to first reply",
        Better::Less,
        Aim::Below(5.0),
        &[Kind::Ours],
    ),
    spec("znode", "bytes resident per znode beside its data", Better::Less, Aim::Below(400.0), &BOTH),
    spec(
        "znode-heap",
        "bytes of live Java heap per znode beside its data",
        Better::Less,
        Aim::None,
        &[Kind::Apache],
    ),
    spec("session", "bytes resident per idle session", Better::Less, Aim::Below(2_048.0), &BOTH),
    spec(
        "session-heap",
        "bytes of live Java heap per idle session",
        Better::Less,
        Aim::None,
        &[Kind::Apache],
    ),
    spec("get", "getData per server CPU second", Better::More, Aim::Times(10.0), &ALL),
    spec("get-alone", "the same, one unanswered on each connection", Better::More, Aim::None, &BOTH),
    spec("set", "setData per server CPU second", Better::More, Aim::Times(10.0), &ALL),
    spec("create", "create per server CPU second", Better::More, Aim::Times(10.0), &BOTH),
    spec("churn", "sessions per server CPU second", Better::More, Aim::None, &BOTH),
    spec("fan-out", "µs of server CPU per notification", Better::Less, Aim::None, &ALL),
    spec("loader", "getData per second, by the clock", Better::More, Aim::None, &[Kind::Null]),
];

const BOTH: [Kind; 2] = [Kind::Ours, Kind::Apache];
const ALL: [Kind; 3] = [Kind::Ours, Kind::Apache, Kind::Null];

const fn spec(name: &'static str, unit: &'static str, better: Better, aim: Aim, of: &'static [Kind]) -> Spec {
    Spec { name, unit, better, aim, of }
}

/// The figures of a row: one for each server and round.
#[derive(Debug, Default)]
struct Figures {
    rounds: BTreeMap<Kind, Vec<f64>>,
    loader_us: BTreeMap<Kind, Vec<f64>>,
}

/// All rows.
#[derive(Debug, Default)]
pub struct Table(BTreeMap<&'static str, Figures>);

impl Table {
    /// Adds the figure of one round.
    pub fn add(&mut self, row: &'static str, kind: Kind, figure: f64) {
        self.0.entry(row).or_default().rounds.entry(kind).or_default().push(figure);
    }

    /// Adds what the loader used for each operation of that round.
    pub fn add_loader(&mut self, row: &'static str, kind: Kind, us_per_op: f64) {
        self.0.entry(row).or_default().loader_us.entry(kind).or_default().push(us_per_op);
    }

    /// Sees that each of `rows` has a figure of each of `kinds` that can have one.
    ///
    /// # Errors
    /// The first that is missing or no number.
    pub fn check(&self, rows: &[String], kinds: &[Kind]) -> Result<()> {
        for spec in SPECS.iter().filter(|spec| rows.iter().any(|row| row == spec.name)) {
            for kind in spec.of.iter().filter(|kind| kinds.contains(kind)) {
                let figure = self.0.get(spec.name).and_then(|figures| figures.median(*kind));
                ensure!(figure.is_some_and(f64::is_finite), "{} of {}: {figure:?}", spec.name, kind.name());
            }
        }
        Ok(())
    }

    /// One JSON value for each row that has figures.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        let row = |spec: &Spec| {
            let figures = self.0.get(spec.name)?;
            let medians = |all: &BTreeMap<Kind, Vec<f64>>| -> Value {
                all.iter().map(|(kind, rounds)| (kind.name().to_owned(), json!(median(rounds)))).collect()
            };
            let rounds: Value =
                figures.rounds.iter().map(|(kind, rounds)| (kind.name().to_owned(), json!(rounds))).collect();
            Some(json!({
                "row": spec.name,
                "unit": spec.unit,
                "median": medians(&figures.rounds),
                "times": figures.times(spec),
                "aim": match spec.aim {
                    Aim::None => Value::Null,
                    Aim::Below(bound) => json!({ "below": bound }),
                    Aim::Times(times) => json!({ "times": times }),
                },
                "met": figures.met(spec),
                "loader_us_per_op": medians(&figures.loader_us),
                "rounds": rounds,
            }))
        };
        SPECS.iter().filter_map(row).collect()
    }

    /// A table for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::from(
            "| row | ours | Apache | times better | aim | null server | loader µs/op | what |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for spec in &SPECS {
            let Some(figures) = self.0.get(spec.name) else { continue };
            let cell = |kind| figures.median(kind).map_or_else(|| "–".to_owned(), digits);
            let times = figures.times(spec).map_or_else(|| "–".to_owned(), digits);
            let loader = figures.loader_us.values().next().and_then(|rounds| median(rounds));
            let _ = writeln!(
                out,
                "| {} | {} | {} | {times} | {} | {} | {} | {} |",
                spec.name,
                cell(Kind::Ours),
                cell(Kind::Apache),
                verdict(spec, figures.met(spec)),
                cell(Kind::Null),
                loader.map_or_else(|| "–".to_owned(), digits),
                spec.unit,
            );
        }
        out
    }
}

impl Figures {
    fn median(&self, kind: Kind) -> Option<f64> {
        self.rounds.get(&kind).and_then(|rounds| median(rounds))
    }

    /// How many times better ours is than Apache's: the median of the rounds' ratios.
    fn times(&self, spec: &Spec) -> Option<f64> {
        let (ours, apache) = (self.rounds.get(&Kind::Ours)?, self.rounds.get(&Kind::Apache)?);
        let pairs = ours.iter().zip(apache);
        let ratios: Vec<f64> =
            pairs.map(|(a, b)| if spec.better == Better::More { a / b } else { b / a }).collect();
        median(&ratios)
    }

    fn met(&self, spec: &Spec) -> Option<bool> {
        match spec.aim {
            Aim::None => None,
            Aim::Below(bound) => Some(self.median(Kind::Ours)? < bound),
            Aim::Times(times) => Some(self.times(spec)? >= times),
        }
    }
}

fn verdict(spec: &Spec, met: Option<bool>) -> String {
    let aim = match spec.aim {
        Aim::None => return "–".to_owned(),
        Aim::Below(bound) => format!("< {bound}"),
        Aim::Times(times) => format!("{times} times"),
    };
    match met {
        None => aim,
        Some(true) => format!("{aim}: met"),
        Some(false) => format!("{aim}: MISSED"),
    }
}

/// Three digits that mean something, and all digits in front of the point.
fn digits(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// The middle figure, or the mean of the middle two.
fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_row_is_judged_in_the_direction_that_is_better() {
        let mut table = Table::default();
        for (ours, apache) in [(120.0, 10.0), (90.0, 10.0), (110.0, 10.0)] {
            table.add("get", Kind::Ours, ours);
            table.add("get", Kind::Apache, apache);
            table.add("znode", Kind::Ours, ours * 4.0);
            table.add("znode", Kind::Apache, ours * 8.0);
        }
        let rows = table.json();
        assert_eq!(
            (&rows[0]["row"], &rows[0]["times"], &rows[0]["met"]),
            (&json!("znode"), &json!(2.0), &json!(false))
        );
        assert_eq!(
            (&rows[1]["row"], &rows[1]["times"], &rows[1]["met"]),
            (&json!("get"), &json!(11.0), &json!(true))
        );
        let text = table.markdown();
        assert!(text.contains("| get | 110 | 10.0 | 11.0 | 10 times: met |"), "{text}");
        assert!(text.contains("< 400: MISSED"), "{text}");
    }

    #[test]
    fn a_row_without_its_figure_is_named() {
        let mut table = Table::default();
        let rows = ["churn".to_owned(), "loader".to_owned()];
        table.add("churn", Kind::Ours, 5.0);
        assert!(table.check(&rows, &[Kind::Ours]).is_ok());
        let error = table.check(&rows, &[Kind::Ours, Kind::Apache]).unwrap_err();
        assert!(error.to_string().contains("churn of apache"), "{error}");
        table.add("churn", Kind::Apache, f64::NAN);
        assert!(table.check(&rows, &[Kind::Apache]).is_err());
        assert!(table.check(&rows, &[Kind::Null]).is_err());
    }

    #[test]
    fn without_the_other_server_nothing_is_said_to_be_met() {
        let mut table = Table::default();
        table.add("get", Kind::Ours, 5.0);
        assert_eq!(table.json()[0]["met"], Value::Null);
    }
}
