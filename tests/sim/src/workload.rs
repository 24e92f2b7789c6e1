//! What clients do: every operation and every kind of watch, alone and in pipelines, and everything that may come between.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use menagerie::session::{Auth, Request as Wish, Server, State as Stands, WatchKind, WatchWish};
use menagerie_jute::{
    Acl, AddWatchMode, AddWatchRequest, CreateMode, CreateRequest, CreateTtlRequest, DeleteRequest,
    ExistsRequest, GetAclRequest, GetAllChildrenNumberRequest, GetChildren2Request, GetDataRequest,
    GetEphemeralsRequest, MultiRequest, Op, OpCode, RequestBody, SetAclRequest, SetDataRequest, SyncRequest,
    Ustring,
};

use crate::agenda::{Event, MILLI, SECOND};
use crate::census::State;
use crate::ensemble::Token;
use crate::ledger::Request;
use crate::world::{World, host, shared};

/// Requests of a client that may be out at once.
const MOST_OUT: usize = 200;

/// Watches that it takes to fill more than one batch.
const MANY_WATCHES: usize = 450;

/// What a client can do.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Ask,
    Pipeline,
    Cancel,
    Unwatch,
    Close,
    Vanish,
    SetServers,
    HoldLease,
    ReleaseLease,
    AddAuth,
    ManyWatches,
}

const DEEDS: [(u64, Deed); 11] = [
    (700, Deed::Ask),
    (120, Deed::Pipeline),
    (60, Deed::Cancel),
    (30, Deed::Unwatch),
    (6, Deed::Close),
    (8, Deed::Vanish),
    (8, Deed::SetServers),
    (20, Deed::HoldLease),
    (10, Deed::ReleaseLease),
    (6, Deed::AddAuth),
    (6, Deed::ManyWatches),
];

/// What clients do while members are apart.
const DEEDS_APART: [(u64, Deed); 6] = [
    (800, Deed::Ask),
    (30, Deed::HoldLease),
    (5, Deed::ReleaseLease),
    (8, Deed::Close),
    (12, Deed::Vanish),
    (20, Deed::Cancel),
];

/// What they ask for meanwhile.
const OPS_APART: [(u64, OpCode); 7] = [
    (40, OpCode::GET_DATA),
    (10, OpCode::EXISTS),
    (15, OpCode::SYNC),
    (10, OpCode::SET_DATA),
    (10, OpCode::CREATE),
    (5, OpCode::DELETE),
    (5, OpCode::ADD_WATCH),
];

/// What those ask for who only read.
const READS: [(u64, OpCode); 3] = [(4, OpCode::GET_DATA), (2, OpCode::EXISTS), (1, OpCode::GET_CHILDREN2)];

const OPS: [(u64, OpCode); 17] = [
    (10, OpCode::GET_DATA),
    (10, OpCode::EXISTS),
    (8, OpCode::GET_CHILDREN2),
    (2, OpCode::GET_ACL),
    (5, OpCode::SYNC),
    (16, OpCode::SET_DATA),
    (14, OpCode::CREATE),
    (6, OpCode::CREATE2),
    (1, OpCode::CREATE_CONTAINER),
    (1, OpCode::CREATE_TTL),
    (14, OpCode::DELETE),
    (2, OpCode::SET_ACL),
    (8, OpCode::MULTI),
    (2, OpCode::MULTI_READ),
    (5, OpCode::ADD_WATCH),
    (1, OpCode::GET_EPHEMERALS),
    (1, OpCode::GET_ALL_CHILDREN_NUMBER),
];

impl World {
    /// A client's next deed, and the one after it is put down.
    pub(crate) fn client_acts(&mut self, client: usize) {
        if self.healed {
            return;
        }
        let gap = self.chance.around(self.plan.deed_gap);
        if self.clients[client].paused == 0 {
            self.agenda.at(self.now + gap.max(MILLI), Event::ClientActs(client));
            self.deed(client);
        } else {
            self.agenda.at(self.now + gap.max(MILLI) + SECOND / 10, Event::ClientActs(client));
        }
    }

