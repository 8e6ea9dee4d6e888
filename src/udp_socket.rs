//! UDP sockets for event loops.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Opens a UDP socket on which nothing waits. `is_of_one_family`: one of IPv6 takes no datagrams of IPv4.
///
/// # Errors
/// Those of the system.
pub(crate) fn bind(address: SocketAddr, is_of_one_family: bool) -> io::Result<Socket> {
    let socket = open(address, is_of_one_family)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Opens a UDP socket, as [`bind`] does, that the caller binds to this address.
///
/// # Errors
/// Those of the system.
pub(crate) fn open(address: SocketAddr, is_of_one_family: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(is_of_one_family)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}
