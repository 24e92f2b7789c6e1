//! Creating znodes: every mode, with parents, and protected against a lost answer.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::engine::private::Described;
use super::engine::{Answer, Call, Sent};
use super::hub::now;
use super::{Client, Error, Kind, under};
use crate::jute::{
    Acl, Create2Response, CreateMode, CreateRequest, CreateResponse, CreateTtlRequest, Encode, ErrorCode,
    OpCode, Reader, Stat,
};
use crate::limits;
use crate::path;
use crate::session::{Cause, Fate, RequestError, State};

/// A znode that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// Its path, with the digits that a sequential one got.
    pub path: String,
    /// Its stat; `None` from servers before 3.5, which do not tell it.
    pub stat: Option<Stat>,
}

/// The operation beneath [`CreateCall`]. Yields [`Created`].
#[derive(Clone)]
pub struct Create<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) data: Bytes,
    pub(super) acl: Cow<'static, [Acl]>,
    pub(super) mode: Mode,
    pub(super) ttl: Option<Duration>,
    /// The server does not know create2.
    old: bool,
}

/// What kind of znode.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mode {
    pub(super) ephemeral: bool,
    pub(super) sequential: bool,
    pub(super) container: bool,
}

/// A znode about to be created. Awaiting it is one request, unless parents are to be created or the name is protected.
///
/// Dropping the future cancels, as [`Call`] says; with several requests, those that were answered stay done.
#[must_use = "it does nothing until it is awaited or sent"]
#[derive(Debug)]
pub struct CreateCall<'a, 'p> {
    client: &'a Client,
    create: Create<'p>,
    timeout: Option<Duration>,
    parents: bool,
    protected: bool,
}

impl Client {
    /// Creates a znode: persistent, empty and open to everyone unless told otherwise.
    ///
    /// # Errors
    /// `NodeExists`, `NoNode` (no parent), `NoAuth`, `NoChildrenForEphemerals`, `InvalidACL`, and what any request may
    /// meet. If the answer is lost the outcome is unknown and nothing is repeated; see
    /// [`protected`](CreateCall::protected).
    pub fn create<'p>(&self, path: impl Into<Cow<'p, str>>) -> CreateCall<'_, 'p> {
        let create = Create::new(path.into(), Bytes::new(), Cow::Borrowed(Acl::OPEN), Mode::default());
        CreateCall { client: self, create, timeout: None, parents: false, protected: false }
    }
}

impl<'a, 'p> CreateCall<'a, 'p> {
    /// Its data.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.create.data = data.into();
        self
    }

    /// Who may do what with it. The default is [`Acl::OPEN`].
    pub fn acl(mut self, acl: impl Into<Cow<'static, [Acl]>>) -> Self {
        self.create.acl = acl.into();
        self
    }

    /// It goes when this session ends.
    pub fn ephemeral(mut self) -> Self {
        self.create.mode.ephemeral = true;
        self
    }

    /// The server puts ten digits behind the name, counting up. The name may end with a slash.
    pub fn sequential(mut self) -> Self {
        self.create.mode.sequential = true;
        self
    }

    /// The server deletes it some time after its last child went. (3.5.1)
    pub fn container(mut self) -> Self {
        self.create.mode.container = true;
        self
    }

    /// The server deletes it when it has no children and was not changed for this long: 1 ms to about 34 years.
    /// (3.5.3, and only where `extendedTypesEnabled` is set.)
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.create.ttl = Some(ttl);
        self
    }

    /// How long the request may take in all. What [`parents`](Self::parents) and [`protected`](Self::protected) add to it
    /// runs under the client's default, which is also the default here.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Creates missing parents too, persistent and open, when the server says that there is none.
    pub fn parents(mut self) -> Self {
        self.parents = true;
        self
    }

    /// Puts a mark of its own in front of the name (`_c_<guid>-`, as Curator does), so that after a lost answer the
    /// client can look whether the znode was created: for sequential znodes, where a second try would make a second one.
    /// What is found counts only if it belongs to this session or to none.
    pub fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    /// Puts the request on its way now; see [`Call::send`]. Parents and protection do not go with it.
    pub fn send(self) -> Sent<Create<'p>> {
        self.call().send()
    }

    fn call(self) -> Call<'a, Create<'p>> {
        Call { client: self.client, op: self.create, timeout: self.timeout }
    }

    /// Under one session, and within one deadline, whatever it takes.
    async fn run(mut self) -> Result<Created, Error> {
        let guid = if self.protected { Some(self.protect()?) } else { None };
        let client = self.client.session();
        let deadline = client.hub.deadline(self.timeout);
        let create = self.create;
        let mut result = once(&client, &create, deadline).await;
        for round in 0..limits::PARENT_ROUNDS {
            let no_parent = matches!(&result, Err(error) if error.code() == Some(ErrorCode::NO_NODE));
            if !self.parents || !no_parent || (round > 0 && planted!("client_parents_once")) {
                break;
            }
            let late = RequestError { cause: Cause::Deadline, fate: Fate::NotSent };
            let made = client.hub.before(deadline, client.ensure_parents(&create.path)).await;
            made.unwrap_or_else(|| Err(Error::new(late).at(create.op(), &create.path)))?;
            result = once(&client, &create, deadline).await;
        }
        match (result, guid) {
            (Err(error), Some(guid)) if error.fate() == Fate::Unknown => {
                find_protected(&client, &create, &guid, error, deadline).await
            }
            (result, _) => result,
        }
    }

    /// Marks the name, and yields the mark.
    fn protect(&mut self) -> Result<String, Error> {
        self.create.check().map_err(|error| error.at(self.create.op(), &self.create.path))?;
        let mark = format!("_c_{:016x}{:016x}-", super::seed(), super::seed());
        let (parent, name) = self.create.path.rsplit_once('/').unwrap_or(("", ""));
        self.create.path = Cow::Owned(format!("{parent}/{mark}{name}"));
        Ok(mark)
    }
}

