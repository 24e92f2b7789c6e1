#![doc = include_str!("../README.md")]

/// Whether this fault is planted, for a fuzzer that must find it. False, and gone, in every build without `--cfg plants`.
macro_rules! planted {
    ($name:literal) => {
        cfg!(plants) && crate::plants::is($name)
    };
}

mod code;
#[cfg(feature = "codec")]
mod codec;
mod error;
mod field;
mod frame;
mod message;
mod plants;
mod proto;
mod read;
mod text;
mod write;

pub use code::{AddWatchMode, CreateMode, ErrorCode, EventType, KeeperState, OpCode, WatcherType, Xid};
#[cfg(feature = "codec")]
pub use codec::{CodecError, FrameCodec};
pub use error::{DecodeError, DecodeErrorKind};
pub use field::{Elements, Fields, Value};
pub use frame::{LENGTH_LEN_BYTES, split_frame};
pub use message::{Expected, Message, Raw, Reply, ReplyBody, Request, RequestBody};
pub use proto::*;
pub use read::{Decode, Reader};
pub use text::{Joined, Text, Ustring};
pub use write::{Encode, Frame, Segments, Writer};
