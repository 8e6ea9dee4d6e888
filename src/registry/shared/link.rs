//! A connection to a Redis, plain or over TLS, found directly or by its Sentinels.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::built::{BUILT, Built};
use super::exchange::text;
use super::limits::PATIENCE;
use super::resp::{self, Value, write_command};
use crate::config::store_url::StoreUrl;

/// The place of a store, and how it is reached.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub(super) built: Built,
    /// Where it is.
    pub(super) url: StoreUrl,
    /// Whom to trust, if connections to it are encrypted.
    tls: Option<Arc<ClientConfig>>,
}

impl StoreOptions {
    /// Makes the options of a store at `url`, with whom to trust if connections to it are encrypted. `None` in a program
    /// that was built without the feature `redis`.
    pub fn new(url: StoreUrl, tls: Option<Arc<ClientConfig>>) -> Option<StoreOptions> {
        BUILT.map(|built| StoreOptions { built, url, tls })
    }
}

/// The reason why the store can't be used, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(pub(super) String);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure(match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("it does not answer within {} s", PATIENCE.as_secs())
            }
            io::ErrorKind::UnexpectedEof => "it has closed the connection".to_owned(),
            _ => error.to_string(),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Secured(stream) => stream.read(buffer),
        }
    }
}

impl Stream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream: &mut dyn Write = match self {
            Stream::Plain(stream) => stream,
            Stream::Secured(stream) => stream,
        };
        stream.write_all(bytes)?;
        stream.flush()
    }
}

/// A connection on which commands are sent and answers read.
pub(super) struct Link {
    stream: BufReader<Stream>,
    /// The socket below, to end it from elsewhere.
    socket: TcpStream,
}

impl Link {
    /// Connects to the server that holds the state, and logs in.
    pub(super) fn open(options: &StoreOptions) -> Result<Link, Failure> {
        let url = &options.url;
        let (host, port) = match &url.service {
            None => url.hosts.first().cloned().unwrap_or_default(),
            Some(service) => found_by_sentinels(options, service)?,
        };
        let mut link = Link::connect(options, &host, port)?;
        link.log_in(url)?;
        if url.database != 0 {
            link.ask(&["SELECT", &url.database.to_string()])?;
        }
        // Sentinels may not know yet that another has taken over.
        match link.ask(&["ROLE"]) {
            Ok(Value::List(role)) if role.first().and_then(text).as_deref() != Some("master") => {
                Err(Failure(format!("{host}:{port} is a replica")))
            }
            // Not every user may ask.
            _ => Ok(link),
        }
    }

    fn connect(options: &StoreOptions, host: &str, port: u16) -> Result<Link, Failure> {
        let mut last = Failure(format!("{host} has no address"));
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Err(error) => last = error.into(),
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    socket.set_read_timeout(Some(PATIENCE))?;
                    socket.set_write_timeout(Some(PATIENCE))?;
                    let below = socket.try_clone()?;
                    let stream = match &options.tls {
                        None => Stream::Plain(socket),
                        Some(tls) => {
                            let name = ServerName::try_from(host.to_owned());
                            let name = name.map_err(|error| Failure(error.to_string()))?;
                            let session = ClientConnection::new(Arc::clone(tls), name);
                            let session = session.map_err(|error| Failure(error.to_string()))?;
                            Stream::Secured(Box::new(StreamOwned::new(session, socket)))
                        }
                    };
                    return Ok(Link {
                        stream: BufReader::new(stream),
                        socket: below,
                    });
                }
            }
        }
        Err(last)
    }

    fn log_in(&mut self, url: &StoreUrl) -> Result<(), Failure> {
        let Some(password) = &url.password else {
            return Ok(());
        };
        let mut command = vec!["AUTH"];
        command.extend(url.user.as_deref());
        command.push(password.reveal());
        self.ask(&command).map(drop)
    }

    /// Sends a command and returns its answer.
    ///
    /// # Errors
    /// A refusal counts, too.
    pub(super) fn ask<P: AsRef<[u8]>>(&mut self, command: &[P]) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        write_command(&mut bytes, command);
        self.send(&bytes)?;
        self.receive()
    }

    /// Sends commands.
    pub(super) fn send(&mut self, commands: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.get_mut().send(commands)?)
    }

    /// Reads the next answer.
    ///
    /// # Errors
    /// A refusal counts, too.
    pub(super) fn receive(&mut self) -> Result<Value, Failure> {
        match resp::read(&mut self.stream)? {
            Value::Error(refusal) => Err(Failure(format!("it answers: {refusal}"))),
            value => Ok(value),
        }
    }

    /// Sets how long reading may take from now on.
    pub(super) fn wait_for(&self, patience: Duration) -> Result<(), Failure> {
        Ok(self.socket.set_read_timeout(Some(patience))?)
    }

    /// Returns what ends the connection from another thread.
    pub(super) fn end(&self) -> Result<End, Failure> {
        Ok(End(self.socket.try_clone()?))
    }
}

/// Ends a connection when it is dropped.
pub(super) struct End(TcpStream);

impl Drop for End {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Asks one Sentinel after the other where the server of that name is.
fn found_by_sentinels(options: &StoreOptions, service: &str) -> Result<(String, u16), Failure> {
    let mut last = Failure("no Sentinel is named".to_owned());
    for (host, port) in &options.url.hosts {
        match ask_sentinel(options, host, *port, service) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => last = Failure(format!("Sentinel {host}:{port} does not know {service:?}")),
            Err(Failure(why)) => last = Failure(format!("Sentinel {host}:{port}: {why}")),
        }
    }
    Err(last)
}

fn ask_sentinel(
    options: &StoreOptions,
    host: &str,
    port: u16,
    service: &str,
) -> Result<Option<(String, u16)>, Failure> {
    let question = ["SENTINEL", "get-master-addr-by-name", service];
    let mut link = Link::connect(options, host, port)?;
    let answer = match link.ask(&question) {
        Err(Failure(why)) if why.contains("NOAUTH") => {
            link.log_in(&options.url)?;
            link.ask(&question)?
        }
        answer => answer?,
    };
    let Value::List(found) = answer else {
        return Ok(None);
    };
    let found: Vec<String> = found.iter().filter_map(text).collect();
    Ok(match found.as_slice() {
        [host, port] => port.parse().ok().map(|port| (host.clone(), port)),
        _ => None,
    })
}
