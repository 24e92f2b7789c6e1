//! Wire codes as open newtypes: a value nobody has named yet still decodes, prints and re-encodes.

use std::fmt;

/// Declares an open newtype over a wire integer with its named values.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $constant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i32);

        impl $name {
            $($(#[$value_doc])* pub const $constant: Self = Self($value);)*

            /// The name, if the value has one.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }

            /// The value of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self($value)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name}({})", self.0),
                    None => write!(f, "{}({})", stringify!($name), self.0),
                }
            }
        }
    };
}

codes! {
    /// What a request asks for: `RequestHeader.type`.
    OpCode {
        /// Not a request: the name of a notification.
        NOTIFICATION = 0, "notification";
        /// Create a znode, answer its path.
        CREATE = 1, "create";
        /// Delete a znode.
        DELETE = 2, "delete";
        /// Stat of a znode, or NoNode.
        EXISTS = 3, "exists";
        /// Data and stat.
        GET_DATA = 4, "getData";
        /// Replace data.
        SET_DATA = 5, "setData";
        /// ACL and stat.
        GET_ACL = 6, "getACL";
        /// Replace the ACL.
        SET_ACL = 7, "setACL";
        /// Names of children.
        GET_CHILDREN = 8, "getChildren";
        /// Flush the channel between this server and the leader.
        SYNC = 9, "sync";
        /// Heartbeat.
        PING = 11, "ping";
        /// Names of children and the parent's stat.
        GET_CHILDREN2 = 12, "getChildren2";
        /// Check a version; only inside multi.
        CHECK = 13, "check";
        /// A transaction.
        MULTI = 14, "multi";
        /// Create, answer path and stat (3.5.0).
        CREATE2 = 15, "create2";
        /// Change the ensemble (3.5.0).
        RECONFIG = 16, "reconfig";
        /// Ask whether a watch is held (3.5.0).
        CHECK_WATCHES = 17, "checkWatches";
        /// Drop watches (3.5.0).
        REMOVE_WATCHES = 18, "removeWatches";
        /// Create a container (3.5.1).
        CREATE_CONTAINER = 19, "createContainer";
        /// Internal to the server: reap a container.
        DELETE_CONTAINER = 20, "deleteContainer";
        /// Create with a time to live (3.5.3).
        CREATE_TTL = 21, "createTTL";
        /// Several reads at once (3.6.0).
        MULTI_READ = 22, "multiRead";
        /// Present credentials.
        AUTH = 100, "auth";
        /// Re-arm one-shot watches.
        SET_WATCHES = 101, "setWatches";
        /// One step of a SASL exchange.
        SASL = 102, "sasl";
        /// This session's ephemerals (3.6.0).
        GET_EPHEMERALS = 103, "getEphemerals";
        /// Count of all descendants (3.6.0).
        GET_ALL_CHILDREN_NUMBER = 104, "getAllChildrenNumber";
        /// Re-arm watches of all kinds (3.6.0).
        SET_WATCHES2 = 105, "setWatches2";
        /// Set a persistent watch (3.6.0).
        ADD_WATCH = 106, "addWatch";
        /// The ids of this connection (3.7.0).
        WHO_AM_I = 107, "whoAmI";
        /// Internal to the server: open a session.
        CREATE_SESSION = -10, "createSession";
        /// End the session.
        CLOSE_SESSION = -11, "closeSession";
        /// A failed operation inside a multi result, and the end of its list.
        ERROR = -1, "error";
    }
}

