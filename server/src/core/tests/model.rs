//! Random histories against a map of paths, which counts everything the plain way.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A znode as the model keeps it: changes of children are counted one by one, children are found by their paths.
#[derive(Debug, Clone, PartialEq)]
struct Znode {
    stat: Stat,
    data: Option<Bytes>,
    creates: i32,
    perms: i32,
}

#[derive(Debug, Clone)]
struct Model {
    znodes: BTreeMap<String, Znode>,
    zxid: i64,
    time: i64,
    sessions: [bool; 3],
}

#[derive(Debug, Clone)]
enum Step {
    Create { path: String, mode: i32, data: Option<Bytes>, perms: i32 },
    Delete { path: String, version: i32 },
    Set { path: String, data: Option<Bytes>, version: i32 },
    SetAcl { path: String, perms: i32, version: i32 },
    Check { path: String, version: i32 },
    Multi(Vec<Step>),
    Close,
    Open,
}

fn require(holds: bool, otherwise: ErrorCode) -> Result<(), ErrorCode> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn next(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    require(expected == -1 || expected == current, ErrorCode::BAD_VERSION)?;
    Ok(current + 1)
}

fn parent_of(path: &str) -> String {
    let (parent, _) = path.rsplit_once('/').unwrap();
    String::from(if parent.is_empty() { "/" } else { parent })
}

impl Model {
    fn new() -> Self {
        let znode = |cversion, num_children, aversion, perms| Znode {
            stat: Stat { cversion, num_children, aversion, ..Stat::default() },
            data: Some(Bytes::new()),
            creates: 0,
            perms,
        };
        let znodes = [
            ("/", znode(-1, 1, 0, 31)),
            ("/zookeeper", znode(-2, 2, 0, 31)),
            ("/zookeeper/quota", znode(0, 0, 0, 31)),
            ("/zookeeper/config", znode(0, 0, -1, 1)),
        ];
        let znodes = znodes.map(|(path, znode)| (path.to_owned(), znode)).into();
        Self { znodes, zxid: 2, time: 0, sessions: [false, true, true] }
    }

    fn find(&mut self, path: &str, needed: Perms) -> Result<&mut Znode, ErrorCode> {
        let znode = self.znodes.get_mut(path).ok_or(ErrorCode::NO_NODE)?;
        require(znode.perms & needed.0 != 0, ErrorCode::NO_AUTH)?;
        Ok(znode)
    }

    fn count(&self, parent: &str) -> i32 {
        let is_child = |path: &&String| path.len() > 1 && parent_of(path) == parent;
        i32::try_from(self.znodes.keys().filter(is_child).count()).unwrap()
    }

    fn run(&mut self, session: i64, step: &Step) -> Result<String, ErrorCode> {
        let is_open = self.sessions[usize::try_from(session).unwrap()];
        match step {
            Step::Open => {
                self.sessions[usize::try_from(session).unwrap()] = true;
                return Ok(String::new());
            }
            Step::Close => {
                self.close(session);
                return Ok(String::new());
            }
            Step::Multi(_) => {}
            _ => require(is_open, ErrorCode::SESSION_EXPIRED)?,
        }
        let (zxid, time) = (self.zxid, self.time);
        match step {
            Step::Create { path, mode, data, perms } => {
                return self.create(session, path, *mode, data, *perms);
            }
            Step::Delete { path, version } => self.delete(path, *version)?,
            Step::Set { path, data, version } => {
                let znode = self.find(path, Perms::WRITE)?;
                znode.stat.version = next(znode.stat.version, *version)?;
                znode.data.clone_from(data);
                (znode.stat.mzxid, znode.stat.mtime) = (zxid, time);
            }
            Step::SetAcl { path, perms, version } => {
                let znode = self.find(path, Perms::ADMIN)?;
                znode.stat.aversion = next(znode.stat.aversion, *version)?;
                znode.perms = *perms;
            }
            Step::Check { path, version } => {
                next(self.find(path, Perms::READ)?.stat.version, *version)?;
            }
            Step::Multi(steps) => {
                let before = self.clone();
                for step in steps {
                    if let Err(code) = self.run(session, step) {
                        *self = before;
                        return Err(code);
                    }
                }
            }
            Step::Close | Step::Open => unreachable!(),
        }
        Ok(String::new())
    }

    fn create(
        &mut self,
        session: i64,
        path: &str,
        mode: i32,
        data: &Option<Bytes>,
        perms: i32,
    ) -> Result<String, ErrorCode> {
        let (zxid, time) = (self.zxid, self.time);
        let parent = self.find(&parent_of(path), Perms::CREATE)?.clone();
        let path = if mode & 2 == 0 { path.to_owned() } else { format!("{path}{:010}", parent.creates) };
        require(!self.znodes.contains_key(&path), ErrorCode::NODE_EXISTS)?;
        require(parent.stat.ephemeral_owner == 0, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS)?;
        let above = self.znodes.get_mut(&parent_of(&path)).unwrap();
        (above.creates, above.stat.cversion, above.stat.pzxid) =
            (above.creates + 1, above.stat.cversion + 1, zxid);
        let ephemeral_owner = if mode & 1 == 0 { 0 } else { session };
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            ephemeral_owner,
            ..Stat::default()
        };
        self.znodes.insert(path.clone(), Znode { stat, data: data.clone(), creates: 0, perms });
        Ok(path)
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<(), ErrorCode> {
        let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        require(!special.contains(&path), ErrorCode::BAD_ARGUMENTS)?;
        self.find(&parent_of(path), Perms::DELETE)?;
        let znode = self.znodes.get(path).ok_or(ErrorCode::NO_NODE)?;
        next(znode.stat.version, version)?;
        require(self.count(path) == 0, ErrorCode::NOT_EMPTY)?;
        self.remove(path);
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        self.znodes.remove(path);
        let zxid = self.zxid;
        let above = self.znodes.get_mut(&parent_of(path)).unwrap();
        (above.stat.cversion, above.stat.pzxid) = (above.stat.cversion + 1, zxid);
    }