    fn is_connected(&self, client: usize) -> bool {
        self.clients[client].session.as_ref().is_some_and(|session| session.state() == Stands::Connected)
    }

    fn deed(&mut self, client: usize) {
        let one = &self.clients[client];
        if one.session.is_none() || one.ended.is_some() {
            return self.start_session(client, None);
        }
        let deeds = if self.plan.apart { &DEEDS_APART[..] } else { &DEEDS };
        match self.chance.weighted(deeds).unwrap_or(Deed::Ask) {
            Deed::Pipeline if self.clients[client].pipelines => {
                let connected = self.is_connected(client);
                for _ in 0..self.chance.between(2, 12) {
                    self.ask(client, true);
                    // Asking may be what makes the session leave its server. What is sent behind that is another pipeline, and its
                    // sender is to hear of the loss first.
                    if connected && !self.is_connected(client) {
                        break;
                    }
                }
            }
            Deed::Ask | Deed::Pipeline => self.ask(client, false),
            Deed::Cancel => self.cancel(client),
            Deed::Unwatch => self.unwatch(client),
            Deed::Close => self.close(client),
            Deed::Vanish => self.vanish(client),
            Deed::SetServers => self.set_servers(client),
            Deed::HoldLease => self.hold_lease(client),
            Deed::ReleaseLease => self.release_lease(client),
            Deed::AddAuth => self.add_auth(client),
            Deed::ManyWatches => self.many_watches(client),
        }
        self.settle(client);
    }

    fn some_path(&mut self) -> Arc<str> {
        let top = char::from(b'a' + u8::try_from(self.chance.below(5)).unwrap_or(0));
        match self.chance.below(10) {
            0..=3 => shared(&format!("/{top}")),
            4..=8 => {
                let below = char::from(b'x' + u8::try_from(self.chance.below(3)).unwrap_or(0));
                shared(&format!("/{top}/{below}"))
            }
            _ => shared("/"),
        }
    }

    fn ask(&mut self, client: usize, pipelined: bool) {
        let ops = match (self.plan.apart, self.clients[client].only_reads) {
            (true, true) => &READS[..],
            (true, false) => &OPS_APART,
            _ => &OPS,
        };
        let op = self.chance.weighted(ops).unwrap_or(OpCode::GET_DATA);
        let path = self.some_path();
        let (body, watch) = self.body(op, &path);
        let path = named(&body).unwrap_or(path);
        self.submit(client, op, path, &body, watch, pipelined);
    }

