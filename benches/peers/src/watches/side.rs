//! One client's accounts: which watches are set, and which change each of them has told.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Kind, Link, Subject, Tell, Teller};

/// Silence after which nothing more is expected.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to notice that it is apart, or to be back.
const TURN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);

/// The changes of one kind, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Changes made while the watch was set.
    pub changes: u64,
    /// Told by an event.
    pub events: u64,
    /// Told by a gap, and seen by the read that followed it. Lasting watches only.
    pub gaps: u64,
    /// Made while the client was apart, and never told.
    pub lost_apart: u64,
    /// Made once the client was back, and never told.
    pub lost_after: u64,
    /// Watches that lost a change at least once.
    pub lost_watches: u64,
    /// Not told in the control round, whose notifications the proxy kept back: what the bench can see.
    pub control_lost: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Event,
    Gap,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u64,
    task: Option<JoinHandle<()>>,
    set: bool,
    /// Whether it was set when the round began: what is not set cannot be lost.
    counted: bool,
    told: Option<Told>,
    /// Whether it ever lost a change.
    lost: bool,
}

/// A client and its accounts.
#[derive(Debug)]
pub struct Side<S> {
    client: S,
    address: String,
    watches: usize,
    slots: Vec<Slot>,
    sender: UnboundedSender<(usize, u64, Tell)>,
    receiver: UnboundedReceiver<(usize, u64, Tell)>,
    session: String,
    past_connections: u64,
    round: u64,
    pub(super) rounds: u64,
    pub(super) tallies: BTreeMap<Kind, Tally>,
    pub(super) sessions_lost: u64,
    /// The state that the last lost session was left in.
    pub(super) left_in: Option<String>,
    pub(super) gave_up: Option<String>,
}

impl<S: Subject> Side<S> {
    /// Connects.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn connect(address: String, watches: usize) -> anyhow::Result<Self> {
        let client = S::connect(&address).await?;
        let (sender, receiver) = unbounded_channel();
        let mut slots = Vec::new();
        slots.resize_with(watches * Kind::ALL.len(), Slot::default);
        Ok(Self {
            session: client.session(),
            client,
            address,
            watches,
            slots,
            sender,
            receiver,
            past_connections: 0,
            round: 0,
            rounds: 0,
            tallies: Kind::ALL.iter().map(|kind| (*kind, Tally::default())).collect(),
            sessions_lost: 0,
            left_in: None,
            gave_up: None,
        })
    }

    /// Connections in all, those of lost sessions included.
    pub(super) fn connections(&self) -> u64 {
        self.past_connections + self.client.connections()
    }

    /// Sets every watch that is not set, and takes it that round `round` begins.
    pub(super) async fn begin(&mut self, round: u64) {
        if self.gave_up.is_some() {
            return;
        }
        let kinds = Kind::ALL.iter().flat_map(|kind| (0..self.watches).map(move |number| (*kind, number)));
        for ((slot, (kind, number)), index) in self.slots.iter_mut().zip(kinds).zip(0..) {
            if slot.set && kind.lasts() {
                continue;
            }
            if let Some(task) = slot.task.take() {
                task.abort();
                // Cancelled or at its end: the watch was dropped either way, before the next one is set.
                drop(task.await);
            }
            slot.set = false;
            slot.generation += 1;
            let teller = Teller { to: self.sender.clone(), slot: index, generation: slot.generation };
            slot.task = Some(tokio::spawn(self.client.clone().watch(kind, number, teller)));
        }
        while self.slots.iter().any(|slot| !slot.set) {
            let Ok(Some(told)) = timeout(PATIENCE, self.receiver.recv()).await else { break };
            self.apply(told);
        }
        while let Ok(told) = self.receiver.try_recv() {
            self.apply(told);
        }
        self.round = round;
        for slot in &mut self.slots {
            (slot.counted, slot.told) = (slot.set, None);
        }
        let unset = self.slots.iter().filter(|slot| !slot.set).count();
        if unset > 0 {
            self.gave_up = Some(format!(
                "round {round}: {unset} watches could not be set; {} connections so far",
                self.connections()
            ));
        }
    }

    /// Waits until the client knows where it stands.
    pub(super) async fn wait(&self, wanted: Link) {
        if self.gave_up.is_some() {
            return;
        }
        let arrived = async {
            while !matches!(self.client.link(), link if link == wanted || link == Link::Over) {
                sleep(LOOK).await;
            }
        };
        // One that does not come back loses what is changed; it is found out when the round ends.
        drop(timeout(TURN, arrived).await);
    }

    /// Listens until every watch has told its change or nothing more comes.
    pub(super) async fn listen(&mut self) {
        while self.gave_up.is_none() && self.slots.iter().any(|slot| slot.counted && slot.told.is_none()) {
            let Ok(Some(told)) = timeout(PATIENCE, self.receiver.recv()).await else { break };
            self.apply(told);
        }
        while let Ok(told) = self.receiver.try_recv() {
            self.apply(told);
        }
    }

    /// Counts the round. `apart` says of a watch's number whether it was changed while the client was apart.
    pub(super) fn count(&mut self, apart: impl Fn(usize) -> bool) {
        if self.gave_up.is_some() {
            return;
        }
        self.rounds += 1;
        for (kind, number, told) in self.outcomes() {
            let tally = self.tallies.entry(kind).or_default();
            tally.changes += 1;
            match told {
                Some(Told::Event) => tally.events += 1,
                Some(Told::Gap) => tally.gaps += 1,
                None if apart(number) => tally.lost_apart += 1,
                None => tally.lost_after += 1,
            }
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.counted && slot.told.is_none()) {
            slot.lost = true;
        }
        let watches = self.watches;
        for (kind, slots) in Kind::ALL.iter().zip(self.slots.chunks(watches)) {
            let lost = slots.iter().filter(|slot| slot.lost).count();
            self.tallies.entry(*kind).or_default().lost_watches = lost as u64;
        }
    }

    /// Counts the control round.
    pub(super) fn count_control(&mut self) {
        for (kind, _, told) in self.outcomes() {
            self.tallies.entry(kind).or_default().control_lost += u64::from(told.is_none());
        }
    }

    fn outcomes(&self) -> Vec<(Kind, usize, Option<Told>)> {
        let kinds = Kind::ALL.iter().flat_map(|kind| (0..self.watches).map(move |number| (*kind, number)));
        let counted = self.slots.iter().zip(kinds).filter(|(slot, _)| slot.counted);
        counted.map(|(slot, (kind, number))| (kind, number, slot.told)).collect()
    }

    /// Finds out whether the session is the same and works; takes a new one where it is over.
    pub(super) async fn check(&mut self) {
        if self.gave_up.is_some() {
            return;
        }
        let answered = timeout(TURN, self.client.ask()).await;
        if self.client.link() == Link::Over {
            self.sessions_lost += 1;
            self.left_in = Some(self.client.state());
            self.past_connections += self.client.connections();
            match timeout(TURN, S::connect(&self.address)).await {
                Ok(Ok(client)) => self.client = client,
                _ => self.gave_up = Some(format!("round {}: no new session", self.round)),
            }
            self.slots.iter_mut().for_each(|slot| slot.set = false);
        } else if self.client.session() != self.session {
            self.sessions_lost += 1;
        } else if !matches!(answered, Ok(Ok(()))) {
            self.gave_up = Some(format!(
                "round {}: no answer after {TURN:?}; {} connections so far",
                self.round,
                self.connections()
            ));
        }
        self.session = self.client.session();
    }

    fn apply(&mut self, (index, generation, tell): (usize, u64, Tell)) {
        let one_shots = self.watches * Kind::ALL.iter().filter(|kind| !kind.lasts()).count();
        let Some(slot) = self.slots.get_mut(index) else { return };
        if slot.generation != generation {
            return;
        }
        match tell {
            Tell::Set => slot.set = true,
            Tell::Event => {
                slot.told = Some(Told::Event);
                slot.set = index >= one_shots;
            }
            Tell::Gap(seen) if seen == self.round && slot.told.is_none() => slot.told = Some(Told::Gap),
            Tell::Gap(_) => {}
            Tell::Ended => slot.set = false,
        }
    }
}

