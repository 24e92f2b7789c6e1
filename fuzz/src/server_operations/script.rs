//! From bytes to steps, and from steps to requests.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use menagerie_jute::{
    Acl, AddWatchMode, AddWatchRequest, CheckVersionRequest, CheckWatchesRequest, CreateMode, CreateRequest,
    CreateTtlRequest, DeleteRequest, ExistsRequest, GetAclRequest, GetAllChildrenNumberRequest,
    GetChildren2Request, GetChildrenRequest, GetDataRequest, GetEphemeralsRequest, MultiRequest, Op, OpCode,
    Perms, RemoveWatchesRequest, RequestBody, SetAclRequest, SetDataRequest, SetWatches2, SyncRequest,
    Ustring, WatcherType,
};

use super::changes::{Kind, Write};
use super::reads::Read;
use super::world::World;

const PATHS: [&str; 12] = [
    "/a",
    "/a/b",
    "/a/b/c",
    "/d",
    "/a/s-",
    "/d/t",
    "/a/e",
    "/",
    "/ab-and-a-name-that-is-longer-than-most",
    "/zookeeper",
    "/zookeeper/config",
    "/d/s-",
];

const PERMS: [Perms; 8] =
    [Perms::ALL, Perms::ALL, Perms::ALL, Perms::READ, Perms(30), Perms(15), Perms(27), Perms(16)];

/// One step. An error means that the script ends within it.
pub(super) fn step(world: &mut World, script: &mut Unstructured<'_>) -> Result<()> {
    let [what, at]: [u8; 2] = script.arbitrary()?;
    let at = usize::from(at);
    match what % 32 {
        // A check stands in a multi only.
        which @ (0..=9 | 11) => world.write(at, &write(which, script)?),
        10 | 12..=14 => {
            let count = script.arbitrary::<u8>()? % 6;
            let parts: Result<_> = (0..count)
                .map(|_| {
                    let which = script.arbitrary::<u8>()? % 11;
                    write(which, script)
                })
                .collect();
            world.write(at, &Write::Multi(parts?));
        }
        15..=25 => world.read(at, &read(what % 32 - 15, script)?),
        26 => set_watches(world, at, script)?,
        27 => world.cut(at),
        28 => world.close(at),
        29 => world.expire(at),
        30 => {
            let [seconds, idle]: [u8; 2] = script.arbitrary()?;
            world.pass(u32::from(seconds % 12), idle);
        }
        _ => world.connect(at % 3),
    }
    Ok(())
}