    fn body(&mut self, op: OpCode, path: &Arc<str>) -> (RequestBody, Option<WatchKind>) {
        let text = Ustring::from(&**path);
        let watches = self.chance.percent(35);
        let version =
            if self.chance.percent(70) { -1 } else { i32::try_from(self.chance.below(4)).unwrap_or(0) };
        let data = self.data();
        let once = |kind| watches.then_some(kind);
        match op {
            OpCode::GET_DATA => {
                (RequestBody::GetData(GetDataRequest { path: text, watch: watches }), once(WatchKind::Data))
            }
            OpCode::EXISTS => {
                (RequestBody::Exists(ExistsRequest { path: text, watch: watches }), once(WatchKind::Data))
            }
            OpCode::GET_CHILDREN2 => (
                RequestBody::GetChildren2(GetChildren2Request { path: text, watch: watches }),
                once(WatchKind::Child),
            ),
            OpCode::ADD_WATCH => {
                let recursive = self.chance.percent(50);
                let mode =
                    if recursive { AddWatchMode::PERSISTENT_RECURSIVE } else { AddWatchMode::PERSISTENT };
                let kind = if recursive { WatchKind::Recursive } else { WatchKind::Persistent };
                (RequestBody::AddWatch(AddWatchRequest { path: text, mode }), Some(kind))
            }
            OpCode::GET_ACL => (RequestBody::GetAcl(GetAclRequest { path: text }), None),
            OpCode::SYNC => (RequestBody::Sync(SyncRequest { path: text }), None),
            // Nothing at all is no number: only of the root, whose history is not checked.
            OpCode::SET_DATA if &**path == "/" => {
                (RequestBody::SetData(SetDataRequest { path: text, data: None, version }), None)
            }
            OpCode::SET_DATA => (RequestBody::SetData(SetDataRequest { path: text, data, version }), None),
            OpCode::DELETE => (RequestBody::Delete(DeleteRequest { path: text, version }), None),
            OpCode::SET_ACL => {
                let acl = Some(Acl::OPEN.into());
                (RequestBody::SetAcl(SetAclRequest { path: text, acl, version: -1 }), None)
            }
            OpCode::GET_EPHEMERALS => {
                (RequestBody::GetEphemerals(GetEphemeralsRequest { prefix_path: Ustring::from("/") }), None)
            }
            OpCode::GET_ALL_CHILDREN_NUMBER => {
                (RequestBody::GetAllChildrenNumber(GetAllChildrenNumberRequest { path: text }), None)
            }
            _ => (self.larger_body(op, path), None),
        }
    }

    fn larger_body(&mut self, op: OpCode, path: &Arc<str>) -> RequestBody {
        let flags = self.chance.weighted(&[
            (5, CreateMode::PERSISTENT),
            (4, CreateMode::EPHEMERAL),
            (1, CreateMode::PERSISTENT_SEQUENTIAL),
            (2, CreateMode::EPHEMERAL_SEQUENTIAL),
        ]);
        let flags = flags.unwrap_or(CreateMode::PERSISTENT);
        let sequential =
            matches!(flags, CreateMode::PERSISTENT_SEQUENTIAL | CreateMode::EPHEMERAL_SEQUENTIAL);
        let path =
            if sequential { format!("{}/s-", path.trim_end_matches('/')) } else { String::from(&**path) };
        let text = Ustring::from(path.as_str());
        let (data, acl) = (self.data(), Some(Acl::OPEN.into()));
        match op {
            OpCode::CREATE => RequestBody::Create(CreateRequest { path: text, data, acl, flags }),
            OpCode::CREATE_CONTAINER => {
                let flags = CreateMode::CONTAINER;
                RequestBody::CreateContainer(CreateRequest { path: text, data, acl, flags })
            }
            OpCode::CREATE_TTL => {
                let flags = CreateMode::PERSISTENT_WITH_TTL;
                let ttl = i64::try_from(self.chance.between(1_000, 30_000)).unwrap_or(1_000);
                RequestBody::CreateTtl(CreateTtlRequest { path: text, data, acl, flags, ttl })
            }
            OpCode::MULTI => self.multi(),
            OpCode::MULTI_READ => {
                let path = Ustring::from(&*self.some_path());
                let read = Op::GetData(GetDataRequest { path, watch: false });
                RequestBody::MultiRead(MultiRequest::new([read]))
            }
            _ => RequestBody::Create2(CreateRequest { path: text, data, acl, flags }),
        }
    }

    /// A few writes as one. The first is no check: those are leases.
    fn multi(&mut self) -> RequestBody {
        let count = self.chance.between(1, 4);
        let mut ops = Vec::new();
        let mut named = std::collections::BTreeSet::new();
        for _ in 0..count {
            let path = Ustring::from(&*self.some_path());
            let data = self.data();
            // The history knows each znode of a transaction by one step, and no root.
            if path.as_str() == "/" || !named.insert(path.clone()) {
                continue;
            }
            ops.push(match self.chance.below(4) {
                0 => Op::Delete(DeleteRequest { path, version: -1 }),
                1 | 2 => Op::SetData(SetDataRequest { path, data, version: -1 }),
                _ => Op::Create(CreateRequest {
                    path,
                    data,
                    acl: Some(Acl::OPEN.into()),
                    flags: CreateMode::PERSISTENT,
                }),
            });
        }
        RequestBody::Multi(MultiRequest::new(ops))
    }

