//! Why something could not be read.

use menagerie_jute::ErrorCode;
use thiserror::Error;

/// Why a znode, or several at once, could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadFailure {
    /// The connection or the session went before the answer came.
    #[error("the connection or the session was lost")]
    Lost,
    /// The server refused it.
    #[error("the server answered {0}")]
    Refused(ErrorCode),
    /// The answer is larger than a reply may be.
    #[error("the answer is larger than a reply may be")]
    TooLarge,
}
