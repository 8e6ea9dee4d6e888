//! The `health` subcommand: asks a sidecar or a registry whether it works.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::ipc::{self, Served};
use crate::config::HealthConfig;
use crate::output;

/// Prints one line. Returns exit code 0 if the sidecar or registry works, 1 if not.
pub fn run(config: &HealthConfig) -> ExitCode {
    let answer = match config {
        HealthConfig::Sidecar(socket) => sidecar(socket),
        #[cfg(feature = "registry")]
        HealthConfig::Registry { address, is_secure } => registry::ask(*address, *is_secure),
    };
    match answer {
        Ok(line) => {
            output::print(&format!("{line}\n"));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn sidecar(socket: &Path) -> Result<String, String> {
    match ipc::is_served(socket) {
        Ok(Served::WithAgent) => Ok(format!("a sidecar serves its agent on {socket:?}")),
        Ok(Served::WithoutAgent) => Ok(format!("a sidecar waits for its agent on {socket:?}")),
        Err(problem) => Err(format!("no sidecar on {socket:?}: {problem}")),
    }
}

#[cfg(feature = "registry")]
mod registry {
    use std::io::{self, BufRead as _, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use rustls::{ClientConnection, StreamOwned};

    use super::super::any_certificate;
    use crate::config::metrics::of_this_machine;
    use crate::limits;

    /// Sends `GET /health`. Only the status line of the answer is read.
    pub(super) fn ask(address: SocketAddr, is_secure: bool) -> Result<String, String> {
        let address = of_this_machine(address);
        let failed =
            |problem: &dyn std::fmt::Display| format!("no registry on {address}: {problem}");
        let status = status_line(address, is_secure).map_err(|error| failed(&error))?;
        if status.starts_with("HTTP/1.1 200 ") {
            Ok(format!("the registry on {address} answers"))
        } else {
            Err(failed(&format_args!("it answered {status:?}")))
        }
    }

    fn status_line(address: SocketAddr, is_secure: bool) -> io::Result<String> {
        let stream = TcpStream::connect_timeout(&address, limits::HEALTH_TIMEOUT)?;
        stream.set_read_timeout(Some(limits::HEALTH_TIMEOUT))?;
        stream.set_write_timeout(Some(limits::HEALTH_TIMEOUT))?;
        if is_secure {
            let tls = any_certificate::client_config().map_err(io::Error::other)?;
            let client = ClientConnection::new(tls, address.ip().into());
            let client = client.map_err(io::Error::other)?;
            exchange(address, StreamOwned::new(client, stream))
        } else {
            exchange(address, stream)
        }
    }

    fn exchange(address: SocketAddr, mut stream: impl Read + Write) -> io::Result<String> {
        let request =
            format!("GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream.take(limits::HEALTH_ANSWER_BYTES)).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
