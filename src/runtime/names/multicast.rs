//! The multicast socket on which names under `.local` are looked up. It exists only while a name is
//! being asked for, because it wakes the loop for everything that anybody asks or answers on this
//! network.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::limits;
use crate::nat::local_names::LocalNames;
use crate::runtime::interfaces::is_transient;

/// Asks for names by multicast over IPv4, on each interface whose addresses are candidates.
pub(crate) struct Multicast {
    token: Token,
    group: SocketAddrV4,
    names: LocalNames,
    member: Option<Member>,
    /// Whether there may be more to read.
    is_ready: bool,
    /// Whether a failure to open the socket was logged.
    has_failed: bool,
}

/// A socket that is a member of the multicast group.
struct Member {
    socket: UdpSocket,
    /// The addresses of the interfaces on which it has joined the group.
    joined: BTreeSet<Ipv4Addr>,
}

impl Multicast {
    /// Creates the state without a socket. Questions go to `group` and its port.
    pub(crate) fn new(token: Token, group: SocketAddrV4) -> Self {
        Multicast {
            token,
            group,
            names: LocalNames::default(),
            member: None,
            is_ready: false,
            has_failed: false,
        }
    }

    /// Asks for a name, on the interfaces that have these addresses.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        registry: &Registry,
        name: &str,
        interfaces: impl Iterator<Item = IpAddr>,
    ) {
        let opened = match self.member.take() {
            Some(member) => Ok(member),
            None => Member::open(registry, self.token, self.group.port()),
        };
        match opened {
            Ok(mut member) => {
                member.join(*self.group.ip(), interfaces);
                self.member = Some(member);
                self.names.ask(now, name);
            }
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                log::info!("names under .local are not resolved: {error}");
            }
            Err(_) => {}
        }
    }

    /// Notes that the poll reports the socket as readable.
    pub(crate) fn ready(&mut self) {
        self.is_ready = true;
    }

    /// Returns whether there may be more to read.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Reads up to the budget of a source, and returns the addresses of names that were asked for.
    pub(crate) fn receive(&mut self) -> Vec<(String, IpAddr)> {
        let mut found = Vec::new();
        let mut buffer = [0; limits::MULTICAST_DNS_BYTES];
        for _ in 0..limits::SOURCE_BUDGET {
            let Some(member) = &self.member else {
                self.is_ready = false;
                break;
            };
            match member.socket.recv_from(&mut buffer) {
                // Answers come from the usual port (RFC 6762 section 6).
                Ok((length, source)) if source.port() == self.group.port() => {
                    let packet = buffer.get(..length).unwrap_or_default();
                    found.extend(self.names.handle_datagram(packet));
                    self.leave_if_done();
                }
                Ok(_) => {}
                Err(error) if is_transient(&error) => {}
                Err(_) => {
                    self.is_ready = false;
                    break;
                }
            }
        }
        found
    }

    /// Sends the questions that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let questions = self.names.handle_timeout(now);
        if let Some(member) = &self.member {
            member.send(self.group, &questions);
        }
        self.leave_if_done();
    }

    fn leave_if_done(&mut self) {
        if self.names.next_timeout().is_none() {
            self.member = None;
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.names.next_timeout()
    }
}

