//! What an episode does, as data: paths are relative to the episode's base and zxids to its start, so that the same sequence can
//! be sent again, whole or in part, to servers that have lived on.

use bytes::Bytes;
use menagerie_jute::{
    Acl, AddWatchMode, AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateMode,
    CreateRequest, CreateTtlRequest, DeleteRequest, Encode, ExistsRequest, GetAclRequest, GetDataRequest,
    GetSaslRequest, MultiHeader, OpCode, ReconfigRequest, RequestHeader, SetAclRequest, SetDataRequest,
    SetWatches, SetWatches2, Ustring, WatcherType, Writer, Xid,
};
use std::{borrow::Cow, fmt};

/// One step of an episode. What cannot be done, such as a request of a session that is not connected, is passed over on both
/// sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A new session takes this place.
    Connect {
        /// Which place.
        slot: usize,
        /// The session timeout asked for.
        timeout_millis: i32,
    },
    /// The session is taken up again on a new connection; an old one that is still open is taken over.
    Attach {
        /// Whose place.
        slot: usize,
        /// What is offered.
        offer: Offer,
    },
    /// The connection ends, the session lives on.
    Drop {
        /// Whose place.
        slot: usize,
    },
    /// A request.
    Request {
        /// Whose place.
        slot: usize,
        /// What is asked for.
        call: Call,
    },
}

/// What a client says of itself when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Its session and password.
    Right,
    /// Another password.
    WrongPassword,
    /// A zxid that the server has not reached.
    ZxidAhead,
}

/// Where: below the episode's base or not.
#[derive(Clone, PartialEq, Eq)]
pub enum At {
    /// Below the base; empty is the base itself.
    Below(String),
    /// Below the base's node among the quotas.
    Quota(String),
    /// As it is.
    Plain(String),
    /// No path at all.
    Null,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// create, create2, createContainer or createTTL.
    Create {
        /// Which of them.
        op: OpCode,
        /// The path.
        at: At,
        /// Its data.
        data: Option<Bytes>,
        /// Its access list.
        acl: Option<Vec<Acl>>,
        /// What kind of znode.
        flags: CreateMode,
        /// For createTTL.
        ttl: i64,
    },
    /// delete, or check inside a multi.
    Versioned {
        /// Which of them.
        op: OpCode,
        /// The path.
        at: At,
        /// The version it must have.
        version: i32,
    },
    /// setData.
    SetData {
        /// The path.
        at: At,
        /// Its data.
        data: Option<Bytes>,
        /// The version it must have.
        version: i32,
    },
    /// setACL.
    SetAcl {
        /// The path.
        at: At,
        /// The list.
        acl: Option<Vec<Acl>>,
        /// The version of the list it must have.
        version: i32,
    },
    /// exists, getData, getChildren or getChildren2.
    Read {
        /// Which of them.
        op: OpCode,
        /// The path.
        at: At,
        /// Whether to watch.
        watch: bool,
    },
    /// getACL, sync, getEphemerals or getAllChildrenNumber: a path and nothing else.
    Path {
        /// Which of them.
        op: OpCode,
        /// The path.
        at: At,
    },
    /// checkWatches or removeWatches.
    Watches {
        /// Which of them.
        op: OpCode,
        /// The path.
        at: At,
        /// Which watches.
        kind: WatcherType,
    },
    /// addWatch.
    AddWatch {
        /// The path.
        at: At,
        /// Which kind.
        mode: AddWatchMode,
    },
    /// setWatches or setWatches2.
    SetWatches {
        /// Which of them.
        op: OpCode,
        /// The last zxid seen, counted from the episode's start.
        since: i64,
        /// Data, exist, child, persistent, recursive; setWatches sends the first three.
        lists: [Vec<At>; 5],
    },
    /// multi or multiRead.
    Multi {
        /// Which of them.
        op: OpCode,
        /// The operations in it.
        calls: Vec<Call>,
    },
    /// auth.
    Auth {
        /// The scheme.
        scheme: String,
        /// The credentials.
        text: String,
    },
    /// ping, whoAmI, closeSession, reconfig, sasl, or an operation that nobody knows.
    Bare {
        /// Which of them.
        op: OpCode,
    },
    /// The beginning of a request: two bytes of body.
    Cut {
        /// Of which.
        op: OpCode,
    },
}

