//! The settings of the subcommands `attach`, `health`, `pair` and `top`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::metrics::MetricsAddress;
use super::proxy::Proxies;
use super::settings::{self, Flags, Reader};
use super::trust::Trust;
use super::url::{self, Url};
use super::{LOG_FORMATS, LogFormat, values};

/// Reads the setting of `attach`: the socket of the sidecar to talk to.
///
/// # Errors
/// A line that says what is wrong with the path.
pub fn attach_socket(
    flags: &Flags,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, Vec<String>> {
    let mut reader = Reader::new(flags, environment);
    let socket = reader.read(&settings::IPC_SOCKET, values::socket_path);
    reader.finish(socket)
}

/// Reads the setting of `top`: where the sidecar tells its numbers.
///
/// # Errors
/// A line that says what is wrong with the address, or that there is none.
pub fn top_address(
    flags: &Flags,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<MetricsAddress, Vec<String>> {
    let mut reader = Reader::new(flags, environment);
    let address = reader.read(&settings::METRICS, MetricsAddress::parse);
    if address.is_none() && reader.all_right() {
        let how = "give the address that the sidecar has as METRICS, as in: chatixia-sidecar top 127.0.0.1:9464";
        reader.error(format!("top: {how}"));
    }
    let address = address.unwrap_or(MetricsAddress::Unix(PathBuf::new()));
    reader.finish(address.reachable())
}

/// The process that `health` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthConfig {
    /// The sidecar on this socket.
    Sidecar(PathBuf),
    /// A registry.
    #[cfg(feature = "registry")]
    Registry {
        /// The address that it listens on.
        address: std::net::SocketAddr,
        /// Whether it speaks TLS.
        is_secure: bool,
    },
}

impl HealthConfig {
    /// Reads the settings of `health`: `flags` over `environment` over defaults.
    ///
    /// # Errors
    /// One line for each setting that can't be used.
    pub fn from(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<HealthConfig, Vec<String>> {
        #[cfg(feature = "registry")]
        if flags.has(&settings::OF_REGISTRY) {
            let mut reader = Reader::new(flags, environment);
            let address = super::registry::listen_address(&mut reader);
            let is_secure = super::registry::is_secure(&mut reader);
            return reader.finish(HealthConfig::Registry { address, is_secure });
        }
        attach_socket(flags, environment).map(HealthConfig::Sidecar)
    }
}

/// All the settings of `pair`.
#[derive(Debug, Clone)]
pub struct PairConfig {
    /// The code of the invitation.
    pub code: String,
    /// `TOKEN_URL`
    pub token_url: Url,
    /// `DEVICE_TOKEN_FILE`
    pub file: PathBuf,
    /// `AGENT_NAME`
    pub name: Option<String>,
    /// `CA_FILE`, `SSL_CERT_FILE` and `SSL_CERT_DIR`
    pub trust: Trust,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`
    pub proxies: Proxies,
    /// `RUST_LOG`
    pub log_filter: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
}

impl PairConfig {
    /// Reads the settings of `pair` with this code: `flags` over `environment` over defaults.
    ///
    /// # Errors
    /// One line for each setting that can't be used.
    pub fn from(
        code: Option<&str>,
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<PairConfig, Vec<String>> {
        let mut reader = Reader::new(flags, environment);
        let is_code =
            |code: &&str| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.filter(is_code).unwrap_or_else(|| {
            let how = "give the code of the invitation, as in: chatixia-sidecar pair 123456";
            reader.error(format!("pair: {how}"));
            ""
        });
        let config = PairConfig {
            code: code.to_owned(),
            token_url: url::read(&mut reader, &settings::TOKEN_URL),
            file: reader
                .read(&settings::DEVICE_TOKEN_FILE, values::optional_path)
                .unwrap_or_default(),
            name: reader.read(&settings::AGENT_NAME, |text| {
                Ok((!text.is_empty()).then(|| text.to_owned()))
            }),
            trust: Trust::read(&mut reader),
            proxies: Proxies::read(&mut reader),
            log_filter: reader.read(&settings::RUST_LOG, |text| Ok(text.to_owned())),
            log_format: reader.read(&settings::LOG_FORMAT, values::word(&LOG_FORMATS)),
        };
        reader.finish(config)
    }
}