    /// No two are the same, so that what is read tells who wrote it.
    fn data(&mut self) -> Option<Bytes> {
        let number = self.chance.draw().to_be_bytes();
        match self.chance.below(40) {
            0 | 1 => {
                let mut long = vec![number[0]; 20_000];
                long.splice(..8, number);
                Some(Bytes::from(long))
            }
            _ => Some(Bytes::copy_from_slice(&number)),
        }
    }

    fn submit(
        &mut self,
        client: usize,
        op: OpCode,
        path: Arc<str>,
        body: &RequestBody,
        watch: Option<WatchKind>,
        pipelined: bool,
    ) {
        if self.clients[client].out_now.len() >= MOST_OUT {
            return;
        }
        let wait = self.chance.percent(30).then(|| self.chance.between(50 * MILLI, 10 * SECOND));
        let deadline = wait.map(|wait| self.now + wait);
        let wish = Wish {
            op,
            body,
            watch: watch.map(|kind| WatchWish { kind, path: &path }),
            deadline: wait.map(|wait| self.instant() + Duration::from_micros(wait)),
            places: 1,
            pipelined,
        };
        let token = self.enter(client, op, path.clone());
        let request = &mut self.ledger[token as usize];
        (request.watch, request.pipelined, request.deadline) = (watch, pipelined, deadline);
        let now = self.instant();
        self.note_asked(token, body);
        let Some(session) = &mut self.clients[client].session else { return };
        match session.submit(now, wish, token) {
            Ok(id) => {
                self.ledger[token as usize].id = Some(id);
                self.clients[client].unframed.push_back(token);
                self.clients[client].out_now.push_back(token);
                if pipelined && op.is_write() {
                    let holes = &mut self.clients[client].holes;
                    holes.push(token);
                    if holes.len() > 300 {
                        holes.drain(..100);
                    }
                }
                self.line(format!(
                    "c{client}    t{token} {op:?} {path} watch {watch:?} pipelined {pipelined}"
                ));
            }
            Err(_) => {
                self.ledger[token as usize].back = self.step;
                self.note_rejected(token);
            }
        }
    }

    fn enter(&mut self, client: usize, op: OpCode, path: Arc<str>) -> Token {
        self.ledger.push(Request {
            client,
            serial: self.clients[client].serial,
            op,
            path,
            watch: None,
            id: None,
            pipelined: false,
            deadline: None,
            submitted: self.step,
            back: 0,
            cancelled: false,
            frame: None,
            answer: None,
            logged: None,
            fate: None,
            abandoned: false,
        });
        Token::try_from(self.ledger.len() - 1).unwrap_or(Token::MAX)
    }

    fn cancel(&mut self, client: usize) {
        let out = &self.clients[client].out_now;
        let Some(token) = out.get(self.chance.index(out.len())).copied() else { return };
        let Some(id) = self.ledger[token as usize].id else { return };
        self.ledger[token as usize].cancelled = true;
        let now = self.instant();
        self.line(format!("c{client}    cancels t{token}"));
        if let Some(session) = &mut self.clients[client].session {
            session.cancel(now, id);
        }
    }

    fn unwatch(&mut self, client: usize) {
        let watchers = &self.clients[client].watchers;
        let chosen = watchers.keys().nth(self.chance.index(watchers.len())).copied();
        let Some(watcher) = chosen else { return };
        self.clients[client].watchers.remove(&watcher);
        let now = self.instant();
        if let Some(session) = &mut self.clients[client].session {
            session.unwatch(now, watcher);
        }
    }

