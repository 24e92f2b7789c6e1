//! The few requests that the loads need, laid out once. Not a codec: of a request that is sent a hundred thousand
//! times only the ten digits at the end of its path change.

use anyhow::{Context, Result, ensure};

/// Bytes of every value that is written.
pub const VALUE_LEN: usize = 100;

/// The xid of every request: replies come in order, and nobody tells them apart.
pub const XID: i32 = 1;

/// Digits at the end of a numbered path.
pub const DIGITS: usize = 10;

/// The lengths in front of frames, strings and buffers take this many bytes.
pub const PREFIX: usize = 4;

/// Opcodes, by the protocol's names.
pub mod op {
    /// Makes a znode; the reply holds its path.
    pub const CREATE: i32 = 1;
    /// Removes a znode; the reply is a header.
    pub const DELETE: i32 = 2;
    /// Reads a znode; the reply holds its data and Stat.
    pub const GET_DATA: i32 = 4;
    /// Writes a znode; the reply holds its Stat.
    pub const SET_DATA: i32 = 5;
    /// Ends the session; the reply is a header.
    pub const CLOSE_SESSION: i32 = -11;
}

/// A request, with its length in front.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    /// Where the number at the end of its path stands, if it has one.
    digits_at: Option<usize>,
}

impl Request {
    /// A ConnectRequest for a new session.
    #[must_use]
    pub fn connect(timeout_ms: i32) -> Self {
        let mut body = vec![0; 4 + 8];
        body.extend(timeout_ms.to_be_bytes());
        body.extend([0; 8]);
        body.extend(16_i32.to_be_bytes());
        body.extend([0; 16 + 1]);
        Self { bytes: framed(&body), digits_at: None }
    }

    /// getData.
    #[must_use]
    pub fn get(path: &str, watch: bool) -> Self {
        Self::new(op::GET_DATA, path, &[u8::from(watch)])
    }

    /// setData of a hundred bytes, whatever the version.
    #[must_use]
    pub fn set(path: &str) -> Self {
        Self::new(op::SET_DATA, path, &[value(), any_version()].concat())
    }

    /// create of a persistent znode of a hundred bytes that is open to all.
    #[must_use]
    pub fn create(path: &str) -> Self {
        Self::new(op::CREATE, path, &[value(), open_to_all(), vec![0; 4]].concat())
    }

    /// [`create`](Self::create) of `prefix` and a number.
    #[must_use]
    pub fn create_numbered(prefix: &str) -> Self {
        Self::create(&format!("{prefix}{}", "0".repeat(DIGITS))).numbered(prefix)
    }

    /// delete of `prefix` and a number.
    #[must_use]
    pub fn delete_numbered(prefix: &str) -> Self {
        Self::new(op::DELETE, &format!("{prefix}{}", "0".repeat(DIGITS)), &any_version()).numbered(prefix)
    }

    /// closeSession.
    #[must_use]
    pub fn close() -> Self {
        let body = [XID.to_be_bytes(), op::CLOSE_SESSION.to_be_bytes()].concat();
        Self { bytes: framed(&body), digits_at: None }
    }

    /// Appends the request with `number` at the end of its path.
    ///
    /// # Errors
    /// A number of more digits than there is room for.
    pub fn append(&self, number: usize, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let Some(at) = self.digits_at else { return Ok(()) };
        let digits =
            out.get_mut(start + at..).and_then(|rest| rest.get_mut(..DIGITS)).context("no digits")?;
        let mut left = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(left % 10)?;
            left /= 10;
        }
        ensure!(left == 0, "{number} has more than {DIGITS} digits");
        Ok(())
    }

    /// The request as it stands.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn new(opcode: i32, path: &str, rest: &[u8]) -> Self {
        let header = [XID.to_be_bytes(), opcode.to_be_bytes()].concat();
        let body = [header, buffer(path.as_bytes()), rest.to_vec()].concat();
        Self { bytes: framed(&body), digits_at: None }
    }

    fn numbered(self, prefix: &str) -> Self {
        // Behind the frame's length, xid, opcode and the path's length.
        Self { digits_at: Some(4 * PREFIX + prefix.len()), ..self }
    }
}

