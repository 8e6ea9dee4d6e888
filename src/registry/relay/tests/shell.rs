//! The relay's event loop, step by step, with sockets of this machine.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::super::client::StreamId;
use super::super::event_loop;
use super::super::event_loop::{EventLoop, Unfinished};
use super::super::tokens::ListenerId;
use crate::config::relay::RelayConfig;
use crate::registry::limits;
use crate::registry::rates::Counted;
use crate::registry::socket::Socket;
use crate::secret::Secret;

/// The socket that is bound as it was set.
const MAIN: ListenerId = ListenerId(0);

const BINDING: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
];

/// A loop that has not looked at this machine's addresses yet, and trusts these proxies.
fn new(trusted_proxies: &str) -> EventLoop {
    let config = RelayConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        external: Vec::new(),
        host: None,
        ports: (49152, 65535),
        opened: "127.0.0.0/8".parse().unwrap(),
        bytes_per_second: 1_000_000,
    };
    let (_, orders) = bounded(1);
    let secret = Secret::new("s".to_owned());
    event_loop(&config, secret, trusted_proxies.parse().unwrap(), orders).unwrap()
}

/// Whoever comes to a new address before it has a socket of its own would be answered as another client than the one whom
/// the new socket knows.
#[test]
fn what_comes_before_its_address_has_a_socket_is_asked_again() {
    let mut relay = new("");
    let port = relay.listeners.address().port();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_nonblocking(true).unwrap();
    let mut buffer = [0; 1500];
    let mut ask = |relay: &mut EventLoop| {
        client.send_to(&BINDING, ("127.0.0.1", port)).unwrap();
        for place in 0..=limits::RELAY_ADDRESSES {
            relay.receive_of_clients(ListenerId(place), &mut buffer);
        }
        let mut answer = [0; 1500];
        client.recv_from(&mut answer).map_err(|error| error.kind())
    };
    assert_eq!(ask(&mut relay), Err(ErrorKind::WouldBlock));
    let asked = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(ask(&mut relay).unwrap().1, asked);
}

#[test]
fn the_addresses_are_looked_at_once_in_a_while_whatever_comes_of_it() {
    let mut relay = new("");
    let now = Instant::now() + Duration::from_secs(1);
    assert!(!relay.listeners.wants_look(ListenerId(1), now));
    assert!(relay.listeners.wants_look(MAIN, now));
    assert!(!relay.listeners.wants_look(MAIN, now));
    let later = now + limits::RELAY_LOOK_INTERVAL;
    assert!(relay.listeners.wants_look(MAIN, later));
}

/// The streams that are served when one more comes than an address may have.
fn streams_of_a_crowd(trusted_proxies: &str) -> usize {
    let mut relay = new(trusted_proxies);
    let address = IpAddr::from([127, 0, 0, 1]);
    for number in 0..limits::RELAY_STREAMS / limits::CONNECTION_SHARES {
        let id = StreamId(usize::MAX - number);
        relay.crowd.enter(id, Counted::address(address));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, from) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let socket = Socket::Plain(mio::net::TcpStream::from_std(stream));
    relay.serve(socket, from, &BINDING, &mut Unfinished::new());
    relay.streams.len()
}

#[test]
fn one_address_has_its_share_of_streams_unless_it_is_a_trusted_proxy() {
    assert_eq!(streams_of_a_crowd(""), 0);
    assert_eq!(streams_of_a_crowd("127.0.0.1"), 1);
}
