//! The reason why there is no connection to the registry.

use std::fmt;
use std::time::Duration;

use super::lost::Lost;

/// The reason why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection could not be made, or it was lost.
    Unreachable(String),
    /// The way to the registry is gone. Another may be there already.
    PathLost(String),
    /// The registry does not answer on the connection.
    Silent(String),
    /// Another sidecar uses our name, and has taken our place.
    NameTaken(String),
    /// The registry is busy, and asks us to come back after this time.
    Busy(String, Duration),
    /// The registry has closed the connection.
    Closed(String),
    /// The registry refused the API key or device token.
    Refused(String),
}

impl Failure {
    /// Returns the failure of `what`.
    pub(super) fn of(lost: Lost, what: &dyn fmt::Display) -> Self {
        match lost {
            Lost::Broken(why) => Failure::Unreachable(format!("{what}: {why}")),
            Lost::Busy(why, wait) => Failure::Busy(format!("{what}: {why}"), wait),
            Lost::Closed(why) => Failure::Closed(format!("{what}: {why}")),
            Lost::Displaced(why) => Failure::NameTaken(format!("{what}: {why}")),
            Lost::Silent(why) => Failure::Silent(format!("{what}: {why}")),
            Lost::Path(why) => Failure::PathLost(format!("{what}: {why}")),
        }
    }

    /// Returns the same failure without the numbers in its text.
    pub(super) fn without_numbers(&self) -> Self {
        let strip = |why: &String| why.chars().filter(|c| !c.is_ascii_digit()).collect();
        match self {
            Failure::Unreachable(why) => Failure::Unreachable(strip(why)),
            Failure::PathLost(why) => Failure::PathLost(strip(why)),
            Failure::Silent(why) => Failure::Silent(strip(why)),
            Failure::NameTaken(why) => Failure::NameTaken(strip(why)),
            Failure::Busy(why, _) => Failure::Busy(strip(why), Duration::ZERO),
            Failure::Closed(why) => Failure::Closed(strip(why)),
            Failure::Refused(why) => Failure::Refused(strip(why)),
        }
    }
}
