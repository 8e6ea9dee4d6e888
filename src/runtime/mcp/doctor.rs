//! The doctor as a child process, for the findings that `status` tells.

use std::io::{self, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use super::child::command;
use crate::config::SidecarFlags;
use crate::limits;

/// A running doctor, killed when it is dropped.
#[derive(Debug)]
pub(super) struct Doctor {
    process: Child,
    pub(super) output: ChildStdout,
    findings: Vec<u8>,
}

impl Doctor {
    /// Starts it with the sidecar's settings.
    pub(super) fn start(flags: &SidecarFlags) -> io::Result<Doctor> {
        let mut process = command(&["doctor", "--json", "--beside-sidecar"], flags)?
            .stdin(Stdio::null())
            .spawn()?;
        let output = process.stdout.take();
        let output = output.ok_or_else(|| io::Error::other("it has no standard output"))?;
        Ok(Doctor {
            process,
            output,
            findings: Vec::new(),
        })
    }

    /// Reads what is there. Returns its findings once it has told all.
    pub(super) fn read(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        match self.output.read(&mut bytes) {
            Ok(0) => {}
            Ok(count) if self.findings.len() + count <= limits::MCP_DOCTOR_BYTES => {
                self.findings.extend(bytes.iter().take(count));
                return None;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
            Ok(_) | Err(_) => {}
        }
        Some(String::from_utf8_lossy(&self.findings).into_owned())
    }
}

impl Drop for Doctor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
