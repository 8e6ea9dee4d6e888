//! Tells a service manager, such as systemd, our state: sd_notify(3).

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::config::service_manager::{NotifySocket, ServiceManager as Settings};
use crate::limits;

/// The service manager, if there is one. Without it nothing is sent.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Watchdog>,
    is_stopping: bool,
    has_failed: bool,
}

/// The watchdog: how often the service manager wants a sign of life, and when the next is due.
#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    next: Instant,
}

impl ServiceManager {
    /// Creates the service manager of these settings, if they are meant for this process.
    pub(crate) fn new(settings: Option<Settings>, now: Instant) -> Self {
        let Some(settings) = settings.and_then(|all| all.meant_for(std::process::id())) else {
            return ServiceManager::default();
        };
        match open(&settings.socket) {
            Ok(socket) => ServiceManager {
                socket: Some(socket),
                watchdog: settings.watchdog.map(|timeout| {
                    // Half of the timeout, as sd_watchdog_enabled(3) advises.
                    let interval = (timeout / 2).max(limits::WATCHDOG_INTERVAL);
                    Watchdog {
                        interval,
                        next: now + interval,
                    }
                }),
                ..ServiceManager::default()
            },
            Err(error) => {
                let socket = settings.socket.shown();
                log::warn!("cannot tell the service manager at NOTIFY_SOCKET={socket:?}: {error}");
                ServiceManager::default()
            }
        }
    }

    /// Tells that agents can connect.
    pub(crate) fn ready(&mut self) {
        self.tell("READY=1");
    }

    /// Tells that the end has begun; sent only once.
    pub(crate) fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.tell("STOPPING=1");
        }
    }

    /// Returns when the next sign of life is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(|watchdog| watchdog.next)
    }

    /// Sends a sign of life if one is due. To be called by the thread that the watchdog watches.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(watchdog) = self.watchdog.as_mut().filter(|due| due.next <= now) {
            watchdog.next = now + watchdog.interval;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&mut self, state: &str) {
        let Some((socket, address)) = &self.socket else {
            return;
        };
        match socket.send_to_addr(state.as_bytes(), address) {
            Ok(_) => self.has_failed = false,
            Err(error) if !std::mem::replace(&mut self.has_failed, true) => {
                log::warn!("cannot tell the service manager {state}: {error}");
            }
            Err(_) => {}
        }
    }
}

/// Opens a socket to send from, and finds the address of the service manager.
fn open(socket: &NotifySocket) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match socket {
        NotifySocket::Path(path) => SocketAddr::from_pathname(path)?,
        NotifySocket::Abstract(name) => abstract_address(name)?,
        NotifySocket::Unknown(_) => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "neither an absolute path nor an abstract name, as in @name",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    // A busy manager may be waited for, but not so long that peers notice.
    socket.set_write_timeout(Some(limits::NOTIFY_TIMEOUT))?;
    Ok((socket, address))
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no abstract sockets",
    ))
}
