//! Which layout a leaf is of, told from its name and its payload; and who would be harmed by whose leaves.
//!
//! Pure: it is given children as they were read, and reads nothing itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Curator, DubboApplication, DubboInterface, DubboUrl, Found, Further, GoMicro, Layout, LayoutError, Leaf,
    LeafMode, LeafStat, Plain, ReadError, Registrator, Rule, ServerSet, SpringCloud, WeightVector,
    check_payload,
};
use crate::registry::address::{Address, shorten};
use crate::registry::json::Json;
use crate::registry::model::Instance;

/// A layout in use: those that are read here, and some that are only told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`GoMicro`].
    GoMicro,
    /// [`Curator`].
    Curator,
    /// [`SpringCloud`].
    SpringCloud,
    /// [`DubboInterface`].
    DubboInterface,
    /// [`DubboApplication`].
    DubboApplication,
    /// [`Registrator`].
    Registrator,
    /// [`ServerSet`].
    ServerSet,
    /// [`Plain`].
    Plain,
    /// Kratos, a Go framework. Not read here.
    Kratos,
    /// Kitex, a Go framework. Not read here.
    Kitex,
    /// go-kit's `sd/zk`. Not read here.
    GoKit,
    /// nerve, of Airbnb's SmartStack. Not read here.
    Nerve,
}

impl Kind {
    /// The layout of a leaf; `None` if it is none of these, or holds what no parser accepts.
    #[must_use]
    pub fn of(found: &Found<'_>) -> Option<Self> {
        by_name(found.name).or_else(|| by_payload(found)).or_else(|| {
            let bare = found.data.is_empty() && found.name.parse::<Address>().is_ok();
            bare.then_some(Self::Plain)
        })
    }

    /// The layout's name, as [`Layout::name`] has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GoMicro => "go-micro",
            Self::Curator => "curator",
            Self::SpringCloud => "spring-cloud",
            Self::DubboInterface => "dubbo",
            Self::DubboApplication => "dubbo-application",
            Self::Registrator => "registrator",
            Self::ServerSet => "serverset",
            Self::Plain => "plain",
            Self::Kratos => "kratos",
            Self::Kitex => "kitex",
            Self::GoKit => "go-kit",
            Self::Nerve => "nerve",
        }
    }

    /// The kind of a layout of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        const ALL: [Kind; 12] = [
            Kind::GoMicro,
            Kind::Curator,
            Kind::SpringCloud,
            Kind::DubboInterface,
            Kind::DubboApplication,
            Kind::Registrator,
            Kind::ServerSet,
            Kind::Plain,
            Kind::Kratos,
            Kind::Kitex,
            Kind::GoKit,
            Kind::Nerve,
        ];
        ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What becomes of the readers of this layout that find a leaf of `other` in a directory of theirs; `None` if they pass
    /// over it.
    #[must_use]
    pub fn harmed_by(self, other: Self) -> Option<&'static str> {
        if self == other || planted!("layout_nobody_harmed") {
            return None;
        }
        let is_json = !matches!(other, Self::Plain | Self::DubboInterface | Self::GoKit);
        let is_curator = matches!(other, Self::Curator | Self::SpringCloud | Self::DubboApplication);
        let named_as_address =
            matches!(other, Self::Plain | Self::Registrator | Self::DubboApplication | Self::Kitex);
        match self {
            Self::GoMicro if !is_json || other == Self::Kratos => {
                Some("go-micro's GetService fails for all instances")
            }
            Self::Curator if is_curator => {
                Some("Curator throws for all instances unless that payload's class is on its class path")
            }
            Self::Curator => Some("Curator throws for all instances, or hands out one without an address"),
            Self::SpringCloud => Some("Spring Cloud throws for all instances of the service"),
            Self::DubboApplication => Some("Dubbo throws for all instances of the application"),
            Self::Plain | Self::Registrator if !named_as_address => {
                Some("clients dial a name that is no address")
            }
            Self::Kratos | Self::Kitex => Some("its resolver fails for all instances"),
            Self::GoKit => Some("clients are handed the payload as an address"),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn by_name(name: &str) -> Option<Kind> {
    let digits =
        |text: &str, least: usize| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit());
    if DubboUrl::decode(name).is_ok() {
        return Some(Kind::DubboInterface);
    }
    if name.starts_with("base64_") {
        return Some(Kind::Nerve);
    }
    if name.strip_prefix("member_").is_some_and(|rest| digits(rest, 10)) || WeightVector::is_named(name) {
        return Some(Kind::ServerSet);
    }
    let guid = name.strip_prefix("_c_").and_then(|rest| rest.split_once('-'));
    let is_guid = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    guid.filter(|(guid, number)| is_guid(guid) && digits(number, 10)).map(|_| Kind::GoKit)
}

