//! The addresses that this machine has now, and what errors of receiving there mean.

use std::io;
use std::net::IpAddr;

use crate::nat::host::InterfaceAddress;

/// Returns the addresses of interfaces that are up.
pub(crate) fn addresses() -> io::Result<Vec<InterfaceAddress>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    let up = found.filter(|found| found.is_oper_up() || found.is_loopback());
    let addresses = up.map(|found| InterfaceAddress {
        address: found.ip(),
        interface: found.name,
    });
    Ok(addresses.collect())
}

/// Returns all addresses of the machine, also those that peers are not told and those of interfaces that are
/// down.
pub(crate) fn all_addresses() -> io::Result<Vec<IpAddr>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    Ok(found.map(|found| found.ip()).collect())
}

/// Returns whether an error of receiving says nothing about the next datagram.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
