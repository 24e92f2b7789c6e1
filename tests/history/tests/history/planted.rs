//! Histories that cannot have happened, one or more for each rule, and the same without the fault.

use menagerie_history::{
    Answer, BAD_VERSION, EventKind, History, NO_NODE, NODE_EXISTS, Op, OpId, Outcome, Rule, Session, Stat,
    Zxid,
};

const A: Session = 0xa;
const B: Session = 0xb;

fn stat(czxid: Zxid, mzxid: Zxid, version: i32, owner: Session) -> Stat {
    Stat { czxid, mzxid, pzxid: czxid, version, cversion: 0, owner }
}

/// A history being written: one line a millisecond.
struct Book(History, u64);

impl Book {
    fn new() -> Self {
        Book(History::new(), 0)
    }

    fn at(&mut self) -> u64 {
        self.1 += 1;
        self.1
    }

    fn asks(&mut self, session: Session, op: Op) -> OpId {
        let at = self.at();
        self.0.invoked(at, session, op)
    }

    fn sends(&mut self, session: Session, op: Op) -> OpId {
        let at = self.at();
        self.0.sent(at, session, op)
    }

    fn ends(&mut self, op: OpId, outcome: Outcome) {
        let at = self.at();
        self.0.completed(at, op, outcome);
    }

    /// Asked and answered at once.
    fn does(&mut self, session: Session, op: Op, answer: Answer) {
        let op = self.asks(session, op);
        self.ends(op, Outcome::done(answer));
    }

    fn creates(&mut self, session: Session, path: &str, value: u64, zxid: Zxid) {
        self.does(
            session,
            Op::create(path, value),
            Answer::Created(path.into(), Some(stat(zxid, zxid, 0, 0))),
        );
    }

    fn creates_ephemeral(&mut self, session: Session, path: &str, value: u64, zxid: Zxid) {
        let created = Answer::Created(path.into(), Some(stat(zxid, zxid, 0, session)));
        self.does(session, Op::create_with(path, value, true, false), created);
    }

    fn numbers(&mut self, session: Session, path: &str, value: u64, zxid: Zxid) {
        let created = Answer::Created(path.into(), Some(stat(zxid, zxid, 0, 0)));
        self.does(session, Op::create_with("/s/n-", value, false, true), created);
    }

    fn sets(&mut self, session: Session, path: &str, value: u64, seen: Stat) {
        self.does(session, Op::set(path, value, -1), Answer::Stat(Some(seen)));
    }

    fn gets(&mut self, session: Session, path: &str, value: u64, seen: Stat) {
        self.does(session, Op::get(path), Answer::Data(value, seen));
    }

    fn syncs(&mut self, session: Session) {
        self.does(session, Op::Sync, Answer::Done);
    }

    fn event(&mut self, session: Session, watch: u64, kind: EventKind, path: &str, zxid: Option<Zxid>) {
        let at = self.at();
        self.0.event(at, session, watch, kind, path, zxid);
    }

    fn ended(&mut self, session: Session) {
        let at = self.at();
        self.0.ended(at, session, true);
    }
}

/// Writes the history with the fault and without, and demands that only the first breaks the rule.
#[track_caller]
fn breaks(rule: Rule, write: impl Fn(&mut Book, bool)) {
    let mut right = Book::new();
    write(&mut right, false);
    let report = right.0.check();
    assert!(report.is_sound(), "without a fault:\n{report}");
    let mut wrong = Book::new();
    write(&mut wrong, true);
    let report = wrong.0.check();
    assert!(report.violations.iter().any(|violation| violation.rule == rule), "with a fault:\n{report}");
    let longest = report.violations.iter().map(|violation| violation.excerpt.len()).max();
    assert!((1..=16).contains(&longest.unwrap()), "{report}");
}

#[test]
fn form() {
    breaks(Rule::Form, |book, wrong| {
        let set = book.asks(A, Op::create("/a", 1));
        let created = || Outcome::done(Answer::Created("/a".into(), Some(stat(5, 5, 0, 0))));
        book.ends(set, created());
        if wrong {
            book.ends(set, created());
        }
    });
    breaks(Rule::Form, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.creates(A, "/b", if wrong { 1 } else { 2 }, 6);
    });
}

