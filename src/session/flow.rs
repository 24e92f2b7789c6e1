//! From wishes to bytes: submitting, committing in order, and what the session itself sends.

use std::sync::Arc;
use std::time::Instant;

use super::abilities::Ability;
use super::lease::Renewal;
use super::link::{Connection, Link};
use super::queue::{Batch, Committed, Entry, Owner, Waiting, take_waiting};
use super::watches::{Arming, Flag, LISTS, List, WatchTable};
use super::{Action, Cause, Fate, Notice, Rejected, Request, RequestError, RequestId, Session};
use crate::jute::{
    AuthPacket, Encode, ErrorCode, OpCode, RemoveWatchesRequest, RequestHeader, SetWatches, SetWatches2,
    Ustring, WatcherType, Writer, Xid,
};
use crate::limits;

impl<T> Session<T> {
    /// Takes a request: straight into the connection's buffer if there is one and nothing waits before it.
    ///
    /// # Errors
    /// The token comes straight back, with fate not sent: the session has ended or is closing, every place is taken, or
    /// the request is over the limit in bytes.
    pub fn submit(&mut self, now: Instant, request: Request<'_>, token: T) -> Result<RequestId, Rejected<T>> {
        if let Some(cause) = self.refusal(&request) {
            return Err(Rejected { token, error: RequestError { cause, fate: Fate::NotSent } });
        }
        let id = RequestId(self.next_id());
        let arming = request.watch.map(|wish| Box::new(Arming::new(wish.kind, Arc::from(wish.path))));
        let limit = self.config.outbound_frame_len_bytes;
        let mut entry =
            Entry { owner: Owner::Caller(token), deadline: request.deadline, places: request.places, arming };
        let overlong = if let Some(connection) = open_road(&mut self.link, &self.waiting, |connection| {
            self.abilities.of(&connection.server, connection.address, request.op) == Ability::Answers
        }) {
            let start = connection.enqueued;
            let xid = connection.xid.next();
            match write_frame(&mut connection.out, xid, request.op, request.body, limit) {
                Ok(len) => {
                    if let Some(arming) = &mut entry.arming {
                        set_watch_flag(&mut connection.out, self.watches.arm(arming));
                    }
                    connection.xid = xid;
                    connection.enqueued += len;
                    connection.pending.push_back(Committed {
                        id,
                        xid,
                        op: request.op,
                        start,
                        at: now,
                        entry,
                    });
                    None
                }
                Err(len) => entry.bury().map(|token| (token, len)),
            }
        } else {
            let mut frame = Writer::with_spill(limits::SPILL_LEN_BYTES);
            match write_frame(&mut frame, Xid(0), request.op, request.body, limit) {
                Ok(_) => {
                    let pipelined = request.pipelined;
                    self.waiting.push_back(Waiting { id, op: request.op, frame, entry, pipelined });
                    None
                }
                Err(len) => entry.bury().map(|token| (token, len)),
            }
        };
        if let Some((token, len)) = overlong {
            let cause = Cause::RequestTooLarge { len, limit };
            return Err(Rejected { token, error: RequestError { cause, fate: Fate::NotSent } });
        }
        self.places = self.places.saturating_add(request.places);
        self.note_deadline(request.deadline);
        if !self.waiting.is_empty() {
            self.pump(now);
        }
        Ok(id)
    }

    /// Why this request is not taken, if it is not.
    fn refusal(&self, request: &Request<'_>) -> Option<Cause> {
        if let Some(end) = self.refuses() {
            return Some(Cause::SessionEnded(end));
        }
        (self.places.saturating_add(request.places) > self.config.places).then_some(Cause::QueueFull)
    }

    fn note_deadline(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.no_deadline_before.is_none_or(|known| deadline < known) {
            self.no_deadline_before = Some(deadline);
        }
    }

