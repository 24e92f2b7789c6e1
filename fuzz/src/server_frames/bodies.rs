//! From bytes to requests of any operation, most of them understood.

use std::borrow::Cow;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use menagerie_jute::{
    Acl, AddWatchMode, AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateMode,
    CreateRequest, CreateTtlRequest, DeleteRequest, ExistsRequest, GetAclRequest,
    GetAllChildrenNumberRequest, GetChildren2Request, GetChildrenRequest, GetDataRequest,
    GetEphemeralsRequest, GetSaslRequest, MultiRequest, Op, OpCode, Perms, ReconfigRequest,
    RemoveWatchesRequest, RequestBody, SetAclRequest, SetDataRequest, SetWatches, SetWatches2, SyncRequest,
    Ustring, WatcherType,
};

use super::world::SECRET;

/// Written, read and watched.
pub(super) const PATHS: [&str; 16] = [
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/ab",
    "",
    "/a/",
    "/d\u{e9}",
    "/\0",
    "/zookeeper/quota",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/config",
    "/a/\u{1}",
    "none",
];

/// What znodes hold: also texts that a quota is made of.
const DATA: [&str; 6] = [
    "",
    SECRET,
    "count=1,bytes=9",
    "count=2,bytes=20=;byteHardLimit=30;countHardLimit=3",
    "count=99999999999999999999,=,;==",
    "0123456789012345678901234567890123456789",
];

/// Operations of requests, by the byte that asks for them.
const OPS: [OpCode; 28] = [
    OpCode::CREATE,
    OpCode::DELETE,
    OpCode::EXISTS,
    OpCode::GET_DATA,
    OpCode::SET_DATA,
    OpCode::GET_ACL,
    OpCode::SET_ACL,
    OpCode::GET_CHILDREN,
    OpCode::SYNC,
    OpCode::GET_CHILDREN2,
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
    OpCode::WHO_AM_I,
    OpCode::PING,
    OpCode::CHECK,
];

/// An operation and its body.
pub(super) fn request(script: &mut Unstructured<'_>) -> Result<(OpCode, RequestBody)> {
    let op = OPS[usize::from(script.arbitrary::<u8>()?) % OPS.len()];
    Ok((op, body(op, script)?))
}

