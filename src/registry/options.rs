//! The options of a registry.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::limits;
use super::shared::StoreOptions;
use super::store::keys::Keys;
use crate::config::networks::Networks;
use crate::config::relay::RelayConfig;
use crate::secret::Secret;

/// A frame that the registry has answered, sent or relayed: its type, from whom and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing<'a> {
    /// The frame's type.
    pub kind: &'a str,
    /// The peer that sent it, or `registry`.
    pub from: &'a str,
    /// The peer that it is for, or `registry`.
    pub to: &'a str,
}

/// A function that is called on the registry's thread, which waits for it.
pub type Watch = fn(Passing<'_>);

/// The options of a registry. [`Options::new`] gives the usual values, which are named after the colon here.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one (see [`Registry::local_addr`](super::Registry::local_addr)).
    pub listen: SocketAddr,
    /// The keys that get tokens, beside those in the data directory.
    pub keys: Keys,
    /// The directory of the state that outlives the process, and of the control socket: `None`.
    pub data: Option<PathBuf>,
    /// The certificate, for HTTPS: `None`.
    pub tls: Option<Arc<ServerConfig>>,
    /// The proxies whose word about their clients' addresses is taken: none.
    pub trusted_proxies: Networks,
    /// The path before all resources, without a slash at its end; they are found without it, too: empty.
    pub path_prefix: String,
    /// The `iceServers` of `/api/config`, handed out as they are.
    pub ice_servers: Vec<serde_json::Value>,
    /// URLs of STUN servers that `/api/config` names: none.
    pub stun_urls: Vec<String>,
    /// URLs of TURN servers that it names, with logins made of `turn_secret`: none.
    pub turn_urls: Vec<String>,
    /// The secret that the TURN servers share: `None`, a random one for the own relay.
    pub turn_secret: Option<Secret>,
    /// The own relay: `None`.
    pub relay: Option<RelayConfig>,
    /// How long a token opens WebSockets: 5 minutes.
    pub token_lifetime: Duration,
    /// From a connection's start to the end of its request, and from there to the end of its
    /// answer: 10 s.
    pub request_timeout: Duration,
    /// Time between two pings of a WebSocket: 20 s.
    pub ping_interval: Duration,
    /// How long a WebSocket may be silent, pongs included, before it is closed: 60 s.
    pub silence_timeout: Duration,
    /// Open connections of any kind; further ones are refused: 16,384.
    pub max_connections: usize,
    /// The store that holds the state for several registries; then the data directory has only the control
    /// socket: `None`.
    pub store: Option<StoreOptions>,
    /// A function that is called for each frame that has an effect: `None`.
    pub watch: Option<Watch>,
}

impl Options {
    /// Makes the usual options, without ICE servers.
    pub fn new(listen: SocketAddr, keys: Keys) -> Self {
        Options {
            listen,
            keys,
            data: None,
            tls: None,
            trusted_proxies: Networks::default(),
            path_prefix: String::new(),
            ice_servers: Vec::new(),
            stun_urls: Vec::new(),
            turn_urls: Vec::new(),
            turn_secret: None,
            relay: None,
            token_lifetime: limits::TOKEN_LIFETIME,
            request_timeout: limits::REQUEST_TIMEOUT,
            ping_interval: limits::PING_INTERVAL,
            silence_timeout: limits::SILENCE_TIMEOUT,
            max_connections: limits::CONNECTIONS,
            store: None,
            watch: None,
        }
    }
}
