//! Several operations in one request: transactions, and bundled reads.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::children::Children;
use super::create::{Create, Mode};
use super::engine::private::Described;
use super::engine::{Answer, Call};
use super::nodes::value;
use super::{Client, Error, Kind, under};
use crate::jute::{
    Acl, CheckVersionRequest, CreateRequest, CreateTtlRequest, Decode, DeleteRequest, Encode, ErrorCode,
    GetChildrenRequest, GetDataRequest, GetDataResponse, MultiHeader, MultiResponse, OpCode, OpResult,
    Reader, SetDataRequest, Stat, Writer,
};
use crate::path;

/// A transaction being put together: all of it happens, or none.
#[must_use = "a transaction does nothing until it is committed"]
#[derive(Debug)]
pub struct Transaction<'a, 'p> {
    client: &'a Client,
    steps: Vec<Step<'p>>,
    timeout: Option<Duration>,
}

/// The operation beneath [`Transaction::commit`].
#[derive(Debug)]
pub struct Multi<'a>(Vec<Step<'a>>);

/// One step of a transaction.
enum Step<'a> {
    Create(Create<'a>),
    Set { path: Cow<'a, str>, data: Bytes, version: i32 },
    Delete { path: Cow<'a, str>, version: i32 },
    Check { path: Cow<'a, str>, version: i32 },
}

/// What one step of a committed transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepResult {
    /// A znode was created: its path, and its stat where the server tells it (from 3.7.2, 3.8.2 and 3.9 on).
    Created {
        /// The path, with the digits that a sequential one got.
        path: String,
        /// The stat.
        stat: Option<Stat>,
    },
    /// Data was set.
    Set(Stat),
    /// A znode was deleted.
    Deleted,
    /// The version was right.
    Checked,
}

impl Client {
    /// Begins a transaction.
    pub fn transaction<'p>(&self) -> Transaction<'_, 'p> {
        Transaction { client: self, steps: Vec::new(), timeout: None }
    }

    /// Reads the data of several znodes in one request: what takes a thousand round trips otherwise. (3.6)
    ///
    /// Each answer stands for itself: a missing znode fails only its own. The reads set no watches.
    ///
    /// # Errors
    /// `Unimplemented` on older servers, `ReplyTooLarge` if all of it is over the inbound limit, and what any request may
    /// meet.
    pub fn get_many<'p, P: Into<Cow<'p, str>>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Call<'_, MultiRead<'p>> {
        self.read_many(paths.into_iter().map(|path| ReadStep::Get(path.into())).collect())
    }

    /// Lists the children of several znodes in one request; otherwise as [`get_many`](Self::get_many).
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many).
    pub fn children_many<'p, P: Into<Cow<'p, str>>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> Call<'_, MultiRead<'p>> {
        self.read_many(paths.into_iter().map(|path| ReadStep::Children(path.into())).collect())
    }

    /// Reads data and lists children in one request, in any order; otherwise as [`get_many`](Self::get_many).
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many).
    pub fn read_many<'p>(&self, steps: Vec<ReadStep<'p>>) -> Call<'_, MultiRead<'p>> {
        Call::new(self, MultiRead(steps))
    }
}

impl<'a, 'p> Transaction<'a, 'p> {
    fn step(mut self, step: Step<'p>) -> Self {
        self.steps.push(step);
        self
    }

    /// Creates a persistent znode.
    pub fn create(self, path: impl Into<Cow<'p, str>>, data: impl Into<Bytes>) -> Self {
        self.create_with(path, data, |create| create)
    }

