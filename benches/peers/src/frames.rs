//! The few frames that the workloads need, ready made. Not a codec: bytes are laid out once, at start, and
//! afterwards only the xid of a frame changes.

/// The znode that every workload reads.
pub const PATH: &str = "/w";

/// Length of the value that [`PATH`] holds, in bytes.
pub const VALUE_LEN: usize = 100;

/// The longest frame body taken from either side, in bytes. A peer that claims more has lost its place.
pub const MAX_BODY: usize = 64 * 1024;

const UNIMPLEMENTED: i32 = -6;
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i32> = 4_000..=40_000;

/// Opcodes that the canned replies know, by the protocol's names.
mod op {
    pub(super) const CREATE: i32 = 1;
    pub(super) const DELETE: i32 = 2;
    pub(super) const EXISTS: i32 = 3;
    pub(super) const GET_DATA: i32 = 4;
    pub(super) const SET_DATA: i32 = 5;
    pub(super) const GET_CHILDREN: i32 = 8;
    pub(super) const SYNC: i32 = 9;
    pub(super) const PING: i32 = 11;
    pub(super) const GET_CHILDREN2: i32 = 12;
    pub(super) const CREATE2: i32 = 15;
    pub(super) const AUTH: i32 = 100;
    pub(super) const SET_WATCHES: i32 = 101;
    pub(super) const CLOSE_SESSION: i32 = -11;
}

/// A ConnectRequest for a new session of ten seconds, with its length prefix.
#[must_use]
pub fn connect_request() -> Vec<u8> {
    let mut body = vec![0; 4 + 8];
    body.extend(10_000_i32.to_be_bytes());
    body.extend([0; 8]);
    body.extend(16_i32.to_be_bytes());
    body.extend([0; 16 + 1]);
    framed(&body)
}

/// A getData of [`PATH`] without a watch, with its length prefix.
#[must_use]
pub fn get_request(xid: i32) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(xid.to_be_bytes());
    body.extend(op::GET_DATA.to_be_bytes());
    body.extend(string(PATH));
    body.push(0);
    framed(&body)
}

/// Every reply the server can give, laid out once.
#[derive(Debug)]
pub struct Canned {
    header_only: Reply,
    stat: Reply,
    data: Reply,
    path: Reply,
    path_and_stat: Reply,
    children: Reply,
    children_and_stat: Reply,
    unimplemented: Reply,
    sessions: i64,
}

/// What to do with the connection once a reply is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// More requests may follow.
    KeepOpen,
    /// The client closed its session.
    Close,
}

/// A request too short to hold what its place demands.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl Default for Canned {
    fn default() -> Self {
        let stat = stat();
        let data = [buffer(&[b'x'; VALUE_LEN]), stat.clone()].concat();
        let children = [1_i32.to_be_bytes().to_vec(), string("w")].concat();
        Self {
            header_only: Reply::new(0, &[]),
            data: Reply::new(0, &data),
            path: Reply::new(0, &string(PATH)),
            path_and_stat: Reply::new(0, &[string(PATH), stat.clone()].concat()),
            children: Reply::new(0, &children),
            children_and_stat: Reply::new(0, &[children, stat.clone()].concat()),
            stat: Reply::new(0, &stat),
            unimplemented: Reply::new(UNIMPLEMENTED, &[]),
            sessions: 0,
        }
    }
}

impl Canned {
    /// Appends the ConnectResponse to the ConnectRequest in `body`.
    ///
    /// # Errors
    /// A body that ends before the length of the password.
    pub fn connect(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        const TIMEOUT_AT: usize = 4 + 8;
        const PASSWORD_AT: usize = TIMEOUT_AT + 4 + 8;
        let wished = int_at(body, TIMEOUT_AT)?;
        let timeout = wished.clamp(*SESSION_TIMEOUT_MS.start(), *SESSION_TIMEOUT_MS.end());
        // A null password has length -1 and no bytes, like an empty one.
        let password_len = usize::try_from(int_at(body, PASSWORD_AT)?).unwrap_or(0);
        let knows_read_only = body.len() > PASSWORD_AT + 4 + password_len;
        self.sessions += 1;
        let mut answer = vec![0; 4];
        answer.extend(timeout.to_be_bytes());
        answer.extend(self.sessions.to_be_bytes());
        answer.extend(buffer(&[7; 16]));
        // A server says readOnly only to a client that said it.
        answer.extend(knows_read_only.then_some(0));
        out.extend(framed(&answer));
        Ok(())
    }

