//! `zooctl decode`: frames in hex, out as JSON.

use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use menagerie_jute::{
    ConnectRequest, ConnectResponse, Decode as _, DecodeError, Expected, Message, OpCode, Reader,
    ReplyHeader, RequestHeader, Xid,
};
use serde_json::{Map, Value as Json};

use crate::frame_text::{Direction, FrameText, Op};
use crate::json::{hex, object};

/// Print frames as JSON, one object a line, with the protocol's own field names
#[derive(Debug, Args)]
#[command(long_about = LONG_ABOUT)]
pub(crate) struct Decode {
    /// Who sent the frames; frames that say so themselves go before it
    #[arg(long, value_enum)]
    dir: Option<Direction>,
    /// What the frames ask or answer: an operation such as getData, `connect`, `notification`, or an opcode's number
    #[arg(long, value_name = "NAME", allow_negative_numbers = true)]
    op: Option<Op>,
    /// Frames; without any, they are read from standard input, one a line
    #[arg(value_name = "HEX")]
    frames: Vec<String>,
}

/// Why a frame was not printed.
#[derive(Debug)]
enum Failure {
    /// The bytes are not the message they should be.
    Bytes(DecodeError),
    /// The text is not a frame, or does not fit the options.
    Text(String),
}

/// How a run is going.
#[derive(Debug, Default)]
struct Tally {
    frames: usize,
    failed: usize,
}

impl Decode {
    /// Prints all frames; the exit code says whether all decoded.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut out = io::stdout().lock();
        let mut tally = Tally::default();
        let result = if self.frames.is_empty() {
            self.lines(&mut io::stdin().lock(), &mut out, &mut tally)
        } else {
            self.frames.iter().try_for_each(|text| self.frame(text, &mut out, &mut tally))
        };
        match result.and_then(|()| out.flush()) {
            // Who closed the pipe has seen enough: `zooctl decode | head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            other => other.context("cannot go on")?,
        }
        if tally.frames == 0 {
            report(None, &text_failure("no frame given"));
        }
        let failed = tally.failed > 0 || tally.frames == 0;
        Ok(if failed && cfg!(not(plant = "zooctl_exit_zero")) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn lines(&self, input: &mut dyn BufRead, out: &mut dyn Write, tally: &mut Tally) -> io::Result<()> {
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            // What is not UTF-8 becomes characters that are not hex, and is reported as such.
            let text = String::from_utf8_lossy(&line);
            if !text.trim().is_empty() {
                self.frame(&text, out, tally)?;
            }
            line.clear();
        }
        Ok(())
    }

    fn frame(&self, text: &str, out: &mut dyn Write, tally: &mut Tally) -> io::Result<()> {
        tally.frames += 1;
        match self.json(text) {
            Ok(json) => writeln!(out, "{}", Json::Object(json)),
            Err(failure) => {
                tally.failed += 1;
                report(Some(tally.frames), &failure);
                if cfg!(plant = "zooctl_stop_at_error") { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
            }
        }
    }

    fn json(&self, text: &str) -> Result<Map<String, Json>, Failure> {
        let FrameText { direction, op, payload } = text.parse().map_err(text_failure)?;
        let direction = direction.or(self.dir).ok_or_else(|| {
            text_failure("neither --dir nor the frame says whether it is a request or a response")
        })?;
        let op = op.or(self.op);
        let expected = expect(direction, op, &payload);
        let (message, left) = Message::decode_lenient(payload, expected).map_err(Failure::Bytes)?;
        if let (Message::Request(request), Some(Op::Code(op))) = (&message, op) {
            if request.header.op != op {
                return Err(text_failure(format!("the header asks for {}, not for {op}", request.header.op)));
            }
        }
        let mut json = object(&message);
        if !left.is_empty() {
            json.insert("trailing".to_owned(), hex(&left).into());
        }
        Ok(json)
    }
}

/// What the frame should be, by what was said about it, else by its first bytes.
fn expect(direction: Direction, op: Option<Op>, payload: &Bytes) -> Expected {
    match (direction, op) {
        (Direction::Request, Some(Op::Connect)) => Expected::ConnectRequest,
        (Direction::Response, Some(Op::Connect)) => Expected::ConnectResponse,
        (Direction::Request, Some(Op::Code(_))) => Expected::Request,
        (Direction::Response, Some(Op::Code(op))) => Expected::Reply(op),
        (Direction::Request, None) => guess_request(payload),
        (Direction::Response, None) => guess_response(payload),
    }
}

/// A handshake begins with the protocol's version, 0, where other requests have their xid, which is never 0.
fn guess_request(payload: &Bytes) -> Expected {
    let header: Option<RequestHeader> = Reader::new(payload.clone()).record().ok();
    let is_connect = header.is_some_and(|header| header.xid == Xid(0))
        && ConnectRequest::decode_exact(payload.clone()).is_ok();
    if is_connect { Expected::ConnectRequest } else { Expected::Request }
}

fn guess_response(payload: &Bytes) -> Expected {
    let header: Option<ReplyHeader> = Reader::new(payload.clone()).record().ok();
    match header.map(|header| header.xid) {
        Some(Xid(0)) if ConnectResponse::decode_exact(payload.clone()).is_ok() => Expected::ConnectResponse,
        Some(Xid::PING) => Expected::Reply(OpCode::PING),
        Some(Xid::AUTH) => Expected::Reply(OpCode::AUTH),
        Some(Xid::SET_WATCHES) => Expected::Reply(OpCode::SET_WATCHES),
        // No operation has this opcode, so nothing is known about the body.
        _ => Expected::Reply(OpCode::ERROR),
    }
}

fn text_failure(message: impl ToString) -> Failure {
    Failure::Text(message.to_string())
}

/// One line on standard error; `frame` counts from 1.
fn report(frame: Option<usize>, failure: &Failure) {
    let mut json = Map::new();
    match failure {
        Failure::Bytes(error) => {
            json.insert("error".to_owned(), error.to_string().into());
            json.insert("record".to_owned(), error.record.into());
            json.insert("field".to_owned(), error.field.into());
            json.insert("offset".to_owned(), error.offset.into());
        }
        Failure::Text(message) => {
            json.insert("error".to_owned(), message.clone().into());
        }
    }
    if let Some(frame) = frame {
        json.insert("frame".to_owned(), frame.into());
    }
    // The exit code still tells when stderr is closed.
    let _ = writeln!(io::stderr(), "{}", Json::Object(json));
}

const LONG_ABOUT: &str = "\
Print frames as JSON, one object a line, with the protocol's own field names

A frame is its payload in hex, without the four length bytes; white space between digits does not matter. Frames are
arguments or, without any, lines on standard input. A frame may say itself what it is: `response getData 0000..`.

A request or reply prints as {\"header\": .., \"body\": ..}, a handshake as {\"body\": ..}. Buffers are hex, null is null, a multi is
{\"ops\": [{\"header\": .., \"record\": ..}], \"end\": ..}, a body without a record is {\"raw\": \"<hex>\"}. Bytes behind the body are added as
\"trailing\".

A reply does not say what it answers. Without --op, handshakes, notifications, pings and auth replies are recognised; the body
of another reply is printed raw.

A frame that does not decode prints {\"error\": .., \"frame\": <its number>} on standard error, with the record, field and byte
offset where it went wrong; the others are printed all the same. The exit code is then 1, as it is when there is no frame.

Passwords, tokens and auth data are printed as they are in the frame: whoever holds the frame holds them already. Mind
where the output goes.";