    /// Creates a znode as `configure` says: `create_with("/a", "x", |create| create.ephemeral())`. Parents, protection
    /// and timeouts of single znodes have no meaning here and are ignored.
    pub fn create_with(
        self,
        path: impl Into<Cow<'p, str>>,
        data: impl Into<Bytes>,
        configure: impl FnOnce(TransactionCreate<'p>) -> TransactionCreate<'p>,
    ) -> Self {
        let create = configure(TransactionCreate(Create::plain(path.into(), data.into())));
        self.step(Step::Create(create.0))
    }

    /// Replaces data, whatever its version.
    pub fn set(self, path: impl Into<Cow<'p, str>>, data: impl Into<Bytes>) -> Self {
        self.set_version(path, data, -1)
    }

    /// Replaces data of this version.
    pub fn set_version(self, path: impl Into<Cow<'p, str>>, data: impl Into<Bytes>, version: i32) -> Self {
        self.step(Step::Set { path: path.into(), data: data.into(), version })
    }

    /// Deletes a znode, whatever its version.
    pub fn delete(self, path: impl Into<Cow<'p, str>>) -> Self {
        self.delete_version(path, -1)
    }

    /// Deletes a znode of this version.
    pub fn delete_version(self, path: impl Into<Cow<'p, str>>, version: i32) -> Self {
        self.step(Step::Delete { path: path.into(), version })
    }

    /// Demands that the znode is there and has this version; -1 for any.
    pub fn check(self, path: impl Into<Cow<'p, str>>, version: i32) -> Self {
        self.step(Step::Check { path: path.into(), version })
    }

    /// How long it may take in all. The default is the client's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The transaction as one operation: await it, or [`send`](Call::send) it. Yields a result for each step.
    ///
    /// # Errors
    /// The code of the step that failed, and which one
    /// ([`Error::transaction_index`]); nothing was done then. And what any request may meet.
    pub fn commit(self) -> Call<'a, Multi<'p>> {
        Call { client: self.client, op: Multi(self.steps), timeout: self.timeout }
    }
}

/// A znode to be created by a transaction.
#[must_use]
#[derive(Debug)]
pub struct TransactionCreate<'a>(Create<'a>);

impl TransactionCreate<'_> {
    /// It goes when this session ends.
    pub fn ephemeral(mut self) -> Self {
        self.0.mode.ephemeral = true;
        self
    }

    /// The server puts ten digits behind the name.
    pub fn sequential(mut self) -> Self {
        self.0.mode.sequential = true;
        self
    }

    /// The server deletes it some time after its last child went. (3.5.1)
    pub fn container(mut self) -> Self {
        self.0.mode.container = true;
        self
    }

    /// The server deletes it when it has no children and was not changed for this long. (3.5.3)
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.0.ttl = Some(ttl);
        self
    }

    /// Who may do what with it.
    pub fn acl(mut self, acl: impl Into<Cow<'static, [Acl]>>) -> Self {
        self.0.acl = acl.into();
        self
    }
}

impl<'a> Create<'a> {
    fn plain(path: Cow<'a, str>, data: Bytes) -> Self {
        Self::new(path, data, Cow::Borrowed(Acl::OPEN), Mode::default())
    }

    /// In a transaction the mode tells containers; only a time to live needs an operation of its own. The oldest
    /// operation is the one that every server knows, and servers that can answer stats for others.
    fn step_op(&self) -> OpCode {
        match () {
            () if self.ttl.is_some() => OpCode::CREATE_TTL,
            () if self.mode.container => OpCode::CREATE_CONTAINER,
            () => OpCode::CREATE,
        }
    }
}

/// Data may be a secret.
impl fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(create) => create.fmt(f),
            Self::Set { path, data, version } => {
                write!(f, "Set {{ path: {path:?}, data: <{} bytes>, version: {version} }}", data.len())
            }
            Self::Delete { path, version } => write!(f, "Delete {{ path: {path:?}, version: {version} }}"),
            Self::Check { path, version } => write!(f, "Check {{ path: {path:?}, version: {version} }}"),
        }
    }
}

