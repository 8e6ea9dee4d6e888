//! TCP and TLS connections to TURN servers, in the event loop's poll.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::proxy::Proxies;
use crate::limits;
use crate::nat::output::StreamId;
use crate::runtime::signaling::CurrentTls;
use crate::runtime::signaling::stream::{Stream, describe};
use crate::runtime::signaling::tunnel::{Tunnel, connected};

/// An event of a stream.
#[derive(Debug)]
pub(crate) enum News {
    /// It is open; our end has this address.
    Opened(SocketAddr),
    /// Bytes have come in.
    Received(Vec<u8>),
    /// It could not be opened, or has ended, for this reason.
    Closed(String),
}

struct Connection {
    id: StreamId,
    /// What precedes the reason of a failure.
    way: String,
    stream: Stream,
    is_open: bool,
    /// Whether there may be something to do.
    is_ready: bool,
    /// The bytes that the system had no room for.
    unsent: Vec<u8>,
}

/// The reason for closing a stream whose own end has no address any more.
const GONE: &str = "the address it was used from is gone";

/// All streams. The sans-IO part decides when opening one has taken too long.
pub(crate) struct Streams {
    tls: CurrentTls,
    proxies: Proxies,
    bind_address: Option<IpAddr>,
    connections: BTreeMap<Token, Connection>,
    /// Streams that could not even be begun, or were closed here, with the reason.
    refused: Vec<(StreamId, String)>,
    next_token: usize,
    buffer: Vec<u8>,
}

impl Streams {
    /// Creates it without streams. Their tokens are `first_token` and above.
    pub(crate) fn new(
        tls: impl Into<CurrentTls>,
        proxies: Proxies,
        bind_address: Option<IpAddr>,
        first_token: usize,
    ) -> Self {
        Streams {
            tls: tls.into(),
            proxies,
            bind_address,
            connections: BTreeMap::new(),
            refused: Vec::new(),
            next_token: first_token,
            buffer: Vec::new(),
        }
    }

    /// Begins a stream, through the proxy at `server` if there is a target, and over TLS if `tls` names the
    /// host. Its result is told as [`News`].
    pub(crate) fn open(
        &mut self,
        registry: &Registry,
        id: StreamId,
        server: SocketAddr,
        target: Option<(&str, u16)>,
        tls: Option<&str>,
    ) {
        match self.connect(registry, server, target, tls) {
            Ok((token, stream, way)) => {
                let connection = Connection {
                    id,
                    way,
                    stream,
                    is_open: false,
                    is_ready: false,
                    unsent: Vec::new(),
                };
                self.connections.insert(token, connection);
            }
            Err(why) => self.refused.push((id, why)),
        }
    }

    fn connect(
        &mut self,
        registry: &Registry,
        server: SocketAddr,
        target: Option<(&str, u16)>,
        tls: Option<&str>,
    ) -> Result<(Token, Stream, String), String> {
        let socket = self.begin(server).map_err(|error| describe(&error))?;
        let mut socket = TcpStream::from_std(socket.into());
        let token = Token(self.next_token);
        self.next_token += 1;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry
            .register(&mut socket, token, both)
            .map_err(|error| describe(&error))?;
        let proxy = match target {
            Some((host, port)) => self.proxies.to_relay(host, port).ok().flatten(),
            None => None,
        };
        let way = proxy.map_or_else(String::new, |p| format!("through the HTTP proxy {p}: "));
        let tunnel = match (proxy, target) {
            (Some(proxy), Some(target)) => Tunnel::straight(socket).through(proxy, target),
            (None, Some(_)) => return Err("no proxy leads there".to_owned()),
            (_, None) => Tunnel::straight(socket),
        };
        let stream = match tls {
            None => Stream::Plain(tunnel),
            Some(host) => Stream::secured(tunnel, host, self.tls.get())?,
        };
        Ok((token, stream, way))
    }

