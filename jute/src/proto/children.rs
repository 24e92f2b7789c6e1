//! Below a znode, and what a session owns: getChildren, getChildren2, getAllChildrenNumber, getEphemerals.

use crate::field::record;
use crate::{Stat, Ustring};

record! {
    /// Body of getChildren.
    struct GetChildrenRequest<S> {
        /// Full path.
        path: S = "path",
        /// Whether to watch the list of children.
        watch: bool = "watch",
    }
}

record! {
    /// Answers getChildren.
    struct GetChildrenResponse {
        /// Names, in no order.
        children: Option<Vec<Ustring>> = "children",
    }
}

record! {
    /// Body of getChildren2.
    struct GetChildren2Request<S> {
        /// Full path.
        path: S = "path",
        /// Whether to watch the list of children.
        watch: bool = "watch",
    }
}

record! {
    /// Answers getChildren2.
    struct GetChildren2Response {
        /// Names, in no order.
        children: Option<Vec<Ustring>> = "children",
        /// The parent.
        stat: Stat = "stat",
    }
}

record! {
    /// Body of getAllChildrenNumber.
    struct GetAllChildrenNumberRequest<S> {
        /// Full path.
        path: S = "path",
    }
}

record! {
    /// Answers getAllChildrenNumber.
    #[derive(Copy)]
    struct GetAllChildrenNumberResponse {
        /// How many znodes are below, at any depth.
        total_number: i32 = "totalNumber",
    }
}

record! {
    /// Body of getEphemerals.
    struct GetEphemeralsRequest<S> {
        /// What the paths begin with, as text: `/a` also finds `/ab`. Null, empty and `/` find all.
        prefix_path: S = "prefixPath",
    }
}

record! {
    /// Answers getEphemerals.
    struct GetEphemeralsResponse {
        /// Full paths of the calling session's ephemerals.
        ephemerals: Option<Vec<Ustring>> = "ephemerals",
    }
}
