//! Every record of the client protocol, both directions side by side, one file per family.

mod acl;
mod admin;
mod auth;
mod children;
mod connect;
mod header;
mod multi;
mod node;
mod watch;

pub use acl::{Acl, GetAclRequest, GetAclResponse, Id, Perms, SetAclRequest, SetAclResponse};
pub use admin::{ClientInfo, ReconfigRequest, SyncRequest, SyncResponse, WhoAmIResponse};
pub use auth::{AuthPacket, GetSaslRequest, SetSaslResponse};
pub use children::{
    GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request, GetChildren2Response,
    GetChildrenRequest, GetChildrenResponse, GetEphemeralsRequest, GetEphemeralsResponse,
};
pub use connect::{ConnectRequest, ConnectResponse};
pub use header::{ErrorResponse, MultiHeader, ReplyHeader, RequestHeader};
pub use multi::{MultiOp, MultiRequest, MultiResponse, MultiResult, Op, OpResult};
pub use node::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest, DeleteRequest,
    ExistsRequest, ExistsResponse, GetDataRequest, GetDataResponse, SetDataRequest, SetDataResponse, Stat,
};
pub use watch::{
    AddWatchRequest, CheckWatchesRequest, RemoveWatchesRequest, SetWatches, SetWatches2, WatcherEvent,
};
