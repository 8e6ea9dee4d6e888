//! The settings of the subcommands `registry` and `demo`.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::networks::Networks;
use super::relay::NamedServers;
use super::settings::{self, Flags, Reader};
use super::store_url::StoreUrl;
use super::trust::Trust;
use super::url::Url;
use super::{LOG_FORMATS, LogFormat, values};
use crate::secret::Secret;

/// The rule for who may use the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryAccess {
    /// `--open`: every key, whose text is the peer's id.
    Open,
    /// The keys in the data directory, and those in `API_KEYS_FILE` if it is given.
    Listed(Option<PathBuf>),
}

/// All the settings of `registry`.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// `LISTEN` and `PORT`
    pub address: SocketAddr,
    /// `--open` or `API_KEYS_FILE`
    pub access: RegistryAccess,
    /// `REGISTRY_DATA`
    pub data: Option<PathBuf>,
    /// `REGISTRY_STORE`, and for `rediss://` whom to trust. `None` without the feature `redis`.
    pub store: Option<(StoreUrl, Trust)>,
    /// `REGISTRY_TLS_CERT` and `REGISTRY_TLS_KEY`
    pub tls: Option<(PathBuf, PathBuf)>,
    /// `TRUST_PROXY`
    pub trusted_proxies: Networks,
    /// `PATH_PREFIX`
    pub path_prefix: String,
    /// `--relay`, `STUN_URL`, `TURN_URL` and what belongs to them.
    pub servers: NamedServers,
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
        let data = reader.read(&settings::REGISTRY_DATA, values::optional_path);
        let store = reader.is_given(&settings::REGISTRY_STORE);
        let has_stores = cfg!(feature = "redis");
        if store && !has_stores {
            let how = "this program was built without it; build with --features redis";
            reader.error(format!("REGISTRY_STORE: {how}"));
        }
        if !flags.has(&settings::OPEN) && keys_file.is_none() && data.is_none() && !store {
            reader.error(
                "registry: give the keys that are let in with API_KEYS_FILE, or a directory for them \
                 with REGISTRY_DATA, or --open to let every key in"
                    .to_owned(),
            );
        }
        let access = match flags.has(&settings::OPEN) {
            true => RegistryAccess::Open,
            false => RegistryAccess::Listed(keys_file),
        };
        let config = RegistryConfig {
            address,
            access,
            data,
            store: has_stores.then(|| read_store(&mut reader)).flatten(),
            tls: tls(&mut reader),
            trusted_proxies: reader.read(&settings::TRUST_PROXY, str::parse::<Networks>),
            path_prefix: reader.read(&settings::PATH_PREFIX, path_prefix),
            servers: NamedServers::read(&mut reader, flags, address.ip()),
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

/// Returns the store that is shared, and whom to trust there.
fn read_store(
    reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
) -> Option<(StoreUrl, Trust)> {
    let trust = Trust::read(reader);
    let parse = |text: &str| match text {
        "" => Ok(None),
        text => StoreUrl::parse(text).map(Some),
    };
    Some((reader.read(&settings::REGISTRY_STORE, parse)?, trust))
}

/// Returns the files of certificate and key, which are given both or not at all.
fn tls(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> Option<(PathBuf, PathBuf)> {
    let certificate = reader.read(&settings::REGISTRY_TLS_CERT, values::optional_path);
    let key = reader.read(&settings::REGISTRY_TLS_KEY, values::optional_path);
    if certificate.is_some() != key.is_some() {
        reader.error("REGISTRY_TLS_CERT and REGISTRY_TLS_KEY: set both".to_owned());
    }
    certificate.zip(key)
}

/// Returns whether the registry speaks TLS.
pub(super) fn is_secure(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> bool {
    tls(reader).is_some()
}

/// Parses the path before all resources. A slash at its end does not count.
fn path_prefix(text: &str) -> Result<String, String> {
    let prefix = text.trim_end_matches('/');
    let is_path = prefix.is_empty() || prefix.starts_with('/');
    let is_plain = prefix
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte));
    (is_path && is_plain)
        .then(|| prefix.to_owned())
        .ok_or_else(|| "give a path as in /mesh".to_owned())
}

/// A person's order to a registry that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryOrder {
    /// `invite`: give out a code.
    Invite,
    /// `approve`: let a device in; without a name list those that wait.
    Approve(Option<String>),
    /// `revoke`: let a device or the keys of an agent in no longer; without a name list them.
    Revoke(Option<String>),
    /// `key add`: make a key for an agent of this name.
    AddKey(String),
    /// `invite` as a subcommand: make such a key, and a ticket of it to the registry at this URL.
    Ticket {
        /// The agent.
        name: String,
        /// The registry's own URL, as the other machine reaches it.
        registry: Url,
        /// The secret of the mesh, where one is set.
        secret: Option<Secret>,
    },
}

