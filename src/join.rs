//! The `join` subcommand: writes what a ticket holds to the file of settings that sidecars read by default.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{JoinConfig, Surroundings as _, read_ticket};
use crate::output;
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
    let text = match ticket.settings_file(&old) {
        Ok(text) => text,
        Err(line) => {
            let why =
                format!("{shown}: line {line} is no NAME=value; mend it, or move the file away");
            return complain(why, 1);
        }
    };
    if let Err(error) = replace(file, &text) {
        return complain(format!("{shown} can't be written: {error}"), 1);
    }
    output::print(&format!(
        "joined {}; its URL and our key are in {shown}\n\
         check what can be reached: chatixia-sidecar doctor\n",
        ticket.registry
    ));
    ExitCode::SUCCESS
}

/// Puts a file that only its owner can read in place of the one that may be there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}