fn body(op: OpCode, script: &mut Unstructured<'_>) -> Result<RequestBody> {
    let path = path(script)?;
    let [flags, version] = script.arbitrary::<[u8; 2]>()?;
    let watch = flags & 1 != 0;
    let version = i32::from(version % 4) - 1;
    Ok(match op {
        OpCode::CREATE => RequestBody::Create(create(path, flags)),
        OpCode::CREATE2 => RequestBody::Create2(create(path, flags)),
        OpCode::CREATE_CONTAINER => RequestBody::CreateContainer(create(path, flags)),
        OpCode::CREATE_TTL => RequestBody::CreateTtl(create_ttl(path, flags)),
        OpCode::DELETE => RequestBody::Delete(DeleteRequest { path, version }),
        OpCode::EXISTS => RequestBody::Exists(ExistsRequest { path, watch }),
        OpCode::GET_DATA => RequestBody::GetData(GetDataRequest { path, watch }),
        OpCode::SET_DATA => RequestBody::SetData(SetDataRequest { path, data: data(flags), version }),
        OpCode::GET_ACL => RequestBody::GetAcl(GetAclRequest { path }),
        OpCode::SET_ACL => RequestBody::SetAcl(SetAclRequest { path, acl: acl(flags), version }),
        OpCode::GET_CHILDREN => RequestBody::GetChildren(GetChildrenRequest { path, watch }),
        OpCode::GET_CHILDREN2 => RequestBody::GetChildren2(GetChildren2Request { path, watch }),
        OpCode::SYNC => RequestBody::Sync(SyncRequest { path }),
        OpCode::CHECK => RequestBody::Check(CheckVersionRequest { path, version }),
        OpCode::MULTI => RequestBody::Multi(multi(flags, script)?),
        OpCode::MULTI_READ => RequestBody::MultiRead(multi_read(flags, script)?),
        OpCode::RECONFIG => RequestBody::Reconfig(ReconfigRequest {
            joining_servers: path.clone(),
            leaving_servers: path.clone(),
            new_members: path,
            cur_config_id: -1,
        }),
        OpCode::CHECK_WATCHES => {
            RequestBody::CheckWatches(CheckWatchesRequest { path, watcher_type: kind(flags) })
        }
        OpCode::REMOVE_WATCHES => {
            RequestBody::RemoveWatches(RemoveWatchesRequest { path, watcher_type: kind(flags) })
        }
        OpCode::AUTH => RequestBody::Auth(auth(flags)),
        OpCode::SASL => {
            RequestBody::Sasl(GetSaslRequest { token: Some(Bytes::from_static(SECRET.as_bytes())) })
        }
        OpCode::SET_WATCHES => {
            let [data, exist, child] = [paths(script)?, paths(script)?, paths(script)?];
            let relative_zxid = i64::from(version) * 3;
            RequestBody::SetWatches(SetWatches {
                relative_zxid,
                data_watches: data,
                exist_watches: exist,
                child_watches: child,
            })
        }
        OpCode::SET_WATCHES2 => RequestBody::SetWatches2(SetWatches2 {
            relative_zxid: i64::from(version) * 3,
            data_watches: paths(script)?,
            exist_watches: paths(script)?,
            child_watches: paths(script)?,
            persistent_watches: paths(script)?,
            persistent_recursive_watches: paths(script)?,
        }),
        OpCode::GET_EPHEMERALS => RequestBody::GetEphemerals(GetEphemeralsRequest { prefix_path: path }),
        OpCode::GET_ALL_CHILDREN_NUMBER => {
            RequestBody::GetAllChildrenNumber(GetAllChildrenNumberRequest { path })
        }
        OpCode::ADD_WATCH => {
            RequestBody::AddWatch(AddWatchRequest { path, mode: AddWatchMode(i32::from(flags % 3)) })
        }
        _ => RequestBody::Empty,
    })
}

fn path(script: &mut Unstructured<'_>) -> Result<Ustring> {
    let at = usize::from(script.arbitrary::<u8>()?);
    Ok(match at % 20 {
        17 => Ustring::NULL,
        at => PATHS.get(at).copied().unwrap_or("/a").into(),
    })
}

fn paths(script: &mut Unstructured<'_>) -> Result<Option<Vec<Ustring>>> {
    match script.arbitrary::<u8>()? % 5 {
        0 => Ok(None),
        count => (1..count).map(|_| path(script)).collect::<Result<_>>().map(Some),
    }
}

fn data(flags: u8) -> Option<Bytes> {
    DATA.get(usize::from(flags >> 1) % 8).map(|text| Bytes::from_static(text.as_bytes()))
}

fn acl(flags: u8) -> Option<Cow<'static, [Acl]>> {
    let perms = Perms(i32::from(flags & 31));
    match flags >> 5 {
        0..=2 => Some(Acl::OPEN.into()),
        3 => Some(vec![Acl::new(perms, "auth", ""), Acl::new(perms, "auth", "")].into()),
        4 => {
            let user = Acl::new(perms, "digest", format!("user:{SECRET}"));
            Some(vec![Acl::new(Perms::READ, "world", "anyone"), user.clone(), user].into())
        }
        5 => Some(vec![Acl::new(perms, "ip", "127.0.0.1/8"), Acl::new(perms, "ip", "::1")].into()),
        6 => Some(vec![Acl::new(perms, "world", "anyone"), Acl::new(perms, "none", "x")].into()),
        _ => None,
    }
}

/// The kinds of watches, and one that is none.
fn kind(flags: u8) -> WatcherType {
    WatcherType(i32::from(flags % 7) + 1)
}

