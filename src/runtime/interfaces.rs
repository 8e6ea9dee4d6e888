//! The addresses that this machine has now.

use std::io;

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