async fn once(client: &Client, create: &Create<'_>, deadline: Instant) -> Result<Created, Error> {
    let left = deadline.saturating_duration_since(now());
    Call::new(client, create.clone()).timeout(left).await
}

/// Looks for a znode by its mark, after the answer to its creation was lost. Whatever keeps it from looking, the fate of
/// the creation stays unknown.
async fn find_protected(
    client: &Client,
    create: &Create<'_>,
    mark: &str,
    lost: Error,
    deadline: Instant,
) -> Result<Created, Error> {
    match client.hub.before(deadline, look_for(client, create, mark)).await {
        Some(Ok(Some(created))) => Ok(created),
        _ => Err(lost),
    }
}

async fn look_for(client: &Client, create: &Create<'_>, mark: &str) -> Result<Option<Created>, Error> {
    let Some(session) = client.session_id_when_connected().await else { return Ok(None) };
    let parent = path::parent(&create.path).unwrap_or("/");
    // The write may still be on its way to the leader through the member that was lost; the sync goes behind it.
    client.sync(parent).await?;
    let (children, _) = client.children(parent).await?;
    for name in children.iter().filter(|name| name.contains(mark)) {
        let found = path::join(parent, name);
        if let Some(stat) = client.exists(found.as_str()).await? {
            if stat.ephemeral_owner == 0 || stat.ephemeral_owner == session {
                return Ok(Some(Created { path: found, stat: Some(stat) }));
            }
        }
    }
    Ok(None)
}

impl<'a, 'p: 'a> IntoFuture for CreateCall<'a, 'p> {
    type Output = Result<Created, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<'a> Create<'a> {
    pub(super) fn new(path: Cow<'a, str>, data: Bytes, acl: Cow<'static, [Acl]>, mode: Mode) -> Self {
        Self { path, data, acl, mode, ttl: None, old: false }
    }
}

/// The data's length only, and no ACL: both may hold secrets.
impl fmt::Debug for Create<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, data, mode, ttl, .. } = self;
        write!(f, "Create {{ path: {path:?}, data: <{} bytes>, mode: {mode:?}, ttl: {ttl:?} }}", data.len())
    }
}

impl Create<'_> {
    pub(super) fn create_mode(&self) -> CreateMode {
        let Mode { ephemeral, sequential, container } = self.mode;
        match (container, self.ttl.is_some(), ephemeral, sequential) {
            (true, ..) => CreateMode::CONTAINER,
            (_, true, _, false) => CreateMode::PERSISTENT_WITH_TTL,
            (_, true, _, true) => CreateMode::PERSISTENT_SEQUENTIAL_WITH_TTL,
            (_, _, false, false) => CreateMode::PERSISTENT,
            (_, _, true, false) => CreateMode::EPHEMERAL,
            (_, _, false, true) => CreateMode::PERSISTENT_SEQUENTIAL,
            (_, _, true, true) => CreateMode::EPHEMERAL_SEQUENTIAL,
        }
    }

    pub(super) fn ttl_millis(&self) -> i64 {
        self.ttl.map_or(0, |ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
    }

    pub(super) fn check_mode(&self) -> Result<(), Error> {
        let Mode { ephemeral, sequential, container } = self.mode;
        if container && (ephemeral || sequential || self.ttl.is_some()) {
            return Err(Error::new(Kind::Argument("a container is nothing else besides")));
        }
        if ephemeral && self.ttl.is_some() {
            return Err(Error::new(Kind::Argument("an ephemeral znode has no time to live")));
        }
        if self.ttl.is_some() && !(1..=MAX_TTL_MILLIS).contains(&self.ttl_millis()) {
            return Err(Error::new(Kind::Argument("a time to live is 1 ms to 2^40-1 ms")));
        }
        let valid =
            if sequential { path::validate_sequential(&self.path) } else { path::validate(&self.path) };
        valid.map_err(Error::new)
    }
}

