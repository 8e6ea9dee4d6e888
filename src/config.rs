//! Flags over environment over defaults: one validated [`Config`].

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A value that must never be seen: its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: String) -> Self {
        Secret(value)
    }

    /// The secret itself, for the one place that has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What the registry knows us by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `API_KEY`, sent as `x-api-key`.
    ApiKey(Secret),
    /// `DEVICE_TOKEN`, sent as `x-device-token`.
    DeviceToken(Secret),
}

/// `MESH`: when connections are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeshMode {
    /// To every peer that the registry lists.
    Full,
    /// When something is sent.
    Lazy,
}

/// `LOG_FORMAT`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// `INTERFACES`: which network interfaces are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceFilter {
    /// When not empty only these.
    pub allow: Vec<String>,
    /// Never these.
    pub deny: Vec<String>,
}

/// Everything the sidecar is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// `SIGNALING_URL`
    pub signaling_url: String,
    /// `TOKEN_URL`
    pub token_url: String,
    /// `DEVICE_TOKEN` or else `API_KEY`
    pub credential: Credential,
    /// `CA_FILE`: PEM certificates trusted beside the public roots.
    pub ca_file: Option<PathBuf>,
    /// `IPC_SOCKET`
    pub ipc_socket: PathBuf,
    /// `UDP_PORT`: first and last port, inclusive.
    pub udp_ports: Option<(u16, u16)>,
    /// `BIND_ADDRESS`: the only local address to use.
    pub bind_address: Option<IpAddr>,
    /// `INTERFACES`
    pub interfaces: InterfaceFilter,
    /// `IPV6`
    pub ipv6: bool,
    /// `MESH`
    pub mesh: MeshMode,
    /// `MAX_PEERS`
    pub max_peers: usize,
    /// `MAX_MESSAGE_BYTES`
    pub max_message_bytes: usize,
    /// `QUEUE_BYTES`: for each peer and direction.
    pub queue_bytes: usize,
    /// `CONNECT_TIMEOUT`
    pub connect_timeout: Duration,
    /// `RECOVERY_TIMEOUT`
    pub recovery_timeout: Duration,
    /// `SEND_STALL_SECONDS`
    pub send_stall: Duration,
    /// `AGENT_LINGER`; `None` is `inf`.
    pub agent_linger: Option<Duration>,
    /// `RUST_LOG`
    pub log_filter: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
}
