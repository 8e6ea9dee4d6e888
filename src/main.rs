//! The `chatixia-sidecar` program: reads the command line, runs what it asks for, and sets the exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use chatixia_sidecar::attach;
use chatixia_sidecar::cli::{self, Invocation};
#[cfg(feature = "registry")]
use chatixia_sidecar::demo;
use chatixia_sidecar::doctor;
use chatixia_sidecar::identity;
use chatixia_sidecar::join;
use chatixia_sidecar::output;
use chatixia_sidecar::pair;
use chatixia_sidecar::runtime::surroundings::OfProcess;
use chatixia_sidecar::runtime::{self, health, logging};
use chatixia_sidecar::top;

/// dlmalloc in place of musl's own allocator, which holds two to three times as much memory under load and
/// makes large messages slower.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    runtime::survive_file_limits();
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match cli::parse(arguments, OfProcess) {
        Ok(invocation) => run(invocation),
        Err(problems) => {
            for problem in problems {
                let _ = writeln!(io::stderr(), "chatixia-sidecar: {problem}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(invocation: Invocation) -> ExitCode {
    match invocation {
        Invocation::Sidecar(config) => {
            logging::start(&config.log_filter, config.log_format);
            runtime::run(*config)
        }
        Invocation::Doctor {
            config,
            json,
            beside_sidecar,
        } => {
            logging::start(&config.log_filter, config.log_format);
            doctor::run(&config, json, beside_sidecar)
        }
        Invocation::Mcp(config) => {
            logging::start(&config.log_filter, config.log_format);
            runtime::mcp::run(&config)
        }
        Invocation::Attach { socket } => attach::main(&socket),
        Invocation::Top { address } => top::run(&address),
        Invocation::Health(config) => health::run(&config),
        Invocation::Identity(config) => identity::run(&config),
        Invocation::Join(config) => join::run(&config),
        Invocation::Pair(config) => {
            logging::start(&config.log_filter, config.log_format);
            pair::run(&config)
        }
        #[cfg(feature = "registry")]
        Invocation::Order(config) => runtime::registry_orders::run(&config),
        #[cfg(feature = "registry")]
        Invocation::Registry(config) => {
            logging::start(&config.log_filter, config.log_format);
            runtime::registry::run(&config)
        }
        #[cfg(feature = "registry")]
        Invocation::Demo(config) => demo::run(&config),
        Invocation::Print(text) => {
            if output::print(&text) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
