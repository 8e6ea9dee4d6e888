//! The STUN and TURN servers there are to use.

use std::net::SocketAddr;

use super::credentials::Credentials;
use super::url::{StunUrl, TurnUrl};

/// A STUN server whose name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StunServer {
    /// What it is called in the log.
    pub url: StunUrl,
    /// Where it answers.
    pub addresses: Vec<SocketAddr>,
}

/// A TURN server whose name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// What it is called in the log; its host is whom TLS must prove.
    pub url: TurnUrl,
    /// Where it answers, the best first.
    pub addresses: Vec<SocketAddr>,
    /// What it knows us by.
    pub credentials: Credentials,
}

/// All servers there are to use, in order of preference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Servers {
    /// Those that tell our address.
    pub stun: Vec<StunServer>,
    /// Those that relay.
    pub turn: Vec<TurnServer>,
}
