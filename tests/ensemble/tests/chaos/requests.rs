//! From an operation of the record to a request of the client, and from its result to what is recorded.

use menagerie::{
    Client,
    client::{Changed, Created, Error, StepResult},
    jute,
    session::Fate,
};
use menagerie_history::{Answer, Mode, Op, Outcome, Stat, Value};
use std::{future::Future, pin::Pin, time::Duration};

/// Longer than any session waits: only a loss ends a pipeline early, not its own deadline.
const PATIENCE: Duration = Duration::from_secs(300);

/// What became of a request, and the watch that it set.
pub(crate) type Flight = Pin<Box<dyn Future<Output = (Outcome, Option<Changed>)> + Send>>;

fn stat(stat: &jute::Stat) -> Stat {
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        pzxid: stat.pzxid,
        version: stat.version,
        cversion: stat.cversion,
        owner: stat.ephemeral_owner,
    }
}

/// Data is the value in decimals. What is no number is what nobody wrote.
pub(crate) fn value(data: &[u8]) -> Value {
    let text = std::str::from_utf8(data).unwrap_or("?");
    if text.is_empty() { 0 } else { text.parse().unwrap_or(Value::MAX) }
}

fn text(value: Value) -> String {
    if value == 0 { String::new() } else { value.to_string() }
}

fn failed(error: &Error) -> Outcome {
    match (error.fate(), error.code()) {
        (Fate::NotSent, _) => Outcome::NotSent,
        (Fate::Refused, Some(code)) => Outcome::Refused(code.0),
        (Fate::Refused, None) => panic!("refused without a code: {error}"),
        // Done, and the answer was not readable: for the record as good as unknown.
        (Fate::Applied | Fate::Unknown, _) => Outcome::Unknown,
    }
}

type Told = (Outcome, Option<Changed>);

fn tell<T>(result: Result<T, Error>, answer: impl FnOnce(T) -> (Answer, Option<Changed>)) -> Told {
    match result.map(answer) {
        Ok((answer, changed)) => (Outcome::done(answer), changed),
        Err(error) => (failed(&error), None),
    }
}

fn created(created: Created) -> Answer {
    Answer::Created(created.path, created.stat.as_ref().map(stat))
}

fn steps(results: Vec<StepResult>) -> Answer {
    let each = |result| match result {
        StepResult::Created { path, stat: seen } => Answer::Created(path, seen.as_ref().map(stat)),
        StepResult::Set(seen) => Answer::Stat(Some(stat(&seen))),
        _ => Answer::Done,
    };
    Answer::Multi(results.into_iter().map(each).collect())
}

/// Sends now, or awaits with the client's repeats.
macro_rules! go {
    ($zk:ident, $pipelined:expr, $call:expr, $answer:expr) => {
        if $pipelined {
            let sent = $call.timeout(PATIENCE).send();
            Box::pin(async move { tell(sent.await, $answer) })
        } else {
            Box::pin(async move { tell($call.await, $answer) })
        }
    };
}

fn create(zk: Client, path: String, data: Value, mode: Mode, pipelined: bool) -> Flight {
    fn call(
        zk: &Client,
        path: String,
        data: Value,
        mode: Mode,
    ) -> menagerie::client::CreateCall<'_, 'static> {
        let mut call = zk.create(path).data(text(data));
        if mode.ephemeral {
            call = call.ephemeral();
        }
        if mode.sequential { call.sequential() } else { call }
    }
    go!(zk, pipelined, call(&zk, path, data, mode), |done| (created(done), None))
}

fn transaction(zk: Client, wishes: Vec<Op>, pipelined: bool) -> Flight {
    fn call(zk: &Client, wishes: Vec<Op>) -> menagerie::client::Call<'_, menagerie::client::Multi<'static>> {
        let begun = zk.transaction();
        let whole = wishes.into_iter().fold(begun, |transaction, wish| match wish {
            Op::Create { path, value, mode } => transaction.create_with(path, text(value), |mut create| {
                if mode.ephemeral {
                    create = create.ephemeral();
                }
                if mode.sequential { create.sequential() } else { create }
            }),
            Op::Set { path, value, version } => transaction.set_version(path, text(value), version),
            Op::Delete { path, version } => transaction.delete_version(path, version),
            Op::Check { path, version } => transaction.check(path, version),
            other => panic!("not in a transaction: {other:?}"),
        });
        whole.commit()
    }
    go!(zk, pipelined, call(&zk, wishes), |done| (steps(done), None))
}

/// Puts the operation on its way: at once if it is pipelined, else when it is awaited.
pub(crate) fn ask(zk: &Client, what: &Op, pipelined: bool) -> Flight {
    let zk = zk.clone();
    match what.clone() {
        Op::Create { path, value, mode } => create(zk, path, value, mode, pipelined),
        Op::Multi(wishes) => transaction(zk, wishes, pipelined),
        Op::Set { path, value, version } => {
            go!(zk, pipelined, zk.set(path, text(value)).version(version), |seen| {
                (Answer::Stat(Some(stat(&seen))), None)
            })
        }
        Op::Delete { path, version } => {
            go!(zk, pipelined, zk.delete(path).version(version), |()| (Answer::Done, None))
        }
        Op::Get { path, watch: None } => {
            go!(zk, pipelined, zk.get(path), |(data, seen)| (Answer::Data(value(&data), stat(&seen)), None))
        }
        Op::Get { path, watch: Some(_) } => {
            go!(zk, pipelined, zk.get(path).watch(), |(data, seen, changed)| {
                (Answer::Data(value(&data), stat(&seen)), Some(changed))
            })
        }
        Op::Exists { path, watch: None } => {
            go!(zk, pipelined, zk.exists(path), |seen| (Answer::Stat(seen.as_ref().map(stat)), None))
        }
        Op::Exists { path, watch: Some(_) } => {
            go!(zk, pipelined, zk.exists(path).watch(), |(seen, changed)| {
                (Answer::Stat(seen.as_ref().map(stat)), Some(changed))
            })
        }
        Op::Children { path, watch: None } => {
            go!(zk, pipelined, zk.children(path), |(names, seen)| {
                (Answer::Children(names.to_vec(), stat(&seen)), None)
            })
        }
        Op::Children { path, watch: Some(_) } => {
            go!(zk, pipelined, zk.children(path).watch(), |(names, seen, changed)| {
                (Answer::Children(names.to_vec(), stat(&seen)), Some(changed))
            })
        }
        Op::Sync => go!(zk, pipelined, zk.sync("/"), |()| (Answer::Done, None)),
        other => panic!("no request by itself: {other:?}"),
    }
}