#[test]
fn order() {
    breaks(Rule::Order, |book, wrong| {
        book.creates(A, "/a", 1, if wrong { 9 } else { 5 });
        book.creates(B, "/b", 2, 7);
    });
    breaks(Rule::Order, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        let set = (!wrong).then(|| book.asks(A, Op::set("/a", 2, -1)));
        book.does(B, Op::exists("/a"), Answer::Stat(Some(stat(5, 7, 1, 0))));
        let set = set.unwrap_or_else(|| book.asks(A, Op::set("/a", 2, -1)));
        book.ends(set, Outcome::done(Answer::Stat(Some(stat(5, 7, 1, 0)))));
    });
}

#[test]
fn register() {
    breaks(Rule::Register, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.sets(A, "/a", 2, stat(5, 6, if wrong { 2 } else { 1 }, 0));
    });
    // A write of unknown outcome explains a step of the version, but only one.
    breaks(Rule::Register, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        let set = book.asks(A, Op::set("/a", 2, -1));
        book.ends(set, Outcome::Unknown);
        book.sets(B, "/a", 3, stat(5, 9, if wrong { 3 } else { 2 }, 0));
    });
    // A delete whose zxid is not known has its place between what it can be between.
    breaks(Rule::Register, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        if !wrong {
            book.does(A, Op::delete("/a", -1), Answer::Done);
        }
        book.creates(A, "/a", 2, 9);
    });
}

#[test]
fn fate() {
    // What was not sent or refused has no effect.
    for outcome in [Outcome::NotSent, Outcome::Refused(BAD_VERSION)] {
        breaks(Rule::Fate, |book, wrong| {
            book.creates(A, "/a", 1, 5);
            let lost = book.asks(A, Op::set("/a", 2, 7));
            book.ends(lost, if wrong { outcome.clone() } else { Outcome::Unknown });
            if wrong {
                book.gets(B, "/a", 2, stat(5, 7, 1, 0));
            } else {
                book.gets(B, "/a", 1, stat(5, 5, 0, 0));
            }
        });
    }
    // What is unknown is done at most once.
    breaks(Rule::Fate, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        let lost = book.asks(A, Op::set("/a", 2, -1));
        book.ends(lost, Outcome::Unknown);
        book.gets(B, "/a", 2, stat(5, 7, 1, 0));
        if wrong {
            book.gets(B, "/a", 2, stat(5, 8, 2, 0));
        }
    });
    breaks(Rule::Fate, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.gets(B, "/a", if wrong { 77 } else { 1 }, stat(5, 5, 0, 0));
    });
    // A sequential creation that was sent again is two znodes.
    breaks(Rule::Fate, |book, wrong| {
        book.creates(A, "/s", 1, 5);
        let lost = book.asks(A, Op::create_with("/s/n-", 2, false, true));
        book.ends(lost, Outcome::Unknown);
        book.gets(B, "/s/n-0000000000", 2, stat(7, 7, 0, 0));
        if wrong {
            book.gets(B, "/s/n-0000000001", 2, stat(8, 8, 0, 0));
        }
    });
}

#[test]
fn multi() {
    breaks(Rule::Multi, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.creates(A, "/b", 2, 6);
        let both = book.asks(A, Op::Multi(vec![Op::set("/a", 3, -1), Op::set("/b", 4, -1)]));
        book.ends(both, Outcome::Unknown);
        book.gets(B, "/a", 3, stat(5, 9, 1, 0));
        book.gets(B, "/b", 4, stat(6, if wrong { 10 } else { 9 }, 1, 0));
    });
    // Half of it.
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.creates(A, "/b", 2, 6);
        let both = book.asks(A, Op::Multi(vec![Op::set("/a", 3, -1), Op::set("/b", 4, -1)]));
        book.ends(both, Outcome::Unknown);
        book.gets(B, "/a", 3, stat(5, 9, 1, 0));
        if wrong {
            book.gets(B, "/b", 2, stat(6, 6, 0, 0));
        }
    });
}

