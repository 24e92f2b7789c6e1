//! An episode: the same steps on both servers, in lock-step, and the first thing in which they disagree.
//!
//! What one session sends in a row goes out at once. Then a ping on every other connection makes sure that all notifications of it
//! have come, and only then the next session has its turn: so both servers work in one order, and each answer has one
//! right value.

use crate::{
    call::{At, Call, Step},
    generate::SLOTS,
    side::{Item, Side},
};
use menagerie_ensemble::Version;
use menagerie_jute::{OpCode, Reply, ReplyBody};
use std::{fmt, io, net::SocketAddr};

/// The most requests of one session that are sent before an answer is awaited.
const MOST_AT_ONCE: usize = 16;
/// How many requests of the final walk are sent at once.
const WALK_AT_ONCE: usize = 90;

/// Two servers of the same behaviour: the one that is right, and the one that is tried.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// Where the one that is right listens.
    pub reference: SocketAddr,
    /// Where the other listens.
    pub subject: SocketAddr,
    /// What the reference is, and the other behaves like.
    pub version: Version,
}

/// Something that the servers did not agree in.
#[derive(Debug, Clone)]
pub struct Difference {
    /// How many steps were done by then, these included.
    pub end: usize,
    /// What was being done.
    pub what: String,
    /// What the reference said.
    pub reference: Vec<Item>,
    /// What the subject said.
    pub subject: Vec<Item>,
}

/// Why an episode ended early.
#[derive(Debug)]
pub enum Stop {
    /// The servers disagree.
    Difference(Box<Difference>),
    /// Something is broken.
    Failure(io::Error),
}

/// What a run of steps brought, from the reference: they agree.
#[derive(Debug)]
pub struct Outcome {
    /// What the acting session was told.
    pub own: Vec<Item>,
    /// What the others were told.
    pub others: Vec<(usize, Vec<Item>)>,
}

/// An episode that runs.
#[derive(Debug)]
pub struct Episode {
    reference: Side,
    subject: Side,
    /// Steps done so far.
    pub steps: Vec<Step>,
}

impl From<io::Error> for Stop {
    fn from(why: io::Error) -> Self {
        Self::Failure(why)
    }
}

impl Episode {
    /// Makes the base on both servers.
    ///
    /// # Errors
    /// When a server does not play along.
    pub fn begin(pair: Pair, base: &str) -> io::Result<Self> {
        let reference = Side::begin(pair.reference, pair.version, base, SLOTS)?;
        let subject = Side::begin(pair.subject, pair.version, base, SLOTS)?;
        Ok(Self { reference, subject, steps: Vec::new() })
    }

    /// Whether a place has a connection.
    #[must_use]
    pub fn is_connected(&self, slot: usize) -> bool {
        self.reference.is_connected(slot)
    }

    /// The length of the base's path.
    #[must_use]
    pub fn base_len(&self) -> usize {
        self.reference.base().len()
    }

    /// The highest zxid heard of.
    #[must_use]
    pub fn last_zxid(&self) -> i64 {
        self.reference.last_zxid()
    }

    /// Does a whole sequence, and compares the trees in the end.
    ///
    /// # Errors
    /// The first difference.
    pub fn replay(pair: Pair, base: &str, steps: &[Step]) -> Result<(), Stop> {
        let mut episode = Self::begin(pair, base)?;
        let mut rest = steps;
        let mut result = Ok(());
        while let (Some(run), Ok(())) = (rest.get(..run_len(rest)).filter(|run| !run.is_empty()), &result) {
            result = episode.run(run).map(drop);
            rest = rest.get(run.len()..).unwrap_or_default();
        }
        let result = result.and_then(|()| episode.compare_trees());
        episode.abandon();
        result
    }

    /// Does steps that belong together: one, or requests of one session that can be sent at once.
    ///
    /// # Errors
    /// A difference, or a failure.
    pub fn run(&mut self, steps: &[Step]) -> Result<Outcome, Stop> {
        let Some(first) = steps.first() else { return Ok(Outcome { own: Vec::new(), others: Vec::new() }) };
        self.steps.extend_from_slice(steps);
        let at = self.steps.len();
        let slot = first.slot();
        let mut ends = false;
        let [reference, subject] = match first {
            Step::Request { .. } => {
                let calls: Vec<Call> = steps.iter().filter_map(Step::call).cloned().collect();
                ends = calls.iter().any(|call| call.op() == OpCode::CLOSE_SESSION);
                self.both(|side| side.send(slot, &calls));
                [self.reference.collect(slot, &calls)?, self.subject.collect(slot, &calls)?]
            }
            Step::Connect { timeout_millis, .. } => {
                // A session that the place had before goes quietly.
                self.reference.end_session(slot)?;
                self.subject.end_session(slot)?;
                ends = true;
                [self.reference.connect(slot, *timeout_millis)?, self.subject.connect(slot, *timeout_millis)?]
            }
            Step::Attach { offer, .. } if self.reference.has_session(slot) => {
                [self.reference.attach(slot, *offer)?, self.subject.attach(slot, *offer)?]
            }
            Step::Attach { .. } => [Vec::new(), Vec::new()],
            Step::Drop { .. } => {
                self.both(|side| side.hang_up(slot));
                [Vec::new(), Vec::new()]
            }
        };
        compare(at, || format!("session at place {slot}: {steps:?}"), &reference, &subject)?;
        self.both(|side| side.send_fences(slot));
        let others = self.reference.collect_fences(slot, ends)?;
        let theirs = self.subject.collect_fences(slot, ends)?;
        for ((slot, one), (_, other)) in others.iter().zip(&theirs) {
            compare(at, || format!("what the session at place {slot} is told of: {steps:?}"), one, other)?;
        }
        Ok(Outcome { own: reference, others })
    }