fn path(script: &mut Unstructured<'_>) -> Result<&'static str> {
    Ok(PATHS[usize::from(script.arbitrary::<u8>()?) % PATHS.len()])
}

fn version(byte: u8) -> i32 {
    [-1, -1, 0, 1, 2, -1, 0, 1][usize::from(byte & 7)]
}

fn data(byte: u8) -> Option<Bytes> {
    (byte & 3 != 3).then(|| Bytes::from(vec![b'x'; usize::from(byte >> 2)]))
}

fn write(which: u8, script: &mut Unstructured<'_>) -> Result<Write> {
    let path = path(script)?;
    let [flags, value]: [u8; 2] = script.arbitrary()?;
    let perms = PERMS[usize::from(value & 7)];
    Ok(match which {
        0..=5 => {
            let kind = match flags >> 4 & 3 {
                0 => Kind::Create,
                1 => Kind::Create2,
                2 if flags & 3 == 0 => Kind::Container,
                2 => Kind::Create,
                _ => Kind::Ttl(i64::from(value) * 100 + 1),
            };
            let is_plain = matches!(kind, Kind::Create | Kind::Create2);
            Write::Create {
                path,
                kind,
                is_ephemeral: is_plain && flags & 1 != 0,
                is_sequential: flags & 2 != 0 && kind != Kind::Container && path != "/",
                data: data(value),
                perms,
            }
        }
        6 | 7 => Write::Delete { path, version: version(flags) },
        8 | 9 => Write::Set { path, data: data(value), version: version(flags) },
        10 => Write::Check { path, version: version(flags) },
        _ => Write::SetAcl { path, perms, version: version(flags) },
    })
}

fn read(which: u8, script: &mut Unstructured<'_>) -> Result<Read> {
    let path = path(script)?;
    let flags: u8 = script.arbitrary()?;
    let watch = flags & 1 != 0;
    let kind = i32::from(flags % 7);
    Ok(match which {
        0 => Read::Exists { path, watch },
        1 => Read::Data { path, watch },
        2 => Read::Children { path, watch },
        3 => Read::Children2 { path, watch },
        4 => Read::Acl(path),
        5 if watch => Read::Count(path),
        5 => Read::Ephemerals(path),
        6 if watch => Read::Sync(path),
        6 => Read::Ping,
        7 => {
            let reads: Result<_> =
                (0..flags % 6).map(|_| Ok((self::path(script)?, script.arbitrary()?))).collect();
            Read::Multi(reads?)
        }
        8 => Read::AddWatch { path, recursive: watch },
        9 => Read::CheckWatches { path, kind },
        _ => Read::RemoveWatches { path, kind },
    })
}

/// As behind a reconnect; also in the midst of a session, where it does no harm.
fn set_watches(world: &mut World, at: usize, script: &mut Unstructured<'_>) -> Result<()> {
    let zxid = world.seen(at);
    let back: u8 = script.arbitrary()?;
    let mut lists: [Vec<&'static str>; 5] = Default::default();
    for list in &mut lists {
        for _ in 0..script.arbitrary::<u8>()? % 3 {
            list.push(path(script)?);
        }
    }
    if back & 1 != 0 {
        world.cut(at);
    }
    world.read(at, &Read::SetWatches { zxid: zxid - i64::from(back >> 4), lists });
    Ok(())
}

/// The request for a write.
pub(super) fn write_body(write: &Write) -> (OpCode, RequestBody) {
    match write {
        Write::Multi(parts) => {
            let ops = parts.iter().map(|part| match write_body(part).1 {
                RequestBody::Create(request) => Op::Create(request),
                RequestBody::Create2(request) => Op::Create2(request),
                RequestBody::CreateContainer(request) => Op::CreateContainer(request),
                RequestBody::CreateTtl(request) => Op::CreateTtl(request),
                RequestBody::Delete(request) => Op::Delete(request),
                RequestBody::SetData(request) => Op::SetData(request),
                RequestBody::Check(request) => Op::Check(request),
                other => unreachable!("{other:?} stands in no multi"),
            });
            (OpCode::MULTI, RequestBody::Multi(MultiRequest::new(ops)))
        }
        Write::Create { path, kind, is_ephemeral, is_sequential, data, perms } => {
            let (path, data) = (Ustring::from(*path), data.clone());
            let acl = Some(vec![Acl::new(*perms, "world", "anyone")].into());
            let flags = CreateMode(i32::from(*is_ephemeral) | i32::from(*is_sequential) << 1);
            match kind {
                Kind::Create => {
                    (OpCode::CREATE, RequestBody::Create(CreateRequest { path, data, acl, flags }))
                }
                Kind::Create2 => {
                    (OpCode::CREATE2, RequestBody::Create2(CreateRequest { path, data, acl, flags }))
                }
                Kind::Container => {
                    let request = CreateRequest { path, data, acl, flags: CreateMode::CONTAINER };
                    (OpCode::CREATE_CONTAINER, RequestBody::CreateContainer(request))
                }
                Kind::Ttl(ttl) => {
                    let flags = CreateMode(5 + i32::from(*is_sequential));
                    let request = CreateTtlRequest { path, data, acl, flags, ttl: *ttl };
                    (OpCode::CREATE_TTL, RequestBody::CreateTtl(request))
                }
            }
        }
        Write::Delete { path, version } => {
            (OpCode::DELETE, RequestBody::Delete(DeleteRequest { path: (*path).into(), version: *version }))
        }
        Write::Set { path, data, version } => {
            let request = SetDataRequest { path: (*path).into(), data: data.clone(), version: *version };
            (OpCode::SET_DATA, RequestBody::SetData(request))
        }
        Write::SetAcl { path, perms, version } => {
            let acl = Some(vec![Acl::new(*perms, "world", "anyone")].into());
            (
                OpCode::SET_ACL,
                RequestBody::SetAcl(SetAclRequest { path: (*path).into(), acl, version: *version }),
            )
        }
        Write::Check { path, version } => (
            OpCode::CHECK,
            RequestBody::Check(CheckVersionRequest { path: (*path).into(), version: *version }),
        ),
    }
}

/// The request for what changes nothing.
pub(super) fn read_body(read: &Read) -> (OpCode, RequestBody) {
    let body = match read {
        Read::Exists { path, watch } => {
            RequestBody::Exists(ExistsRequest { path: (*path).into(), watch: *watch })
        }
        Read::Data { path, watch } => {
            RequestBody::GetData(GetDataRequest { path: (*path).into(), watch: *watch })
        }
        Read::Children { path, watch } => {
            RequestBody::GetChildren(GetChildrenRequest { path: (*path).into(), watch: *watch })
        }
        Read::Children2 { path, watch } => {
            RequestBody::GetChildren2(GetChildren2Request { path: (*path).into(), watch: *watch })
        }
        Read::Acl(path) => RequestBody::GetAcl(GetAclRequest { path: (*path).into() }),
        Read::Count(path) => {
            RequestBody::GetAllChildrenNumber(GetAllChildrenNumberRequest { path: (*path).into() })
        }
        Read::Ephemerals(path) => {
            RequestBody::GetEphemerals(GetEphemeralsRequest { prefix_path: (*path).into() })
        }
        Read::Sync(path) => RequestBody::Sync(SyncRequest { path: (*path).into() }),
        Read::Ping => return (OpCode::PING, RequestBody::Empty),
        Read::Multi(reads) => {
            let ops = reads.iter().map(|(path, names)| match names {
                true => Op::GetChildren(GetChildrenRequest { path: (*path).into(), watch: false }),
                false => Op::GetData(GetDataRequest { path: (*path).into(), watch: false }),
            });
            RequestBody::MultiRead(MultiRequest::new(ops))
        }
        Read::AddWatch { path, recursive } => RequestBody::AddWatch(AddWatchRequest {
            path: (*path).into(),
            mode: AddWatchMode(i32::from(*recursive)),
        }),
        Read::CheckWatches { path, kind } => {
            let watcher_type = WatcherType(*kind);
            RequestBody::CheckWatches(CheckWatchesRequest { path: (*path).into(), watcher_type })
        }
        Read::RemoveWatches { path, kind } => {
            let watcher_type = WatcherType(*kind);
            RequestBody::RemoveWatches(RemoveWatchesRequest { path: (*path).into(), watcher_type })
        }
        Read::SetWatches { zxid, lists } => {
            let [data, exist, child, persistent, recursive] =
                lists.each_ref().map(|list| Some(list.iter().map(|path| Ustring::from(*path)).collect()));
            RequestBody::SetWatches2(SetWatches2 {
                relative_zxid: *zxid,
                data_watches: data,
                exist_watches: exist,
                child_watches: child,
                persistent_watches: persistent,
                persistent_recursive_watches: recursive,
            })
        }
    };
    (body.op().unwrap(), body)
}
