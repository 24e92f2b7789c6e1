//! A session by hand: requests and their replies in order, notifications kept where they came.

use crate::{
    Wire,
    wire::{PATIENCE, request_frame},
};
use bytes::Bytes;
use menagerie_jute::{
    Acl, AddWatchMode, AddWatchRequest, AuthPacket, CheckWatchesRequest, ConnectRequest, ConnectResponse,
    Create2Response, CreateMode, CreateRequest, CreateResponse, CreateTtlRequest, Decode, DeleteRequest,
    Encode, ErrorCode, ErrorResponse, EventType, ExistsRequest, ExistsResponse, GetAclRequest,
    GetAclResponse, GetChildren2Request, GetChildren2Response, GetChildrenRequest, GetChildrenResponse,
    GetDataRequest, GetDataResponse, KeeperState, MultiRequest, MultiResponse, Op, OpCode, OpResult, Reader,
    RemoveWatchesRequest, ReplyHeader, SetAclRequest, SetAclResponse, SetDataRequest, SetDataResponse,
    SetWatches, Stat, SyncRequest, SyncResponse, Ustring, WatcherEvent, WatcherType,
};
use std::{borrow::Cow, collections::VecDeque, time::Duration};

/// A reply: its header, and the bytes behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Number, zxid and error.
    pub header: ReplyHeader,
    /// The body, not decoded.
    pub body: Bytes,
}

impl Answer {
    /// The error, if it is one.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.header.err
    }

    /// The body as a record with nothing behind it, or the error, with nothing behind it.
    ///
    /// # Errors
    /// The error of the header.
    #[track_caller]
    pub fn read<R: Decode>(&self) -> Result<R, ErrorCode> {
        self.empty()?;
        let mut reader = Reader::new(self.body.clone());
        let record = reader.record().unwrap_or_else(|why| panic!("{why} in {self:?}"));
        reader.finish(R::RECORD).unwrap_or_else(|why| panic!("{why} in {self:?}"));
        Ok(record)
    }

    /// Nothing, of a reply that has no body.
    ///
    /// # Errors
    /// The error of the header.
    #[track_caller]
    pub fn nothing(&self) -> Result<(), ErrorCode> {
        self.empty()?;
        assert!(self.body.is_empty(), "a body where none belongs: {self:?}");
        Ok(())
    }

    fn empty(&self) -> Result<(), ErrorCode> {
        if self.header.err == ErrorCode::OK {
            return Ok(());
        }
        assert!(self.body.is_empty(), "a body behind an error: {self:?}");
        Err(self.header.err)
    }
}

/// A notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// To which znode.
    pub path: String,
    /// The zxid of the header.
    pub zxid: i64,
    /// The connection's state, as the event says.
    pub state: KeeperState,
}

impl Event {
    /// Kind and path: what most rows compare.
    #[must_use]
    pub fn what(&self) -> (EventType, &str) {
        (self.kind, &self.path)
    }
}

/// A session on its connection. Dropping it closes the session, unless it was cut or abandoned.
#[derive(Debug)]
pub struct Session {
    /// The connection, for what is no ordinary request.
    pub wire: Wire,
    /// The session's id.
    pub id: i64,
    /// Its password.
    pub password: Bytes,
    /// The timeout granted, in milliseconds.
    pub timeout_ms: i32,
    /// The zxid of the last reply.
    pub zxid: i64,
    events: VecDeque<Event>,
    xid: i32,
    open: bool,
}

impl Session {
    /// Shakes hands; `None` if the server refuses the session or hangs up.
    #[must_use]
    pub fn open(mut wire: Wire, request: &ConnectRequest) -> Option<Self> {
        let response = wire.handshake(request)?;
        (response.session_id != 0).then(|| Self::on(wire, &response))
    }

    /// The session that `response` told of on `wire`.
    #[must_use]
    pub fn on(wire: Wire, response: &ConnectResponse) -> Self {
        Self {
            wire,
            id: response.session_id,
            password: response.passwd.clone().unwrap_or_default(),
            timeout_ms: response.time_out,
            zxid: 0,
            events: VecDeque::new(),
            xid: 0,
            open: true,
        }
    }

    /// The handshake that takes this session up again, with the last zxid it has seen.
    #[must_use]
    pub fn reattach_request(&self) -> ConnectRequest {
        ConnectRequest {
            last_zxid_seen: self.zxid,
            session_id: self.id,
            passwd: Some(self.password.clone()),
            ..crate::connect_request(self.timeout_ms)
        }
    }

