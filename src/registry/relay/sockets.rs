//! The relay's UDP sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;

use crate::registry::limits::RELAY_PORT_TRIES;
use crate::udp_socket;

/// Bytes of clients' datagrams that may wait to be read: what comes while the thread does something else.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Opens the socket on which clients are awaited. One of all IPv6 addresses is one of all IPv4 addresses, too.
pub(super) fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind(address, !address.ip().is_unspecified())?;
    // The system may give less.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// Opens a socket at one address beside the one on which clients are awaited at all. Nobody else gets its port there.
pub(super) fn listen_beside(all: &UdpSocket, address: SocketAddr) -> io::Result<UdpSocket> {
    let all = socket2::SockRef::from(all);
    // Only while both sockets permit it, they may have the same port.
    all.set_reuse_address(true)?;
    let opened = udp_socket::open(address, true).and_then(|socket| {
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.set_reuse_address(false)?;
        Ok(socket)
    });
    all.set_reuse_address(false)?;
    let socket = opened?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(UdpSocket::from_std(socket.into()))
}

/// Opens a socket on a free port of a range, at one address of ours or, if that is unspecified, all.
pub(super) fn relayed(address: IpAddr, (first, last): (u16, u16)) -> io::Result<UdpSocket> {
    let mut result = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..RELAY_PORT_TRIES {
        let port = fastrand::u16(first..=last);
        let bound = bind(SocketAddr::new(address, port), true);
        let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        if !bound.as_ref().is_err_and(is_taken) {
            return bound;
        }
        result = bound;
    }
    result
}

fn bind(address: SocketAddr, is_of_one_family: bool) -> io::Result<UdpSocket> {
    let socket = udp_socket::bind(address, is_of_one_family)?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// Returns the address that stands for all of a family.
pub(super) fn all(is_ipv4: bool) -> IpAddr {
    match is_ipv4 {
        true => Ipv4Addr::UNSPECIFIED.into(),
        false => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Returns our address on the way to another; `None` if there is no way.
pub(super) fn towards(other: SocketAddr) -> Option<IpAddr> {
    // Connecting such a socket sends nothing.
    let socket = std::net::UdpSocket::bind((all(other.is_ipv4()), 0)).ok()?;
    socket.connect(other).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Returns an address on the internet, of a documentation's network (RFC 5737, RFC 3849): the way there is the
/// default route.
pub(super) fn somewhere(is_ipv4: bool) -> SocketAddr {
    const DISCARD_PORT: u16 = 9;
    let address: IpAddr = match is_ipv4 {
        true => Ipv4Addr::new(192, 0, 2, 1).into(),
        false => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    SocketAddr::new(address, DISCARD_PORT)
}

/// Returns the addresses of this machine's interfaces.
pub(super) fn of_interfaces() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.iter().map(|interface| interface.ip()).collect())
}

/// Returns an address in the form that a socket sends to: one of all families sends to mapped IPv4 addresses.
pub(super) fn as_sent_from(socket: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (socket, to) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    }
}

/// Returns an address as others know it: an IPv4 address, if it is a mapped one.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