fn by_payload(found: &Found<'_>) -> Option<Kind> {
    check_payload(found.data).ok()?;
    let json = Json::parse(found.data).ok()?;
    let has = |name: &str| json.exact(name).is_some();
    let class = json.exact("payload").and_then(|payload| payload.exact("@class")).and_then(Json::as_str);
    let first = |name: &str| json.exact(name).and_then(Json::as_array).and_then(|items| items.first());
    match class {
        Some(class) if class.starts_with("org.springframework.cloud.zookeeper.") => {
            return Some(Kind::SpringCloud);
        }
        Some(class) if class.starts_with("org.apache.dubbo.") => return Some(Kind::DubboApplication),
        Some(_) => return Some(Kind::Curator),
        None => {}
    }
    if has("uriSpec") || has("registrationTimeUTC") || has("sslPort") || has("serviceType") {
        Some(Kind::Curator)
    } else if has("serviceEndpoint") {
        Some(Kind::ServerSet)
    } else if has("nodes") {
        Some(Kind::GoMicro)
    } else if has("PublicPort") && has("IP") {
        Some(Kind::Registrator)
    } else if first("endpoints").is_some_and(|endpoint| endpoint.as_str().is_some()) {
        Some(Kind::Kratos)
    } else if has("Weight") && has("Tags") && json.members().len() == 2 {
        Some(Kind::Kitex)
    } else if has("host") && has("port") {
        Some(Kind::Nerve)
    } else {
        None
    }
}

/// Leaves of another layout in a directory, and who would be harmed if ours came to stand among them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Clash {
    /// The layout that leaves are to be written in.
    pub ours: Kind,
    /// The layout of the leaves that are there.
    pub theirs: Kind,
    /// How many there are.
    pub leaves: usize,
    /// The name of one of them, shortened. It may hold anything: print it escaped.
    pub example: String,
    /// What becomes of their readers when they find ours.
    pub their_readers: Option<&'static str>,
    /// What becomes of other readers of our layout when they find theirs.
    pub our_readers: Option<&'static str>,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs, leaves, example, .. } = self;
        write!(f, "{leaves} leaves of the layout {theirs} stand here, such as {example:?}")?;
        if let Some(harm) = self.their_readers {
            write!(f, "; among leaves of {ours}, {harm}")?;
        }
        if let Some(harm) = self.our_readers {
            write!(f, "; and for readers of {ours}: {harm}")?;
        }
        Ok(())
    }
}

/// Who would be harmed if leaves of `ours` came to stand among these children. Nobody whose leaves are not there, nor whose
/// readers pass over ours as ours do over theirs.
pub fn clashes<'a>(ours: &dyn Layout, children: impl IntoIterator<Item = Found<'a>>) -> Vec<Clash> {
    let Some(ours) = Kind::named(ours.name()) else { return Vec::new() };
    let mut there: BTreeMap<Kind, (usize, String)> = BTreeMap::new();
    for child in children {
        if let Some(kind) = Kind::of(&child) {
            there.entry(kind).or_insert_with(|| (0, shorten(child.name))).0 += 1;
        }
    }
    let clash = |(theirs, (leaves, example)): (Kind, (usize, String))| Clash {
        ours,
        theirs,
        leaves,
        example,
        their_readers: theirs.harmed_by(ours),
        our_readers: ours.harmed_by(theirs),
    };
    let clashes = there.into_iter().filter(|(theirs, _)| *theirs != ours).map(clash);
    clashes.filter(|clash| clash.their_readers.is_some() || clash.our_readers.is_some()).collect()
}

/// A layout that reads all others it recognises, and writes as one of them.
///
/// Children of a directory are read each in its own layout; one that is not recognised is read in the home layout, which says
/// what is wrong with it. Directories, names and everything that is written are the home layout's, so what is read has to
/// stand where the home layout looks.
///
/// ```
/// use bytes::Bytes;
/// use menagerie::registry::layout::{Found, GoMicro, Layout, LeafStat, Recognising};
///
/// let layout = Recognising::around(GoMicro::at("/services")?);
/// let data = Bytes::from_static(br#"{"Name":"db","IP":"10.1.1.1","PublicPort":10000,"PrivatePort":6379,"ContainerID":"b","Tags":[],"Attrs":{}}"#);
/// let found = Found { name: "10.1.1.1:10000", data: &data, stat: LeafStat::default() };
/// assert_eq!(layout.read("db", &found)?.address.to_string(), "10.1.1.1:10000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recognising {
    home: Arc<dyn Layout>,
    readers: Arc<[(Kind, Box<dyn Layout>)]>,
}