    /// The caller does not want the answer any more. A waiting request is taken out and was not sent; one that is
    /// committed leaves a tombstone, and its fate is unknown.
    pub fn cancel(&mut self, now: Instant, request: RequestId) {
        let mut waiting = take_waiting(&mut self.waiting, |waiting| {
            waiting.id == request && matches!(waiting.entry.owner, Owner::Caller(_))
        });
        if let Some(waiting) = waiting.pop() {
            self.fail_waiting(waiting, Cause::Cancelled);
            return self.pump(now);
        }
        let Link::Up(connection) = &mut self.link else { return };
        let found = connection.pending.iter_mut().find(|committed| committed.id == request);
        let buried = found.and_then(|committed| committed.entry.bury());
        if planted!("session_no_tombstone") {
            connection.pending.retain(|committed| committed.id != request);
        }
        if let Some(token) = buried {
            self.complete(token, Cause::Cancelled, Fate::Unknown);
        }
    }

    pub(super) fn submit_close(&mut self, now: Instant) {
        self.closing = Some(now + limits::CLOSE_WAIT);
        let mut frame = Writer::new();
        let op = OpCode::CLOSE_SESSION;
        let header_only = write_frame(&mut frame, Xid(0), op, &(), usize::MAX);
        debug_assert!(header_only.is_ok());
        let id = RequestId(self.next_id());
        let entry = Entry::internal(Owner::Close);
        self.waiting.push_back(Waiting { id, op, frame, entry, pipelined: false });
        self.pump(now);
    }

    /// Moves on whatever can move: watches to re-arm first, then leases, then what waits, then watches to take back.
    pub(super) fn pump(&mut self, now: Instant) {
        if self.is_leaving(now) {
            return;
        }
        while self.restore_step(now) {}
        self.renew_leases(now);
        while self.commit_next(now) {}
        while self.take_back_a_watch(now) {}
    }

    /// Commits the request at the head of the queue. True if it went and another may follow.
    fn commit_next(&mut self, now: Instant) -> bool {
        let Link::Up(connection) = &mut self.link else { return false };
        let Some(front) = self.waiting.front() else { return false };
        if connection.restore.is_some() || connection.alone {
            return false;
        }
        let ability = self.abilities.of(&connection.server, connection.address, front.op);
        if ability == Ability::Untried && !connection.pending.is_empty() {
            return false;
        }
        let Some(mut waiting) = self.waiting.pop_front() else { return false };
        if ability == Ability::Refuses {
            self.discard(waiting.frame);
            self.fail(waiting.entry, Cause::Server(ErrorCode::UNIMPLEMENTED), Fate::Refused);
            return true;
        }
        connection.alone = ability == Ability::Untried && !planted!("session_probe_in_company");
        let xid = connection.xid.next();
        waiting.frame.patch(4, xid.0);
        if let Some(arming) = &mut waiting.entry.arming {
            set_watch_flag(&mut waiting.frame, self.watches.arm(arming));
        }
        let start = connection.enqueued;
        connection.xid = xid;
        connection.enqueued += waiting.frame.len() as u64;
        connection.out.append(waiting.frame);
        let Waiting { id, op, entry, .. } = waiting;
        connection.pending.push_back(Committed { id, xid, op, start, at: now, entry });
        true
    }

    /// Puts one of the session's own requests into the buffer.
    fn commit_own(&mut self, now: Instant, op: OpCode, body: &dyn Encode, owner: Owner<T>) {
        let id = RequestId(self.next_id());
        let Link::Up(connection) = &mut self.link else { return };
        let start = connection.enqueued;
        let xid = connection.xid.next();
        if let Ok(len) = write_frame(&mut connection.out, xid, op, body, usize::MAX) {
            connection.xid = xid;
            connection.enqueued += len;
            connection.pending.push_back(Committed {
                id,
                xid,
                op,
                start,
                at: now,
                entry: Entry::internal(owner),
            });
        }
    }

