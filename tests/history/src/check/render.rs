//! Lines of the record as a reader wants them.

use crate::record::{Answer, Entry, History, Op, Outcome, Stat};

/// One line; `None` behind the last.
pub(super) fn line(history: &History, line: usize) -> Option<String> {
    let (at, entry) = history.lines.get(line)?;
    let text = match entry {
        Entry::Invoked { op, session, pipelined, what } => {
            let how = if *pipelined { "sends" } else { "asks" };
            format!("{session:#x} {how} {op} {}", asked(what))
        }
        Entry::Completed { op, outcome } => format!("{op} {}", became(outcome)),
        Entry::Event { session, watch, kind, path, zxid } => {
            let zxid = zxid.map(|zxid| format!(" at {zxid:#x}")).unwrap_or_default();
            format!("{session:#x} watch {watch} tells {kind:?} of {path}{zxid}")
        }
        Entry::Gap { session, watch } => format!("{session:#x} watch {watch} has a gap"),
        Entry::Ended { session, certain } => {
            format!("{session:#x} {}", if *certain { "has ended" } else { "may have ended" })
        }
        Entry::Doubt(doubt) => format!("the leader is {}", if *doubt { "in doubt" } else { "certain" }),
    };
    Some(format!("{at:>9} | {text}"))
}

fn asked(what: &Op) -> String {
    let watched = |watch: &Option<u64>| watch.map(|watch| format!(" with watch {watch}")).unwrap_or_default();
    let of = |version: &i32| if *version == -1 { String::new() } else { format!(" if in version {version}") };
    match what {
        Op::Create { path, value, mode } => {
            let ephemeral = if mode.ephemeral { " ephemeral" } else { "" };
            let sequential = if mode.sequential { " sequential" } else { "" };
            format!("create{ephemeral}{sequential} {path} = {value}")
        }
        Op::Set { path, value, version } => format!("set {path} = {value}{}", of(version)),
        Op::Delete { path, version } => format!("delete {path}{}", of(version)),
        Op::Check { path, version } => format!("check {path}{}", of(version)),
        Op::Multi(steps) => format!("[{}]", steps.iter().map(asked).collect::<Vec<_>>().join(", ")),
        Op::Get { path, watch } => format!("get {path}{}", watched(watch)),
        Op::Exists { path, watch } => format!("exists {path}{}", watched(watch)),
        Op::Children { path, watch } => format!("children {path}{}", watched(watch)),
        Op::Watch { path, recursive, watch } => {
            format!("watch {path}{} as {watch}", if *recursive { " and below" } else { "" })
        }
        Op::Sync => String::from("sync"),
        Op::Close => String::from("close"),
    }
}

fn became(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { answer, zxid } => {
            let zxid = zxid.map(|zxid| format!(" at {zxid:#x}")).unwrap_or_default();
            format!("is done{zxid}: {}", answered(answer))
        }
        Outcome::Refused(code) => format!("is refused: {code}"),
        Outcome::NotSent => String::from("was not sent"),
        Outcome::Unknown => String::from("is of unknown outcome"),
    }
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Done => String::from("ok"),
        Answer::Created(path, None) => path.clone(),
        Answer::Created(path, Some(stat)) => format!("{path} {}", stat_text(stat)),
        Answer::Stat(None) => String::from("not there"),
        Answer::Stat(Some(stat)) => stat_text(stat),
        Answer::Data(value, stat) => format!("{value} {}", stat_text(stat)),
        Answer::Children(names, stat) => {
            let some: Vec<_> = names.iter().take(12).map(String::as_str).collect();
            let more = if names.len() > some.len() { " .." } else { "" };
            format!("{} [{}{more}] {}", names.len(), some.join(" "), stat_text(stat))
        }
        Answer::Multi(answers) => answers.iter().map(answered).collect::<Vec<_>>().join(", "),
    }
}

fn stat_text(stat: &Stat) -> String {
    let Stat { czxid, mzxid, pzxid, version, owner, .. } = stat;
    let owner = if *owner == 0 { String::new() } else { format!(" owner {owner:#x}") };
    format!("(c {czxid:#x} m {mzxid:#x} p {pzxid:#x} version {version}{owner})")
}