    fn close(&mut self, session: i64) {
        self.sessions[usize::try_from(session).unwrap()] = false;
        let owned =
            |(path, znode): (&String, &Znode)| (znode.stat.ephemeral_owner == session).then(|| path.clone());
        for path in self.znodes.iter().filter_map(owned).collect::<Vec<_>>() {
            self.remove(&path);
        }
    }

    /// Every znode: path, data and Stat.
    fn seen(&self) -> Vec<(String, Option<Bytes>, Stat)> {
        let one = |(path, znode): (&String, &Znode)| {
            let data_length = i32::try_from(znode.data.as_ref().map_or(0, Bytes::len)).unwrap();
            let stat = Stat { num_children: self.count(path), data_length, ..znode.stat };
            (path.clone(), znode.data.clone(), stat)
        };
        self.znodes.iter().map(one).collect()
    }
}

impl Step {
    fn op(&self) -> Op {
        match self.clone() {
            Self::Create { path, mode, data, perms } => {
                let acl = Some(vec![Acl::new(Perms(perms), "world", "anyone")].into());
                Op::Create(CreateRequest { path: path.into(), data, acl, flags: CreateMode(mode) })
            }
            Self::Delete { path, version } => delete(&path, version),
            Self::Set { path, data, version } => {
                Op::SetData(SetDataRequest { path: path.into(), data, version })
            }
            Self::Check { path, version } => check(&path, version),
            other => panic!("{other:?} does not stand in a multi"),
        }
    }

    /// As a single request, or as the change that it is.
    fn run(&self, world: &mut World, session: i64) -> Result<String, ErrorCode> {
        let body = match self {
            Self::Open => return short(world.append(session, Change::OpenSession { timeout_millis: 1 })),
            Self::Close => return short(world.append(session, Change::CloseSession)),
            Self::Multi(steps) => RequestBody::Multi(MultiRequest::new(steps.iter().map(Self::op))),
            Self::SetAcl { path, perms, version } => {
                let acl = Some(vec![Acl::new(Perms(*perms), "world", "anyone")].into());
                RequestBody::SetAcl(SetAclRequest { path: path.as_str().into(), acl, version: *version })
            }
            _ => match self.op() {
                Op::Create(request) => RequestBody::Create(request),
                Op::Delete(request) => RequestBody::Delete(request),
                Op::SetData(request) => RequestBody::SetData(request),
                check => RequestBody::Multi(MultiRequest::new([check])),
            },
        };
        match world.write_as(session, &body) {
            Answer::RefusedMulti(codes) => {
                let failed = codes.iter().position(|&code| code != ErrorCode::OK).unwrap();
                assert!(codes[failed + 1..].iter().all(|&code| code == ErrorCode::RUNTIME_INCONSISTENCY));
                Err(codes[failed])
            }
            answer => short(answer),
        }
    }
}

fn paths() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec!["a", "b", "b0000000001", "c"]);
    let below = prop::collection::vec(names, 1..4).prop_map(|names| format!("/{}", names.join("/")));
    prop_oneof![12 => below, 1 => prop::sample::select(vec!["/", "/zookeeper", "/zookeeper/config"]).prop_map(String::from)]
}

fn steps() -> impl Strategy<Value = Step> {
    let data = || prop::option::of("[a-z]{0,3}").prop_map(|text| text.map(Bytes::from));
    let perms = || prop_oneof![8 => Just(31), 1 => 0i32..32];
    let version = || prop_oneof![3 => Just(-1), 2 => 0i32..3];
    let create = (paths(), 0i32..4, data(), perms())
        .prop_map(|(path, mode, data, perms)| Step::Create { path, mode, data, perms })
        // What is below the root is not called like it.
        .prop_filter(
            "a root with a number",
            |step| !matches!(step, Step::Create { path, mode: 2.., .. } if path == "/"),
        )
        .boxed();
    let in_multi = prop_oneof![
        6 => create,
        2 => (paths(), version()).prop_map(|(path, version)| Step::Delete { path, version }),
        2 => (paths(), data(), version()).prop_map(|(path, data, version)| Step::Set { path, data, version }),
        1 => (paths(), version()).prop_map(|(path, version)| Step::Check { path, version }),
    ]
    .boxed();
    prop_oneof![
        10 => in_multi.clone(),
        4 => prop::collection::vec(in_multi, 0..5).prop_map(Step::Multi),
        1 => (paths(), perms(), version()).prop_map(|(path, perms, version)| Step::SetAcl { path, perms, version }),
        1 => Just(Step::Close),
        1 => Just(Step::Open),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_that_of_a_map(history in prop::collection::vec((1i64..3, 0i64..9, steps()), 1..60)) {
        let (mut world, mut model) = (World::new(), Model::new());
        world.time = 0;
        for (session, later, step) in history {
            world.time += later;
            (model.time, model.zxid) = (world.time, model.zxid + 1);
            let (expected, got) = (model.run(session, &step), step.run(&mut world, session));
            prop_assert_eq!(got, expected, "{:?}", step);
            prop_assert_eq!(world.tree.zxid(), model.zxid);
            let seen = |(path, znode): (std::sync::Arc<str>, crate::core::Znode<'_>)| (path.to_string(), znode.data().cloned(), znode.stat());
            let mut seen: Vec<_> = world.tree.walk().map(seen).collect();
            seen.sort_by(|(one, ..), (other, ..)| one.cmp(other));
            prop_assert_eq!(seen, model.seen());
        }
    }
}
