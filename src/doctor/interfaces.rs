//! The check of the machine's addresses: which are used.

use std::net::SocketAddr;

use serde_json::json;

use super::report::{Check, Finding, listed};
use crate::config::Config;
use crate::nat::host::{self, InterfaceAddress, Unused};
use crate::runtime::interfaces;
use crate::runtime::network::{sockets, told};

/// Returns what was found (the addresses in use, those that are not, and whether UDP sockets can be bound)
/// and where sockets are bound for the addresses in use. A sidecar that is running may hold the ports of a
/// narrow `UDP_PORT`.
pub(super) fn check(config: &Config, has_sidecar: bool) -> (Vec<Finding>, Vec<SocketAddr>) {
    let (rules, ports) = (config.address_rules(), config.udp_ports);
    let mut findings = Vec::new();
    let found = interfaces::addresses().unwrap_or_else(|error| {
        let what = told::unlisted(&rules, &error);
        findings.push(Finding::warn(Check::Interfaces, what));
        interfaces::unlisted_addresses(&rules, &config.known_servers())
    });
    let judged: Vec<_> = host::judge(&found, &rules).collect();
    findings.extend(report(&judged));
    let used = host::addresses(&found, &rules);
    let used: Vec<_> = used.iter().map(InterfaceAddress::socket_address).collect();
    for address in &used {
        if let Err(error) = sockets::bind_in_range(*address, ports) {
            let what = format!("no UDP socket on {}: {error}", address.ip());
            findings.push(match ports {
                Some((first, last)) if has_sidecar => Finding::warn(Check::Interfaces, what)
                    .advice(format!(
                        "the sidecar that runs has UDP_PORT {first}-{last}; what follows was \
                         checked from other ports"
                    )),
                Some(_) => Finding::fail(Check::Interfaces, what)
                    .advice("give UDP_PORT a port, or better three, that nobody else uses"),
                None => Finding::fail(Check::Interfaces, what),
            });
        }
    }
    (findings, used)
}

fn report(judged: &[(&InterfaceAddress, Option<Unused>)]) -> Vec<Finding> {
    let named = |found: &InterfaceAddress| format!("{} {}", found.interface, found.address);
    let used = judged.iter().filter(|(_, unused)| unused.is_none());
    let used: Vec<_> = used.map(|(found, _)| named(found)).collect();
    let ignored = judged.iter().filter_map(|(found, unused)| {
        let why = (*unused)?;
        Some(format!("{} ({why})", named(found)))
    });
    let ignored: Vec<_> = ignored.collect();
    let mut findings = vec![if used.is_empty() {
        Finding::fail(Check::Interfaces, "no address may be used")
            .advice("is the network up? look at INTERFACES, BIND_ADDRESS and IPV6")
    } else {
        Finding::ok(
            Check::Interfaces,
            format!("used: {}", listed(used.iter().cloned())),
        )
        .details(json!({"used": used}))
    }];
    if !ignored.is_empty() {
        let text = format!("not used: {}", listed(ignored.iter().cloned()));
        findings.push(Finding::ok(Check::Interfaces, text).details(json!({"unused": ignored})));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::interface_kind::InterfaceKind;

    #[test]
    fn what_is_used_and_what_is_not_is_said_with_the_reason() {
        let address = |interface: &str, address: &str| InterfaceAddress {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
            kind: InterfaceKind::of(interface, false, || false),
            index: 0,
            is_default: false,
        };
        let (eth0, docker0) = (
            address("eth0", "192.0.2.7"),
            address("docker0", "172.17.0.1"),
        );
        let findings = report(&[(&eth0, None), (&docker0, Some(Unused::Bridge))]);
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "ok    interfaces  used: eth0 192.0.2.7",
                "ok    interfaces  not used: docker0 172.17.0.1 (a bridge for containers, not named \
                 by INTERFACES)",
            ]
        );
        let none = report(&[(&docker0, Some(Unused::Bridge))]);
        assert!(
            none[0]
                .to_string()
                .starts_with("fail  interfaces  no address")
        );
    }
}
