//! Why something could not be read.

use menagerie_jute::ErrorCode;

/// Why a znode, or several at once, could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// The connection or the session went before the answer came.
    Lost,
    /// The server refused it.
    Refused(ErrorCode),
    /// The answer is larger than a reply may be.
    TooLarge,
}
