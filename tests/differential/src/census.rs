//! Counts what occurred in a run, and knows what has to occur.

use crate::{call::Call, side::Item};
use menagerie_jute::{ErrorCode, EventType, MultiResponse, OpCode, OpResult, Reply, ReplyBody, Xid};
use std::{collections::BTreeMap, fmt};

/// Every operation that a client may send; `check` stands inside of multi only.
pub const OPS: [OpCode; 27] = [
    OpCode::CREATE,
    OpCode::DELETE,
    OpCode::EXISTS,
    OpCode::GET_DATA,
    OpCode::SET_DATA,
    OpCode::GET_ACL,
    OpCode::SET_ACL,
    OpCode::GET_CHILDREN,
    OpCode::SYNC,
    OpCode::PING,
    OpCode::GET_CHILDREN2,
    OpCode::CHECK,
    OpCode::MULTI,
    OpCode::CREATE2,
    OpCode::RECONFIG,
    OpCode::CHECK_WATCHES,
    OpCode::REMOVE_WATCHES,
    OpCode::CREATE_CONTAINER,
    OpCode::CREATE_TTL,
    OpCode::MULTI_READ,
    OpCode::AUTH,
    OpCode::SET_WATCHES,
    OpCode::SASL,
    OpCode::GET_EPHEMERALS,
    OpCode::GET_ALL_CHILDREN_NUMBER,
    OpCode::SET_WATCHES2,
    OpCode::ADD_WATCH,
];

/// Operations whose body is empty.
pub const BARE_OPS: [OpCode; 2] = [OpCode::WHO_AM_I, OpCode::CLOSE_SESSION];

/// Every error that a standalone server of its right mind sends to a session with a right to it. The others are made by clients,
/// need an ensemble (SessionMoved, NotReadOnly, the two of a reconfig), an overload (ThrottledOp), a configuration with SASL,
/// or a race with an expiry.
pub const ERRORS: [ErrorCode; 15] = [
    ErrorCode::RUNTIME_INCONSISTENCY,
    ErrorCode::MARSHALLING_ERROR,
    ErrorCode::UNIMPLEMENTED,
    ErrorCode::BAD_ARGUMENTS,
    ErrorCode::NO_NODE,
    ErrorCode::NO_AUTH,
    ErrorCode::BAD_VERSION,
    ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
    ErrorCode::NODE_EXISTS,
    ErrorCode::NOT_EMPTY,
    ErrorCode::INVALID_ACL,
    ErrorCode::AUTH_FAILED,
    ErrorCode::NO_WATCHER,
    ErrorCode::RECONFIG_DISABLED,
    ErrorCode::QUOTA_EXCEEDED,
];

/// Every event that a server sends.
pub const EVENTS: [EventType; 4] = [
    EventType::NODE_CREATED,
    EventType::NODE_DELETED,
    EventType::NODE_DATA_CHANGED,
    EventType::NODE_CHILDREN_CHANGED,
];

/// How often each has to occur in a run of [`FULL`] operations; in a shorter one in proportion.
const ENOUGH: usize = 100;
/// A full run.
const FULL: usize = 200_000;
/// How many of a hundred operations have to succeed.
const SUCCEED_PERCENT: usize = 60;

/// The counts of a run.
#[derive(Debug, Default)]
pub struct Census {
    /// Requests that were answered, without those that only serve the comparison.
    pub operations: usize,
    /// Those of them that did what they say; of multis the whole.
    pub succeeded: usize,
    ops: BTreeMap<OpCode, usize>,
    errors: BTreeMap<ErrorCode, usize>,
    events: BTreeMap<EventType, usize>,
    /// Sessions taken up again.
    pub attached: usize,
    /// Sequences.
    pub episodes: usize,
}

impl Census {
    /// Counts requests and what their session was told.
    pub fn count(&mut self, calls: &[Call], items: &[Item]) {
        self.count_events(items);
        let answers = items.iter().filter_map(|item| match item {
            Item::Reply(reply, _) if reply.header.xid != Xid::NOTIFICATION => Some(reply),
            _ => None,
        });
        for (call, reply) in calls.iter().zip(answers) {
            self.count_answer(call, reply);
        }
    }

    fn count_answer(&mut self, call: &Call, reply: &Reply) {
        self.operations += 1;
        *self.ops.entry(call.op()).or_default() += 1;
        let err = reply.header.err;
        let mut ok = err == ErrorCode::OK;
        if !ok {
            *self.errors.entry(err).or_default() += 1;
        }
        if let Call::Multi { calls, .. } = call {
            calls.iter().for_each(|call| *self.ops.entry(call.op()).or_default() += 1);
        }
        if let ReplyBody::Multi(MultiResponse { results, .. })
        | ReplyBody::MultiRead(MultiResponse { results, .. }) = &reply.body
        {
            for result in results {
                if let OpResult::Error(error) = &result.result {
                    ok = false;
                    if error.err != ErrorCode::OK {
                        *self.errors.entry(error.err).or_default() += 1;
                    }
                }
            }
        }
        self.succeeded += usize::from(ok);
    }

    /// Counts notifications.
    pub fn count_events(&mut self, items: &[Item]) {
        for item in items {
            if let Item::Reply(Reply { body: ReplyBody::Notification(event), .. }, _) = item {
                *self.events.entry(event.event_type).or_default() += 1;
            }
        }
    }

    /// What did not occur often enough.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let enough = (ENOUGH * self.operations / FULL).max(1);
        let mut missing = Vec::new();
        let mut demand = |name: String, count: Option<&usize>| {
            let count = count.copied().unwrap_or(0);
            if count < enough {
                missing.push(format!("{name} occurred {count} times, not {enough}"));
            }
        };
        OPS.iter().chain(&BARE_OPS).for_each(|op| demand(op.to_string(), self.ops.get(op)));
        ERRORS.iter().for_each(|code| demand(code.to_string(), self.errors.get(code)));
        EVENTS.iter().for_each(|event| demand(event.to_string(), self.events.get(event)));
        demand(String::from("re-attach"), Some(&self.attached));
        if self.succeeded * 100 < self.operations * SUCCEED_PERCENT {
            missing.push(format!("only {} of {} succeeded", self.succeeded, self.operations));
        }
        missing
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.succeeded * 1000 / self.operations.max(1);
        write!(f, "{} operations in {} episodes, ", self.operations, self.episodes)?;
        write!(f, "{}.{} % succeeded, {} re-attached; by operation:", share / 10, share % 10, self.attached)?;
        self.ops.iter().try_for_each(|(op, count)| write!(f, " {op} {count}"))?;
        f.write_str("; by error:")?;
        self.errors.iter().try_for_each(|(code, count)| write!(f, " {code} {count}"))?;
        f.write_str("; by event:")?;
        self.events.iter().try_for_each(|(event, count)| write!(f, " {event} {count}"))
    }
}