    fn begin(&self, server: SocketAddr) -> io::Result<Socket> {
        let domain = Domain::for_address(server);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Peers' packets should not wait for one another.
        socket.set_tcp_nodelay(true)?;
        if let Some(address) = self.bind_address {
            socket.bind(&SocketAddr::new(address, 0).into())?;
        }
        match socket.connect(&server.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                Err(error)
            }
            Ok(()) | Err(_) => Ok(socket),
        }
    }

    /// Returns whether there is a stream, or one is being opened.
    pub(crate) fn has_any(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Closes the streams, also those that are being opened, from addresses that are not among these, all
    /// of the machine's. Nothing would come on them any more, which the system notices only after minutes.
    pub(crate) fn close_gone(&mut self, present: &[IpAddr]) {
        let refused = &mut self.refused;
        self.connections.retain(|_, connection| {
            let local = connection.stream.socket().local_addr();
            let local = local.map(|local| local.ip().to_canonical());
            let is_gone = local.is_ok_and(|ip| !ip.is_unspecified() && !present.contains(&ip));
            if is_gone {
                refused.push((connection.id, GONE.to_owned()));
            }
            !is_gone
        });
    }

    /// Notes that the poll reports the stream with this token as ready.
    pub(crate) fn ready(&mut self, token: Token) {
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.is_ready = true;
        }
    }

    /// Returns whether there is something to do without waiting.
    pub(crate) fn is_ready(&self) -> bool {
        !self.refused.is_empty() || self.connections.values().any(|c| c.is_ready)
    }

    /// Advances the streams that are ready, each up to its budget, and returns their news.
    pub(crate) fn take(&mut self) -> Vec<(StreamId, News)> {
        let mut news = Vec::new();
        for (id, why) in self.refused.drain(..) {
            news.push((id, News::Closed(why)));
        }
        self.buffer.resize(limits::TURN_STREAM_READ_BYTES, 0);
        let mut closed = Vec::new();
        for (token, connection) in &mut self.connections {
            if !connection.is_ready {
                continue;
            }
            let id = connection.id;
            let mut tell = |what| news.push((id, what));
            if let Err(error) = connection.advance(&mut self.buffer, &mut tell) {
                tell(News::Closed(format!(
                    "{}{}",
                    connection.way,
                    describe(&error)
                )));
                closed.push(*token);
            }
        }
        for token in closed {
            self.connections.remove(&token);
        }
        news
    }

    /// Queues bytes for an open stream; [`Streams::flush`] sends them. A packet that may be lost is
    /// dropped when more than [`limits::TURN_STREAM_BYTES`] are queued, anything else at twice that.
    pub(crate) fn write(&mut self, id: StreamId, bytes: &[u8], may_be_lost: bool) {
        let found = self.connections.values_mut().find(|c| c.id == id);
        let Some(connection) = found else {
            return;
        };
        let room = if may_be_lost {
            limits::TURN_STREAM_BYTES
        } else {
            2 * limits::TURN_STREAM_BYTES
        };
        if connection.unsent.len() + bytes.len() <= room {
            connection.unsent.extend_from_slice(bytes);
        }
    }

    /// Sends the queued bytes of open streams.
    pub(crate) fn flush(&mut self) {
        for connection in self.connections.values_mut() {
            if connection.is_open && !connection.unsent.is_empty() && connection.send().is_err() {
                // The error is reported when the stream is read.
                connection.is_ready = true;
            }
        }
    }

    /// Closes a stream. Nothing more is reported of it.
    pub(crate) fn close(&mut self, id: StreamId) {
        self.connections.retain(|_, connection| connection.id != id);
        self.refused.retain(|(refused, _)| *refused != id);
    }
}

