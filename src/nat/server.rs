//! The STUN and TURN servers to use, with their names resolved.

use std::net::SocketAddr;

use super::credentials::Credentials;
use super::url::{StunUrl, TurnUrl};

/// A STUN server whose name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StunServer {
    /// Its URL, which also names it in the log.
    pub url: StunUrl,
    /// The addresses at which it answers.
    pub addresses: Vec<SocketAddr>,
}

/// A TURN server whose name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnServer {
    /// Its URL, which also names it in the log. With TLS it must prove to be the URL's host.
    pub url: TurnUrl,
    /// The addresses at which it answers, the best first.
    pub addresses: Vec<SocketAddr>,
    /// The addresses of the HTTP proxy that connects us with it over TCP and TLS, the best first; `None` if
    /// it is reached without one.
    pub proxy: Option<Vec<SocketAddr>>,
    /// Our credentials for it.
    pub credentials: Credentials,
}

/// All servers to use, in order of preference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Servers {
    /// The servers that tell us our address.
    pub stun: Vec<StunServer>,
    /// The servers that relay.
    pub turn: Vec<TurnServer>,
}
