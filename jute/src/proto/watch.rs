//! Watches: setting, re-arming, looking for and dropping them, and what they say.

use crate::field::record;
use crate::{AddWatchMode, EventType, KeeperState, Ustring, WatcherType};

record! {
    /// A notification.
    struct WatcherEvent {
        /// What happened.
        event_type: EventType = "type",
        /// The connection's state; servers send SyncConnected.
        state: KeeperState = "state",
        /// Full path of the znode.
        path: Ustring = "path",
    }
}

record! {
    /// Body of addWatch, which an [`ErrorResponse`](crate::ErrorResponse) answers.
    struct AddWatchRequest<S> {
        /// Full path.
        path: S = "path",
        /// Which kind.
        mode: AddWatchMode = "mode",
    }
}

record! {
    /// Body of checkWatches. The answer has no body.
    struct CheckWatchesRequest<S> {
        /// Full path.
        path: S = "path",
        /// Which kind.
        watcher_type: WatcherType = "type",
    }
}

record! {
    /// Body of removeWatches. The answer has no body.
    struct RemoveWatchesRequest<S> {
        /// Full path.
        path: S = "path",
        /// Which kind.
        watcher_type: WatcherType = "type",
    }
}

record! {
    /// Re-arms one-shot watches after a reconnect. The answer has no body.
    struct SetWatches<S> {
        /// The last zxid the client had seen: what changed since fires at once.
        relative_zxid: i64 = "relativeZxid";
        /// Paths watched by getData, or by exists on a znode that was there.
        data_watches = "dataWatches",
        /// Paths watched by exists that were not there.
        exist_watches = "existWatches",
        /// Paths watched by getChildren.
        child_watches = "childWatches",
    }
}

record! {
    /// Re-arms watches of all kinds after a reconnect (3.6.0). The answer has no body.
    struct SetWatches2<S> {
        /// The last zxid the client had seen: what changed since fires at once.
        relative_zxid: i64 = "relativeZxid";
        /// Paths watched by getData, or by exists on a znode that was there.
        data_watches = "dataWatches",
        /// Paths watched by exists that were not there.
        exist_watches = "existWatches",
        /// Paths watched by getChildren.
        child_watches = "childWatches",
        /// Paths of persistent watches; these do not catch up.
        persistent_watches = "persistentWatches",
        /// Paths of persistent recursive watches; these do not catch up.
        persistent_recursive_watches = "persistentRecursiveWatches",
    }
}