    /// Sends the next `SetWatches` once the last has left the buffer. True if it did something.
    fn restore_step(&mut self, now: Instant) -> bool {
        let Link::Up(connection) = &mut self.link else { return false };
        if connection.alone || connection.backlog() >= limits::BATCH_LEN_BYTES as u64 {
            return false;
        }
        let Some(restore) = &mut connection.restore else { return false };
        let ability = self.abilities.of(&connection.server, connection.address, OpCode::SET_WATCHES2);
        let allowed = if ability == Ability::Refuses { 3 } else { LISTS.len() };
        let (batch, next) = next_batch(&self.watches, restore.list, restore.after.clone(), allowed);
        let lasting = batch.paths.iter().any(|(list, _)| !list.is_one_shot());
        if lasting && ability == Ability::Untried && !connection.pending.is_empty() {
            return false;
        }
        let zxid = restore.zxid;
        connection.alone = lasting && ability == Ability::Untried;
        if planted!("fuzz_session") && restore.after.is_some() && connection.read_only {
            panic!("planted: fuzz_session");
        }
        match next {
            Some((list, after)) => (restore.list, restore.after) = (list, after),
            None => connection.restore = None,
        }
        if batch.paths.is_empty() {
            // Nothing to re-arm, or nothing that this server can: then no answer will come to tell of the gap.
            let notice = self.lasting_notice();
            let tell = |watcher, notice| self.actions.push_back(Action::Notify { watcher, notice });
            self.watches.tell_lasting(&notice, tell);
            return true;
        }
        for (list, path) in &batch.paths {
            self.watches.rearm(*list, path);
        }
        self.stats.watch_batches += 1;
        let body = set_watches(&batch, zxid);
        let op = if lasting { OpCode::SET_WATCHES2 } else { OpCode::SET_WATCHES };
        self.commit_own(now, op, &*body, Owner::Restore(Box::new(batch)));
        true
    }

    /// What lasting watchers are to hear once their watches were set again, or were left out because this server knows none.
    pub(super) fn lasting_notice(&self) -> Notice {
        let Link::Up(connection) = &self.link else { return Notice::Gap };
        match self.abilities.of(&connection.server, connection.address, OpCode::SET_WATCHES2) {
            Ability::Refuses if !planted!("session_left_out_untold") => Notice::NotWatched,
            _ => Notice::Gap,
        }
    }

    fn renew_leases(&mut self, now: Instant) {
        if !self.may_send_own() {
            return;
        }
        for (lease, held) in self.leases.due(now, self.timeout()) {
            self.commit_own(now, OpCode::MULTI, &Renewal(&held), Owner::Lease(lease));
        }
    }

    /// Takes one watch back that nobody listens to. True if another may follow.
    fn take_back_a_watch(&mut self, now: Instant) -> bool {
        if self.watches.abandoned() == 0 || !self.may_send_own() || !self.waiting.is_empty() {
            return false;
        }
        let Link::Up(connection) = &mut self.link else { return false };
        let crowded = self.watches.abandoned() > limits::ABANDONED_WATCHES;
        let eager = crowded || self.abilities.is_modern(&connection.server, connection.address);
        let ability = self.abilities.of(&connection.server, connection.address, OpCode::REMOVE_WATCHES);
        let must_wait = ability == Ability::Untried && !connection.pending.is_empty();
        if must_wait || ability == Ability::Refuses || connection.removals >= limits::REMOVALS_IN_FLIGHT {
            return false;
        }
        let Some(path) = self.watches.next_abandoned(eager) else { return false };
        connection.alone = ability == Ability::Untried;
        connection.removals += 1;
        let body = RemoveWatchesRequest { path: &*path, watcher_type: WatcherType::ANY };
        self.commit_own(now, OpCode::REMOVE_WATCHES, &body, Owner::Removal);
        true
    }

    /// Whether the session may put requests of its own into the buffer now.
    pub(super) fn may_send_own(&self) -> bool {
        matches!(&self.link, Link::Up(connection)
            if connection.restore.is_none() && !connection.alone && connection.leaving.is_none())
    }

    /// Presents one of the session's credentials on this connection. Auth packets have a reserved xid and need no turn.
    pub(super) fn present_auth(&mut self, now: Instant, index: usize) {
        let Link::Up(connection) = &mut self.link else { return };
        let Some(credential) = self.auth.get(index) else { return };
        let auth = AuthPacket {
            auth_type: 0,
            scheme: Ustring::from(credential.auth.scheme.as_str()),
            auth: Some(credential.auth.auth.clone()),
        };
        if let Ok(len) = write_frame(&mut connection.out, Xid::AUTH, OpCode::AUTH, &auth, usize::MAX) {
            connection.auth_pending.push_back((index, connection.enqueued));
            connection.enqueued += len;
            connection.wrote = now;
        }
    }