codes! {
    /// What went wrong: `ReplyHeader.err`.
    ErrorCode {
        /// Nothing went wrong.
        OK = 0, "Ok";
        /// Marks the range of system errors.
        SYSTEM_ERROR = -1, "SystemError";
        /// An operation of a multi behind the one that failed.
        RUNTIME_INCONSISTENCY = -2, "RuntimeInconsistency";
        /// Data does not fit together.
        DATA_INCONSISTENCY = -3, "DataInconsistency";
        /// Made by clients: the connection went, outcome unknown.
        CONNECTION_LOSS = -4, "ConnectionLoss";
        /// The request did not decode, or failed inside the server.
        MARSHALLING_ERROR = -5, "MarshallingError";
        /// The server does not know the operation.
        UNIMPLEMENTED = -6, "Unimplemented";
        /// Made by clients: no answer in time.
        OPERATION_TIMEOUT = -7, "OperationTimeout";
        /// Path, flags, TTL or reconfig text are invalid.
        BAD_ARGUMENTS = -8, "BadArguments";
        /// The request raced with the end of its session (3.5).
        UNKNOWN_SESSION = -12, "UnknownSession";
        /// Too few members of the new configuration are in sync (3.5).
        NEW_CONFIG_NO_QUORUM = -13, "NewConfigNoQuorum";
        /// Another reconfig is running (3.5).
        RECONFIG_IN_PROGRESS = -14, "ReconfigInProgress";
        /// Marks the range of user errors.
        API_ERROR = -100, "ApiError";
        /// The znode is not there.
        NO_NODE = -101, "NoNode";
        /// The ACL denies it.
        NO_AUTH = -102, "NoAuth";
        /// The version is another one.
        BAD_VERSION = -103, "BadVersion";
        /// An ephemeral znode has no children.
        NO_CHILDREN_FOR_EPHEMERALS = -108, "NoChildrenForEphemerals";
        /// The znode is there already.
        NODE_EXISTS = -110, "NodeExists";
        /// The znode has children.
        NOT_EMPTY = -111, "NotEmpty";
        /// The session is over.
        SESSION_EXPIRED = -112, "SessionExpired";
        /// Made by clients.
        INVALID_CALLBACK = -113, "InvalidCallback";
        /// The ACL is not one.
        INVALID_ACL = -114, "InvalidACL";
        /// Credentials were refused.
        AUTH_FAILED = -115, "AuthFailed";
        /// The session is now on another server.
        SESSION_MOVED = -118, "SessionMoved";
        /// A write on a read-only server.
        NOT_READ_ONLY = -119, "NotReadOnly";
        /// An ephemeral znode in a local session.
        EPHEMERAL_ON_LOCAL_SESSION = -120, "EphemeralOnLocalSession";
        /// No such watch.
        NO_WATCHER = -121, "NoWatcher";
        /// Made by clients: the request timer ran out.
        REQUEST_TIMEOUT = -122, "RequestTimeout";
        /// Reconfig is switched off.
        RECONFIG_DISABLED = -123, "ReconfigDisabled";
        /// The server wants SASL first.
        SESSION_CLOSED_REQUIRE_SASL_AUTH = -124, "SessionClosedRequireSaslAuth";
        /// A hard quota is used up.
        QUOTA_EXCEEDED = -125, "QuotaExceeded";
        /// Not executed; try again later.
        THROTTLED_OP = -127, "ThrottledOp";
    }
}

codes! {
    /// What happened to a watched znode: `WatcherEvent.type`.
    EventType {
        /// A session event; made by clients.
        NONE = -1, "None";
        /// The znode was created.
        NODE_CREATED = 1, "NodeCreated";
        /// The znode was deleted.
        NODE_DELETED = 2, "NodeDeleted";
        /// Its data was set.
        NODE_DATA_CHANGED = 3, "NodeDataChanged";
        /// A child came or went.
        NODE_CHILDREN_CHANGED = 4, "NodeChildrenChanged";
        /// A data watch was removed; made by clients.
        DATA_WATCH_REMOVED = 5, "DataWatchRemoved";
        /// A child watch was removed; made by clients.
        CHILD_WATCH_REMOVED = 6, "ChildWatchRemoved";
        /// A persistent watch was removed; made by clients.
        PERSISTENT_WATCH_REMOVED = 7, "PersistentWatchRemoved";
    }
}

codes! {
    /// The state of a connection: `WatcherEvent.state`. Servers always send SyncConnected.
    KeeperState {
        /// Unused.
        UNKNOWN = -1, "Unknown";
        /// No connection.
        DISCONNECTED = 0, "Disconnected";
        /// Unused.
        NO_SYNC_CONNECTED = 1, "NoSyncConnected";
        /// Connected.
        SYNC_CONNECTED = 3, "SyncConnected";
        /// Credentials were refused.
        AUTH_FAILED = 4, "AuthFailed";
        /// Connected to a read-only server.
        CONNECTED_READ_ONLY = 5, "ConnectedReadOnly";
        /// SASL succeeded.
        SASL_AUTHENTICATED = 6, "SaslAuthenticated";
        /// Closed by the client.
        CLOSED = 7, "Closed";
        /// The session is over.
        EXPIRED = -112, "Expired";
    }
}

