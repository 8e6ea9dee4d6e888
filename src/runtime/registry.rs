//! The `registry` subcommand: runs [`crate::registry`] until a signal ends it. SIGHUP has it read the files
//! of keys and certificate again.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use crate::config::store_url::StoreUrl;
use crate::config::trust::Trust;
use crate::config::{RegistryAccess, RegistryConfig};
use crate::registry::{
    Error, Keys, Options, Passing, Registry, ReloadHandle, StopHandle, StoreOptions, Watch,
    load_keys, load_tls,
};

use super::process::signals::{self, Signal, Signals};
use super::signaling::tls;

/// Serves until SIGTERM or SIGINT, or, if `config` says so, until standard input ends. The
/// first line on standard output ends with the address that it listens on.
///
/// Returns exit code 0 after that, 1 if it can't listen, 2 if a file or the data directory can't be used.
pub fn run(config: &RegistryConfig) -> ExitCode {
    let (failure, code) = match serve(config) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => (error.to_string(), 1),
        Err(
            error @ (Error::Keys { .. } | Error::Tls { .. } | Error::Data { .. } | Error::Store(_)),
        ) => (error.to_string(), 2),
        Err(error @ (Error::Listen { .. } | Error::Relay { .. })) => (error.to_string(), 1),
    };
    let _ = writeln!(io::stderr(), "chatixia-sidecar: {failure}");
    ExitCode::from(code)
}

fn serve(config: &RegistryConfig) -> Result<io::Result<()>, Error> {
    let files = Files {
        keys: match &config.access {
            RegistryAccess::Open => None,
            RegistryAccess::Listed(file) => file.clone(),
        },
        tls: config.tls.clone(),
    };
    let keys = match (&config.access, &files.keys) {
        (RegistryAccess::Open, _) => Keys::Open,
        (RegistryAccess::Listed(_), Some(path)) => load_keys(path)?,
        (RegistryAccess::Listed(_), None) => Keys::Listed([].into()),
    };
    let tls = files.tls.as_ref();
    let tls = tls.map(|(certificate, key)| load_tls(certificate, key));
    let registry = Registry::bind(Options {
        data: config.data.clone(),
        tls: tls.transpose()?,
        trusted_proxies: config.trusted_proxies.clone(),
        path_prefix: config.path_prefix.clone(),
        stun_urls: config
            .servers
            .stun
            .iter()
            .map(ToString::to_string)
            .collect(),
        turn_urls: config
            .servers
            .turn
            .iter()
            .map(ToString::to_string)
            .collect(),
        turn_secret: config.servers.secret.clone(),
        relay: config.servers.relay.clone(),
        watch: config.show_frames.then_some(show as Watch),
        store: config.store.as_ref().map(store).transpose()?.flatten(),
        ..Options::new(config.address, keys)
    })?;
    if config.data.is_none() && config.store.is_none() {
        log::info!(
            "without REGISTRY_DATA paired devices, agents and tasks are forgotten when the registry ends"
        );
    }
    if config.servers.relay.is_some() && config.access == RegistryAccess::Open {
        log::warn!("--open with --relay lets everybody on the network relay, under any name");
    }
    match signals::catch() {
        Ok(signals) => {
            let (stop, reload) = (registry.stop_handle(), registry.reload_handle());
            thread::spawn(move || obey(&signals, &files, &stop, &reload));
        }
        Err(error) => return Ok(Err(error)),
    }
    if config.until_eof {
        stop_at_end_of_input(registry.stop_handle());
    }
    let _ = writeln!(io::stdout(), "listening on {}", registry.local_addr());
    Ok(registry.run())
}

/// Returns where the store is, and how it is reached.
fn store((url, trust): &(StoreUrl, Trust)) -> Result<Option<StoreOptions>, Error> {
    let tls = url.is_secure.then(|| tls::client_config(trust)).transpose();
    let tls = tls.map_err(|error| Error::Store(error.to_string()))?;
    Ok(StoreOptions::new(url.clone(), tls))
}

/// The files that are read again on SIGHUP.
struct Files {
    keys: Option<PathBuf>,
    tls: Option<(PathBuf, PathBuf)>,
}

/// Prints a frame without its payload, because descriptions and candidates hold passwords.
fn show(frame: Passing<'_>) {
    let Passing { kind, from, to } = frame;
    let line = serde_json::json!({"type": kind, "peer_id": from, "target_id": to});
    let _ = writeln!(io::stdout(), "{line}");
}

/// Does what signals ask for, until one ends the registry.
fn obey(signals: &Signals, files: &Files, stop: &StopHandle, reload: &ReloadHandle) {
    loop {
        for signal in signals.take() {
            match signal {
                Signal::Hangup => read_again(files, reload),
                Signal::Interrupt | Signal::Terminate => {
                    log::info!("ending, as {} asks", signal.name());
                    return stop.stop();
                }
            }
        }
    }
}

fn read_again(files: &Files, reload: &ReloadHandle) {
    if files.keys.is_none() && files.tls.is_none() {
        log::info!("SIGHUP: there is no file to read again");
    }
    if let Some(path) = &files.keys {
        match load_keys(path) {
            Ok(read) => {
                reload.replace_keys(read);
                log::info!(
                    "SIGHUP: the keys file {} was read again; it counts for new requests",
                    path.display()
                );
            }
            Err(error) => log::warn!("SIGHUP: {error}; the keys that were read before still count"),
        }
    }
    if let Some((certificate, key)) = &files.tls {
        match load_tls(certificate, key) {
            Ok(read) => {
                reload.replace_tls(read);
                log::info!(
                    "SIGHUP: the certificate {} was read again; new connections are shown it",
                    certificate.display()
                );
            }
            Err(error) => log::warn!("SIGHUP: {error}; the certificate read before still counts"),
        }
    }
}

/// Stops the registry when standard input ends.
fn stop_at_end_of_input(stop: StopHandle) {
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.stop();
    });
}