impl<S> Drop for Side<S> {
    fn drop(&mut self) {
        for task in self.slots.iter().filter_map(|slot| slot.task.as_ref()) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug)]
    struct Fake;

    impl Subject for Fake {
        const NAME: &'static str = "fake";

        async fn connect(_address: &str) -> anyhow::Result<Self> {
            Ok(Self)
        }

        fn link(&self) -> Link {
            Link::Up
        }

        fn state(&self) -> String {
            String::new()
        }

        fn session(&self) -> String {
            String::new()
        }

        fn connections(&self) -> u64 {
            1
        }

        async fn ask(&self) -> anyhow::Result<()> {
            Ok(())
        }

        async fn watch(self, _kind: Kind, _number: usize, teller: Teller) {
            teller.tell(Tell::Set);
            std::future::pending().await
        }
    }

    /// A side with one watch of each kind, in its first round.
    async fn begun() -> Side<Fake> {
        let mut side = Side::connect(String::new(), 1).await.unwrap();
        side.begin(1).await;
        side
    }

    fn tally(side: &Side<Fake>, kind: Kind) -> Tally {
        side.tallies[&kind]
    }

    #[tokio::test]
    async fn what_nobody_told_is_lost_and_stays_on_the_watchs_account() {
        let mut side = begun().await;
        side.apply((0, 1, Tell::Event));
        side.count(|_| true);
        let told = Tally { changes: 1, events: 1, ..Tally::default() };
        assert_eq!(tally(&side, Kind::Data), told);
        let lost = Tally { changes: 1, lost_apart: 1, lost_watches: 1, ..Tally::default() };
        assert_eq!(tally(&side, Kind::Exists), lost);
        side.begin(2).await;
        side.apply((1, 2, Tell::Event));
        side.count(|_| false);
        assert_eq!(tally(&side, Kind::Exists), Tally { changes: 2, events: 1, ..lost });
        assert_eq!(tally(&side, Kind::Children).lost_after, 1);
    }

    #[tokio::test]
    async fn a_gap_tells_a_change_only_if_the_read_behind_it_saw_it() {
        let mut side = begun().await;
        side.apply((3, 1, Tell::Gap(1)));
        side.apply((4, 1, Tell::Gap(0)));
        side.count(|_| false);
        assert_eq!((tally(&side, Kind::Persistent).gaps, tally(&side, Kind::Persistent).lost_after), (1, 0));
        assert_eq!((tally(&side, Kind::Recursive).gaps, tally(&side, Kind::Recursive).lost_after), (0, 1));
    }

    #[tokio::test]
    async fn a_watch_that_was_replaced_has_no_say() {
        let mut side = begun().await;
        side.apply((0, 1, Tell::Event));
        side.begin(2).await;
        side.apply((0, 1, Tell::Event));
        side.count(|_| false);
        assert_eq!((tally(&side, Kind::Data).events, tally(&side, Kind::Data).lost_after), (0, 1));
    }
}
