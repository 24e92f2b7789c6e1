//! Who may do what: ACLs, getACL, setACL.

use std::borrow::Cow;
use std::fmt;
use std::ops::BitOr;

use crate::field::record;
use crate::text::Repr;
use crate::{Stat, Ustring};

/// Permission bits. Bits without a name are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// Read data and list children.
    pub const READ: Self = Self(1);
    /// Set data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Set the ACL.
    pub const ADMIN: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Perms {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Perms({:#x})", self.0)
    }
}

#[cfg(not(plant = "jute_swap_fields"))]
record! {
    /// Someone, by the rules of a scheme.
    #[derive(Hash)]
    struct Id {
        /// `world`, `auth`, `digest`, `ip`, `sasl`, `x509`, or what the server has added.
        scheme: Ustring = "scheme",
        /// What the scheme calls them.
        id: Ustring = "id",
    }
}

#[cfg(plant = "jute_swap_fields")]
record! {
    /// The planted fault: the two fields change places.
    #[derive(Hash)]
    struct Id {
        /// As above.
        id: Ustring = "id",
        /// As above.
        scheme: Ustring = "scheme",
    }
}

record! {
    /// One entry of an access list: what someone may do.
    #[derive(Hash)]
    struct Acl as "ACL" {
        /// What.
        perms: Perms = "perms",
        /// Who.
        id: Id = "id",
    }
}

/// An entry of static text. A macro and not a `const fn`: only the literal value shows the compiler that no counter
/// of a [`Bytes`](bytes::Bytes) is in it, and that a constant may hold it.
macro_rules! known {
    ($perms:expr, $scheme:literal, $id:literal) => {
        Self {
            perms: $perms,
            id: Id { scheme: Ustring(Repr::Static($scheme)), id: Ustring(Repr::Static($id)) },
        }
    };
}

impl Acl {
    /// Anyone may do anything.
    pub const OPEN: &'static [Self] = &[known!(Perms::ALL, "world", "anyone")];
    /// Anyone may read.
    pub const READ: &'static [Self] = &[known!(Perms::READ, "world", "anyone")];
    /// The creator, by every identity of its connection, may do anything.
    pub const CREATOR_ALL: &'static [Self] = &[known!(Perms::ALL, "auth", "")];

    /// An entry.
    #[must_use]
    pub fn new(perms: Perms, scheme: impl Into<Ustring>, id: impl Into<Ustring>) -> Self {
        Self { perms, id: Id { scheme: scheme.into(), id: id.into() } }
    }
}

record! {
    /// Body of getACL.
    struct GetAclRequest<S> as "GetACLRequest" {
        /// Full path.
        path: S = "path",
    }
}

record! {
    /// Answers getACL.
    struct GetAclResponse as "GetACLResponse" {
        /// The list; without the permission ADMIN, digests are masked.
        acl: Option<Vec<Acl>> = "acl",
        /// The znode.
        stat: Stat = "stat",
    }
}

record! {
    /// Body of setACL.
    struct SetAclRequest<S> as "SetACLRequest" {
        /// Full path.
        path: S = "path",
        /// The new list.
        acl: Option<Cow<'static, [Acl]>> = "acl",
        /// The ACL version it must have; -1 for any.
        version: i32 = "version",
    }
}

record! {
    /// Answers setACL.
    #[derive(Copy)]
    struct SetAclResponse as "SetACLResponse" {
        /// The znode as it is now.
        stat: Stat = "stat",
    }
}