impl RegistryOrder {
    /// Reads the words after `registry`; `None` when there are none.
    ///
    /// # Errors
    /// A line that says what would be right.
    pub fn from(words: &[String]) -> Result<Option<RegistryOrder>, String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(Some(match words.as_slice() {
            [] => return Ok(None),
            ["invite"] => RegistryOrder::Invite,
            ["approve"] => RegistryOrder::Approve(None),
            ["approve", name] => RegistryOrder::Approve(Some((*name).to_owned())),
            ["revoke"] => RegistryOrder::Revoke(None),
            ["revoke", name] => RegistryOrder::Revoke(Some((*name).to_owned())),
            ["key", "add", name] => RegistryOrder::AddKey((*name).to_owned()),
            [..] => {
                return Err(
                    "registry: the orders are invite, approve [NAME], revoke [NAME] and key add NAME"
                        .to_owned(),
                );
            }
        }))
    }
}

/// The settings of an order to a registry that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderConfig {
    /// The order itself.
    pub order: RegistryOrder,
    /// `REGISTRY_DATA`
    pub data: PathBuf,
}

impl OrderConfig {
    /// Reads the settings for an order: `flags` over `environment`.
    ///
    /// # Errors
    /// One line for each setting that can't be used.
    pub fn from(
        order: RegistryOrder,
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<OrderConfig, Vec<String>> {
        let mut reader = Reader::new(flags, environment);
        let data = data_directory(&mut reader);
        reader.finish(OrderConfig { order, data })
    }

    /// Reads the settings of `invite` for an agent of this name: `flags` over `environment`.
    ///
    /// # Errors
    /// One line for each setting that can't be used.
    pub fn invite(
        name: Option<&str>,
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<OrderConfig, Vec<String>> {
        let mut reader = Reader::new(flags, environment);
        let setting = match flags.has(&settings::INVITED_TO) {
            true => &settings::INVITED_TO,
            false => &settings::REGISTRY_URL,
        };
        if name.is_none() || !reader.is_given(setting) {
            let how = "as in: chatixia-sidecar invite NAME --registry https://host";
            reader.error(format!(
                "invite: give the agent's name and the registry's URL, {how}"
            ));
            return reader.finish(OrderConfig {
                order: RegistryOrder::Invite,
                data: PathBuf::new(),
            });
        }
        let order = RegistryOrder::Ticket {
            name: name.unwrap_or_default().to_owned(),
            registry: reader.read(setting, Url::registry),
            secret: super::peers::mesh_secret(&mut reader),
        };
        let data = data_directory(&mut reader);
        reader.finish(OrderConfig { order, data })
    }
}

fn data_directory(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> PathBuf {
    let data = reader.read(&settings::REGISTRY_DATA, values::optional_path);
    data.unwrap_or_else(|| {
        let how = "set REGISTRY_DATA to the directory of the registry that is meant";
        reader.error(format!("registry: {how}"));
        PathBuf::new()
    })
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