#[test]
fn refusal() {
    breaks(Rule::Refusal, |book, wrong| {
        if !wrong {
            book.creates(A, "/a", 1, 5);
        }
        let again = book.asks(B, Op::create("/a", 2));
        book.ends(again, Outcome::Refused(NODE_EXISTS));
        if wrong {
            book.creates(A, "/a", 1, 7);
        }
    });
    breaks(Rule::Refusal, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        let set = book.asks(B, Op::set("/a", 2, if wrong { 0 } else { 1 }));
        book.ends(set, Outcome::Refused(BAD_VERSION));
    });
    breaks(Rule::Refusal, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        let other = book.asks(B, if wrong { Op::delete("/a", -1) } else { Op::delete("/b", -1) });
        book.ends(other, Outcome::Refused(NO_NODE));
    });
}

#[test]
fn reads() {
    // Back to an older value.
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.sets(A, "/a", 2, stat(5, 6, 1, 0));
        book.gets(B, "/a", 2, stat(5, 6, 1, 0));
        book.gets(if wrong { B } else { 0xc }, "/a", 1, stat(5, 5, 0, 0));
    });
    // Back across two paths.
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.creates(A, "/b", 2, 6);
        book.sets(A, "/a", 3, stat(5, 7, 1, 0));
        book.sets(A, "/b", 4, stat(6, 8, 1, 0));
        book.gets(B, "/b", 4, stat(6, 8, 1, 0));
        let seen = if wrong { (1, stat(5, 5, 0, 0)) } else { (3, stat(5, 7, 1, 0)) };
        book.gets(B, "/a", seen.0, seen.1);
    });
    // Its own write is not there; nor is its own delete, whose zxid nobody told.
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.sets(A, "/a", 2, stat(5, 6, 1, 0));
        book.gets(if wrong { A } else { B }, "/a", 1, stat(5, 5, 0, 0));
    });
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.does(A, Op::delete("/a", -1), Answer::Done);
        book.gets(if wrong { A } else { B }, "/a", 1, stat(5, 5, 0, 0));
    });
    // The reply header's word.
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        for zxid in [9, if wrong { 8 } else { 9 }] {
            let read = book.asks(B, Op::get("/a"));
            book.ends(read, Outcome::done_at(zxid, Answer::Data(1, stat(5, 5, 0, 0))));
        }
    });
}

#[test]
fn sync() {
    breaks(Rule::Sync, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.sets(A, "/a", 2, stat(5, 6, 1, 0));
        if wrong {
            book.syncs(B);
        }
        book.gets(B, "/a", 1, stat(5, 5, 0, 0));
    });
    breaks(Rule::Sync, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.does(A, Op::delete("/a", -1), Answer::Done);
        if !wrong {
            let at = book.at();
            book.0.leader_in_doubt(at);
        }
        book.syncs(B);
        book.gets(B, "/a", 1, stat(5, 5, 0, 0));
    });
}

#[test]
fn fifo() {
    breaks(Rule::Fifo, |book, wrong| {
        let (a, b) = (book.sends(A, Op::create("/a", 1)), book.sends(A, Op::create("/b", 2)));
        let (first, second) = if wrong { (6, 5) } else { (5, 6) };
        book.ends(a, Outcome::done(Answer::Created("/a".into(), Some(stat(first, first, 0, 0)))));
        book.ends(b, Outcome::done(Answer::Created("/b".into(), Some(stat(second, second, 0, 0)))));
    });
    breaks(Rule::Fifo, |book, wrong| {
        let (a, b) = (book.sends(A, Op::create("/a", 1)), book.sends(A, Op::create("/b", 2)));
        let created = Outcome::done(Answer::Created("/b".into(), Some(stat(6, 6, 0, 0))));
        book.ends(b, if wrong { created } else { Outcome::NotSent });
        book.ends(a, Outcome::NotSent);
    });
    // What is unknown may have been done, but its answer came first then.
    breaks(Rule::Fifo, |book, wrong| {
        let a = book.sends(A, Op::create("/a", 1));
        if !wrong {
            book.ends(a, Outcome::Unknown);
        }
        let b = book.sends(A, Op::create("/b", 2));
        book.ends(b, Outcome::done(Answer::Created("/b".into(), Some(stat(6, 6, 0, 0)))));
        if wrong {
            book.ends(a, Outcome::Unknown);
        }
    });
}

