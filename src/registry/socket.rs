//! The bytes of a connection, over TCP, TLS or the control socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A socket that does not block.
pub(super) enum Socket {
    /// A TCP connection.
    Plain(TcpStream),
    /// The same with TLS.
    Secured(Box<StreamOwned<ServerConnection, TcpStream>>),
    /// A connection to the control socket.
    Local(UnixStream),
}

impl Socket {
    /// Makes a socket of a TCP connection, with TLS if there is a configuration for it.
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
    ) -> Result<Self, rustls::Error> {
        Ok(match tls {
            None => Socket::Plain(stream),
            Some(tls) => {
                let connection = ServerConnection::new(Arc::clone(tls))?;
                Socket::Secured(Box::new(StreamOwned::new(connection, stream)))
            }
        })
    }

    /// Returns the client's address; the control socket's have none.
    pub(super) fn peer_address(&self) -> io::Result<SocketAddr> {
        match self {
            Socket::Plain(stream) => stream.peer_addr(),
            Socket::Secured(stream) => stream.sock.peer_addr(),
            Socket::Local(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns our address, to which the client has come; the control socket has none.
    pub(super) fn own_address(&self) -> io::Result<SocketAddr> {
        match self {
            Socket::Plain(stream) => stream.local_addr(),
            Socket::Secured(stream) => stream.sock.local_addr(),
            Socket::Local(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Socket::Plain(stream) => stream,
            Socket::Secured(stream) => &mut stream.sock,
            Socket::Local(stream) => stream,
        }
    }

    /// Tells the other side that nothing more comes. What was written has to be flushed before.
    pub(super) fn end_writing(&mut self) -> io::Result<()> {
        match self {
            Socket::Plain(stream) => stream.shutdown(Shutdown::Write),
            Socket::Local(stream) => stream.shutdown(Shutdown::Write),
            Socket::Secured(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)
            }
        }
    }
}

impl Source for Socket {
    fn register(&mut self, by: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.source().register(by, token, interest)
    }

    fn reregister(&mut self, by: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.source().reregister(by, token, interest)
    }

    fn deregister(&mut self, by: &Registry) -> io::Result<()> {
        self.source().deregister(by)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.read(buffer),
            Socket::Local(stream) => stream.read(buffer),
            Socket::Secured(stream) => match stream.read(buffer) {
                // It has closed the connection without a goodbye of TLS, as many clients do.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Plain(stream) => stream.write(bytes),
            Socket::Local(stream) => stream.write(bytes),
            Socket::Secured(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Socket::Plain(stream) => stream.flush(),
            Socket::Local(stream) => stream.flush(),
            Socket::Secured(stream) => stream.flush(),
        }
    }
}