    fn close(&mut self, client: usize) {
        let now = self.instant();
        self.line(format!("c{client}    closes"));
        self.clients[client].closing = true;
        if let Some(session) = &mut self.clients[client].session {
            session.close(now);
        }
    }

    /// The process dies; another takes the session up, or nobody does.
    fn vanish(&mut self, client: usize) {
        let goes_on = self.chance.percent(60);
        let credentials =
            self.clients[client].credentials.take().filter(|_| goes_on && !self.clients[client].wild);
        self.line(format!("c{client}    vanishes"));
        self.abandon_session(client);
        self.start_session(client, credentials);
    }

    fn set_servers(&mut self, client: usize) {
        let mut members: Vec<usize> = (0..self.plan.members).collect();
        if self.chance.percent(50) {
            members.remove(self.chance.index(members.len()));
        }
        let servers: Vec<Server> =
            members.into_iter().map(|member| Server { host: host(member), port: 2181 }).collect();
        let now = self.instant();
        self.line(format!("c{client}    has other servers"));
        if let Some(session) = &mut self.clients[client].session {
            session.set_servers(now, servers);
        }
    }

    fn hold_lease(&mut self, client: usize) {
        let path = self.some_path();
        let now = self.instant();
        let one = &mut self.clients[client];
        if one.leases.len() < 2 && !one.closing && !one.only_reads {
            if let Some(session) = &mut one.session {
                one.leases.push(session.hold_lease(now, &path, -1));
                self.census.reach(State::Leased);
            }
        }
    }

    fn release_lease(&mut self, client: usize) {
        let one = &mut self.clients[client];
        if let (Some(lease), Some(session)) = (one.leases.pop(), &mut one.session) {
            session.release_lease(lease);
        }
    }

    fn add_auth(&mut self, client: usize) {
        let token = self.enter(client, OpCode::AUTH, shared("/"));
        let auth = Auth {
            scheme: String::from("digest"),
            auth: Bytes::from(format!("u{}:p", self.chance.below(3))),
        };
        let now = self.instant();
        let Some(session) = &mut self.clients[client].session else { return };
        match session.add_auth(now, auth, token) {
            Ok(()) => self.clients[client].out_now.push_back(token),
            Err(_) => self.ledger[token as usize].back = self.step,
        }
    }

    /// So many that they need more than one batch to be set again.
    fn many_watches(&mut self, client: usize) {
        if !self.clients[client].many_watches || self.clients[client].watchers.len() > MANY_WATCHES {
            return;
        }
        let long = "n".repeat(300);
        for number in 0..MANY_WATCHES {
            let path = shared(&format!("/{long}-{number}"));
            let body = RequestBody::Exists(ExistsRequest { path: Ustring::from(&*path), watch: true });
            self.clients[client].out_now.truncate(usize::MAX);
            self.submit_quietly(client, path, &body);
        }
    }

    fn submit_quietly(&mut self, client: usize, path: Arc<str>, body: &RequestBody) {
        let wish = Wish {
            op: OpCode::EXISTS,
            body,
            watch: Some(WatchWish { kind: WatchKind::Data, path: &path }),
            deadline: None,
            places: 1,
            pipelined: false,
        };
        let token = self.enter(client, OpCode::EXISTS, path.clone());
        self.ledger[token as usize].watch = Some(WatchKind::Data);
        let now = self.instant();
        let Some(session) = &mut self.clients[client].session else { return };
        match session.submit(now, wish, token) {
            Ok(id) => {
                self.ledger[token as usize].id = Some(id);
                self.clients[client].unframed.push_back(token);
                self.clients[client].out_now.push_back(token);
            }
            Err(_) => self.ledger[token as usize].back = self.step,
        }
    }
}

/// The path of a create, as its body says it: sequential ones end in another way.
fn named(body: &RequestBody) -> Option<Arc<str>> {
    match body {
        RequestBody::Create(create) | RequestBody::Create2(create) => Some(shared(create.path.as_str())),
        _ => None,
    }
}
