//! The `registry` subcommand: runs [`crate::registry`] with its keys from a file, until a signal ends
//! it. SIGHUP has it read the file again.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use crate::config::{RegistryAccess, RegistryConfig};
use crate::registry::{
    Error, Keys, KeysHandle, Options, Passing, Registry, StopHandle, Watch, load_keys,
};

use super::process::signals::{self, Signal, Signals};

/// Serves until SIGTERM or SIGINT, or, if `config` says so, until standard input ends. The
/// first line on standard output ends with the address that it listens on.
///
/// Returns exit code 0 after that, 1 if it can't listen, 2 if the keys file can't be used.
pub fn run(config: &RegistryConfig) -> ExitCode {
    let (failure, code) = match serve(config) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => (error.to_string(), 1),
        Err(error @ Error::Keys { .. }) => (error.to_string(), 2),
        Err(error @ Error::Listen { .. }) => (error.to_string(), 1),
    };
    let _ = writeln!(io::stderr(), "chatixia-sidecar: {failure}");
    ExitCode::from(code)
}

fn serve(config: &RegistryConfig) -> Result<io::Result<()>, Error> {
    let keys = match &config.access {
        RegistryAccess::Open => Keys::Open,
        RegistryAccess::KeysFile(path) => load_keys(path)?,
    };
    let registry = Registry::bind(Options {
        watch: config.show_frames.then_some(show as Watch),
        ..Options::new(config.address, keys)
    })?;
    match signals::catch() {
        Ok(signals) => {
            let file = match &config.access {
                RegistryAccess::Open => None,
                RegistryAccess::KeysFile(path) => Some(path.clone()),
            };
            let (stop, keys) = (registry.stop_handle(), registry.keys_handle());
            thread::spawn(move || obey(&signals, file.as_ref(), &stop, &keys));
        }
        Err(error) => return Ok(Err(error)),
    }
    if config.until_eof {
        stop_at_end_of_input(registry.stop_handle());
    }
    let _ = writeln!(io::stdout(), "listening on {}", registry.local_addr());
    Ok(registry.run())
}

/// Prints a frame without its payload, because descriptions and candidates hold passwords.
fn show(frame: Passing<'_>) {
    let Passing { kind, from, to } = frame;
    let line = serde_json::json!({"type": kind, "peer_id": from, "target_id": to});
    let _ = writeln!(io::stdout(), "{line}");
}

/// Does what signals ask for, until one ends the registry.
fn obey(signals: &Signals, keys_file: Option<&PathBuf>, stop: &StopHandle, keys: &KeysHandle) {
    loop {
        for signal in signals.take() {
            match signal {
                Signal::Hangup => read_keys_again(keys_file, keys),
                Signal::Interrupt | Signal::Terminate => {
                    log::info!("ending, as {} asks", signal.name());
                    return stop.stop();
                }
            }
        }
    }
}

fn read_keys_again(keys_file: Option<&PathBuf>, keys: &KeysHandle) {
    let Some(path) = keys_file else {
        return log::info!("SIGHUP: there is nothing to read again, since every key is accepted");
    };
    match load_keys(path) {
        Ok(read) => {
            keys.replace(read);
            log::info!(
                "SIGHUP: the keys file {} was read again; it counts for new requests",
                path.display()
            );
        }
        Err(error) => log::warn!("SIGHUP: {error}; the keys that were read before still count"),
    }
}

/// Stops the registry when standard input ends.
fn stop_at_end_of_input(stop: StopHandle) {
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.stop();
    });
}
