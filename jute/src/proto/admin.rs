//! The connection and the ensemble: sync, whoAmI, reconfig.

use crate::Ustring;
use crate::field::record;

record! {
    /// Body of sync.
    struct SyncRequest<S> {
        /// Any path; the server does not look at it.
        path: S = "path",
    }
}

record! {
    /// Answers sync.
    struct SyncResponse {
        /// The path of the request.
        path: Ustring = "path",
    }
}

record! {
    /// One identity of a connection.
    struct ClientInfo {
        /// The scheme.
        auth_scheme: Ustring = "authScheme",
        /// Who, by that scheme, without secrets.
        user: Ustring = "user",
    }
}

record! {
    /// Answers whoAmI, whose request has no body (3.7.0).
    struct WhoAmIResponse {
        /// Identities, in no order.
        client_info: Option<Vec<ClientInfo>> = "clientInfo",
    }
}

record! {
    /// Body of reconfig, which a [`GetDataResponse`](crate::GetDataResponse) with the new configuration answers (3.5.0).
    struct ReconfigRequest {
        /// `server.N=..` lines to add, or null.
        joining_servers: Ustring = "joiningServers",
        /// Ids of servers to remove, or null.
        leaving_servers: Ustring = "leavingServers",
        /// The whole new membership, or null.
        new_members: Ustring = "newMembers",
        /// The configuration it must replace; -1 for any.
        cur_config_id: i64 = "curConfigId",
    }
}