impl Step<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Create(create) => &create.path,
            Self::Set { path, .. } | Self::Delete { path, .. } | Self::Check { path, .. } => path,
        }
    }

    fn check(&self) -> Result<(), Error> {
        match self {
            Self::Create(create) => create.check_mode(),
            _ => path::validate(self.path()).map_err(Error::new),
        }
    }

    fn len_bytes(&self) -> usize {
        let data = match self {
            Self::Create(create) => create.data.len() + 64 * create.acl.len(),
            Self::Set { data, .. } => data.len(),
            Self::Delete { .. } | Self::Check { .. } => 0,
        };
        self.path().len() + data + 64
    }

    fn encode(&self, chroot: &str, out: &mut Writer) {
        match self {
            Self::Create(create) => {
                MultiHeader::request(create.step_op()).encode(out);
                let path = under(chroot, &create.path);
                let (data, acl) = (Some(create.data.clone()), Some(create.acl.clone()));
                let flags = create.create_mode();
                match create.ttl {
                    None => CreateRequest { path, data, acl, flags }.encode(out),
                    Some(_) => {
                        CreateTtlRequest { path, data, acl, flags, ttl: create.ttl_millis() }.encode(out)
                    }
                }
            }
            Self::Set { path, data, version } => {
                MultiHeader::request(OpCode::SET_DATA).encode(out);
                let (path, data) = (under(chroot, path), Some(data.clone()));
                SetDataRequest { path, data, version: *version }.encode(out);
            }
            Self::Delete { path, version } => {
                MultiHeader::request(OpCode::DELETE).encode(out);
                let chroot = if path == "/" { "" } else { chroot };
                DeleteRequest { path: under(chroot, path), version: *version }.encode(out);
            }
            Self::Check { path, version } => {
                MultiHeader::request(OpCode::CHECK).encode(out);
                CheckVersionRequest { path: under(chroot, path), version: *version }.encode(out);
            }
        }
    }
}

/// The steps as one record.
struct Body<'a, S> {
    chroot: &'a str,
    steps: &'a [S],
}

impl Encode for Body<'_, Step<'_>> {
    fn encode(&self, out: &mut Writer) {
        self.steps.iter().for_each(|step| step.encode(self.chroot, out));
        MultiHeader::END.encode(out);
    }
}

impl Described for Multi<'_> {
    type Output = Vec<StepResult>;

    fn op(&self) -> OpCode {
        OpCode::MULTI
    }

    fn path(&self) -> &str {
        self.0.first().map_or("", Step::path)
    }

    fn path_to_blame(&self, error: &Error) -> &str {
        let blamed = match error.transaction_index() {
            Some(index) if !planted!("client_blames_first_step") => self.0.get(index),
            Some(_) => self.0.first(),
            None => self.0.iter().find(|step| step.check().is_err()),
        };
        blamed.map_or(self.path(), Step::path)
    }

    fn check(&self) -> Result<(), Error> {
        if self.0.is_empty() {
            return Err(Error::new(Kind::Argument("the transaction has no steps")));
        }
        self.0.iter().try_for_each(Step::check)
    }

    fn len_bytes(&self) -> usize {
        self.0.iter().map(Step::len_bytes).sum()
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&Body { chroot, steps: &self.0 })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let chroot = answer.chroot.to_owned();
        let response = read_results(answer.reply()?.body)?;
        // The first code that is neither success nor "behind the one that failed" tells which failed (`ZooKeeper.multi`).
        let failed = response.results.iter().enumerate().find_map(|(index, result)| match &result.result {
            OpResult::Error(error)
                if !matches!(error.err, ErrorCode::OK | ErrorCode::RUNTIME_INCONSISTENCY) =>
            {
                Some((index, error.err))
            }
            _ => None,
        });
        if let Some((index, code)) = failed {
            return Err(Error::new(Kind::Transaction { index, code }));
        }
        if response.results.len() != self.0.len() && !planted!("client_multi_uncounted") {
            return Err(Error::new(Kind::Unexpected("another number of results than of steps")));
        }
        let results = response.results.into_iter().zip(&self.0);
        results.map(|(result, step)| step_result(result.result, step, &chroot)).collect()
    }
}

fn read_results(body: Bytes) -> Result<MultiResponse, Error> {
    let mut reader = Reader::new(body);
    MultiResponse::decode(&mut reader).map_err(|error| Error::new(Kind::Garbled(error)))
}

fn step_result(result: OpResult, step: &Step<'_>, chroot: &str) -> Result<StepResult, Error> {
    let strip = |full: &str| path::strip(chroot, full).unwrap_or(full).to_owned();
    Ok(match (result, step) {
        (OpResult::Create(created), Step::Create(_)) => {
            StepResult::Created { path: strip(created.path.as_str()), stat: None }
        }
        (
            OpResult::Create2(created) | OpResult::CreateContainer(created) | OpResult::CreateTtl(created),
            Step::Create(_),
        ) => StepResult::Created { path: strip(created.path.as_str()), stat: Some(created.stat) },
        (OpResult::SetData(set), Step::Set { .. }) => StepResult::Set(set.stat),
        (OpResult::Delete, Step::Delete { .. }) => StepResult::Deleted,
        (OpResult::Check, Step::Check { .. }) => StepResult::Checked,
        (OpResult::Error(error), _) => {
            return Err(Error::new(Kind::Transaction { index: 0, code: error.err }));
        }
        _ => return Err(Error::new(Kind::Unexpected("a result of another kind than its step"))),
    })
}