fn mode(flags: u8) -> CreateMode {
    CreateMode(i32::from(flags >> 1 & 7) - i32::from(flags & 1))
}

fn create(path: Ustring, flags: u8) -> CreateRequest {
    let acl = if flags < 200 { Some(Acl::OPEN.into()) } else { acl(flags << 2 | flags >> 6) };
    CreateRequest { path, data: data(flags << 1), acl, flags: mode(flags) }
}

fn create_ttl(path: Ustring, flags: u8) -> CreateTtlRequest {
    let ttl = if flags & 8 == 0 { 1_000 } else { i64::from(flags) << 40 };
    let flags = CreateMode(5 + i32::from(flags & 1));
    CreateTtlRequest { path, data: None, acl: Some(Acl::OPEN.into()), flags, ttl }
}

fn auth(flags: u8) -> AuthPacket {
    let scheme = ["digest", "digest", "digest", "ip", "sasl", ""][usize::from(flags % 6)];
    let auth = match flags >> 6 {
        0 => None,
        1 => Some(Bytes::from(format!("{flags}:{SECRET}"))),
        2 => Some(Bytes::from(format!("super:{SECRET}"))),
        _ => Some(Bytes::from(vec![flags; 40])),
    };
    AuthPacket { auth_type: 0, scheme: scheme.into(), auth }
}

fn multi(flags: u8, script: &mut Unstructured<'_>) -> Result<MultiRequest> {
    if flags & 0x87 == 0x80 {
        return Ok(quota());
    }
    let ops: Result<Vec<Op>> = (0..flags % 8)
        .map(|_| {
            let path = path(script)?;
            let flags: u8 = script.arbitrary()?;
            let version = i32::from(flags >> 5 & 3) - 1;
            Ok(match flags % 8 {
                0 => Op::Create(create(path, flags)),
                1 => Op::Delete(DeleteRequest { path, version }),
                2 => Op::SetData(SetDataRequest { path, data: data(flags), version }),
                3 => Op::Check(CheckVersionRequest { path, version }),
                4 => Op::Create2(create(path, flags)),
                5 => {
                    Op::CreateContainer(CreateRequest { flags: CreateMode::CONTAINER, ..create(path, flags) })
                }
                6 => Op::CreateTtl(create_ttl(path, flags)),
                _ => Op::GetData(GetDataRequest { path, watch: true }),
            })
        })
        .collect();
    Ok(MultiRequest::new(ops?))
}

/// A quota takes three creates in a row, with the right data, which no fuzzer finds.
fn quota() -> MultiRequest {
    let [_, _, usage, limits, ..] = DATA;
    let ops = [
        ("/zookeeper/quota/a", ""),
        ("/zookeeper/quota/a/zookeeper_limits", limits),
        ("/zookeeper/quota/a/zookeeper_stats", usage),
    ];
    MultiRequest::new(ops.map(|(path, text)| {
        let data = Some(Bytes::from_static(text.as_bytes()));
        Op::Create(CreateRequest {
            path: path.into(),
            data,
            acl: Some(Acl::OPEN.into()),
            flags: CreateMode::PERSISTENT,
        })
    }))
}

fn multi_read(flags: u8, script: &mut Unstructured<'_>) -> Result<MultiRequest> {
    let ops: Result<Vec<Op>> = (0..flags % 8)
        .map(|_| {
            let path = path(script)?;
            Ok(match script.arbitrary::<u8>()? % 8 {
                0..=3 => Op::GetData(GetDataRequest { path, watch: false }),
                4..=6 => Op::GetChildren(GetChildrenRequest { path, watch: true }),
                _ => Op::Check(CheckVersionRequest { path, version: -1 }),
            })
        })
        .collect();
    // Many of the same: the answer is larger than what asks for it.
    let mut ops = ops?;
    if flags & 64 != 0 {
        ops = std::iter::repeat_with(|| ops.clone()).take(20).flatten().collect();
    }
    Ok(MultiRequest::new(ops))
}