/// What the null server answers.
#[derive(Debug)]
pub struct Answers {
    connect: Vec<u8>,
    data: Vec<u8>,
    stat: Vec<u8>,
    header: Vec<u8>,
    notification: Vec<u8>,
}

impl Default for Answers {
    fn default() -> Self {
        let session =
            [vec![0; 4], 40_000_i32.to_be_bytes().to_vec(), vec![1; 8], buffer(&[7; 16]), vec![0]].concat();
        let header = [XID.to_be_bytes().to_vec(), vec![0; 8 + 4]].concat();
        let stat = vec![0; 68];
        // Data changed, connected; the path is as long as that of the znode that is watched.
        let event =
            [(-1_i32).to_be_bytes().to_vec(), vec![0; 8 + 4], [0, 0, 0, 3].repeat(2), buffer(b"/figures")];
        Self {
            connect: framed(&session),
            data: framed(&[header.clone(), value(), stat.clone()].concat()),
            stat: framed(&[header.clone(), stat].concat()),
            header: framed(&header),
            notification: framed(&event.concat()),
        }
    }
}

impl Answers {
    /// The answer to a ConnectRequest.
    #[must_use]
    pub fn to_connect(&self) -> &[u8] {
        &self.connect
    }

    /// What a watcher hears.
    #[must_use]
    pub fn notification(&self) -> &[u8] {
        &self.notification
    }

    /// The answer to the request in `body`.
    #[must_use]
    pub fn to(&self, body: &[u8]) -> &[u8] {
        match int_at(body, 4) {
            Some(op::GET_DATA) => &self.data,
            Some(op::SET_DATA) => &self.stat,
            _ => &self.header,
        }
    }
}

/// The four bytes at `at`, as the protocol's int.
#[must_use]
pub fn int_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn framed(body: &[u8]) -> Vec<u8> {
    buffer(body)
}

/// A length and the bytes: a frame, a string and a buffer look the same.
fn buffer(bytes: &[u8]) -> Vec<u8> {
    let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    [length.to_be_bytes().as_slice(), bytes].concat()
}

fn value() -> Vec<u8> {
    buffer(&[b'x'; VALUE_LEN])
}

fn any_version() -> Vec<u8> {
    (-1_i32).to_be_bytes().to_vec()
}

fn open_to_all() -> Vec<u8> {
    [1_i32.to_be_bytes().to_vec(), 31_i32.to_be_bytes().to_vec(), buffer(b"world"), buffer(b"anyone")]
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_to_the_end_of_the_path_and_nowhere_else() {
        let request = Request::create_numbered("/a/n");
        let mut out = vec![9];
        request.append(1_234, &mut out).unwrap();
        let plain = Request::create("/a/n0000001234");
        assert_eq!(out[1..], *plain.bytes());
        let delete = Request::delete_numbered("/a/n");
        out.clear();
        delete.append(7, &mut out).unwrap();
        assert_eq!(out.len(), delete.bytes().len());
        assert!(out.windows(DIGITS).any(|window| window == b"0000000007"));
        assert!(request.append(10_000_000_000, &mut out).is_err());
    }

    #[test]
    fn lengths_count_what_follows_them() {
        for request in [Request::connect(1), Request::get("/a", true), Request::set("/a"), Request::close()] {
            let length = usize::try_from(int_at(request.bytes(), 0).unwrap()).unwrap();
            assert_eq!(length, request.bytes().len() - PREFIX);
        }
        assert_eq!(Answers::default().to(&Request::get("/a", false).bytes()[4..]).len(), 4 + 16 + 104 + 68);
    }
}
