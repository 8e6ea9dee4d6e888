//! The names of STUN and TURN servers, and of the HTTP proxies to them, that are to be looked up.

use std::collections::BTreeSet;

use crate::config::proxy::Proxies;
use crate::nat::credentials::Credentials;
use crate::nat::url::{Host, StunUrl, Transport, TurnUrl};

/// Returns the names of which addresses are needed. The name of a server to which only a proxy leads is not
/// among them, because the proxy finds it; here it may be unknown.
pub(crate) fn server_names(
    proxies: &Proxies,
    stun: &[StunUrl],
    turn: &[(TurnUrl, Credentials)],
) -> BTreeSet<String> {
    let stun = stun.iter().map(|url| url.host.clone());
    let turn = turn.iter().flat_map(|(url, _)| {
        let proxy = relay_proxy(proxies, url).map(|(host, _)| host);
        let is_needed = proxy.is_none() || url.transports().contains(&Transport::Udp);
        proxy.into_iter().chain(is_needed.then(|| url.host.clone()))
    });
    let names = stun.chain(turn).filter_map(|host| match host {
        Host::Name(name) => Some(name),
        Host::Address(_) => None,
    });
    names.collect()
}

/// Returns the place of the HTTP proxy that leads to a TURN server over TCP or TLS, if there is one.
pub(crate) fn relay_proxy(proxies: &Proxies, url: &TurnUrl) -> Option<(Host, u16)> {
    if !url
        .transports()
        .iter()
        .any(|transport| *transport != Transport::Udp)
    {
        return None;
    }
    // One that can't be used is told at the start.
    let proxy = proxies.to_relay(&url.host.to_string(), url.port).ok()??;
    let host = match proxy.host().parse() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(proxy.host().to_owned()),
    };
    Some((host, proxy.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::settings::Flags;
    use crate::secret::Secret;

    fn names(proxy: &str, turn: &str) -> Vec<String> {
        let variable = |name: &str| (name == "ALL_PROXY").then(|| proxy.into());
        let config = Config::from(&Flags::default(), variable).unwrap();
        let login = Credentials::Shared(Secret::new("s".to_owned()));
        let stun = StunUrl::parse("stun:stun.test").unwrap();
        let turn = TurnUrl::parse(turn).unwrap();
        let names = server_names(&config.proxies, &[stun], &[(turn, login)]);
        names.into_iter().collect()
    }

    #[test]
    fn what_only_a_proxy_leads_to_is_not_looked_up() {
        assert_eq!(names("", "turns:turn.test"), ["stun.test", "turn.test"]);
        for turn in ["turns:turn.test", "turn:turn.test?transport=tcp"] {
            assert_eq!(names("proxy.test", turn), ["proxy.test", "stun.test"]);
            assert_eq!(names("192.0.2.1", turn), ["stun.test"]);
        }
        assert_eq!(
            names("proxy.test", "turn:turn.test"),
            ["proxy.test", "stun.test", "turn.test"]
        );
        assert_eq!(
            names("proxy.test", "turn:turn.test?transport=udp"),
            ["stun.test", "turn.test"]
        );
    }
}