    /// Appends the reply to the request in `body`; allocates nothing but what `out` may grow by.
    ///
    /// # Errors
    /// A body shorter than a request header.
    pub fn answer(&self, body: &[u8], out: &mut Vec<u8>) -> Result<After, Malformed> {
        let (xid, rest) = body.split_first_chunk::<4>().ok_or(Malformed)?;
        let opcode = int_at(rest, 0)?;
        let reply = match opcode {
            op::GET_DATA => &self.data,
            op::EXISTS | op::SET_DATA => &self.stat,
            op::CREATE | op::SYNC => &self.path,
            op::CREATE2 => &self.path_and_stat,
            op::GET_CHILDREN => &self.children,
            op::GET_CHILDREN2 => &self.children_and_stat,
            op::PING | op::DELETE | op::AUTH | op::SET_WATCHES | op::CLOSE_SESSION => &self.header_only,
            _ => &self.unimplemented,
        };
        reply.append(*xid, out);
        Ok(if opcode == op::CLOSE_SESSION { After::Close } else { After::KeepOpen })
    }
}

/// A reply around the place where the xid goes.
#[derive(Debug)]
struct Reply {
    before_xid: [u8; 4],
    after_xid: Vec<u8>,
}

impl Reply {
    fn new(error: i32, record: &[u8]) -> Self {
        let zxid = 1_i64.to_be_bytes();
        let after_xid = [zxid.as_slice(), &error.to_be_bytes(), record].concat();
        Self { before_xid: length(4 + after_xid.len()), after_xid }
    }

    fn append(&self, xid: [u8; 4], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before_xid);
        out.extend_from_slice(&xid);
        out.extend_from_slice(&self.after_xid);
    }
}

/// A Stat that agrees with the value: version 0, one hundred bytes, no children.
fn stat() -> Vec<u8> {
    let mut stat = Vec::new();
    for (czxid_or_time, count) in [(1_i64, 2), (1_700_000_000_000, 2)] {
        for _ in 0..count {
            stat.extend(czxid_or_time.to_be_bytes());
        }
    }
    stat.extend([0; 3 * 4 + 8]);
    stat.extend(length(VALUE_LEN));
    stat.extend([0; 4]);
    stat.extend(1_i64.to_be_bytes());
    stat
}

fn int_at(body: &[u8], at: usize) -> Result<i32, Malformed> {
    let bytes = body.get(at..).and_then(|rest| rest.first_chunk()).ok_or(Malformed)?;
    Ok(i32::from_be_bytes(*bytes))
}

fn string(text: &str) -> Vec<u8> {
    buffer(text.as_bytes())
}

fn buffer(bytes: &[u8]) -> Vec<u8> {
    [length(bytes.len()).as_slice(), bytes].concat()
}

fn framed(body: &[u8]) -> Vec<u8> {
    buffer(body)
}

/// A length on the wire. Every length here is a constant far below the limit of an `int`.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_and_its_reply_have_the_sizes_of_the_workload() {
        let request = get_request(5);
        assert_eq!(request.len(), 19);
        let mut out = Vec::new();
        assert_eq!(Canned::default().answer(&request[4..], &mut out), Ok(After::KeepOpen));
        assert_eq!(out.len(), 192);
        assert_eq!(out[..8], [0, 0, 0, 188, 0, 0, 0, 5]);
        assert_eq!(out[20..24], [0, 0, 0, 100]);
    }

    #[test]
    fn a_session_gets_an_id_a_timeout_in_range_and_read_only_only_if_it_asked() {
        let request = connect_request();
        let mut canned = Canned::default();
        let mut out = Vec::new();
        canned.connect(&request[4..], &mut out).unwrap();
        assert_eq!(out.len(), 4 + 37);
        assert_eq!(out[8..12], 10_000_i32.to_be_bytes());
        out.clear();
        canned.connect(&request[4..request.len() - 1], &mut out).unwrap();
        assert_eq!(out.len(), 4 + 36);
        assert_eq!(out[12..20], 2_i64.to_be_bytes());
        let without_password = [&request[4..28], &[0; 4], &[1]].concat();
        out.clear();
        canned.connect(&without_password, &mut out).unwrap();
        assert_eq!(out.len(), 4 + 37);
    }

    #[test]
    fn short_and_unknown_requests_are_told_apart() {
        let mut out = Vec::new();
        let mut canned = Canned::default();
        assert_eq!(canned.answer(&[0, 0, 0, 1, 0, 0], &mut out), Err(Malformed));
        assert_eq!(canned.connect(&[0; 13], &mut out), Err(Malformed));
        assert!(out.is_empty());
        canned.answer(&[0, 0, 0, 1, 0, 0, 3, 231], &mut out).unwrap();
        assert_eq!(out[16..], UNIMPLEMENTED.to_be_bytes());
    }

    #[test]
    fn closing_the_session_is_answered_and_then_ends_the_connection() {
        let mut out = Vec::new();
        let request = [[0, 0, 0, 9], (-11_i32).to_be_bytes()].concat();
        assert_eq!(Canned::default().answer(&request, &mut out), Ok(After::Close));
        assert_eq!(out.len(), 20);
    }
}
