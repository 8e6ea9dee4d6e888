//! The configuration: flags over environment over defaults, validated into one [`Config`].
//!
//! The module is pure: the environment is handed in, and nothing is opened or looked up.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

mod env_file;
pub mod ice;
mod mcp;
pub mod metrics;
pub mod networks;
pub mod peers;
pub mod proxy;
#[cfg(feature = "registry")]
mod registry;
#[cfg(feature = "registry")]
pub mod relay;
pub mod service_manager;
pub mod settings;
mod sources;
#[cfg(feature = "registry")]
pub mod store_url;
mod subcommands;
mod ticket;
pub mod trust;
pub mod url;
mod values;

#[cfg(feature = "registry")]
pub use registry::{DemoConfig, OrderConfig, RegistryAccess, RegistryConfig, RegistryOrder};
#[cfg(feature = "registry")]
pub use relay::{NamedServers, RelayConfig};
pub use subcommands::{HealthConfig, PairConfig, attach_socket, top_address};

pub use ice::IceSettings;
pub use mcp::{McpConfig, SidecarFlags};
use metrics::MetricsAddress;
pub use peers::{IdentityConfig, PeerSettings};
use proxy::Proxies;
use service_manager::ServiceManager;
use settings::{Flags, Reader, Setting};
pub use sources::{Sources, Surroundings};
pub use ticket::{JoinConfig, Ticket, read_ticket};
use trust::Trust;
use url::Url;

use crate::mesh::MeshMode;
use crate::nat::external::ExternalAddress;
use crate::nat::host::{InterfaceFilter, Rules};
use crate::nat::url::Host;
use crate::secret::Secret;

/// The credential that the registry knows us by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `API_KEY`, sent as `x-api-key`.
    ApiKey(Secret),
    /// `DEVICE_TOKEN`, sent as `x-device-token`.
    DeviceToken(Secret),
}

