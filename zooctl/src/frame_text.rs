//! A frame as a person or a capture writes it: hex, and in front of it, if need be, what it is.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use clap::ValueEnum;
use menagerie_jute::OpCode;

/// Who sent a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    /// Client to server
    Request,
    /// Server to client, notifications included
    Response,
}

/// What a frame asks or answers, as `--op` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// The handshake, which has no header and so no opcode.
    Connect,
    /// An opcode.
    Code(OpCode),
}

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FrameText {
    pub(crate) direction: Option<Direction>,
    pub(crate) op: Option<Op>,
    pub(crate) payload: Bytes,
}

/// An operation that has no such name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownOp(String);

/// Text that is not a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadText {
    /// A character that is neither a hex digit nor white space, and its place in the line, from 1.
    NotHex { char: char, column: usize },
    /// Half a byte at the end.
    OddHex { digits: usize },
    /// No hex at all.
    Empty,
    /// A word in front of the hex that is neither a direction nor an operation.
    UnknownWord(String),
}

impl FromStr for Op {
    type Err = UnknownOp;

    fn from_str(text: &str) -> Result<Self, UnknownOp> {
        if text == "connect" {
            return Ok(Self::Connect);
        }
        let number = || text.strip_prefix("unknown").unwrap_or(text).parse().ok().map(OpCode);
        OpCode::from_name(text).or_else(number).map(Self::Code).ok_or_else(|| UnknownOp(text.to_owned()))
    }
}

impl FromStr for FrameText {
    type Err = BadText;

    fn from_str(line: &str) -> Result<Self, BadText> {
        let (mut direction, mut op) = (None, None);
        let mut rest = line.trim_start();
        while let Some((word, behind)) = leading_word(rest) {
            match Direction::from_str(word, false) {
                Ok(found) if direction.is_none() && op.is_none() => direction = Some(found),
                _ if op.is_none() => {
                    op = Some(Op::from_str(word).map_err(|_| BadText::UnknownWord(word.to_owned()))?);
                }
                _ => return Err(BadText::UnknownWord(word.to_owned())),
            }
            rest = behind.trim_start();
        }
        let payload = from_hex(rest, line.len() - rest.len())?;
        Ok(Self { direction, op, payload })
    }
}

/// A word that begins with a letter and cannot be hex, split from what is behind it. No operation is named in letters from
/// a to f only.
fn leading_word(text: &str) -> Option<(&str, &str)> {
    let (word, behind) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    let is_word = word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
        && !word.chars().all(|char| char.is_ascii_hexdigit());
    is_word.then_some((word, behind))
}

fn from_hex(text: &str, offset: usize) -> Result<Bytes, BadText> {
    let (mut bytes, mut half) = (Vec::with_capacity(text.len() / 2), None);
    for (at, char) in text.char_indices().filter(|(_, char)| !char.is_whitespace()) {
        let digit = char.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or(BadText::NotHex { char, column: offset + at + 1 })?;
        match half.take() {
            None => half = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    match half {
        Some(_) => Err(BadText::OddHex { digits: bytes.len() * 2 + 1 }),
        None if bytes.is_empty() => Err(BadText::Empty),
        None => Ok(bytes.into()),
    }
}

impl fmt::Display for UnknownOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no operation is named {:?}; names are as in `getData`, and `connect`, `notification` or a number",
            self.0
        )
    }
}

impl std::error::Error for UnknownOp {}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHex { char, column } => write!(f, "{char:?} in column {column} is not a hex digit"),
            Self::OddHex { digits } => write!(f, "{digits} hex digits: half a byte too many"),
            Self::Empty => f.write_str("no hex digits"),
            Self::UnknownWord(word) => {
                write!(f, "{word:?} is neither hex, nor a direction, nor an operation")
            }
        }
    }
}

impl std::error::Error for BadText {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_front_of_the_hex_are_optional() {
        let parsed: FrameText = " response getData 00 0a\tFF ".parse().unwrap();
        assert_eq!(parsed.direction, Some(Direction::Response));
        assert_eq!(parsed.op, Some(Op::Code(OpCode::GET_DATA)));
        assert_eq!(parsed.payload, [0, 10, 255][..]);
        let bare: FrameText = "decade00".parse().unwrap();
        assert_eq!((bare.direction, bare.op), (None, None));
        let op: FrameText = "unknown55 00".parse().unwrap();
        assert_eq!(op.op, Some(Op::Code(OpCode(55))));
    }

    #[test]
    fn what_is_not_a_frame_says_why() {
        let error = |text: &str| text.parse::<FrameText>().unwrap_err();
        assert_eq!(error("00 0"), BadText::OddHex { digits: 3 });
        assert_eq!(error("response ping"), BadText::Empty);
        assert_eq!(error("  00x1"), BadText::NotHex { char: 'x', column: 5 });
        assert_eq!(error("answer 00"), BadText::UnknownWord("answer".into()));
        assert_eq!(error("ping pong 00"), BadText::UnknownWord("pong".into()));
    }

    #[test]
    fn no_operation_reads_as_hex() {
        for code in -200..200 {
            let name = OpCode(code).name().unwrap_or("connect");
            assert!(leading_word(name).is_some(), "{name}");
        }
    }
}