/// What turns the relative into the absolute.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The path that all stands below.
    pub base: &'a str,
    /// The zxid that the others are counted from.
    pub start: i64,
}

impl Step {
    /// Whose place.
    #[must_use]
    pub fn slot(&self) -> usize {
        match self {
            Self::Connect { slot, .. }
            | Self::Attach { slot, .. }
            | Self::Drop { slot }
            | Self::Request { slot, .. } => *slot,
        }
    }

    /// What is asked for, if it is a request.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        if let Self::Request { call, .. } = self { Some(call) } else { None }
    }
}

impl At {
    /// The path on the server.
    #[must_use]
    pub fn full(&self, base: &str) -> Ustring {
        match self {
            Self::Below(rest) => Ustring::from(format!("{base}{rest}")),
            Self::Quota(rest) => Ustring::from(format!("/zookeeper/quota{base}{rest}")),
            Self::Plain(path) => Ustring::from(path.as_str()),
            Self::Null => Ustring::NULL,
        }
    }

    /// The path below the base, if it is there.
    #[must_use]
    pub fn below(&self) -> Option<&str> {
        if let Self::Below(path) = self { Some(path) } else { None }
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(rest) => write!(f, "~{rest}"),
            Self::Quota(rest) => write!(f, "/zookeeper/quota~{rest}"),
            Self::Plain(path) => write!(f, "{path:?}"),
            Self::Null => f.write_str("null"),
        }
    }
}

