//! A non-blocking TCP connection, with or without TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::tls;
use super::tunnel::Tunnel;

/// The connection under the WebSocket, and under TURN.
pub(in crate::runtime) enum Stream {
    /// TCP without TLS, as for `ws://`.
    Plain(Tunnel),
    /// TLS, as for `wss://`.
    Tls(Box<StreamOwned<ClientConnection, Tunnel>>),
}

impl Stream {
    /// Begins TLS over `tunnel`, to a server that must prove to be `host`. The handshake takes place
    /// with the first reads and writes.
    pub(in crate::runtime) fn secured(
        tunnel: Tunnel,
        host: &str,
        config: Arc<ClientConfig>,
    ) -> Result<Self, String> {
        let client = tls_client(host, config)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(client, tunnel))))
    }

    /// Continues to ask a proxy, and the handshake. Returns `true` when both are complete.
    pub(in crate::runtime) fn is_secured(&mut self) -> io::Result<bool> {
        let mut advance = || match self {
            Stream::Plain(tunnel) => tunnel.open(),
            Stream::Tls(stream) => {
                let StreamOwned { conn, sock } = &mut **stream;
                while conn.is_handshaking() {
                    conn.complete_io(sock)?;
                }
                Ok(())
            }
        };
        match advance() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the TCP connection.
    pub(in crate::runtime) fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(tunnel) => tunnel.socket(),
            Stream::Tls(stream) => stream.get_ref().socket(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(buffer),
            Stream::Tls(stream) => {
                // Without this flush, rustls would take plaintext while the socket takes nothing, as
                // long as there is something to read, until its buffer is full and `write` returns 0.
                stream.flush()?;
                stream.write(buffer)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// Makes the client's end of TLS, to a server that must prove to be `host`.
pub(super) fn tls_client(
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<ClientConnection, String> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is not a name that TLS can verify"))?;
    ClientConnection::new(config, name).map_err(|error| tls::describe(&error))
}

/// Describes an I/O error in plain words.
pub(in crate::runtime) fn describe(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    if let Some(error) = inner {
        return tls::describe(error);
    }
    let words = if error.kind() == ErrorKind::ConnectionRefused {
        "connection refused"
    } else if error.kind() == ErrorKind::ConnectionReset {
        "connection reset"
    } else if error.kind() == ErrorKind::TimedOut {
        "timed out"
    } else if [ErrorKind::UnexpectedEof, ErrorKind::BrokenPipe].contains(&error.kind()) {
        "the connection was closed"
    } else {
        return error.to_string();
    };
    words.to_owned()
}
