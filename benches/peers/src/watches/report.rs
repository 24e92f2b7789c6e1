//! What the run found, as lines of JSON and as a table.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use menagerie_ensemble::proxy::{Counts, Requests};
use serde::Serialize;

use super::{Kind, Plan, Side, Subject};

/// One client and one kind of watch.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The client.
    pub client: &'static str,
    /// The kind.
    pub kind: Kind,
    /// Watches of the kind.
    pub watches: usize,
    /// Changes made while a watch was set, over all rounds.
    pub changes: u64,
    /// Changes told by an event.
    pub events: u64,
    /// Changes told by a gap and the read that follows it.
    pub gaps: u64,
    /// Changes never told, made while the client was apart.
    pub lost_apart: u64,
    /// Changes never told, made once the client was back.
    pub lost_after: u64,
    /// Watches that lost a change at least once.
    pub lost_watches: u64,
    /// Changes of the control round that were not told: all of them, if the bench can see a loss.
    pub control_lost: u64,
}

/// One client.
#[derive(Debug, Clone, Serialize)]
pub struct Accounts {
    /// The client.
    pub client: &'static str,
    /// Rounds that it went through.
    pub rounds: u64,
    /// Sessions that ended.
    pub sessions_lost: u64,
    /// The state that the client left the last lost session in, if it took none by itself.
    pub left_in: Option<String>,
    /// Connections that a server accepted. One more than disconnects unless it loops.
    pub connections: u64,
    /// Why it took no part any more.
    pub gave_up: Option<String>,
    /// By kind.
    pub rows: Vec<Row>,
}

impl<S: Subject> Side<S> {
    pub(super) fn accounts(&self, plan: Plan) -> Accounts {
        let row = |(kind, tally): (&Kind, &super::Tally)| Row {
            client: S::NAME,
            kind: *kind,
            watches: plan.watches,
            changes: tally.changes,
            events: tally.events,
            gaps: tally.gaps,
            lost_apart: tally.lost_apart,
            lost_after: tally.lost_after,
            lost_watches: tally.lost_watches,
            control_lost: tally.control_lost,
        };
        Accounts {
            client: S::NAME,
            rounds: self.rounds,
            sessions_lost: self.sessions_lost,
            left_in: self.left_in.clone(),
            connections: self.connections(),
            gave_up: self.gave_up.clone(),
            rows: self.tallies.iter().map(row).collect(),
        }
    }
}

/// The whole run.
#[derive(Debug, Clone)]
pub struct Report {
    plan: Plan,
    longest_apart: Duration,
    counts: Counts,
    clients: Vec<Accounts>,
}

/// `SetWatches` and `SetWatches2`.
const SET_WATCHES: [i32; 2] = [101, 105];

impl Report {
    pub(super) fn new(plan: Plan, longest_apart: Duration, counts: Counts, clients: Vec<Accounts>) -> Self {
        Self { plan, longest_apart, counts, clients }
    }

    /// A line for each client and kind, one for each client, one for the proxy.
    ///
    /// # Errors
    /// None that can happen.
    pub fn json(&self) -> Result<String> {
        let mut text = String::new();
        for accounts in &self.clients {
            for row in &accounts.rows {
                let mut line = serde_json::to_value(row)?;
                if let Some(line) = line.as_object_mut() {
                    line.insert("disconnects".to_owned(), accounts.rounds.into());
                    line.insert("sessions_lost".to_owned(), accounts.sessions_lost.into());
                    line.insert("left_in".to_owned(), accounts.left_in.clone().into());
                    line.insert("connections".to_owned(), accounts.connections.into());
                    line.insert("gave_up".to_owned(), accounts.gave_up.clone().into());
                }
                writeln!(text, "{line}")?;
            }
        }
        let set_watches = self.set_watches();
        let proxy = serde_json::json!({
            "proxy": {
                "disconnects": self.plan.disconnects,
                "longest_apart_ms": u64::try_from(self.longest_apart.as_millis())?,
                "handshakes": self.counts.handshakes,
                "set_watches_frames": set_watches.frames,
                "set_watches_bytes": set_watches.bytes,
                "set_watches_longest": set_watches.longest,
                "notifications": self.counts.notifications,
            }
        });
        writeln!(text, "{proxy}")?;
        Ok(text)
    }

    /// The same for people.
    ///
    /// # Errors
    /// None that can happen.
    pub fn table(&self) -> Result<String> {
        let mut text = String::from(
            "| client | watch | changes | by event | by gap | lost: apart | lost: back | watches that lost | sessions lost | connections |\n\
             |---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        let mut notes = Vec::new();
        for accounts in &self.clients {
            for row in &accounts.rows {
                writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                    row.client,
                    row.kind.name(),
                    row.changes,
                    row.events,
                    row.gaps,
                    row.lost_apart,
                    row.lost_after,
                    row.lost_watches,
                    accounts.sessions_lost,
                    accounts.connections
                )?;
            }
            if let Some(state) = &accounts.left_in {
                notes.push(format!(
                    "{}: {} sessions lost, the last left as {state}.",
                    accounts.client, accounts.sessions_lost
                ));
            }
            if let Some(why) = &accounts.gave_up {
                notes.push(format!("{} took no part any more from here: {why}.", accounts.client));
            }
        }
        notes.iter().try_for_each(|note| writeln!(text, "\n{note}"))?;
        let set_watches = self.set_watches();
        writeln!(
            text,
            "\n{} watches of each kind, {} disconnects, {} ms apart at the longest. Both clients: {} SetWatches frames, the longest of {} bytes.",
            self.plan.watches,
            self.plan.disconnects,
            self.longest_apart.as_millis(),
            set_watches.frames,
            set_watches.longest
        )?;
        Ok(text)
    }

    /// Whether the bench saw what it must, and our client lost nothing.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(&self) -> Result<()> {
        for accounts in &self.clients {
            let blind = accounts.rows.iter().find(|row| row.control_lost < self.plan.watches as u64);
            if let (Some(row), None) = (blind, &accounts.gave_up) {
                ensure!(false, "the bench does not see losses: {row:?}");
            }
        }
        let ours = self.clients.iter().filter(|accounts| accounts.client == crate::compare::OURS);
        for accounts in ours {
            let whole = self.plan.disconnects * self.plan.watches as u64;
            let lost = accounts.rows.iter().find(|row| row.events + row.gaps < whole);
            ensure!(lost.is_none(), "our client lost watches: {lost:?}");
            ensure!(accounts.sessions_lost == 0 && accounts.gave_up.is_none(), "our client lost its session");
            ensure!(accounts.connections <= self.plan.disconnects + 1, "our client came back more than once");
        }
        Ok(())
    }

    fn set_watches(&self) -> Requests {
        let mut sum = Requests::default();
        for requests in SET_WATCHES.iter().filter_map(|opcode| self.counts.requests.get(opcode)) {
            sum.frames += requests.frames;
            sum.bytes += requests.bytes;
            sum.longest = sum.longest.max(requests.longest);
        }
        sum
    }
}
