//! Who may do what, and who one is.

use std::borrow::Cow;

use super::engine::private::Described;
use super::engine::{Answer, Call, abandoned};
use super::{Client, Error, under};
use crate::jute::{
    Acl, ClientInfo, Encode, GetAclRequest, GetAclResponse, OpCode, SetAclRequest, SetAclResponse, Stat,
    WhoAmIResponse,
};
use crate::session::{Auth, Cause, Fate, RequestError};
use bytes::Bytes;

/// Reads an ACL. Yields `(Vec<Acl>, Stat)`.
#[derive(Debug)]
pub struct GetAcl<'a>(Cow<'a, str>);

/// Replaces an ACL. Yields the `Stat`.
#[derive(Debug)]
pub struct SetAcl<'a> {
    path: Cow<'a, str>,
    acl: Cow<'static, [Acl]>,
    version: i32,
}

/// Asks who one is. Yields the ids of this connection.
#[derive(Debug)]
pub struct WhoAmI;

impl Client {
    /// Reads a znode's ACL. Without the permission to administer, digests are masked.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, and what any request may meet.
    pub fn acl<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, GetAcl<'p>> {
        Call::new(self, GetAcl(path.into()))
    }

    /// Replaces a znode's ACL; see [`version`](Call::<SetAcl>::version). Its children keep theirs.
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `BadVersion`, `InvalidACL`, and what any request may meet.
    pub fn set_acl<'p>(
        &self,
        path: impl Into<Cow<'p, str>>,
        acl: impl Into<Cow<'static, [Acl]>>,
    ) -> Call<'_, SetAcl<'p>> {
        Call::new(self, SetAcl { path: path.into(), acl: acl.into(), version: -1 })
    }

    /// The ids of this connection: its address, and what it has authenticated as. (3.7)
    ///
    /// # Errors
    /// `Unimplemented` on older servers, and what any request may meet.
    pub fn who_am_i(&self) -> Call<'_, WhoAmI> {
        Call::new(self, WhoAmI)
    }

    /// Presents credentials, now and on every later connection and session, ahead of everything else. Yields the
    /// server's verdict.
    ///
    /// Cancel safe in the sense that the credentials stay, and go on being presented, if the future is dropped.
    ///
    /// # Errors
    /// `AuthFailed`, with which the session ends. No verdict within the request timeout: they may have been accepted, and
    /// stay.
    pub async fn add_auth(&self, scheme: &str, auth: impl Into<Bytes>) -> Result<(), Error> {
        let auth = Auth { scheme: scheme.to_owned(), auth: auth.into() };
        let outcome = match self.hub.add_auth(self.pinned, auth) {
            Ok(verdict) => match self.hub.before(self.hub.deadline(None), verdict).await {
                Some(outcome) => outcome.unwrap_or_else(|_| Err(abandoned())),
                // They stay, and are presented on the next connection all the same.
                None => Err(RequestError { cause: Cause::Deadline, fate: Fate::Unknown }),
            },
            Err(error) => Err(error),
        };
        outcome.map(|_| ()).map_err(|error| Error::new(error).at(OpCode::AUTH, ""))
    }
}

impl<'a, 'p> Call<'a, SetAcl<'p>> {
    /// Only if the ACL has this version (`Stat.aversion`).
    pub fn version(self, version: i32) -> Call<'a, SetAcl<'p>> {
        self.map(|set| SetAcl { version, ..set })
    }
}

impl Described for GetAcl<'_> {
    type Output = (Vec<Acl>, Stat);

    fn op(&self) -> OpCode {
        OpCode::GET_ACL
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetAclRequest { path: under(chroot, &self.0) })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let GetAclResponse { acl, stat } = answer.record()?;
        // Texts of their own: slices would keep the whole read buffer alive.
        let own = |acl: Acl| Acl::new(acl.perms, acl.id.scheme.as_str(), acl.id.id.as_str());
        Ok((acl.unwrap_or_default().into_iter().map(own).collect(), stat))
    }
}

impl Described for SetAcl<'_> {
    type Output = Stat;

    fn op(&self) -> OpCode {
        OpCode::SET_ACL
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn len_bytes(&self) -> usize {
        self.path.len() + 64 * (1 + self.acl.len())
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        let path = under(chroot, &self.path);
        use_body(&SetAclRequest { path, acl: Some(self.acl.clone()), version: self.version })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.record::<SetAclResponse>().map(|response| response.stat)
    }
}

impl Described for WhoAmI {
    type Output = Vec<ClientInfo>;

    fn op(&self) -> OpCode {
        OpCode::WHO_AM_I
    }

    fn path(&self) -> &str {
        ""
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    fn with_body<R>(&self, _: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&())
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.record::<WhoAmIResponse>().map(|response| response.client_info.unwrap_or_default())
    }
}
