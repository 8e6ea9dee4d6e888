//! The reason why a connection has ended or could not be made.

use std::error::Error;
use std::fmt;
use std::io;

/// The reason, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// It failed; whether another try would do better is not known.
    Broken(String),
    /// The way is gone or silent, or the machine has slept. Another way may be there already.
    Path(String),
}

impl Lost {
    /// Returns the reason that is inside an error, if it was one of ours.
    pub(super) fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<String> for Lost {
    fn from(what: String) -> Self {
        Lost::Broken(what)
    }
}

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> Self {
        io::Error::other(lost)
    }
}

impl Error for Lost {}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Lost::Broken(what) | Lost::Path(what)) = self;
        f.write_str(what)
    }
}
