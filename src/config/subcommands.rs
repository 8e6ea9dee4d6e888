//! The settings of the subcommands `attach`, `health`, `registry` and `demo`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::settings::{self, Flags, Reader};
use super::values;

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

/// The process that `health` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthConfig {
    /// The sidecar on this socket.
    Sidecar(PathBuf),
    /// The registry that listens on this address.
    #[cfg(feature = "registry")]
    Registry(std::net::SocketAddr),
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
            let address = registry::listen_address(&mut reader);
            return reader.finish(HealthConfig::Registry(address));
        }
        attach_socket(flags, environment).map(HealthConfig::Sidecar)
    }
}

#[cfg(feature = "registry")]
pub use registry::{DemoConfig, RegistryAccess, RegistryConfig};

#[cfg(feature = "registry")]
mod registry {
    use std::ffi::OsString;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::{LOG_FORMATS, LogFormat};
    use super::{Flags, Reader, settings, values};

    /// The rule for who may use the registry.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum RegistryAccess {
        /// `--open`: every key, whose text is the peer's id.
        Open,
        /// `API_KEYS_FILE`: the keys in it.
        KeysFile(PathBuf),
    }

    /// All the settings of `registry`.
    #[derive(Debug, Clone)]
    pub struct RegistryConfig {
        /// `LISTEN` and `PORT`
        pub address: SocketAddr,
        /// `--open` or `API_KEYS_FILE`
        pub access: RegistryAccess,
        /// `--until-eof`: end when standard input ends.
        pub until_eof: bool,
        /// `--show-frames`: print who sends what to whom.
        pub show_frames: bool,
        /// `RUST_LOG`
        pub log_filter: String,
        /// `LOG_FORMAT`
        pub log_format: LogFormat,
    }

    impl RegistryConfig {
        /// Reads the registry's settings: `flags` over `environment` over defaults.
        ///
        /// # Errors
        /// One line for each setting that can't be used.
        pub fn from(
            flags: &Flags,
            environment: impl Fn(&str) -> Option<OsString>,
        ) -> Result<RegistryConfig, Vec<String>> {
            let mut reader = Reader::new(flags, environment);
            let address = listen_address(&mut reader);
            let keys_file = reader.read(&settings::API_KEYS_FILE, values::optional_path);
            let access = match (flags.has(&settings::OPEN), keys_file) {
                (true, _) => RegistryAccess::Open,
                (false, Some(file)) => RegistryAccess::KeysFile(file),
                (false, None) => {
                    reader.error(
                        "registry: give the keys that are let in with API_KEYS_FILE, or --open \
                         to let every key in"
                            .to_owned(),
                    );
                    RegistryAccess::Open
                }
            };
            let config = RegistryConfig {
                address,
                access,
                until_eof: flags.has(&settings::UNTIL_EOF),
                show_frames: flags.has(&settings::SHOW_FRAMES),
                log_filter: reader.read(&settings::RUST_LOG, |text| Ok(text.to_owned())),
                log_format: reader.read(&settings::LOG_FORMAT, values::word(&LOG_FORMATS)),
            };
            reader.finish(config)
        }
    }

    /// Reads `LISTEN` and `PORT`.
    pub(super) fn listen_address(
        reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
    ) -> SocketAddr {
        let listen = reader.read(&settings::LISTEN, values::address);
        let port = reader.read(&settings::PORT, values::port);
        SocketAddr::new(listen.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port)
    }

    /// All the settings of `demo`.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct DemoConfig {
        /// `--peers`: 2 to 20.
        pub peers: usize,
        /// `--messages`: round trips to measure, at least one.
        pub messages: usize,
        /// `--timeout`: for the whole demo.
        pub timeout: Duration,
        /// `--binary`: the program to run instead of this one.
        pub binary: Option<PathBuf>,
    }

    impl DemoConfig {
        /// Reads the demo's settings: `flags` over defaults.
        ///
        /// # Errors
        /// One line for each setting that can't be used.
        pub fn from(flags: &Flags) -> Result<DemoConfig, Vec<String>> {
            let mut reader = Reader::new(flags, |_: &str| None);
            let config = DemoConfig {
                peers: reader.read(&settings::PEERS, values::number(2..=20)),
                messages: reader.read(&settings::MESSAGES, values::number(1..=1_000_000)),
                timeout: reader.read(&settings::TIMEOUT, values::seconds(1.0..=86_400.0)),
                binary: reader.read(&settings::BINARY, values::optional_path),
            };
            reader.finish(config)
        }
    }
}