impl Connection {
    /// Continues the handshake, sends queued bytes, and reads what has come.
    fn advance(&mut self, buffer: &mut [u8], tell: &mut impl FnMut(News)) -> io::Result<()> {
        if !self.is_open {
            let Some(local) = connected(self.stream.socket())? else {
                self.is_ready = false;
                return Ok(());
            };
            if !self.stream.is_secured()? {
                self.is_ready = false;
                return Ok(());
            }
            self.is_open = true;
            tell(News::Opened(local));
        }
        self.send()?;
        for _ in 0..limits::SOURCE_BUDGET {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => tell(News::Received(
                    buffer.get(..length).unwrap_or_default().to_vec(),
                )),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_ready = false;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let outcome = loop {
            let rest = self.unsent.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break self.stream.flush();
            }
            match self.stream.write(rest) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.unsent.drain(..sent);
        match outcome {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::{Duration, Instant};

    use mio::{Events, Poll};

    use super::*;
    use crate::config::Config;
    use crate::config::settings::Flags;
    use crate::config::trust::Trust;
    use crate::runtime::signaling::tls;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Streams to a listener on this machine, as many as are asked for.
    fn opened(poll: &Poll, listener: &TcpListener, count: u64) -> Streams {
        let tls = tls::client_config(&Trust::default()).unwrap();
        let mut streams = Streams::new(tls, Proxies::default(), None, 0);
        for id in 0..count {
            let server = listener.local_addr().unwrap();
            streams.open(poll.registry(), StreamId::numbered(id), server, None, None);
        }
        streams
    }

    #[test]
    fn streams_end_with_the_address_they_come_from_whether_they_are_open_or_not() {
        let mut poll = Poll::new().unwrap();
        let listener = TcpListener::bind((HERE, 0)).unwrap();
        let mut streams = opened(&poll, &listener, 1);
        let mut events = Events::with_capacity(8);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut news = Vec::new();
        while news.is_empty() {
            assert!(Instant::now() < deadline);
            poll.poll(&mut events, Some(Duration::from_secs(1)))
                .unwrap();
            events.iter().for_each(|event| streams.ready(event.token()));
            news = streams.take();
        }
        assert!(matches!(news[..], [(_, News::Opened(_))]), "{news:?}");
        // This one is not known to be open.
        let server = listener.local_addr().unwrap();
        streams.open(poll.registry(), StreamId::numbered(7), server, None, None);

        streams.close_gone(&[HERE]);
        assert!(!streams.is_ready(), "the address is still there");
        streams.close_gone(&["192.0.2.1".parse().unwrap()]);
        assert!(streams.is_ready());
        let news = streams.take();
        assert_eq!(news.len(), 2);
        for (_, what) in news {
            assert!(
                matches!(&what, News::Closed(why) if why == GONE),
                "{what:?}"
            );
        }
        assert!(streams.connections.is_empty());
    }

    #[test]
    fn a_stream_through_a_proxy_is_open_when_that_has_connected_it() {
        let proxy = TcpListener::bind((HERE, 0)).unwrap();
        let address = proxy.local_addr().unwrap();
        let variable = |name: &str| (name == "HTTPS_PROXY").then(|| address.to_string().into());
        let config = Config::from(&Flags::default(), variable).unwrap();
        let mut poll = Poll::new().unwrap();
        let tls = tls::client_config(&Trust::default()).unwrap();
        let mut streams = Streams::new(tls, config.proxies, None, 0);
        let id = StreamId::numbered(1);
        streams.open(
            poll.registry(),
            id,
            address,
            Some(("turn.test", 3478)),
            None,
        );

        let (mut socket, _) = proxy.accept().unwrap();
        let mut events = Events::with_capacity(8);
        let mut turn = |streams: &mut Streams| {
            poll.poll(&mut events, Some(Duration::from_secs(10)))
                .unwrap();
            assert!(!events.is_empty(), "nothing happens");
            events.iter().for_each(|event| streams.ready(event.token()));
            streams.take()
        };
        assert!(turn(&mut streams).is_empty(), "the proxy has not answered");
        let mut head = [0; 256];
        let length = socket.read(&mut head).unwrap();
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        assert!(
            head.starts_with("CONNECT turn.test:3478 HTTP/1.1\r\n"),
            "{head}"
        );
        // The first of the server's bytes come with the answer.
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst").unwrap();
        let news = turn(&mut streams);
        let [(_, News::Opened(_)), (_, News::Received(bytes))] = &news[..] else {
            panic!("{news:?}");
        };
        assert_eq!(bytes, b"first");
    }
}