    // ---- frames

    /// Sends a request under the next xid, which it returns.
    #[track_caller]
    pub fn send(&mut self, op: OpCode, body: &dyn Encode) -> i32 {
        self.xid += 1;
        self.wire.send_request(self.xid, op, body);
        self.xid
    }

    /// The next reply, whatever it answers. Events in front of it are kept.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let Some(answer) = self.next_answer() else { panic!("the server hung up instead of answering") };
        answer
    }

    /// As [`answer`](Self::answer); `None` if the server hangs up instead.
    #[track_caller]
    pub fn next_answer(&mut self) -> Option<Answer> {
        loop {
            let frame = self.wire.next_frame()?;
            if let Some(answer) = self.take(frame) {
                return Some(answer);
            }
        }
    }

    /// Sends a request and returns its reply, which must be the next one.
    #[track_caller]
    pub fn call(&mut self, op: OpCode, body: &dyn Encode) -> Answer {
        let xid = self.send(op, body);
        let answer = self.answer();
        assert_eq!(answer.header.xid.0, xid, "another reply than that to {op}: {answer:?}");
        answer
    }

    /// Sends a request under a special xid and returns its reply.
    #[track_caller]
    pub fn call_as(&mut self, xid: i32, op: OpCode, body: &dyn Encode) -> Answer {
        self.wire.send_request(xid, op, body);
        let answer = self.answer();
        assert_eq!(answer.header.xid.0, xid, "another reply than that to {op}: {answer:?}");
        answer
    }

    /// A notification goes to the events, a reply is returned.
    fn take(&mut self, frame: Bytes) -> Option<Answer> {
        let mut reader = Reader::new(frame);
        let header: ReplyHeader = reader.record().unwrap();
        if header.xid.0 != -1 {
            if header.zxid > 0 {
                self.zxid = header.zxid;
            }
            return Some(Answer { header, body: reader.take_rest() });
        }
        assert_eq!(header.err, ErrorCode::OK, "a notification with an error");
        let event: WatcherEvent = reader.record().unwrap();
        reader.finish("WatcherEvent").unwrap();
        self.events.push_back(Event {
            kind: event.event_type,
            path: event.path.as_str().to_owned(),
            zxid: header.zxid,
            state: event.state,
        });
        None
    }

    // ---- events

    /// The events that came in front of the replies so far, oldest first; they are forgotten here.
    #[track_caller]
    pub fn events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Every event that the server has sent up to now: those it sends before it answers a ping.
    #[track_caller]
    pub fn events_by_now(&mut self) -> Vec<Event> {
        self.ping();
        self.events()
    }

    /// The next event, if need be after a wait.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        while self.events.is_empty() {
            let frame = self.wire.frame();
            let answer = self.take(frame);
            assert!(answer.is_none(), "a reply instead of an event: {answer:?}");
        }
        self.events.pop_front().unwrap()
    }

    // ---- operations

    /// create (1), open to all, persistent.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn create(&mut self, path: &str, data: &[u8]) -> Result<String, ErrorCode> {
        self.create_as(path, data, CreateMode::PERSISTENT)
    }

    /// create (1), open to all, of any mode.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn create_as(&mut self, path: &str, data: &[u8], mode: CreateMode) -> Result<String, ErrorCode> {
        self.create_acl(path, data, mode, Acl::OPEN)
    }

    /// create (1) with everything said.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn create_acl(
        &mut self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        acl: &[Acl],
    ) -> Result<String, ErrorCode> {
        let made = self.call(OpCode::CREATE, &create_request(path, data, mode, acl));
        made.read::<CreateResponse>().map(|made| made.path.as_str().to_owned())
    }

    /// create2 (15), open to all.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn create2(
        &mut self,
        path: &str,
        data: &[u8],
        mode: CreateMode,
    ) -> Result<(String, Stat), ErrorCode> {
        let made = self.call(OpCode::CREATE2, &create_request(path, data, mode, Acl::OPEN));
        made.read::<Create2Response>().map(|made| (made.path.as_str().to_owned(), made.stat))
    }

    /// createContainer (19), open to all.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn create_container(&mut self, path: &str) -> Result<(String, Stat), ErrorCode> {
        let body = create_request(path, b"", CreateMode::CONTAINER, Acl::OPEN);
        let made = self.call(OpCode::CREATE_CONTAINER, &body);
        made.read::<Create2Response>().map(|made| (made.path.as_str().to_owned(), made.stat))
    }

    /// createTTL (21), open to all.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn create_ttl(
        &mut self,
        path: &str,
        mode: CreateMode,
        ttl: i64,
    ) -> Result<(String, Stat), ErrorCode> {
        let made = self.call(OpCode::CREATE_TTL, &create_ttl_request(path, mode, ttl));
        made.read::<Create2Response>().map(|made| (made.path.as_str().to_owned(), made.stat))
    }

    /// delete (2).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn delete(&mut self, path: &str, version: i32) -> Result<(), ErrorCode> {
        self.call(OpCode::DELETE, &DeleteRequest { path, version }).nothing()
    }

    /// setData (5).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<Stat, ErrorCode> {
        let data = Some(Bytes::copy_from_slice(data));
        let set = self.call(OpCode::SET_DATA, &SetDataRequest { path, data, version });
        set.read::<SetDataResponse>().map(|set| set.stat)
    }

    /// getData (4), with or without a watch.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn get(&mut self, path: &str, watch: bool) -> Result<(Option<Bytes>, Stat), ErrorCode> {
        let got = self.call(OpCode::GET_DATA, &GetDataRequest { path, watch });
        got.read::<GetDataResponse>().map(|got| (got.data, got.stat))
    }

    /// exists (3), with or without a watch.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn exists(&mut self, path: &str, watch: bool) -> Result<Stat, ErrorCode> {
        let found = self.call(OpCode::EXISTS, &ExistsRequest { path, watch });
        found.read::<ExistsResponse>().map(|found| found.stat)
    }

    /// getChildren (8), with or without a watch; sorted.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn children(&mut self, path: &str, watch: bool) -> Result<Vec<String>, ErrorCode> {
        let listed = self.call(OpCode::GET_CHILDREN, &GetChildrenRequest { path, watch });
        listed.read::<GetChildrenResponse>().map(|listed| sorted(listed.children))
    }

    /// getChildren2 (12), with or without a watch; sorted.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn children2(&mut self, path: &str, watch: bool) -> Result<(Vec<String>, Stat), ErrorCode> {
        let listed = self.call(OpCode::GET_CHILDREN2, &GetChildren2Request { path, watch });
        listed.read::<GetChildren2Response>().map(|listed| (sorted(listed.children), listed.stat))
    }

    /// getACL (6).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn acl(&mut self, path: &str) -> Result<(Vec<Acl>, Stat), ErrorCode> {
        let got = self.call(OpCode::GET_ACL, &GetAclRequest { path });
        got.read::<GetAclResponse>().map(|got| (got.acl.unwrap_or_default(), got.stat))
    }

    /// setACL (7).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn set_acl(&mut self, path: &str, acl: &[Acl], version: i32) -> Result<Stat, ErrorCode> {
        let acl = Some(Cow::Owned(acl.to_vec()));
        let set = self.call(OpCode::SET_ACL, &SetAclRequest { path, acl, version });
        set.read::<SetAclResponse>().map(|set| set.stat)
    }

    /// sync (9).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn sync(&mut self, path: &str) -> Result<String, ErrorCode> {
        let synced = self.call(OpCode::SYNC, &SyncRequest { path });
        synced.read::<SyncResponse>().map(|synced| synced.path.as_str().to_owned())
    }

    /// ping (11), answered under its xid.
    #[track_caller]
    pub fn ping(&mut self) -> Answer {
        let answer = self.call_as(-2, OpCode::PING, &crate::Body(b""));
        answer.nothing().unwrap();
        answer
    }

    /// auth (100): the reply's code.
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn auth(&mut self, scheme: &str, data: &[u8]) -> Result<(), ErrorCode> {
        let auth = Some(Bytes::copy_from_slice(data));
        let packet = AuthPacket { auth_type: 0, scheme: Ustring::from(scheme), auth };
        self.call_as(-4, OpCode::AUTH, &packet).nothing()
    }

    /// multi (14).
    ///
    /// # Errors
    /// The header's, which is not that of a failed operation.
    #[track_caller]
    pub fn multi(&mut self, ops: impl IntoIterator<Item = Op>) -> Result<Vec<OpResult>, ErrorCode> {
        let answer = self.call(OpCode::MULTI, &MultiRequest::new(ops));
        answer
            .read::<MultiResponse>()
            .map(|answer| answer.results.into_iter().map(|result| result.result).collect())
    }

    /// addWatch (106).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn add_watch(&mut self, path: &str, mode: AddWatchMode) -> Result<(), ErrorCode> {
        let added = self.call(OpCode::ADD_WATCH, &AddWatchRequest { path, mode });
        added.read::<ErrorResponse>().map(|added| assert_eq!(added.err, ErrorCode::OK))
    }

    /// removeWatches (18).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn remove_watches(&mut self, path: &str, watcher_type: WatcherType) -> Result<(), ErrorCode> {
        self.call(OpCode::REMOVE_WATCHES, &RemoveWatchesRequest { path, watcher_type }).nothing()
    }

    /// checkWatches (17).
    ///
    /// # Errors
    /// The reply's.
    #[track_caller]
    pub fn check_watches(&mut self, path: &str, watcher_type: WatcherType) -> Result<(), ErrorCode> {
        self.call(OpCode::CHECK_WATCHES, &CheckWatchesRequest { path, watcher_type }).nothing()
    }

    /// setWatches (101), under its xid. Null lists go as empty ones: a null one does not decode at Apache's.
    #[track_caller]
    pub fn set_watches(&mut self, watches: &SetWatches<&str>) {
        let list = |list: &Option<Vec<&'_ str>>| {
            Some(list.iter().flatten().map(|path| (*path).to_owned()).collect())
        };
        let watches = SetWatches::<String> {
            relative_zxid: watches.relative_zxid,
            data_watches: list(&watches.data_watches),
            exist_watches: list(&watches.exist_watches),
            child_watches: list(&watches.child_watches),
        };
        self.call_as(-8, OpCode::SET_WATCHES, &watches).nothing().unwrap();
    }

    // ---- endings

    /// closeSession (-11): the reply, behind which the server must hang up.
    #[track_caller]
    pub fn close(mut self) -> Answer {
        self.open = false;
        let answer = self.call(OpCode::CLOSE_SESSION, &crate::Body(b""));
        self.wire.expect_eof();
        answer
    }

    /// Cuts the connection and leaves the session to itself. Returns what takes it up again.
    #[track_caller]
    pub fn cut(mut self) -> ConnectRequest {
        self.open = false;
        let _ = self.wire.stream().shutdown(std::net::Shutdown::Both);
        self.reattach_request()
    }

    /// Says that the session is over, or somebody else's: nothing is sent when this is dropped.
    #[track_caller]
    pub fn abandon(&mut self) {
        self.open = false;
    }

    /// The server must hang up, perhaps behind events: soon, or, if the session is short, when it expires. The expiry of a
    /// longer one is no answer.
    #[track_caller]
    pub fn expect_eof(&mut self) {
        self.open = false;
        self.wire.set_patience(Duration::from_secs(5));
        let answer = self.next_answer();
        assert!(answer.is_none(), "the server should hang up and sends {answer:?}");
    }
}