codes! {
    /// Which request a reply answers: `RequestHeader.xid`. Ordinary ones count from 1 and skip to 1 after `i32::MAX`.
    Xid {
        /// A watch event.
        NOTIFICATION = -1, "notification";
        /// A ping and its reply.
        PING = -2, "ping";
        /// An auth packet and its reply.
        AUTH = -4, "auth";
        /// SetWatches as the C client sends it.
        SET_WATCHES = -8, "setWatches";
    }
}

codes! {
    /// What a create makes: `CreateRequest.flags`.
    CreateMode {
        /// Stays until deleted.
        PERSISTENT = 0, "persistent";
        /// Goes with its session.
        EPHEMERAL = 1, "ephemeral";
        /// Stays; the name gets a number.
        PERSISTENT_SEQUENTIAL = 2, "persistentSequential";
        /// Goes with its session; the name gets a number.
        EPHEMERAL_SEQUENTIAL = 3, "ephemeralSequential";
        /// Reaped once its last child has gone (3.5.1).
        CONTAINER = 4, "container";
        /// Reaped when unmodified and childless for its time to live (3.5.3).
        PERSISTENT_WITH_TTL = 5, "persistentWithTTL";
        /// As that; the name gets a number (3.5.3).
        PERSISTENT_SEQUENTIAL_WITH_TTL = 6, "persistentSequentialWithTTL";
    }
}

codes! {
    /// Which kind of watch to set: `AddWatchRequest.mode`.
    AddWatchMode {
        /// Events of the znode and its children list, until removed.
        PERSISTENT = 0, "persistent";
        /// Events of the znode and everything below it, until removed.
        PERSISTENT_RECURSIVE = 1, "persistentRecursive";
    }
}

codes! {
    /// Which watches to look for: the `type` of checkWatches and removeWatches.
    WatcherType {
        /// Child watches.
        CHILDREN = 1, "children";
        /// Data watches.
        DATA = 2, "data";
        /// Watches of every kind.
        ANY = 3, "any";
        /// Persistent watches (3.9.0).
        PERSISTENT = 4, "persistent";
        /// Persistent recursive watches (3.9.0).
        PERSISTENT_RECURSIVE = 5, "persistentRecursive";
    }
}

impl OpCode {
    /// Whether the operation changes the tree or the session: the leader orders it and it takes a zxid.
    #[must_use]
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::CREATE
                | Self::DELETE
                | Self::SET_DATA
                | Self::SET_ACL
                | Self::MULTI
                | Self::CREATE2
                | Self::RECONFIG
                | Self::CREATE_CONTAINER
                | Self::CREATE_TTL
                | Self::CLOSE_SESSION
        )
    }
}

impl Xid {
    /// The next ordinary xid: never 0 and never negative.
    #[must_use]
    pub fn next(self) -> Self {
        if self.0 <= 0 || self.0 == i32::MAX { Self(1) } else { Self(self.0 + 1) }
    }

    /// Whether it is the xid of an ordinary request.
    #[must_use]
    pub fn is_ordinary(self) -> bool {
        self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_print_and_known_ones_are_named() {
        assert_eq!(OpCode(55).to_string(), "55");
        assert_eq!(format!("{:?}", ErrorCode(-999)), "ErrorCode(-999)");
        assert_eq!(ErrorCode::NO_NODE.to_string(), "NoNode");
        assert_eq!(OpCode::from_name("getACL"), Some(OpCode::GET_ACL));
    }

    #[test]
    fn xids_wrap_to_one() {
        assert_eq!(Xid(i32::MAX).next(), Xid(1));
        assert_eq!(Xid(0).next(), Xid(1));
        assert_eq!(Xid(-8).next(), Xid(1));
        assert_eq!(Xid(41).next(), Xid(42));
    }
}
