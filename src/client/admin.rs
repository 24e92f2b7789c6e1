//! Operations about the session and the ensemble: sync, counts, ephemerals, configuration.

use std::borrow::Cow;

use bytes::Bytes;

use super::engine::private::Described;
use super::engine::{Answer, Call};
use super::hub::now;
use super::nodes::value;
use super::watch::Changed;
use super::watched::{Watchable, Watched};
use super::{Client, Error, Kind, under};
use crate::jute::{
    Encode, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetDataRequest, GetDataResponse,
    GetEphemeralsRequest, GetEphemeralsResponse, OpCode, ReconfigRequest, Stat, SyncRequest, SyncResponse,
    Ustring,
};
use crate::path;
use crate::session::{Fate, RequestError, WatchKind};

/// Where the ensemble keeps its configuration. Never below a chroot.
pub const CONFIG_NODE: &str = "/zookeeper/config";

/// Flushes the channel between the server and its leader. Yields nothing.
#[derive(Debug)]
pub struct Sync<'a>(Cow<'a, str>);

/// Counts all znodes below one. Yields the count.
#[derive(Debug)]
pub struct CountDescendants<'a>(Cow<'a, str>);

/// Lists this session's ephemerals. Yields their paths.
#[derive(Debug)]
pub struct GetEphemerals<'a>(Cow<'a, str>);

/// Reads the ensemble's configuration. Yields `(Bytes, Stat)`.
#[derive(Debug)]
pub struct GetConfig;

/// As [`GetConfig`], with a watch. Yields `(Bytes, Stat, Changed)`.
pub type GetConfigWatched = Watched<GetConfig>;

/// Changes the ensemble. Yields the new configuration.
#[derive(Debug)]
pub struct Reconfig {
    joining: Ustring,
    leaving: Ustring,
    members: Ustring,
    version: i64,
}

impl Client {
    /// Brings the server that this session is connected to up to date: a read that follows sees everything that was
    /// written before the sync reached the leader. For reading behind it at once see
    /// [`Call::<Sync>::get`](Call::get).
    ///
    /// # Errors
    /// What any request may meet. The path need not exist.
    pub fn sync<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, Sync<'p>> {
        Call::new(self, Sync(path.into()))
    }

    /// How many znodes lie below one, at any depth. (3.6)
    ///
    /// # Errors
    /// `NoNode`, `NoAuth`, `Unimplemented`, and what any request may meet.
    pub fn count_descendants<'p>(&self, path: impl Into<Cow<'p, str>>) -> Call<'_, CountDescendants<'p>> {
        Call::new(self, CountDescendants(path.into()))
    }

    /// This session's ephemerals whose paths begin so: a prefix of characters, not of components. (3.6)
    ///
    /// # Errors
    /// `Unimplemented`, and what any request may meet.
    pub fn ephemerals<'p>(&self, prefix: impl Into<Cow<'p, str>>) -> Call<'_, GetEphemerals<'p>> {
        Call::new(self, GetEphemerals(prefix.into()))
    }

    /// The ensemble's configuration, as text; empty on a standalone server. (3.5)
    ///
    /// # Errors
    /// `NoNode` before 3.5, and what any request may meet.
    pub fn config(&self) -> Call<'_, GetConfig> {
        Call::new(self, GetConfig)
    }

    /// Changes the ensemble: servers that join, as `server.4=host:2888:3888;2181` separated by commas, and ids of those
    /// that leave. See [`version`](Call::<Reconfig>::version). (3.5)
    ///
    /// # Errors
    /// `ReconfigDisabled`, `NewConfigNoQuorum`, `ReconfigInProgress`, `BadArguments`, `BadVersion`, `NoAuth`,
    /// `Unimplemented` on a standalone server, and what any request may meet.
    pub fn reconfig(&self, joining: &str, leaving: &str) -> Call<'_, Reconfig> {
        let members = Ustring::NULL;
        let text = |text: &str| if text.is_empty() { Ustring::NULL } else { Ustring::from(text) };
        Call::new(self, Reconfig { joining: text(joining), leaving: text(leaving), members, version: -1 })
    }

    /// Replaces the ensemble's members altogether; otherwise as [`reconfig`](Self::reconfig).
    ///
    /// # Errors
    /// As [`reconfig`](Self::reconfig).
    pub fn reconfig_members(&self, members: &str) -> Call<'_, Reconfig> {
        let (joining, leaving) = (Ustring::NULL, Ustring::NULL);
        Call::new(self, Reconfig { joining, leaving, members: Ustring::from(members), version: -1 })
    }
}