#[test]
fn ephemeral() {
    // Gone although its session lives.
    breaks(Rule::Ephemeral, |book, wrong| {
        book.creates_ephemeral(A, "/e", 1, 5);
        if !wrong {
            book.ended(A);
        }
        book.syncs(B);
        book.does(B, Op::exists("/e"), Answer::Stat(None));
    });
    // There although its session has ended.
    breaks(Rule::Ephemeral, |book, wrong| {
        book.creates_ephemeral(A, "/e", 1, 5);
        if wrong {
            book.ended(A);
        }
        book.creates(B, "/b", 2, 9);
        book.gets(B, "/e", 1, stat(5, 5, 0, A));
    });
    breaks(Rule::Ephemeral, |book, wrong| {
        if wrong {
            book.ended(A);
        }
        book.creates(A, "/a", 1, 5);
    });
}

#[test]
fn sequence() {
    breaks(Rule::Sequence, |book, wrong| {
        book.creates(A, "/s", 1, 5);
        book.numbers(A, "/s/n-0000000004", 2, 6);
        book.numbers(B, if wrong { "/s/n-0000000003" } else { "/s/n-0000000005" }, 3, 7);
    });
    breaks(Rule::Sequence, |book, wrong| {
        book.creates(A, "/s", 1, 5);
        let (one, two) = (book.asks(A, Op::create_with("/s/n-", 2, false, true)), {
            book.asks(B, Op::create_with("/s/m-", 3, false, true))
        });
        let second = if wrong { "/s/m-0000000000" } else { "/s/m-0000000001" };
        book.ends(one, Outcome::done(Answer::Created("/s/n-0000000000".into(), None)));
        book.ends(two, Outcome::done(Answer::Created(second.into(), None)));
    });
}

#[test]
fn watch() {
    for kind in [0, 1, 2] {
        // Read before it was told.
        breaks(Rule::Watch, |book, wrong| {
            book.creates(A, "/a", 1, 5);
            let path = || "/a".to_owned();
            let seen = stat(5, 5, 0, 0);
            match kind {
                0 => book.does(B, Op::Get { path: path(), watch: Some(1) }, Answer::Data(1, seen)),
                1 => book.does(B, Op::Watch { path: path(), recursive: false, watch: 1 }, Answer::Done),
                _ => book.does(B, Op::Watch { path: "/".into(), recursive: true, watch: 1 }, Answer::Done),
            }
            book.gets(B, "/a", 1, seen);
            book.sets(A, "/a", 2, stat(5, 6, 1, 0));
            if !wrong {
                book.event(B, 1, EventKind::Data, "/a", Some(6));
            }
            book.gets(B, "/a", 2, stat(5, 6, 1, 0));
            if wrong {
                book.event(B, 1, EventKind::Data, "/a", Some(6));
            }
        });
    }
}

#[test]
fn watch_of_children_and_of_absence() {
    breaks(Rule::Watch, |book, wrong| {
        book.creates(A, "/s", 1, 5);
        book.does(
            B,
            Op::Children { path: "/s".into(), watch: Some(1) },
            Answer::Children(vec![], stat(5, 5, 0, 0)),
        );
        book.numbers(A, "/s/n-0000000000", 2, 6);
        if !wrong {
            book.event(B, 1, EventKind::Children, "/s", None);
        }
        let seen = Stat { pzxid: 6, cversion: 1, ..stat(5, 5, 0, 0) };
        book.does(B, Op::children("/s"), Answer::Children(vec!["n-0000000000".into()], seen));
    });
    breaks(Rule::Watch, |book, wrong| {
        book.does(B, Op::Exists { path: "/a".into(), watch: Some(1) }, Answer::Stat(None));
        book.creates(A, "/a", 1, 5);
        if !wrong {
            book.event(B, 1, EventKind::Created, "/a", None);
        }
        book.gets(B, "/a", 1, stat(5, 5, 0, 0));
    });
}

