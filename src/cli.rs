//! The command line.

use std::process::ExitCode;

/// Runs the program as the command line says.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
