//! One znode: create, delete, exists, getData, setData, check.

use std::borrow::Cow;

use bytes::Bytes;

use crate::field::record;
use crate::{Acl, CreateMode, Ustring};

record! {
    /// A znode without its data. Times are milliseconds since the Unix epoch by the leader's clock.
    #[derive(Copy, Hash)]
    struct Stat {
        /// The transaction that created it.
        czxid: i64 = "czxid",
        /// The transaction that last set its data.
        mzxid: i64 = "mzxid",
        /// When it was created, in milliseconds.
        ctime: i64 = "ctime",
        /// When its data was last set, in milliseconds.
        mtime: i64 = "mtime",
        /// How often its data was set.
        version: i32 = "version",
        /// How often a child came or went.
        cversion: i32 = "cversion",
        /// How often its ACL was set.
        aversion: i32 = "aversion",
        /// The session that owns an ephemeral; 0 for every other kind.
        ephemeral_owner: i64 = "ephemeralOwner",
        /// Length of its data in bytes.
        data_length: i32 = "dataLength",
        /// How many children it has.
        num_children: i32 = "numChildren",
        /// The transaction that last added or removed a child.
        pzxid: i64 = "pzxid",
    }
}

record! {
    /// Body of create, create2 and createContainer.
    struct CreateRequest<S> {
        /// Full path; of a sequential znode, its beginning.
        path: S = "path",
        /// Null is stored as null.
        data: Option<Bytes> = "data",
        /// Who may do what.
        acl: Option<Cow<'static, [Acl]>> = "acl",
        /// What kind of znode.
        flags: CreateMode = "flags",
    }
}

record! {
    /// Body of createTTL.
    struct CreateTtlRequest<S> as "CreateTTLRequest" {
        /// Full path; of a sequential znode, its beginning.
        path: S = "path",
        /// Null is stored as null.
        data: Option<Bytes> = "data",
        /// Who may do what.
        acl: Option<Cow<'static, [Acl]>> = "acl",
        /// What kind of znode.
        flags: CreateMode = "flags",
        /// Time to live in milliseconds.
        ttl: i64 = "ttl",
    }
}

record! {
    /// Answers create.
    struct CreateResponse {
        /// The path made, with its number if it is sequential.
        path: Ustring = "path",
    }
}

record! {
    /// Answers create2, createContainer and createTTL.
    struct Create2Response {
        /// The path made, with its number if it is sequential.
        path: Ustring = "path",
        /// The znode made.
        stat: Stat = "stat",
    }
}

record! {
    /// Body of delete. The answer has no body.
    struct DeleteRequest<S> {
        /// Full path.
        path: S = "path",
        /// The data version it must have; -1 for any.
        version: i32 = "version",
    }
}

record! {
    /// Body of exists.
    struct ExistsRequest<S> {
        /// Full path.
        path: S = "path",
        /// Whether to watch it, there or not.
        watch: bool = "watch",
    }
}

record! {
    /// Answers exists.
    #[derive(Copy)]
    struct ExistsResponse {
        /// The znode.
        stat: Stat = "stat",
    }
}

record! {
    /// Body of getData.
    struct GetDataRequest<S> {
        /// Full path.
        path: S = "path",
        /// Whether to watch it.
        watch: bool = "watch",
    }
}

record! {
    /// Answers getData and reconfig.
    struct GetDataResponse {
        /// The data; null if null was stored.
        data: Option<Bytes> = "data",
        /// The znode.
        stat: Stat = "stat",
    }
}

record! {
    /// Body of setData.
    struct SetDataRequest<S> {
        /// Full path.
        path: S = "path",
        /// Null is stored as null.
        data: Option<Bytes> = "data",
        /// The data version it must have; -1 for any.
        version: i32 = "version",
    }
}

record! {
    /// Answers setData.
    #[derive(Copy)]
    struct SetDataResponse {
        /// The znode as it is now.
        stat: Stat = "stat",
    }
}

record! {
    /// Body of check, an operation that stands only inside a multi.
    struct CheckVersionRequest<S> {
        /// Full path.
        path: S = "path",
        /// The data version it must have; -1 for any.
        version: i32 = "version",
    }
}