    /// Leaves nothing behind, as far as the servers allow.
    pub fn abandon(&mut self) {
        for side in [&mut self.reference, &mut self.subject] {
            // A server that is broken shows when the next episode begins.
            let _ = side.end_sessions().and_then(|()| clean_up(side));
        }
    }

    fn both(&mut self, mut act: impl FnMut(&mut Side)) {
        act(&mut self.reference);
        act(&mut self.subject);
    }

    /// Compares what the episode made.
    ///
    /// # Errors
    /// A difference, or a failure.
    pub fn compare_trees(&mut self) -> Result<(), Stop> {
        let mut level = vec![At::Below(String::new()), At::Quota(String::new())];
        while !level.is_empty() {
            let mut next = Vec::new();
            for part in level.chunks(WALK_AT_ONCE / 3) {
                let calls: Vec<Call> = part.iter().flat_map(looks).collect();
                let one = self.reference.look_after(&calls)?;
                let other = self.subject.look_after(&calls)?;
                let at = self.steps.len();
                for ((call, one), other) in calls.iter().zip(&one).zip(&other) {
                    let both = [one, other].map(std::slice::from_ref);
                    compare(at, || format!("the final tree: {call:?}"), both[0], both[1])?;
                }
                next.extend(calls.iter().zip(&one).flat_map(|(call, item)| children(call, item)));
            }
            level = next;
        }
        Ok(())
    }
}

/// How many steps from the front go out at once.
#[must_use]
pub fn run_len(steps: &[Step]) -> usize {
    let Some(first) = steps.first() else { return 0 };
    let pipelined = |step: &&Step| step.slot() == first.slot() && step.call().is_some_and(Call::is_pipelined);
    steps.iter().take(MOST_AT_ONCE).take_while(pipelined).count().max(1)
}

fn compare(end: usize, what: impl Fn() -> String, reference: &[Item], subject: &[Item]) -> Result<(), Stop> {
    if reference == subject {
        return Ok(());
    }
    let (reference, subject) = (reference.to_vec(), subject.to_vec());
    Err(Stop::Difference(Box::new(Difference { end, what: what(), reference, subject })))
}

fn looks(at: &At) -> [Call; 3] {
    [
        Call::Read { op: OpCode::GET_CHILDREN2, at: at.clone(), watch: false },
        Call::Read { op: OpCode::GET_DATA, at: at.clone(), watch: false },
        Call::Path { op: OpCode::GET_ACL, at: at.clone() },
    ]
}

fn children(call: &Call, answer: &Item) -> Vec<At> {
    let Call::Read { op: OpCode::GET_CHILDREN2, at, .. } = call else { return Vec::new() };
    let Item::Reply(Reply { body: ReplyBody::GetChildren2(body), .. }, _) = answer else { return Vec::new() };
    let below = |child: String| match at {
        At::Below(path) => At::Below(format!("{path}/{child}")),
        At::Quota(path) => At::Quota(format!("{path}/{child}")),
        other => other.clone(),
    };
    body.children.iter().flatten().map(|child| below(child.as_str().to_owned())).collect()
}

/// Deletes the base and all below it.
fn clean_up(side: &mut Side) -> io::Result<()> {
    let mut all = vec![At::Below(String::new()), At::Quota(String::new())];
    let mut done = 0;
    while done < all.len() {
        let calls: Vec<Call> = all
            .iter()
            .skip(done)
            .take(WALK_AT_ONCE)
            .map(|at| Call::Read { op: OpCode::GET_CHILDREN2, at: at.clone(), watch: false })
            .collect();
        done += calls.len();
        let items = side.look_after(&calls)?;
        all.extend(calls.iter().zip(&items).flat_map(|(call, item)| children(call, item)));
    }
    let deletes: Vec<Call> = all
        .into_iter()
        .rev()
        .map(|at| Call::Versioned { op: OpCode::DELETE, at, version: -1 })
        .chain([Call::Bare { op: OpCode::CLOSE_SESSION }])
        .collect();
    for part in deletes.chunks(WALK_AT_ONCE) {
        side.look_after(part)?;
    }
    Ok(())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (name, items, others) in
            [("reference", &self.reference, &self.subject), ("subject", &self.subject, &self.reference)]
        {
            writeln!(f, "  {name}:")?;
            for (at, item) in items.iter().enumerate() {
                let mark = if others.get(at) == Some(item) { ' ' } else { '*' };
                writeln!(f, "  {mark} {item:?}")?;
            }
        }
        Ok(())
    }
}
