//! Words that tell of each connection and session: `cons`, `dump`, `wchs`, `wchc`, `wchp`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use super::date::java_date;
use crate::core::Like;
use crate::core::connection::{Connection, ConnectionId};
use crate::core::machine::Core;
use crate::jute::OpCode;

impl Connection {
    /// A connection on one line of `stat`.
    pub(super) fn brief(&self) -> String {
        let tally = &self.tally;
        let interest = u8::from(!tally.is_word);
        format!(" /{}[{interest}](queued=0,recved={},sent={})", self.peer, tally.received, tally.sent)
    }
}

impl Core {
    pub(super) fn cons(&self) -> String {
        let mut text = String::new();
        for (_, connection) in self.connections() {
            let brief = connection.brief();
            let Some(session) = connection.session() else {
                let _ = writeln!(text, "{brief}");
                continue;
            };
            let tally = &connection.tally;
            let timeout = self.sessions.get(session).map_or(0, |session| session.timeout_millis);
            let _ = writeln!(
                text,
                "{},sid={session:#x},lop={},est={},to={timeout},lcxid={:#x},lzxid={:#x},lresp={},llat=0,minlat=0,avglat=0,maxlat=0)",
                brief.trim_end_matches(')'),
                abbreviated(tally.last_op),
                tally.since_unix,
                tally.last_xid.0,
                tally.last_zxid,
                tally.last_reply,
            );
        }
        text.push('\n');
        text
    }

    pub(super) fn dump(&self) -> String {
        let is_old = self.rules.like == Like::V3_4;
        let mut text = String::from("SessionTracker dump:\n");
        let sets = self.sessions.buckets().count();
        let of = |total: usize| if is_old { String::new() } else { format!("/({total})") };
        let _ = writeln!(text, "Session Sets ({sets}){}:", of(self.sessions.len()));
        for (due, ids) in self.sessions.buckets() {
            let _ = writeln!(text, "{} expire at {}:", ids.len(), self.date(due));
            ids.iter().for_each(|id| push_line(&mut text, format_args!("\t{id:#x}")));
        }
        text.push_str("ephemeral nodes dump:\n");
        let owners = self.tree.owners();
        let _ = writeln!(text, "Sessions with Ephemerals ({}):", owners.len());
        for (id, paths) in owners {
            let _ = writeln!(text, "{id:#x}:");
            paths.for_each(|path| push_line(&mut text, format_args!("\t{path}")));
        }
        if !is_old {
            self.push_connections(&mut text);
        }
        text
    }

    fn push_connections(&self, text: &mut String) {
        let mut sets: BTreeMap<u64, Vec<&Connection>> = BTreeMap::new();
        for (_, connection) in self.connections() {
            let of_session = connection.session().and_then(|session| self.sessions.due(session));
            sets.entry(of_session.or(connection.due).unwrap_or(self.now)).or_default().push(connection);
        }
        let _ = writeln!(
            text,
            "Connections dump:\nConnections Sets ({})/({}):",
            sets.len(),
            self.connections_count()
        );
        for (due, connections) in sets {
            let _ = writeln!(text, "{} expire at {}:", connections.len(), self.date(due));
            for connection in connections {
                let session = connection.session().unwrap_or(0);
                let _ = writeln!(text, "\tip: /{} sessionId: {session:#x}", connection.peer);
            }
        }
    }

    fn date(&self, due: u64) -> String {
        java_date(self.unix_millis().saturating_add_unsigned(due.saturating_sub(self.now)))
    }

    pub(super) fn wchs(&self) -> String {
        let (connections, paths, watches) = self.watches.data_totals();
        format!("{connections} connections watching {paths} paths\nTotal watches:{watches}\n")
    }

    pub(super) fn wchc(&self) -> String {
        let mut sessions: BTreeMap<i64, BTreeSet<&Arc<str>>> = BTreeMap::new();
        for (path, id) in self.watches.in_data() {
            sessions.entry(self.session_of(id)).or_default().insert(path);
        }
        let mut text = String::new();
        for (session, paths) in sessions {
            let _ = writeln!(text, "{session:#x}");
            paths.into_iter().for_each(|path| push_line(&mut text, format_args!("\t{path}")));
        }
        text.push('\n');
        text
    }

    pub(super) fn wchp(&self) -> String {
        let mut text = String::new();
        let mut last: Option<&Arc<str>> = None;
        for (path, id) in self.watches.in_data() {
            if last != Some(path) {
                let _ = writeln!(text, "{path}");
                last = Some(path);
            }
            let _ = writeln!(text, "\t{:#x}", self.session_of(id));
        }
        text.push('\n');
        text
    }

    pub(super) fn reset_tallies(&mut self) {
        let ids: Vec<_> = self.connections().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(connection) = self.connection_mut(id) {
                connection.tally.received = 0;
                connection.tally.sent = 0;
            }
        }
    }

    fn session_of(&self, id: ConnectionId) -> i64 {
        self.connection(id).and_then(Connection::session).unwrap_or(0)
    }
}

/// An operation as `cons` names it (`Request.op2String` and its callers).
fn abbreviated(op: OpCode) -> &'static str {
    match op {
        OpCode::CREATE_SESSION => "SESS",
        OpCode::PING => "PING",
        OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => "CREA",
        OpCode::DELETE => "DELE",
        OpCode::EXISTS => "EXIS",
        OpCode::GET_DATA => "GETD",
        OpCode::SET_DATA => "SETD",
        OpCode::GET_ACL => "GETA",
        OpCode::SET_ACL => "SETA",
        OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 => "GETC",
        OpCode::SYNC => "SYNC",
        OpCode::MULTI => "MULT",
        OpCode::MULTI_READ => "MLTR",
        OpCode::SET_WATCHES => "SETW",
        OpCode::SET_WATCHES2 => "STW2",
        OpCode::ADD_WATCH => "ADDW",
        OpCode::CHECK_WATCHES => "CHKW",
        OpCode::REMOVE_WATCHES => "REMW",
        OpCode::RECONFIG => "RECO",
        OpCode::CLOSE_SESSION => "CLOS",
        OpCode::GET_EPHEMERALS => "GETE",
        OpCode::GET_ALL_CHILDREN_NUMBER => "GETACN",
        OpCode::WHO_AM_I => "HOMI",
        _ => "NA",
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Text takes everything.
    let _ = writeln!(text, "{line}");
}
