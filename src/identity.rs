//! The `identity` subcommand: tells the fingerprint of the certificate by which peers know this sidecar.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::IdentityConfig;
use crate::output;
use crate::protocol::fingerprint::SHA_256;
use crate::runtime;

/// Prints the fingerprint, as `KNOWN_PEERS` has it. Makes the file if there is none. Returns 0, or 1 if the file
/// can't be used.
pub fn run(config: &IdentityConfig) -> ExitCode {
    match runtime::fingerprint(&config.file) {
        Ok(fingerprint) => {
            output::print(&format!("{SHA_256} {fingerprint}\n"));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {problem}");
            ExitCode::FAILURE
        }
    }
}
