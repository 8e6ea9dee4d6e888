//! Runs programs that check the files we made.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// Runs a program with this text on its standard input. `None` if it is not installed.
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> Option<Output> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip(program);
            return None;
        }
        child => child.unwrap(),
    };
    // One that ends without reading says why.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Some(child.wait_with_output().unwrap())
}

/// Both streams of its output as text.
pub(crate) fn said(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(said).unwrap()
}

/// Fails if a program, where it is there, finds faults in a document.
pub(crate) fn assert_accepted(program: &str, arguments: &[&str], document: &str) {
    if let Some(output) = run(program, arguments, document) {
        let said = said(&output);
        assert!(
            output.status.success() && said.is_empty(),
            "{program}: {said}"
        );
    }
}

/// Whether there is such a program; one that is missing is told.
pub(crate) fn is_installed(program: &str) -> bool {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&directories).any(|place| place.join(program).is_file());
    if !found {
        skip(program);
    }
    found
}

/// Tells once that a program is missing.
fn skip(program: &str) {
    assert!(
        std::env::var_os("REQUIRE_TOOLS").is_none(),
        "{program} is not installed, and REQUIRE_TOOLS is set"
    );
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if TOLD.lock().unwrap().insert(program.to_owned()) {
        // Past the test harness, which shows what passing tests print to nobody.
        let line = format!("skipped: {program} is not installed\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