impl Drop for Session {
    /// Waits for the end, so that rows that count find no session of those before them.
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // By hand: whatever is wrong with the connection, this must not panic.
        let frame = request_frame(i32::MAX, OpCode::CLOSE_SESSION, &crate::Body(b""));
        let patience = if std::thread::panicking() { Duration::from_millis(200) } else { PATIENCE };
        self.wire.leave(&frame, patience);
    }
}

fn sorted(names: Option<Vec<Ustring>>) -> Vec<String> {
    let mut names: Vec<_> = names.unwrap_or_default().iter().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    names
}

/// The body of create, create2 and createContainer.
#[must_use]
pub fn create_request(path: &str, data: &[u8], mode: CreateMode, acl: &[Acl]) -> CreateRequest {
    let data = Some(Bytes::copy_from_slice(data));
    CreateRequest { path: Ustring::from(path), data, acl: Some(Cow::Owned(acl.to_vec())), flags: mode }
}

/// The body of createTTL, open to all.
#[must_use]
pub fn create_ttl_request(path: &str, mode: CreateMode, ttl: i64) -> CreateTtlRequest {
    let acl = Some(Cow::Borrowed(Acl::OPEN));
    CreateTtlRequest { path: Ustring::from(path), data: Some(Bytes::new()), acl, flags: mode, ttl }
}
