//! What a test wants to go wrong: which requests and notifications, how often, and how.

use std::time::Duration;

use crate::jute::{ErrorCode, OpCode};

/// Which requests or notifications. It matches once unless told otherwise.
///
/// ```
/// use menagerie_server::{Matcher, jute::OpCode};
///
/// let second_set = Matcher::op(OpCode::SET_DATA).path("/config").after(1);
/// # let _ = second_set;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    ops: Ops,
    path: PathRule,
    session: Option<i64>,
    skip: u32,
    times: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ops {
    Any,
    Writes,
    One(OpCode),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PathRule {
    Any,
    Is(String),
    Below(String),
}

/// How it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The request is not executed; this is the answer.
    Fail(ErrorCode),
    /// The request is not executed, and the connection is closed.
    CutBefore,
    /// The request is executed, and the connection is closed in place of an answer.
    CutAfter,
    /// The answer or notification leaves so much later, and all that is behind it waits.
    Delay(Duration),
    /// The answer or notification stays, with all that is behind it, until `release`.
    Withhold,
}

impl Matcher {
    fn new(ops: Ops) -> Self {
        Self { ops, path: PathRule::Any, session: None, skip: 0, times: 1 }
    }

    /// Requests of this operation.
    #[must_use]
    pub fn op(op: OpCode) -> Self {
        Self::new(Ops::One(op))
    }

    /// Requests of any operation, pings included.
    #[must_use]
    pub fn any() -> Self {
        Self::new(Ops::Any)
    }

    /// Requests that change the tree or the session.
    #[must_use]
    pub fn write() -> Self {
        Self::new(Ops::Writes)
    }

    /// Notifications.
    #[must_use]
    pub fn event() -> Self {
        Self::new(Ops::One(OpCode::NOTIFICATION))
    }

    /// Only those about this path; of a multi, those with an operation about it.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = PathRule::Is(path.into());
        self
    }

    /// Only those about something below this path.
    #[must_use]
    pub fn below(mut self, path: impl Into<String>) -> Self {
        self.path = PathRule::Below(path.into());
        self
    }

    /// Only those of, or to, this session.
    #[must_use]
    pub fn session(mut self, id: i64) -> Self {
        self.session = Some(id);
        self
    }

    /// Not the first `count` of them.
    #[must_use]
    pub fn after(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// So many of them.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    /// All of them.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn matches(&self, op: OpCode, session: i64, paths: &[&str]) -> bool {
        let of_op = match self.ops {
            Ops::Any => op != OpCode::NOTIFICATION,
            Ops::Writes => op.is_write(),
            Ops::One(wanted) => op == wanted,
        };
        let of_session = self.session.is_none_or(|wanted| wanted == session);
        of_op
            && of_session
            && match &self.path {
                PathRule::Any => true,
                PathRule::Is(wanted) => paths.contains(&wanted.as_str()),
                PathRule::Below(above) => paths.iter().any(|path| is_below(path, above)),
            }
    }
}

fn is_below(path: &str, above: &str) -> bool {
    let above = above.trim_end_matches('/');
    path.strip_prefix(above).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// The faults that are still to happen, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Matcher, Fault)>);

impl Faults {
    pub(super) fn plan(&mut self, matcher: Matcher, fault: Fault) {
        if matcher.times > 0 {
            self.0.push((matcher, fault));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The fault that happens now, if one does: that of the oldest plan that matches.
    pub(super) fn take(&mut self, op: OpCode, session: i64, paths: &[&str]) -> Option<Fault> {
        let mut found = None;
        for (at, (matcher, fault)) in self.0.iter_mut().enumerate() {
            if !matcher.matches(op, session, paths) {
                continue;
            }
            if matcher.skip > 0 {
                matcher.skip -= 1;
                continue;
            }
            if matcher.times != u32::MAX {
                matcher.times = matcher.times.saturating_sub(1);
            }
            found = Some((at, *fault, matcher.times == 0));
            break;
        }
        let (at, fault, used_up) = found?;
        if used_up && !planted!("server_fault_repeats") {
            self.0.remove(at);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: OpCode = OpCode::SET_DATA;

    fn take(faults: &mut Faults, op: OpCode, path: &'static str) -> Option<Fault> {
        faults.take(op, 1, &[path])
    }

    #[test]
    fn a_plan_happens_so_often_and_no_more() {
        let mut faults = Faults::default();
        faults.plan(Matcher::op(SET).path("/a").after(1).times(2), Fault::CutAfter);
        assert_eq!(take(&mut faults, SET, "/b"), None);
        assert_eq!(take(&mut faults, SET, "/a"), None, "the first is spared");
        assert_eq!(take(&mut faults, SET, "/a"), Some(Fault::CutAfter));
        assert_eq!(take(&mut faults, SET, "/a"), Some(Fault::CutAfter));
        assert_eq!(take(&mut faults, SET, "/a"), None);
        assert!(faults.is_empty());
        faults.plan(Matcher::op(SET).times(0), Fault::CutAfter);
        assert!(faults.is_empty(), "none of them");
    }

    #[test]
    fn what_is_below_is_below_by_component() {
        assert!(is_below("/a/b", "/a") && is_below("/a/b", "/") && is_below("/a/b/c", "/a/"));
        assert!(!is_below("/ab", "/a") && !is_below("/a", "/a") && !is_below("/", "/"));
    }

    #[test]
    fn requests_and_notifications_are_apart() {
        let mut faults = Faults::default();
        faults.plan(Matcher::any().always(), Fault::Withhold);
        assert_eq!(take(&mut faults, OpCode::NOTIFICATION, "/a"), None);
        assert_eq!(take(&mut faults, OpCode::PING, "/a"), Some(Fault::Withhold));
    }
}