#[test]
fn watch_that_tells_too_much() {
    breaks(Rule::Watch, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.does(B, Op::Get { path: "/a".into(), watch: Some(1) }, Answer::Data(1, stat(5, 5, 0, 0)));
        book.sets(A, "/a", 2, stat(5, 6, 1, 0));
        book.event(B, 1, EventKind::Data, "/a", None);
        if wrong {
            book.event(B, 1, EventKind::Data, "/a", None);
        }
    });
    breaks(Rule::Watch, |book, wrong| {
        book.does(B, Op::Watch { path: "/a".into(), recursive: false, watch: 1 }, Answer::Done);
        book.creates(A, "/a", 1, 5);
        book.event(B, 1, if wrong { EventKind::Deleted } else { EventKind::Created }, "/a", Some(5));
    });
    // An event is as good as a read: what it tells is seen from then on.
    breaks(Rule::Reads, |book, wrong| {
        book.creates(A, "/a", 1, 5);
        book.does(B, Op::Watch { path: "/a".into(), recursive: false, watch: 1 }, Answer::Done);
        book.sets(A, "/a", 2, stat(5, 6, 1, 0));
        if wrong {
            book.event(B, 1, EventKind::Data, "/a", Some(6));
        }
        book.gets(B, "/a", 1, stat(5, 5, 0, 0));
    });
}

/// A list at 6 has a number that is known to have been given at 10 only.
fn listed_before_it_was_given(book: &mut Book, asked_before: bool, created_again: bool) {
    let create = || Op::create_with("/s/n-", 2, true, true);
    book.creates(B, "/s", 1, 5);
    if asked_before {
        let lost = book.asks(A, create());
        book.ends(lost, Outcome::Unknown);
    }
    let seen = Stat { pzxid: 6, cversion: 1, ..stat(5, 5, 0, 0) };
    book.does(B, Op::children("/s"), Answer::Children(vec!["n-0000000000".into()], seen));
    if !asked_before {
        let lost = book.asks(A, create());
        book.ends(lost, Outcome::Unknown);
    }
    book.ended(A);
    if created_again {
        book.does(B, Op::delete("/s", -1), Answer::Done);
        book.creates(B, "/s", 3, 9);
    }
    book.numbers(B, "/s/n-0000000000", 4, 10);
}

#[test]
fn a_number_that_one_of_unknown_fate_had_below_a_parent_that_was_created_again() {
    // Below the same parent nobody else can have had it.
    breaks(Rule::Children, |book, wrong| listed_before_it_was_given(book, true, !wrong));
    // Nor can one that was asked for behind the list.
    breaks(Rule::Children, |book, wrong| listed_before_it_was_given(book, !wrong, true));
}

#[test]
fn children() {
    let listed = |book: &mut Book, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let seen = Stat { pzxid: 6, cversion: 1, ..stat(5, 5, 0, 0) };
        book.does(B, Op::children("/s"), Answer::Children(names, seen));
    };
    for wrong_list in [&[][..], &["n-0000000000", "stranger"], &["n-0000000001"]] {
        breaks(Rule::Children, |book, wrong| {
            book.creates(A, "/s", 1, 5);
            book.numbers(A, "/s/n-0000000000", 2, 6);
            listed(book, if wrong { wrong_list } else { &["n-0000000000"] });
        });
    }
    // Deleted, nobody was told when, but before something that is older than the list.
    breaks(Rule::Children, |book, wrong| {
        book.creates(A, "/s", 1, 5);
        book.numbers(A, "/s/n-0000000000", 2, 6);
        book.does(A, Op::delete("/s/n-0000000000", -1), Answer::Done);
        book.numbers(A, "/s/n-0000000002", 3, 9);
        let seen = Stat { pzxid: 9, cversion: 3, ..stat(5, 5, 0, 0) };
        let names = ["n-0000000000", "n-0000000002"].iter().skip(usize::from(!wrong));
        let names = names.map(|name| (*name).to_owned()).collect();
        book.does(B, Op::children("/s"), Answer::Children(names, seen));
    });
}
