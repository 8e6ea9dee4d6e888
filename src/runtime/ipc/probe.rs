//! Asks the program that serves a socket whether it is a sidecar, and whether it has an agent.
//!
//! A sidecar answers with its first line: `ready`, or an `error` with `busy`. The asking socket carries
//! a name, which an agent's never does. So a sidecar without an agent does not take it for one and
//! write the messages into it that it has kept.

use std::io::{self, Read};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::Deserialize;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::limits;
use crate::protocol::ipc::ErrorCode;

/// The result of probing a socket's file.
#[derive(Debug)]
pub(super) enum Occupant {
    /// Nobody listens on it.
    Stale,
    /// A sidecar without an agent. It checks its file as soon as the socket is closed.
    IdleSidecar(Socket),
    /// A sidecar with an agent.
    BusySidecar,
    /// Another program; says what it did.
    Foreign(&'static str),
}

/// The state of a sidecar that serves a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// A sidecar that waits for its agent.
    WithoutAgent,
    /// A sidecar whose agent is connected.
    WithAgent,
}

/// Asks whether a sidecar serves the socket at `path`, without taking an agent's place.
///
/// # Errors
/// Says what is there instead, or why it cannot be reached.
pub fn is_served(path: &Path) -> Result<Served, String> {
    match probe(path, limits::IPC_PROBE_TIMEOUT) {
        Ok(Occupant::IdleSidecar(_)) => Ok(Served::WithoutAgent),
        Ok(Occupant::BusySidecar) => Ok(Served::WithAgent),
        Ok(Occupant::Stale) => Err("nobody listens on it".to_owned()),
        Ok(Occupant::Foreign(what)) => Err(what.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Connects to `path` and judges who serves it. Errors are those of connecting.
pub(super) fn probe(path: &Path, patience: Duration) -> io::Result<Occupant> {
    let deadline = Instant::now() + patience;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    give_name(&socket);
    // The timeout also bounds the wait for room in the other's queue of connections.
    socket.set_write_timeout(Some(patience))?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => {}
        Err(error) => {
            return match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::CONNREFUSED) => Ok(Occupant::Stale),
                Some(Errno::AGAIN) => Ok(Occupant::Foreign("it accepts no connection")),
                Some(Errno::PROTOTYPE) => Ok(Occupant::Foreign("it is no stream socket")),
                _ => Err(error),
            };
        }
    }
    Ok(match first_line(&socket, deadline) {
        Some(line) => judge(&line, socket),
        None => Occupant::Foreign("it did not say what it is"),
    })
}

fn first_line(mut socket: &Socket, deadline: Instant) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = [0; 1024];
    while line.len() < limits::IPC_PROBE_LINE_BYTES {
        let left = deadline.saturating_duration_since(Instant::now());
        // A timeout of zero would mean none.
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return None;
        }
        let read = match socket.read(&mut chunk) {
            Ok(0) => return None,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let read = chunk.get(..read)?;
        match read.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                line.extend_from_slice(read.get(..end)?);
                return Some(line);
            }
            None => line.extend_from_slice(read),
        }
    }
    None
}

/// The fields of a `ready` or an `error` that are needed here.
#[derive(Deserialize)]
struct Greeting {
    #[serde(rename = "type")]
    kind: String,
    payload: GreetingPayload,
}

#[derive(Deserialize)]
struct GreetingPayload {
    protocol: Option<u64>,
    code: Option<String>,
}

fn judge(line: &[u8], socket: Socket) -> Occupant {
    let Ok(Greeting { kind, payload }) = serde_json::from_slice(line) else {
        return Occupant::Foreign("it does not speak as a sidecar does");
    };
    if kind == "ready" && payload.protocol.is_some() {
        Occupant::IdleSidecar(socket)
    } else if kind == "error" && payload.code.as_deref() == Some(ErrorCode::Busy.as_str()) {
        Occupant::BusySidecar
    } else {
        Occupant::Foreign("it does not speak as a sidecar does")
    }
}

/// The prefix of the names of asking sockets, in Linux's abstract namespace.
#[cfg(target_os = "linux")]
const NAME: &str = "chatixia-sidecar-probe-";

/// Names the asking socket, where that leaves no file behind. Without a name it is taken for an agent
/// that leaves again at once, which does as well as long as no messages wait for one.
#[cfg(target_os = "linux")]
fn give_name(socket: &Socket) {
    let name = format!("\0{NAME}{:016x}", fastrand::u64(..));
    if let Err(error) = SockAddr::unix(name).and_then(|name| socket.bind(&name)) {
        log::debug!("cannot name the probing socket: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_name(_: &Socket) {}

/// Returns whether a connection comes from a sidecar that asks.
#[cfg(target_os = "linux")]
pub(super) fn is_probe(address: &SocketAddr) -> bool {
    use std::os::linux::net::SocketAddrExt;

    address
        .as_abstract_name()
        .is_some_and(|name| name.starts_with(NAME.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_probe(_: &SocketAddr) -> bool {
    false
}
