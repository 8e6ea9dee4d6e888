//! The reason why there is no connection to the registry.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// The kind of a failure, which decides what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection could not be made, or it was lost. Whether another try would do better is not known.
    Unreachable,
    /// The way to the registry is gone, or the machine has slept. Another way may be there already.
    PathLost,
    /// The registry does not answer on the connection.
    Silent,
    /// Another sidecar uses our name, and has taken our place.
    NameTaken,
    /// The registry is busy, and asks us to come back after this time.
    Busy(Duration),
    /// The registry has closed the connection.
    Closed,
    /// The registry refused the API key or device token.
    Refused,
}

/// The reason why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// The reason in words for a person.
    pub(super) why: String,
}

impl Failure {
    /// Creates a failure.
    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Self {
        let why = why.into();
        Failure { kind, why }
    }

    /// Returns the same failure as one of `what`.
    pub(super) fn of(self, what: &dyn fmt::Display) -> Self {
        Failure::new(self.kind, format!("{what}: {}", self.why))
    }

    /// Returns the same failure without the numbers in it.
    pub(super) fn without_numbers(&self) -> Self {
        let kind = match self.kind {
            Kind::Busy(_) => Kind::Busy(Duration::ZERO),
            kind => kind,
        };
        let why: String = self.why.chars().filter(|c| !c.is_ascii_digit()).collect();
        Failure::new(kind, why)
    }

    /// Returns the failure of what did not happen in time.
    pub(super) fn late(what: &str, patience: Duration) -> Self {
        let seconds = (patience.as_secs_f64() * 10.0).round() / 10.0;
        format!("{what} within {seconds} s").into()
    }

    /// Returns the failure that is inside an error, if it was one of ours.
    pub(super) fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure::new(Kind::Unreachable, why)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::other(failure)
    }
}

impl Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
