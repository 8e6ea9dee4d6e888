//! Listens on the address of `METRICS`: a TCP port, or a Unix socket whose file only its owner can use.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::metrics::MetricsAddress;
use crate::runtime::ipc::{ServedFile, listen_at};

/// The socket file that we serve, if it is one. It is removed when the sidecar ends, which may be before it
/// is there.
#[derive(Debug, Default)]
pub(super) struct Place(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    file: Option<ServedFile>,
    has_ended: bool,
}

impl Place {
    /// Removes the file, and each that is taken later.
    pub(super) fn leave(&self) {
        let mut standing = self.standing();
        standing.has_ended = true;
        standing.file = None;
    }

    fn take(&self, file: ServedFile) {
        let mut standing = self.standing();
        standing.file = Some(file).filter(|_| !standing.has_ended);
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that listens.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on an address. A socket file on which nobody listens is replaced.
    pub(super) fn bind(address: &MetricsAddress, place: &Place) -> io::Result<Self> {
        match address {
            MetricsAddress::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp),
            MetricsAddress::Unix(path) => {
                check_stale(path)?;
                let (listener, file) = listen_at(path)?;
                place.take(file);
                Ok(Listener::Unix(listener))
            }
        }
    }

    /// Returns the address as a client takes it.
    pub(super) fn address(&self, configured: &MetricsAddress) -> MetricsAddress {
        match self {
            // The port may have been left to the system.
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => MetricsAddress::Tcp(address),
                Err(_) => configured.clone(),
            },
            Listener::Unix(_) => configured.clone(),
        }
    }

    /// Waits for the next client.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Listener::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// Fails if the path is that of a socket on which somebody listens, or of something else.
fn check_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => {
            let text = "a file that is no socket is there";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another program listens there",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

/// A connection to a client.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Sets how long the next read or write may take.
    pub(super) fn set_timeout(&self, time: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(time))?;
                stream.set_write_timeout(Some(time))
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(time))?;
                stream.set_write_timeout(Some(time))
            }
        }
    }

    /// Ends one direction of the connection, or both.
    pub(super) fn shutdown(&self, how: Shutdown) {
        // It fails when the client has ended the connection first.
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(how),
            Stream::Unix(stream) => stream.shutdown(how),
        };
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match *self {
            Stream::Tcp(stream) => (&mut &*stream).read(buffer),
            Stream::Unix(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match *self {
            Stream::Tcp(stream) => (&mut &*stream).write(bytes),
            Stream::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