impl<'a, 'p> Call<'a, Sync<'p>> {
    /// Syncs and reads in one go on one connection: everything written before the call is seen.
    ///
    /// The two go out together; if the connection goes between them, both are done again.
    ///
    /// # Errors
    /// As [`Client::get`]. Dropping the future lets both run, and swallows their answers.
    pub async fn get(self, path: &str) -> Result<(Bytes, Stat), Error> {
        let Self { client, op, timeout } = self;
        // Both before either is sent: half of it would be of no use.
        op.check().map_err(|error| error.at(OpCode::SYNC, &op.0))?;
        path::validate(path).map_err(|error| Error::new(error).at(OpCode::GET_DATA, path))?;
        let deadline = client.hub.deadline(timeout);
        let lens_bytes = [op.len_bytes(), client.get(path).op.len_bytes()];
        let places =
            if planted!("client_two_or_nothing") { 2 } else { client.hub.places_for_all(&lens_bytes) };
        loop {
            let taken = client.hub.take_places(places, deadline).await;
            taken.map_err(|cause| {
                Error::new(RequestError { cause, fate: Fate::NotSent }).at(OpCode::SYNC, &op.0)
            })?;
            // Sent one behind the other they go through one connection, in order, or the second fails. The second is
            // answered last, so it holds the places of both.
            let sync = Call::new(client, Sync(Cow::Borrowed(&op.0))).send_taken(deadline, 0);
            let get = client.get(path).send_taken(deadline, places);
            let result = match sync.await {
                Ok(()) => get.await,
                Err(error) => Err(error),
            };
            match result {
                Err(error) if error.is_lost_connection() && now() < deadline => {
                    client.when_connected(deadline).await?;
                }
                result => return result,
            }
        }
    }
}

impl<'a> Call<'a, GetConfig> {
    /// Sets a watch with the read: it resolves when the ensemble is changed.
    pub fn watch(self) -> Call<'a, GetConfigWatched> {
        self.map(Watched)
    }
}

impl<'a> Call<'a, Reconfig> {
    /// Only if the configuration has this version (the hexadecimal `version=` of its last line).
    pub fn version(self, version: i64) -> Call<'a, Reconfig> {
        self.map(|reconfig| Reconfig { version, ..reconfig })
    }
}

impl Described for Sync<'_> {
    type Output = ();

    fn op(&self) -> OpCode {
        OpCode::SYNC
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&SyncRequest { path: under(chroot, &self.0) })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.record::<SyncResponse>().map(|_| ())
    }
}

impl Described for CountDescendants<'_> {
    type Output = i32;

    fn op(&self) -> OpCode {
        OpCode::GET_ALL_CHILDREN_NUMBER
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetAllChildrenNumberRequest { path: under(chroot, &self.0) })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        answer.record::<GetAllChildrenNumberResponse>().map(|response| response.total_number)
    }
}

impl Described for GetEphemerals<'_> {
    type Output = Vec<String>;

    fn op(&self) -> OpCode {
        OpCode::GET_EPHEMERALS
    }

    fn path(&self) -> &str {
        &self.0
    }

    fn check(&self) -> Result<(), Error> {
        // A prefix of characters may end anywhere, so only its beginning can be checked.
        if self.0.starts_with('/') { Ok(()) } else { Err(Error::new(path::PathError::Relative)) }
    }

    fn with_body<R>(&self, chroot: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetEphemeralsRequest { prefix_path: under(chroot, &self.0) })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let chroot = answer.chroot.to_owned();
        let found = answer.record::<GetEphemeralsResponse>()?.ephemerals.unwrap_or_default();
        let by_character = planted!("client_chroot_by_character");
        let below = |full: &str| match by_character {
            true => full.strip_prefix(chroot.as_str()).map(str::to_owned),
            false => path::strip(&chroot, full).map(str::to_owned),
        };
        Ok(found.iter().filter_map(|full| below(full.as_str())).collect())
    }
}

impl Described for GetConfig {
    type Output = (Bytes, Stat);

    fn op(&self) -> OpCode {
        OpCode::GET_DATA
    }

    fn path(&self) -> &str {
        CONFIG_NODE
    }

    fn ignores_chroot(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    fn with_body<R>(&self, _: &str, watch: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&GetDataRequest { path: CONFIG_NODE, watch })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let GetDataResponse { data, stat } = answer.record()?;
        Ok((value(data), stat))
    }
}

impl Described for Reconfig {
    type Output = (Bytes, Stat);

    fn op(&self) -> OpCode {
        OpCode::RECONFIG
    }

    fn path(&self) -> &str {
        ""
    }

    fn check(&self) -> Result<(), Error> {
        if self.joining.is_null() && self.leaving.is_null() && self.members.is_null() {
            return Err(Error::new(Kind::Argument("a reconfig names servers that join, leave or are")));
        }
        Ok(())
    }

    fn with_body<R>(&self, _: &str, _: bool, use_body: impl FnOnce(&dyn Encode) -> R) -> R {
        use_body(&ReconfigRequest {
            joining_servers: self.joining.clone(),
            leaving_servers: self.leaving.clone(),
            new_members: self.members.clone(),
            cur_config_id: self.version,
        })
    }

    fn decode(&self, answer: Answer<'_>) -> Result<Self::Output, Error> {
        let GetDataResponse { data, stat } = answer.record()?;
        Ok((value(data), stat))
    }
}

impl Watchable for GetConfig {
    type Watched = (Bytes, Stat, Changed);
    const KIND: WatchKind = WatchKind::Data;

    fn with_changed((data, stat): Self::Output, changed: Changed) -> Self::Watched {
        (data, stat, changed)
    }
}
