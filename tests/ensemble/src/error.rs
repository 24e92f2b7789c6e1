//! One error for the whole harness: a sentence, and the cause when there is one.

use std::{error, fmt, io};

/// What every fallible call of the harness returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the harness could not do what it was asked. `Debug` prints the sentence too, for `unwrap` in a test.
pub struct Error {
    what: String,
    cause: Option<io::Error>,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Error { what: what.into(), cause: None }
    }

    pub(crate) fn io(what: impl Into<String>, cause: io::Error) -> Self {
        Error { what: what.into(), cause: Some(cause) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{}: {cause}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}