/// `LOG_FORMAT`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// All the settings of the sidecar.
#[derive(Debug, Clone)]
pub struct Config {
    /// Lines for a person about the files that settings came from.
    pub notes: Vec<String>,
    /// Lines for a person about settings that are allowed, but hardly meant.
    pub doubts: Vec<String>,
    /// `SIGNALING_URL`
    pub signaling_url: Url,
    /// `TOKEN_URL`
    pub token_url: Url,
    /// `DEVICE_TOKEN` or else `API_KEY`
    pub credential: Credential,
    /// `CA_FILE`, `SSL_CERT_FILE` and `SSL_CERT_DIR`
    pub trust: Trust,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`
    pub proxies: Proxies,
    /// `--stdio`: an agent is on standard input and output.
    pub stdio: bool,
    /// `IPC_SOCKET`; `None` if there is to be no socket.
    pub ipc_socket: Option<PathBuf>,
    /// `SOCKET_GROUP`: by name or number.
    pub socket_group: Option<String>,
    /// `SOCKET_MODE`
    pub socket_mode: Option<u32>,
    /// `UDP_PORT`: first and last port, inclusive.
    pub udp_ports: Option<(u16, u16)>,
    /// `EXTERNAL_ADDRESS`: where our UDP ports are reached from outside.
    pub external_addresses: Vec<ExternalAddress>,
    /// `BIND_ADDRESS`: the only local address to use.
    pub bind_address: Option<IpAddr>,
    /// `INTERFACES`
    pub interfaces: InterfaceFilter,
    /// `IPV6`
    pub ipv6: bool,
    /// STUN and TURN.
    pub ice: IceSettings,
    /// `MESH`
    pub mesh: MeshMode,
    /// `MAX_PEERS`
    pub max_peers: usize,
    /// `MAX_MESSAGE_BYTES`
    pub max_message_bytes: usize,
    /// `QUEUE_BYTES`: for each peer and direction.
    pub queue_bytes: usize,
    /// `OVERFLOW_BYTES`: for all peers together.
    pub overflow_bytes: usize,
    /// `CONNECT_TIMEOUT`
    pub connect_timeout: Duration,
    /// `RECOVERY_TIMEOUT`
    pub recovery_timeout: Duration,
    /// `SEND_STALL_SECONDS`
    pub send_stall: Duration,
    /// `METERED`
    pub metered: bool,
    /// `REPORT_TOPOLOGY`
    pub report_topology: bool,
    /// `METRICS`
    pub metrics: Option<MetricsAddress>,
    /// `METRICS_PEERS`
    pub metrics_peers: bool,
    /// Which peers are trusted, and how they know us.
    pub peers: PeerSettings,
    /// `AGENT_LINGER`; `None` is `inf`.
    pub agent_linger: Option<Duration>,
    /// `RUST_LOG`
    pub log_filter: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
    /// The service manager that started us, if one did.
    pub service_manager: Option<ServiceManager>,
}

impl Config {
    /// Reads the sidecar's settings: `flags` over `environment` over defaults.
    ///
    /// # Errors
    /// One line for each setting that can't be used, with its value unless it is a secret.
    pub fn from(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Config, Vec<String>> {
        let mut reader = Reader::new(flags, &environment);
        let stdio = flags.has(&settings::STDIO);
        let mut config = Config {
            notes: Vec::new(),
            doubts: doubts(&reader),
            signaling_url: url::read(&mut reader, &settings::SIGNALING_URL),
            token_url: url::read(&mut reader, &settings::TOKEN_URL),
            credential: credential(&mut reader),
            trust: Trust::read(&mut reader),
            proxies: Proxies::read(&mut reader),
            stdio,
            ipc_socket: (!stdio || reader.is_given(&settings::IPC_SOCKET))
                .then(|| reader.read(&settings::IPC_SOCKET, values::socket_path)),
            socket_group: reader.read(&settings::SOCKET_GROUP, values::group),
            socket_mode: reader.read(&settings::SOCKET_MODE, values::socket_mode),
            udp_ports: reader.read(&settings::UDP_PORT, values::ports),
            external_addresses: reader
                .read(&settings::EXTERNAL_ADDRESS, values::external_addresses),
            bind_address: reader.read(&settings::BIND_ADDRESS, values::own_address),
            interfaces: reader.read(&settings::INTERFACES, values::interfaces),
            ipv6: reader.read(&settings::IPV6, values::switch),
            ice: IceSettings::read(&mut reader),
            mesh: reader.read(&settings::MESH, values::word(&MESH_MODES)),
            max_peers: reader.read(&settings::MAX_PEERS, values::number(1..=10_000)),
            max_message_bytes: reader.read(
                &settings::MAX_MESSAGE_BYTES,
                values::number(1024..=LARGEST_MESSAGE_BYTES),
            ),
            queue_bytes: reader.read(
                &settings::QUEUE_BYTES,
                values::number(1024..=1024 * MEBIBYTE),
            ),
            overflow_bytes: reader.read(
                &settings::OVERFLOW_BYTES,
                values::number(0..=1024 * MEBIBYTE),
            ),
            connect_timeout: reader.read(&settings::CONNECT_TIMEOUT, values::seconds(0.1..=600.0)),
            recovery_timeout: reader.read(&settings::RECOVERY_TIMEOUT, values::seconds(0.0..=DAY)),
            send_stall: reader.read(&settings::SEND_STALL_SECONDS, values::seconds(0.1..=3600.0)),
            metered: reader.read(&settings::METERED, values::switch),
            report_topology: reader.read(&settings::REPORT_TOPOLOGY, values::switch),
            metrics: reader.read(&settings::METRICS, MetricsAddress::parse),
            metrics_peers: reader.read(&settings::METRICS_PEERS, values::switch),
            peers: PeerSettings::read(&mut reader, &environment),
            agent_linger: if stdio && !reader.is_given(&settings::AGENT_LINGER) {
                Some(Duration::ZERO)
            } else {
                reader.read(
                    &settings::AGENT_LINGER,
                    values::seconds_or_inf(0.0..=30.0 * DAY),
                )
            },
            log_filter: reader.read(&settings::RUST_LOG, |text| Ok(text.to_owned())),
            log_format: reader.read(&settings::LOG_FORMAT, values::word(&LOG_FORMATS)),
            service_manager: ServiceManager::from(&environment),
        };
        let unsupported = [&config.token_url, &config.signaling_url]
            .into_iter()
            .find_map(|url| config.proxies.to(url).err());
        if let Some(unsupported) = unsupported
            && reader.all_right()
        {
            reader.error(unsupported.to_string());
        }
        if let Err(unsupported) = config.proxies.to_relay("", HTTPS_PORT) {
            let doubt = format!("TURN servers are reached without a proxy: {unsupported}");
            config.doubts.push(doubt);
        }
        if config.stdio && config.ipc_socket.is_none() && config.agent_linger.is_none() {
            config.doubts.push(
                "AGENT_LINGER=inf with --stdio and without IPC_SOCKET: only a signal ends the sidecar, and no \
                 agent can come back to it"
                    .to_owned(),
            );
        }
        if let Some(address) = config.metrics.as_ref().and_then(MetricsAddress::public) {
            config.doubts.push(format!(
                "METRICS={address}: whoever reaches this address can read the numbers and the names of the peers"
            ));
        }
        if let Some(socket) = &config.ipc_socket
            && config.metrics == Some(MetricsAddress::Unix(socket.clone()))
        {
            reader.error("METRICS is the same path as IPC_SOCKET: give another".to_owned());
        }
        config.doubts.extend(config.peers.doubts());
        if config.queue_bytes < config.max_message_bytes && reader.all_right() {
            reader.error(format!(
                "QUEUE_BYTES={} is less than MAX_MESSAGE_BYTES={}: a queue must hold a message",
                config.queue_bytes, config.max_message_bytes
            ));
        }
        if let Some(address @ IpAddr::V6(_)) = config.bind_address
            && !config.ipv6
            && reader.all_right()
        {
            reader.error(format!("BIND_ADDRESS={address} needs IPV6=on"));
        }
        if reader.all_right() {
            for problem in config.misplaced_ports() {
                reader.error(problem);
            }
        }
        reader.finish(config)
    }

    /// Returns what is wrong with ports of `EXTERNAL_ADDRESS`, which lead to those of `UDP_PORT` one to one.
    fn misplaced_ports(&self) -> Vec<String> {
        let count = |(first, last): (u16, u16)| u32::from(last - first) + 1;
        let own = self.udp_ports.map(count);
        let outside = self.external_addresses.iter();
        let outside = outside.filter_map(|outside| Some((outside, count(outside.ports?))));
        let misplaced = outside.filter(|(_, ports)| Some(*ports) != own);
        misplaced
            .map(|(outside, _)| {
                format!(
                    "EXTERNAL_ADDRESS={outside}: set UDP_PORT to a range of as many ports, to which \
                     these lead"
                )
            })
            .collect()
    }

    /// Returns the settings for local addresses.
    pub fn address_rules(&self) -> Rules {
        Rules {
            interfaces: self.interfaces.clone(),
            ipv6: self.ipv6,
            bind_address: self.bind_address,
        }
    }

    /// Returns the servers of the settings that are given by address, without those that have a name. Ports
    /// do not matter for what this is used for, so it gives none.
    pub fn known_servers(&self) -> Vec<SocketAddr> {
        let registry = [self.signaling_url.host(), self.token_url.host()];
        let registry = registry.into_iter().filter_map(|host| match host {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => host.parse().ok(),
        });
        let stun = self.ice.stun.iter().map(|url| &url.host);
        let hosts = stun.chain(self.ice.turn.iter().map(|url| &url.host));
        let servers = hosts.filter_map(|host| match host {
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        });
        let all = registry.chain(servers);
        all.map(|address| SocketAddr::new(address, DISCARD_PORT))
            .collect()
    }
}

/// The discard service (RFC 863).
const DISCARD_PORT: u16 = 9;

/// Largest value of `MAX_MESSAGE_BYTES`. The time that SCTP takes for a message grows with the square of
/// its size: 0.1 s for 1 MiB, but seconds for 5 MiB, during which all other peers wait.
const LARGEST_MESSAGE_BYTES: usize = MEBIBYTE;

/// The port at which relays behind a proxy are usually reached.
const HTTPS_PORT: u16 = 443;

const MEBIBYTE: usize = 1024 * 1024;
const DAY: f64 = 24.0 * 60.0 * 60.0;

static MESH_MODES: [(&str, MeshMode); 2] = [("full", MeshMode::Full), ("lazy", MeshMode::Lazy)];

static LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Returns a line if only one of the registry's two URLs is given, and nothing from which the other follows.
fn doubts(reader: &Reader<'_, impl Fn(&str) -> Option<OsString>>) -> Vec<String> {
    if reader.is_given(&settings::REGISTRY_URL) {
        return Vec::new();
    }
    let urls = [&settings::SIGNALING_URL, &settings::TOKEN_URL];
    let (given, others): (Vec<_>, Vec<_>) = urls.into_iter().partition(|url| reader.is_given(url));
    let line = |(given, other): (&&Setting, &&Setting)| {
        format!(
            "{} is set and {} is not, so its default {} is used; set both, or REGISTRY_URL alone",
            given.name, other.name, other.default
        )
    };
    given.iter().zip(&others).map(line).collect()
}

fn credential(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> Credential {
    let key = reader.read(&settings::API_KEY, values::secret);
    let token = reader.read(&settings::DEVICE_TOKEN, values::secret);
    match (token, key) {
        (Some(token), _) => Credential::DeviceToken(token),
        (None, Some(key)) => Credential::ApiKey(key),
        (None, None) => {
            if reader.all_right() {
                reader.error("API_KEY: give a key, or leave it unset for the default".to_owned());
            }
            Credential::ApiKey(Secret::new(String::new()))
        }
    }
}

#[cfg(test)]
mod tests;
