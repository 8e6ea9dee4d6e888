//! This program as a child process of the MCP server.

use std::io;
use std::process::{Command, Stdio};

use crate::config::SidecarFlags;

/// Returns the command that starts it with the sidecar's settings. It inherits the environment and standard
/// error.
pub(super) fn command(arguments: &[&str], flags: &SidecarFlags) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let variables = flags.variables.iter();
    command
        .args(arguments)
        .args(&flags.arguments)
        .envs(variables.map(|(name, value)| (name, value.reveal())))
        .stdout(Stdio::piped());
    Ok(command)
}
