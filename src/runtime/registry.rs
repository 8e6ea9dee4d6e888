//! The `registry` subcommand: runs [`crate::registry`] with its keys from a file, until a signal ends
//! it.

use std::io::{self, Read, Write as _};
use std::process::ExitCode;
use std::thread;

use crate::config::{RegistryAccess, RegistryConfig};
use crate::registry::{Error, Keys, Options, Passing, Registry, StopHandle, Watch, load_keys};

use super::process::signals;

/// Serves until SIGTERM, SIGINT or SIGHUP, or, if `config` says so, until standard input ends. The
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
        Ok(signal) => stop_at_end(signal.take(1), registry.stop_handle()),
        Err(error) => return Ok(Err(error)),
    }
    if config.until_eof {
        stop_at_end(io::stdin(), registry.stop_handle());
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

/// Stops the registry when `input` ends.
fn stop_at_end(mut input: impl Read + Send + 'static, stop: StopHandle) {
    thread::spawn(move || {
        let _ = io::copy(&mut input, &mut io::sink());
        stop.stop();
    });
}