impl Recognising {
    /// Reads everything, writes as `home` does.
    pub fn around(home: impl Layout + 'static) -> Self {
        Self::around_shared(Arc::new(home))
    }

    pub(in crate::registry) fn around_shared(home: Arc<dyn Layout>) -> Self {
        // Readers need no root: what they are given has been found. None of these paths is refused.
        let at_root =
            |kind, layout: Result<Box<dyn Layout>, LayoutError>| layout.ok().map(|layout| (kind, layout));
        let plain: [(Kind, Box<dyn Layout>); 4] = [
            (Kind::GoMicro, Box::new(GoMicro::new())),
            (Kind::SpringCloud, Box::new(SpringCloud::new())),
            (Kind::DubboInterface, Box::new(DubboInterface::new())),
            (Kind::DubboApplication, Box::new(DubboApplication::new())),
        ];
        let rooted = [
            at_root(Kind::Curator, Curator::at("/r").map(|it| Box::new(it) as Box<dyn Layout>)),
            at_root(Kind::Registrator, Registrator::at("/r").map(|it| Box::new(it) as Box<dyn Layout>)),
            at_root(Kind::ServerSet, ServerSet::at("/r").map(|it| Box::new(it) as Box<dyn Layout>)),
            at_root(Kind::Plain, Plain::at("/r").map(|it| Box::new(it) as Box<dyn Layout>)),
        ];
        Self { home, readers: plain.into_iter().chain(rooted.into_iter().flatten()).collect() }
    }

    /// The layout that reads a child.
    fn reader(&self, found: &Found<'_>) -> &dyn Layout {
        let kind = Kind::of(found).filter(|kind| kind.name() != self.home.name());
        let other = kind.and_then(|kind| self.readers.iter().find(|(reader, _)| *reader == kind));
        other.map_or(&*self.home, |(_, reader)| &**reader)
    }
}

impl Layout for Recognising {
    fn name(&self) -> &'static str {
        self.home.name()
    }

    fn root(&self) -> &str {
        self.home.root()
    }

    fn service_dir(&self, service: &str) -> Result<String, LayoutError> {
        self.home.service_dir(service)
    }

    /// An instance whose leaf would be taken for another layout's, for its id is named so, is refused.
    fn leaf(&self, instance: &Instance) -> Result<Leaf, LayoutError> {
        let leaf = self.home.leaf(instance)?;
        let ephemeral_owner = i64::from(leaf.mode == LeafMode::Ephemeral);
        let stat = LeafStat { ephemeral_owner, ..LeafStat::default() };
        let found = Found { name: &leaf.name, data: &leaf.data, stat };
        let told = |read: Result<Instance, ReadError>| read.ok().map(|read| (read.id, read.address));
        let (ours, read) = (self.home.read(&instance.service, &found), self.read(&instance.service, &found));
        if told(ours) == told(read) || planted!("layout_own_leaf_unread") {
            return Ok(leaf);
        }
        Err(LayoutError::NotExpressible {
            what: "id",
            why: "a leaf of this name is taken for another layout's",
        })
    }

    /// What is no leaf of the layout that it looks like may still be one of the home layout's.
    fn read(&self, service: &str, found: &Found<'_>) -> Result<Instance, ReadError> {
        let read = self.reader(found).read(service, found);
        read.or_else(|error| self.home.read(service, found).map_err(|_| error))
    }

    fn service_of(&self, found: &Found<'_>) -> Result<Option<String>, ReadError> {
        let read = self.reader(found).service_of(found);
        read.or_else(|error| self.home.service_of(found).map_err(|_| error))
    }

    /// Only a leaf of the home layout is ever replaced.
    fn is_same(&self, instance: &Instance, found: &Found<'_>) -> bool {
        self.home.is_same(instance, found)
    }

    fn expresses_status(&self) -> bool {
        self.home.expresses_status()
    }

    fn keeps_leaf(&self, instance: &Instance) -> bool {
        self.home.keeps_leaf(instance)
    }

    fn drain_grace(&self) -> Duration {
        self.home.drain_grace()
    }

    fn tells_time(&self) -> bool {
        self.home.tells_time()
    }

    fn service_at(&self, dir: &str) -> Option<String> {
        self.home.service_at(dir)
    }

    fn rules_dir(&self, service: &str) -> Result<Option<String>, LayoutError> {
        self.home.rules_dir(service)
    }

    fn rule(&self, found: &Found<'_>) -> Result<Option<Rule>, ReadError> {
        self.reader(found).rule(found)
    }

    fn further(&self, instance: &Instance) -> Result<Vec<Further>, LayoutError> {
        self.home.further(instance)
    }
}

#[cfg(test)]
mod tests;
