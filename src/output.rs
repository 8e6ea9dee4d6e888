//! Printing to standard output for whoever has called the program.

use std::io::{self, ErrorKind, Write as _};

/// Writes to standard output, and returns whether all of it got there. If not, standard error says why,
/// unless the reader has closed the pipe because it has read enough.
pub fn print(text: &str) -> bool {
    let mut output = io::stdout();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != ErrorKind::BrokenPipe {
                let _ = writeln!(
                    io::stderr(),
                    "chatixia-sidecar: cannot write to standard output: {error}"
                );
            }
            false
        }
    }
}
