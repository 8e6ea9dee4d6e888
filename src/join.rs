//! The `join` subcommand: writes what a ticket holds to the file of settings that sidecars read by default.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::{JoinConfig, Surroundings as _, read_ticket};
use crate::output;
use crate::private_file;
use crate::runtime::surroundings::OfProcess;

/// Writes the file and prints where it is. Returns 0, 1 if it can't be written, or 2 if there is no ticket.
pub fn run(config: &JoinConfig) -> ExitCode {
    let ticket = match &config.ticket {
        Some(ticket) => Ok(ticket.clone()),
        None => read_ticket(io::stdin()),
    };
    let complain = |why: String, code| {
        let _ = writeln!(io::stderr(), "chatixia-sidecar: {why}");
        ExitCode::from(code)
    };
    let ticket = match ticket {
        Ok(ticket) => ticket,
        Err(why) => return complain(why, 2),
    };
    let (file, shown) = (&config.file, config.file.display());
    let old = match OfProcess.read(file) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return complain(format!("{shown} can't be read: {error}"), 1),
    };
    let environment = |name: &str| OfProcess.variable(name)?.into_string().ok();
    let text = match ticket.settings_file(&old, environment) {
        Ok(text) => text,
        Err(line) => {
            let why =
                format!("{shown}: line {line} is no NAME=value; mend it, or move the file away");
            return complain(why, 1);
        }
    };
    if let Err(error) = private_file::replace(file, &text) {
        return complain(format!("{shown} can't be written: {error}"), 1);
    }
    let held = match ticket.secret {
        Some(_) => "its URL, our key and the secret of the mesh",
        None => "its URL and our key",
    };
    output::print(&format!(
        "joined {}; {held} are in {shown}\n\
         check what can be reached: chatixia-sidecar doctor\n",
        ticket.registry
    ));
    ExitCode::SUCCESS
}
