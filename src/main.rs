//! `chatixia-sidecar`: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chatixia_sidecar::cli::main()
}