impl Member {
    /// Opens a socket on the usual port, which it shares with other programs of this machine that
    /// answer or ask (RFC 6762 section 15.1).
    fn open(registry: &Registry, token: Token, port: u16) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // The TTL of RFC 6762 section 11.
        socket.set_multicast_ttl_v4(255)?;
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        socket.bind(&any.into())?;
        let mut socket = UdpSocket::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Member {
            socket,
            joined: BTreeSet::new(),
        })
    }

    fn join(&mut self, group: Ipv4Addr, interfaces: impl Iterator<Item = IpAddr>) {
        for interface in interfaces {
            let IpAddr::V4(interface) = interface else {
                continue;
            };
            if self.joined.contains(&interface) {
                continue;
            }
            match SockRef::from(&self.socket).join_multicast_v4(&group, &interface) {
                Ok(()) => {
                    self.joined.insert(interface);
                }
                Err(error) => log::debug!("no multicast on {interface}: {error}"),
            }
        }
    }

    fn send(&self, group: SocketAddrV4, questions: &[Vec<u8>]) {
        for interface in &self.joined {
            if let Err(error) = SockRef::from(&self.socket).set_multicast_if_v4(interface) {
                log::debug!("no multicast on {interface}: {error}");
                continue;
            }
            for question in questions {
                if let Err(error) = self.socket.send_to(question, group.into()) {
                    log::debug!("asking on {interface}: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::Poll;

    use super::*;

    const MOMENT: std::time::Duration = std::time::Duration::from_secs(5);

    /// Returns a socket that shares the group's port, as a responder does, and the address at which it
    /// reaches the other.
    fn neighbour() -> (std::net::UdpSocket, SocketAddrV4) {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_reuse_port(true).unwrap();
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&address.into()).unwrap();
        let socket = std::net::UdpSocket::from(socket);
        let port = socket.local_addr().unwrap().port();
        (socket, SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), port))
    }

    fn asking(registry: &Registry, port: u16) -> Multicast {
        let group = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), port);
        let mut multicast = Multicast::new(Token(0), group);
        multicast.ask(Instant::now(), registry, "a.local", std::iter::empty());
        multicast
    }

    /// Returns an answer that gives `a.local` the address 192.0.2.7.
    fn answer() -> Vec<u8> {
        let header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        let record = [0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 192, 0, 2, 7];
        [&header[..], b"\x01a\x05local\0", &record].concat()
    }

    fn wait(poll: &mut Poll, multicast: &mut Multicast) {
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(MOMENT)).unwrap();
        assert!(!events.is_empty());
        multicast.ready();
    }

    #[test]
    fn of_a_flood_no_more_is_read_at_once_than_of_any_source() {
        let mut poll = Poll::new().unwrap();
        let (neighbour, socket) = neighbour();
        let mut multicast = asking(poll.registry(), socket.port());
        for _ in 0..limits::SOURCE_BUDGET {
            neighbour.send_to(b"noise", socket).unwrap();
        }
        neighbour.send_to(&answer(), socket).unwrap();
        wait(&mut poll, &mut multicast);
        assert_eq!(multicast.receive(), []);
        assert!(multicast.is_ready(), "the rest is not forgotten");
        assert_eq!(multicast.receive().len(), 1);
    }

    #[test]
    fn the_socket_is_there_only_while_a_name_is_asked_for() {
        let mut poll = Poll::new().unwrap();
        let (neighbour, socket) = neighbour();
        let mut multicast = asking(poll.registry(), socket.port());
        neighbour.send_to(&answer(), socket).unwrap();
        wait(&mut poll, &mut multicast);
        let expected = [("a.local".to_owned(), IpAddr::from([192, 0, 2, 7]))];
        assert_eq!(multicast.receive(), expected);
        assert!(multicast.member.is_none() && !multicast.is_ready());

        let now = Instant::now();
        multicast.ask(now, poll.registry(), "b.local", std::iter::empty());
        assert!(multicast.member.is_some());
        while let Some(next) = multicast.next_timeout() {
            multicast.handle_timeout(next);
        }
        assert!(multicast.member.is_none(), "nobody knows the name");
    }

    #[test]
    fn an_answer_from_another_port_is_none() {
        let mut poll = Poll::new().unwrap();
        let (_neighbour, socket) = neighbour();
        let mut multicast = asking(poll.registry(), socket.port());
        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(&answer(), socket).unwrap();
        wait(&mut poll, &mut multicast);
        assert_eq!(multicast.receive(), []);
        assert!(!multicast.is_ready());
    }
}