    pub(super) fn ping(&mut self, now: Instant) {
        let Link::Up(connection) = &mut self.link else { return };
        if let Ok(len) = write_frame(&mut connection.out, Xid::PING, OpCode::PING, &(), usize::MAX) {
            connection.enqueued += len;
            connection.wrote = now;
            connection.pings += 1;
            self.stats.pings += 1;
        }
    }
}

/// The connection, if a request may enter its buffer at once: nothing waits before it and nothing holds it back.
fn open_road<'a, T>(
    link: &'a mut Link<T>,
    waiting: &std::collections::VecDeque<Waiting<T>>,
    answers: impl FnOnce(&Connection<T>) -> bool,
) -> Option<&'a mut Connection<T>> {
    match link {
        Link::Up(connection)
            if waiting.is_empty()
                && connection.restore.is_none()
                && !connection.alone
                && connection.leaving.is_none()
                && answers(connection) =>
        {
            Some(connection)
        }
        _ => None,
    }
}

/// Writes a whole frame and returns its length on the wire; takes it back and returns the payload's length if that is
/// over the limit.
fn write_frame(
    out: &mut Writer,
    xid: Xid,
    op: OpCode,
    body: &dyn Encode,
    limit: usize,
) -> Result<u64, usize> {
    let frame = out.frame();
    RequestHeader { xid, op }.encode(out);
    body.encode(out);
    let len = out.close(frame);
    if len > limit {
        out.abandon(frame);
        return Err(len);
    }
    Ok(len as u64 + 4)
}

/// The watch flag, or the mode of `addWatch`, is the last thing in the frame.
fn set_watch_flag(frame: &mut Writer, flag: Flag) {
    match flag {
        Flag::Keep => {}
        Flag::Clear if planted!("session_modes_overwritten") => {}
        Flag::Clear => frame.patch_end(&[0]),
        Flag::Mode(mode) => frame.patch_end(&mode.code().to_be_bytes()),
    }
}

/// Where the next batch begins.
type Cursor = (List, Option<Arc<str>>);

/// The next batch from the cursor on, at most [`limits::BATCH_LEN_BYTES`] long (a single path may be longer), and where
/// the one behind it begins.
fn next_batch(
    watches: &WatchTable,
    list: List,
    mut after: Option<Arc<str>>,
    allowed: usize,
) -> (Batch, Option<Cursor>) {
    let mut batch = Batch { paths: Vec::new(), last: false };
    let mut len_bytes = HEADER_AND_COUNTS_LEN_BYTES;
    for &current in LISTS.iter().take(allowed).skip_while(|&&each| each < list) {
        // An old server refuses a batch with persistent watches whole; the one-shot ones must not go with them.
        if !current.is_one_shot() && batch.paths.first().is_some_and(|(first, _)| first.is_one_shot()) {
            return (batch, Some((current, after)));
        }
        for path in watches.paths_of(current, after.clone()) {
            len_bytes += 4 + path.len();
            if len_bytes > limits::BATCH_LEN_BYTES && !batch.paths.is_empty() {
                let last =
                    batch.paths.iter().rev().find(|(of, _)| *of == current).map(|(_, path)| path.clone());
                return (batch, Some((current, last.or(after))));
            }
            batch.paths.push((current, path.clone()));
        }
        after = None;
    }
    batch.last = true;
    (batch, None)
}

/// Request header, zxid and the counts of five lists.
const HEADER_AND_COUNTS_LEN_BYTES: usize = 8 + 8 + 5 * 4;

/// The body of a batch: the older operation as long as it will do.
fn set_watches(batch: &Batch, zxid: i64) -> Box<dyn Encode> {
    let list = |wanted: List| {
        let paths = batch.paths.iter().filter(|(list, _)| *list == wanted);
        Some(paths.map(|(_, path)| Ustring::from(&**path)).collect::<Vec<_>>())
    };
    let [data, exist, child, persistent, recursive] = LISTS.map(list);
    if batch.paths.iter().all(|(list, _)| list.is_one_shot()) {
        return Box::new(SetWatches {
            relative_zxid: zxid,
            data_watches: data,
            exist_watches: exist,
            child_watches: child,
        });
    }
    Box::new(SetWatches2 {
        relative_zxid: zxid,
        data_watches: data,
        exist_watches: exist,
        child_watches: child,
        persistent_watches: persistent,
        persistent_recursive_watches: recursive,
    })
}
