//! Errors of TURN servers: why one cannot be used, in words for the person who has to mend it.

use std::fmt;
use std::net::SocketAddr;

/// The reason why there is no allocation, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer in time.
    Silent,
    /// There is no connection; holds the error of the system or of TLS.
    Connection(String),
    /// The server refused, with this error code and reason.
    Refused(u16, String),
    /// The server refers to another one, at this address (ALTERNATE-SERVER, RFC 8489 section 10).
    Elsewhere(SocketAddr),
    /// The other side is no TURN server, or speaks TURN in a way that we do not understand.
    Unusable,
    /// The server claims to relay for us at this address, which cannot be one of its own.
    Misplaced(SocketAddr),
    /// The server was lost while the allocation was in use.
    Lost(&'static str),
}

/// Error codes of RFC 8656 and RFC 8489.
pub mod code {
    /// The request is to be made to another server.
    pub const TRY_ALTERNATE: u16 = 300;
    /// The credentials are not right, or none were given.
    pub const UNAUTHORIZED: u16 = 401;
    /// The allocation that the request names is unknown to the server, or the socket already has
    /// another one.
    pub const ALLOCATION_MISMATCH: u16 = 437;
    /// The nonce is too old; the request is repeated with a new one.
    pub const STALE_NONCE: u16 = 438;
    /// The server has no addresses of this family.
    pub const FAMILY_NOT_SUPPORTED: u16 = 440;
    /// The credentials are not those of the allocation.
    pub const WRONG_CREDENTIALS: u16 = 441;
}

impl Failure {
    /// Returns whether only a change at the server or in the settings can help.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Failure::Refused(..)
                | Failure::Elsewhere(_)
                | Failure::Unusable
                | Failure::Misplaced(_)
        )
    }

    /// Returns whether the server does not accept the login.
    pub(super) fn is_of_login(&self) -> bool {
        matches!(
            self,
            Failure::Refused(code::UNAUTHORIZED | code::WRONG_CREDENTIALS, _)
        )
    }
}

impl Failure {
    /// Describes the failure and what may be wrong, in one line for the log.
    pub(super) fn with_advice(&self) -> String {
        match self.advice() {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }

    /// Returns advice on what may be wrong or what to look at; `None` when the failure says it all.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Failure::Silent => Some("is the address right, and the way open?"),
            Failure::Connection(_) | Failure::Unusable | Failure::Lost(_) => None,
            Failure::Elsewhere(_) => Some(
                "of such references one is followed, to another server of the same family; name that \
                 server in TURN_URL",
            ),
            Failure::Misplaced(_) => Some("is its configuration right?"),
            Failure::Refused(number, _) => Some(match *number {
                code::UNAUTHORIZED | code::WRONG_CREDENTIALS => {
                    "are TURN_SECRET, or TURN_USERNAME and TURN_PASSWORD, those of the server, and \
                     is this machine's clock right?"
                }
                code::TRY_ALTERNATE => "it refers to another server, and does not say to which",
                403 => "it does not serve this client",
                code::ALLOCATION_MISMATCH => {
                    "it still has an allocation for this UDP port, of a process before this one, and \
                     forgets it within ten minutes; more ports in UDP_PORT help"
                }
                486 => "the quota of allocations is used up",
                508 => "the server has no more room",
                _ => "the server's log may say why",
            }),
        }
    }
}

/// Describes the failure, without advice.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Silent => f.write_str("no answer"),
            Failure::Connection(why) => f.write_str(why),
            Failure::Unusable => {
                f.write_str("what answers there is not understood as a TURN server")
            }
            Failure::Misplaced(address) => {
                write!(f, "lends {address}, which is no address of a relay")
            }
            Failure::Lost(why) => f.write_str(why),
            Failure::Elsewhere(address) => write!(f, "refers to the server {address}"),
            Failure::Refused(number, words) if words.is_empty() => {
                write!(f, "refused with {number}")
            }
            Failure::Refused(number, words) => write!(f, "refused with {number} ({words})"),
        }
    }
}