/// One of several bundled reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReadStep<'a> {
    /// Data and stat.
    Get(Cow<'a, str>),
    /// Names of children.
    Children(Cow<'a, str>),
}

/// Several reads in one request. Yields a result for each, in order.
#[derive(Debug)]
pub struct MultiRead<'a>(Vec<ReadStep<'a>>);

/// What one of several bundled reads found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadResult {
    /// Data and stat.
    Data(Bytes, Stat),
    /// Names of children.
    Children(Children),
    /// The server refused this one.
    Failed(ErrorCode),
}

impl ReadStep<'_> {
    fn path(&self) -> &str {
        match self {
            Self::Get(path) | Self::Children(path) => path,
        }
    }
}

impl Encode for Body<'_, ReadStep<'_>> {
    fn encode(&self, out: &mut Writer) {
        for step in self.steps {
            let path = under(self.chroot, step.path());
            match step {
                ReadStep::Get(_) => {
                    MultiHeader::request(OpCode::GET_DATA).encode(out);
                    GetDataRequest { path, watch: false }.encode(out);
                }
                ReadStep::Children(_) => {
                    MultiHeader::request(OpCode::GET_CHILDREN).encode(out);
                    GetChildrenRequest { path, watch: false }.encode(out);
                }
            }
        }
        MultiHeader::END.encode(out);
    }
}

impl Described for MultiRead<'_> {
    type Output = Vec<ReadResult>;

    fn op(&self) -> OpCode {
        OpCode::MULTI_READ
    }

    fn path(&self) -> &str {
        self.0.first().map_or("", ReadStep::path)
    }

    fn path_to_blame(&self, _: &Error) -> &str {
        let mut paths = self.0.iter().map(ReadStep::path);
        paths.find(|path| path::validate(path).is_err()).unwrap_or(self.path())
    }

    fn check(&self) -> Result<(), Error> {
        self.0.iter().try_for_each(|step| path::validate(step.path()).map_err(Error::new))
    }

    fn len_bytes(&self) -> usize {
        self.0.iter().map(|step| step.path().len() + 32).sum::<usize>() + 64
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&Body { chroot, steps: &self.0 })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let mut reader = Reader::new(answer.reply()?.body);
        let mut results = Vec::new();
        loop {
            let read = |reader: &mut Reader| {
                let header = reader.record::<MultiHeader>()?;
                if header.done {
                    return Ok(None);
                }
                Ok(Some(match header.op {
                    // ClickHouse Keeper: the type of the read, and no record. From Apache ZooKeeper only `ERROR` has a code here.
                    OpCode::GET_DATA | OpCode::GET_CHILDREN
                        if header.err != ErrorCode::OK && !planted!("client_failed_reads_misread") =>
                    {
                        ReadResult::Failed(header.err)
                    }
                    OpCode::GET_DATA => {
                        let GetDataResponse { data, stat } = reader.record()?;
                        ReadResult::Data(value(data), stat)
                    }
                    OpCode::GET_CHILDREN => ReadResult::Children(Children::read(reader)?),
                    OpCode::ERROR if results.len() == 2 && planted!("fuzz_reply") => {
                        panic!("planted: fuzz_reply")
                    }
                    OpCode::ERROR => ReadResult::Failed(reader.record::<crate::jute::ErrorResponse>()?.err),
                    other => {
                        return Err(reader.error("type", crate::jute::DecodeErrorKind::BadType(other.0)));
                    }
                }))
            };
            match read(&mut reader).map_err(|error| Error::new(Kind::Garbled(error)))? {
                Some(result) => results.push(result),
                None if results.len() == self.0.len() => return Ok(results),
                None => return Err(Error::new(Kind::Unexpected("another number of results than of reads"))),
            }
        }
    }
}