impl Call {
    /// The operation.
    #[must_use]
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create { op, .. }
            | Self::Versioned { op, .. }
            | Self::Read { op, .. }
            | Self::Path { op, .. }
            | Self::Watches { op, .. }
            | Self::SetWatches { op, .. }
            | Self::Multi { op, .. }
            | Self::Bare { op }
            | Self::Cut { op } => *op,
            Self::SetData { .. } => OpCode::SET_DATA,
            Self::SetAcl { .. } => OpCode::SET_ACL,
            Self::AddWatch { .. } => OpCode::ADD_WATCH,
            Self::Auth { .. } => OpCode::AUTH,
        }
    }

    /// The xid that it goes under, if its next ordinary one were `next`.
    #[must_use]
    pub fn xid(&self, next: Xid) -> Xid {
        match self.op() {
            OpCode::PING => Xid::PING,
            OpCode::AUTH => Xid::AUTH,
            _ => next,
        }
    }

    /// Whether it may be sent together with others before any is answered. Auth and SASL are answered out of line, and some
    /// operations end the connection. A write behind a setACL, or below a quota, is checked by what has been applied by
    /// then, which is a matter of luck in Java.
    #[must_use]
    pub fn is_pipelined(&self) -> bool {
        match self {
            Self::SetAcl { .. } => false,
            Self::Create { at, .. } | Self::SetData { at, .. } | Self::Versioned { at, .. } => {
                let limited = at.below().is_some_and(|path| path == "/q" || path.starts_with("/q/"));
                !limited && !matches!(at, At::Quota(_))
            }
            Self::Multi { calls, .. } => calls.iter().all(Self::is_pipelined),
            _ => {
                let known = self.op().name().is_some();
                known && !matches!(self.op(), OpCode::AUTH | OpCode::SASL | OpCode::CLOSE_SESSION)
            }
        }
    }

    /// Appends the whole frame.
    pub fn encode(&self, xid: Xid, frame: &Frame<'_>, out: &mut Writer) {
        let open = out.frame();
        RequestHeader { xid, op: self.op() }.encode(out);
        self.encode_body(frame, out);
        out.close(open);
    }

    fn encode_body(&self, frame: &Frame<'_>, out: &mut Writer) {
        match self {
            Self::Create { op, at, data, acl, flags, ttl } => {
                let (path, data, acl) = (at.full(frame.base), data.clone(), acl.clone().map(Cow::Owned));
                if *op == OpCode::CREATE_TTL {
                    CreateTtlRequest { path, data, acl, flags: *flags, ttl: *ttl }.encode(out);
                } else {
                    CreateRequest { path, data, acl, flags: *flags }.encode(out);
                }
            }
            Self::Versioned { op, at, version } => {
                let path = at.full(frame.base);
                if *op == OpCode::CHECK {
                    CheckVersionRequest { path, version: *version }.encode(out);
                } else {
                    DeleteRequest { path, version: *version }.encode(out);
                }
            }
            Self::SetData { at, data, version } => {
                SetDataRequest { path: at.full(frame.base), data: data.clone(), version: *version }
                    .encode(out);
            }
            Self::SetAcl { at, acl, version } => {
                let acl = acl.clone().map(Cow::Owned);
                SetAclRequest { path: at.full(frame.base), acl, version: *version }.encode(out);
            }
            // The records of all reads are alike: a path and a flag.
            Self::Read { op: OpCode::EXISTS, at, watch } => {
                ExistsRequest { path: at.full(frame.base), watch: *watch }.encode(out);
            }
            Self::Read { at, watch, .. } => {
                GetDataRequest { path: at.full(frame.base), watch: *watch }.encode(out);
            }
            Self::Path { at, .. } => GetAclRequest { path: at.full(frame.base) }.encode(out),
            Self::Watches { at, kind, .. } => {
                CheckWatchesRequest { path: at.full(frame.base), watcher_type: *kind }.encode(out);
            }
            Self::AddWatch { at, mode } => {
                AddWatchRequest { path: at.full(frame.base), mode: *mode }.encode(out);
            }
            Self::SetWatches { op, since, lists } => encode_watches(*op, *since, lists, frame, out),
            Self::Multi { calls, .. } => {
                for call in calls {
                    MultiHeader::request(call.op()).encode(out);
                    call.encode_body(frame, out);
                }
                MultiHeader::END.encode(out);
            }
            Self::Auth { scheme, text } => {
                let (scheme, auth) = (Ustring::from(scheme.as_str()), Some(Bytes::from(text.clone())));
                AuthPacket { auth_type: 0, scheme, auth }.encode(out);
            }
            Self::Bare { op: OpCode::RECONFIG } => {
                ReconfigRequest { new_members: Ustring::from("x"), cur_config_id: -1, ..Default::default() }
                    .encode(out);
            }
            Self::Bare { op: OpCode::SASL } => GetSaslRequest { token: Some(Bytes::new()) }.encode(out),
            Self::Bare { .. } => {}
            Self::Cut { .. } => out.raw(&[0, 0]),
        }
    }
}

fn encode_watches(op: OpCode, since: i64, lists: &[Vec<At>; 5], frame: &Frame<'_>, out: &mut Writer) {
    let relative_zxid = frame.start + since;
    let mut full =
        lists.iter().map(|list| Some(list.iter().map(|at| at.full(frame.base)).collect::<Vec<_>>()));
    let mut next = || full.next().flatten();
    let (data_watches, exist_watches, child_watches) = (next(), next(), next());
    if op == OpCode::SET_WATCHES {
        SetWatches { relative_zxid, data_watches, exist_watches, child_watches }.encode(out);
        return;
    }
    let (persistent_watches, persistent_recursive_watches) = (next(), next());
    SetWatches2 {
        relative_zxid,
        data_watches,
        exist_watches,
        child_watches,
        persistent_watches,
        persistent_recursive_watches,
    }
    .encode(out);
}