/// `EphemeralType.TTL.maxValue`.
const MAX_TTL_MILLIS: i64 = (1 << 40) - 1;

impl Described for Create<'_> {
    type Output = Created;

    fn op(&self) -> OpCode {
        match () {
            () if self.mode.container => OpCode::CREATE_CONTAINER,
            () if self.ttl.is_some() => OpCode::CREATE_TTL,
            () if self.old => OpCode::CREATE,
            () => OpCode::CREATE2,
        }
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn check(&self) -> Result<(), Error> {
        self.check_mode()
    }

    fn len_bytes(&self) -> usize {
        self.path.len() + self.data.len() + 64 * (1 + self.acl.len())
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        let path = under(chroot, &self.path);
        let (data, acl, flags) = (Some(self.data.clone()), Some(self.acl.clone()), self.create_mode());
        if self.ttl.is_some() {
            use_body(&CreateTtlRequest { path, data, acl, flags, ttl: self.ttl_millis() })
        } else {
            use_body(&CreateRequest { path, data, acl, flags })
        }
    }

    fn fall_back(&mut self, error: &RequestError) -> bool {
        let unknown = error.cause == Cause::Server(ErrorCode::UNIMPLEMENTED) && error.fate == Fate::Refused;
        let can = self.op() == OpCode::CREATE2;
        self.old |= unknown && can;
        unknown && can
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let chroot = answer.chroot.to_owned();
        let mut reader = Reader::new(answer.reply()?.body);
        let decoded = if self.op() == OpCode::CREATE {
            reader.record::<CreateResponse>().map(|response| (response.path, None))
        } else {
            reader.record::<Create2Response>().map(|response| (response.path, Some(response.stat)))
        };
        let (full, stat) = decoded.map_err(|error| Error::new(Kind::Garbled(error)))?;
        let path = path::strip(&chroot, full.as_str()).unwrap_or(full.as_str()).to_owned();
        Ok(Created { path, stat })
    }
}

impl Client {
    /// Creates what is missing above this path, persistent and open.
    pub(super) async fn ensure_parents(&self, path: &str) -> Result<(), Error> {
        let mut missing = Vec::new();
        let mut next = path::parent(path.strip_suffix('/').unwrap_or(path));
        if path.ends_with('/') {
            next = path.strip_suffix('/').filter(|parent| !parent.is_empty());
        }
        while let Some(parent) = next.filter(|&parent| parent != "/") {
            missing.push(parent);
            next = path::parent(parent);
        }
        if !self.chroot.is_empty() {
            self.ensure_chroot().await?;
        }
        // From the top down, without asking first: most often only the last is missing, and the rest say NodeExists.
        for parent in missing.into_iter().rev() {
            match self.create_plain(parent).await {
                Ok(_) => {}
                Err(error) if error.code() == Some(ErrorCode::NODE_EXISTS) => {}
                // Nobody else's parent is in the way of one that may not be created here but is there.
                Err(error)
                    if error.code() == Some(ErrorCode::NO_AUTH) && self.exists(parent).await?.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One persistent znode without data; an unknown fate is cleared up by trying again, which can do no harm.
    pub(super) async fn create_plain(&self, path: &str) -> Result<Created, Error> {
        loop {
            let create = self.create(path).call();
            match create.await {
                Err(error) if error.fate() == Fate::Unknown && !error.is_session_lost() => {}
                result => return result,
            }
        }
    }

    /// This session's id, once it is connected again; `None` if it ends first.
    async fn session_id_when_connected(&self) -> Option<i64> {
        let mut status = self.hub.status.subscribe();
        let epoch = self.pinned.unwrap_or_else(|| self.hub.lock().epoch);
        loop {
            let seen = status.get();
            match seen.state {
                _ if seen.epoch != epoch => return None,
                State::Connected => return seen.session_id,
                State::Ended(_) => return None,
                _ => status.changed().await,
            }
        }
    }
}
