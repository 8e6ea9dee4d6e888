//! The servers to check: finds the STUN and TURN servers that there are, and their addresses.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use serde_json::json;

use super::background::Background;
use super::report::{Check, Finding};
use crate::config::Config;
use crate::nat::credentials::Credentials;
use crate::nat::url::{Host, StunUrl, TurnUrl};
use crate::protocol::ice_servers::IceServer;
use crate::runtime::network::registry_servers::usable;
use crate::runtime::network::resolver::look_up;
use crate::runtime::network::server_names::{relay_proxy, server_names};

/// The addresses of a server, or why they are not known.
pub(super) type Place = Result<Vec<SocketAddr>, String>;

/// The servers that a sidecar would use, in order of preference.
#[derive(Debug, Default)]
pub(super) struct Servers {
    pub(super) stun: Vec<(StunUrl, Place)>,
    pub(super) turn: Vec<Relay>,
    /// The finding on the registry's answer about servers, if it was asked.
    pub(super) finding: Option<Finding>,
}

/// A TURN server that a sidecar would use.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) url: TurnUrl,
    pub(super) credentials: Credentials,
    pub(super) place: Place,
    /// The place of the HTTP proxy that leads there over TCP or TLS, if there is one.
    pub(super) proxy: Option<Place>,
}

type Fetch = Background<Result<Vec<IceServer>, String>>;
type LookUps = BTreeMap<String, Background<io::Result<Vec<IpAddr>>>>;

/// Waits for the registry's servers, if it was asked for them, and for the addresses of all servers.
///
/// # Errors
/// The system gives no thread.
pub(super) fn find(
    config: &Config,
    fetch: Option<&Fetch>,
    deadline: Instant,
) -> io::Result<Servers> {
    // The names in the user's settings need not wait for the registry.
    let (stun, turn) = config.ice.joined(&[], &[]);
    let mut look_ups = LookUps::new();
    begin(&mut look_ups, config, &stun, &turn)?;

    let mut finding = None;
    let (mut named_stun, mut named_turn) = (Vec::new(), Vec::new());
    if let Some(fetch) = fetch {
        let late = || Err("no answer in time".to_owned());
        let fetched = fetch.wait(deadline).unwrap_or_else(late);
        let has_own = !stun.is_empty() || !turn.is_empty();
        finding = Some(match fetched {
            Ok(servers) => {
                (named_stun, named_turn) = usable(servers);
                named(named_stun.len(), named_turn.len())
            }
            Err(why) => unnamed(&why, has_own),
        });
    }
    let (stun, turn) = config.ice.joined(&named_stun, &named_turn);
    begin(&mut look_ups, config, &stun, &turn)?;

    let mut found = BTreeMap::new();
    for (name, look_up) in look_ups {
        let addresses = found_in_time(look_up.wait(deadline), config.ipv6);
        found.insert(name, addresses);
    }
    let place = |host: &Host, port: u16| -> Place {
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => found.get(name).cloned().unwrap_or_else(|| Ok(Vec::new()))?,
        };
        let addresses = addresses.into_iter();
        Ok(addresses
            .map(|address| SocketAddr::new(address, port))
            .collect())
    };
    let stun = stun.into_iter().map(|url| {
        let place = place(&url.host, url.port);
        (url, place)
    });
    let turn = turn.into_iter().map(|(url, credentials)| {
        let proxy = relay_proxy(&config.proxies, &url);
        Relay {
            place: place(&url.host, url.port),
            proxy: proxy.map(|(host, port)| place(&host, port)),
            url,
            credentials,
        }
    });
    Ok(Servers {
        stun: stun.collect(),
        turn: turn.collect(),
        finding,
    })
}

/// Begins to look up the names that are not being looked up yet.
fn begin(
    look_ups: &mut LookUps,
    config: &Config,
    stun: &[StunUrl],
    turn: &[(TurnUrl, Credentials)],
) -> io::Result<()> {
    for name in server_names(&config.proxies, stun, turn) {
        if let Entry::Vacant(vacant) = look_ups.entry(name) {
            let (asked, ipv6) = (vacant.key().clone(), config.ipv6);
            vacant.insert(Background::start(move || look_up(&asked, ipv6))?);
        }
    }
    Ok(())
}

fn found_in_time(
    answer: Option<io::Result<Vec<IpAddr>>>,
    ipv6: bool,
) -> Result<Vec<IpAddr>, String> {
    match answer {
        None => Err("its name was not found in time; does the DNS answer?".to_owned()),
        Some(Err(error)) => Err(format!("its name cannot be found ({error}); is it right?")),
        Some(Ok(addresses)) if addresses.is_empty() && !ipv6 => {
            Err("it has no address of IPv4, and IPV6=off".to_owned())
        }
        Some(Ok(addresses)) => Ok(addresses),
    }
}

fn named(stun: usize, turn: usize) -> Finding {
    let text = format!("the registry names {stun} STUN and {turn} TURN servers");
    Finding::ok(Check::Servers, text).details(json!({"stun": stun, "turn": turn}))
}

/// Returns the finding on a registry that names no servers. It is no failure: many registries have no such
/// answer.
fn unnamed(why: &str, has_own: bool) -> Finding {
    let text = format!("no servers of the registry: {why}");
    if has_own {
        Finding::ok(Check::Servers, text)
    } else {
        Finding::warn(Check::Servers, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_name_from_being_found_is_said() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(
            found_in_time(Some(Ok(vec![address])), true),
            Ok(vec![address])
        );
        assert!(
            found_in_time(None, true)
                .unwrap_err()
                .contains("does the DNS answer")
        );
        let unknown = io::Error::other("no such name");
        let why = found_in_time(Some(Err(unknown)), true).unwrap_err();
        assert_eq!(why, "its name cannot be found (no such name); is it right?");
        let why = found_in_time(Some(Ok(Vec::new())), false).unwrap_err();
        assert!(why.contains("IPV6=off"), "{why}");
    }

    #[test]
    fn a_registry_that_names_no_servers_is_a_warning_to_those_who_have_none() {
        assert!(unnamed("404", false).to_string().starts_with("warn"));
        assert!(unnamed("404", true).to_string().starts_with("ok"));
    }
}
