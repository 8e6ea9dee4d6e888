//! `GET /api/config`: the STUN and TURN servers, each caller with a login of its own (contract part 3).

use std::net::{IpAddr, SocketAddr};

use http::uri::Authority;
use serde_json::{Value, json};

use crate::protocol::PeerId;
use crate::registry::http::Request;
use crate::registry::relay;
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;

/// Our own relay, as clients reach it.
#[derive(Debug, Clone)]
pub(in crate::registry) struct OwnRelay {
    /// Its UDP socket.
    pub(in crate::registry) address: SocketAddr,
    /// `RELAY_HOST`; without it the host by which a client has found the registry.
    pub(in crate::registry) host: Option<String>,
    /// How it is reached over the registry's port; `None` if a proxy is before that.
    pub(in crate::registry) stream: Option<Stream>,
}

/// A way over the registry's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Stream {
    Tcp,
    Tls,
}

/// The servers that are named.
#[derive(Debug, Clone)]
pub(in crate::registry) struct IceServers {
    /// Entries that are handed out as they are.
    pub(in crate::registry) fixed: Vec<Value>,
    /// URLs of STUN servers.
    pub(in crate::registry) stun: Vec<String>,
    /// URLs of TURN servers that know the secret.
    pub(in crate::registry) turn: Vec<String>,
    pub(in crate::registry) relay: Option<OwnRelay>,
    /// The secret that all TURN servers share; also that of our own relay.
    pub(in crate::registry) secret: Secret,
}

impl IceServers {
    /// Names these servers and no others.
    #[cfg(test)]
    pub(super) fn fixed(servers: Vec<Value>) -> Self {
        IceServers {
            fixed: servers,
            stun: Vec::new(),
            turn: Vec::new(),
            relay: None,
            secret: Secret::new(String::new()),
        }
    }

    /// Returns the answer to a request. `peer` is the one whose key it bears; others get no logins.
    pub(super) fn answer(&self, request: &Request, peer: Option<&PeerId>, now: UnixTime) -> String {
        let (mut stun, mut turn) = (self.stun.clone(), self.turn.clone());
        let relay = self.relay.as_ref();
        if let Some((relay, reached)) = relay.zip(self.reached(request)) {
            let (host, port) = (reached.host, relay.address.port());
            stun.push(format!("stun:{host}:{port}"));
            turn.push(format!("turn:{host}:{port}?transport=udp"));
            // A proxy that nobody told us of may be before it, but then one names it.
            let is_forwarded = !request.forwarded_for().is_empty();
            turn.extend(
                relay
                    .stream
                    .filter(|_| !is_forwarded)
                    .map(|stream| match stream {
                        Stream::Tls => format!("turns:{host}:{}", reached.port.unwrap_or(443)),
                        Stream::Tcp => {
                            format!("turn:{host}:{}?transport=tcp", reached.port.unwrap_or(80))
                        }
                    }),
            );
        }
        let mut servers = self.fixed.clone();
        if !stun.is_empty() {
            servers.push(json!({ "urls": stun }));
        }
        if let Some(peer) = peer.filter(|_| !turn.is_empty()) {
            let login = relay::login(&self.secret, peer, now);
            servers.push(json!({
                "urls": turn,
                "username": login.username,
                "credential": login.password.reveal(),
            }));
        }
        json!({ "iceServers": servers }).to_string()
    }

    /// Returns where the client of a request reaches our relay.
    fn reached(&self, request: &Request) -> Option<Reached> {
        let relay = self.relay.as_ref()?;
        let authority = request
            .header("host")
            .and_then(|host| host.parse::<Authority>().ok());
        let authority = authority.filter(|authority| !authority.as_str().contains('@'));
        let by_client = authority
            .as_ref()
            .map(|authority| authority.host().to_owned());
        let bound = Some(relay.address.ip()).filter(|bound| !bound.is_unspecified());
        let bound = bound.map(|bound| match bound {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        });
        Some(Reached {
            host: relay.host.clone().or(by_client).or(bound)?,
            port: authority.and_then(|authority| authority.port_u16()),
        })
    }
}

/// A host as a URL has it, and the port of the registry there if it was told.
struct Reached {
    host: String,
    port: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::http::RequestBuffer;

    fn servers(relay: Option<OwnRelay>) -> IceServers {
        IceServers {
            relay,
            secret: Secret::new("opensesame".to_owned()),
            ..IceServers::fixed(Vec::new())
        }
    }

    fn own(stream: Option<Stream>, host: Option<&str>) -> Option<OwnRelay> {
        Some(OwnRelay {
            address: "0.0.0.0:3478".parse().unwrap(),
            host: host.map(str::to_owned),
            stream,
        })
    }

    /// The URLs that are named to a caller with a key.
    fn urls(servers: &IceServers, headers: &str) -> Vec<String> {
        let peer = PeerId::new("a").unwrap();
        let answer = answer(servers, headers, Some(&peer));
        let entries = answer["iceServers"].as_array().unwrap().iter();
        let urls = entries.flat_map(|entry| entry["urls"].as_array().unwrap());
        urls.map(|url| url.as_str().unwrap().to_owned()).collect()
    }

    fn answer(servers: &IceServers, headers: &str, peer: Option<&PeerId>) -> Value {
        let text = format!("GET /api/config HTTP/1.1\r\n{headers}\r\n");
        let request = RequestBuffer::default().push(text.as_bytes());
        let text = servers.answer(&request.unwrap().unwrap(), peer, UnixTime::now());
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_relay_is_named_as_the_registry_was_found() {
        let over_tls = servers(own(Some(Stream::Tls), None));
        let named = urls(&over_tls, "Host: mesh.example\r\n");
        assert_eq!(
            named,
            [
                "stun:mesh.example:3478",
                "turn:mesh.example:3478?transport=udp",
                "turns:mesh.example:443",
            ]
        );
        let over_tcp = servers(own(Some(Stream::Tcp), None));
        let named = urls(&over_tcp, "Host: [2001:db8::1]:8080\r\n");
        assert_eq!(named[2], "turn:[2001:db8::1]:8080?transport=tcp");
        assert!(urls(&over_tcp, "").is_empty(), "nothing tells where it is");
        assert!(urls(&over_tcp, "Host: a@b/c\r\n").is_empty());
    }

    #[test]
    fn a_proxy_leads_only_to_http() {
        let named = servers(own(Some(Stream::Tcp), Some("relay.example")));
        let behind = urls(&named, "Host: a\r\nX-Forwarded-For: 198.51.100.1\r\n");
        let expected = [
            "stun:relay.example:3478",
            "turn:relay.example:3478?transport=udp",
        ];
        assert_eq!(behind, expected);
        let told = servers(own(None, Some("relay.example")));
        assert_eq!(urls(&told, "Host: a\r\n"), expected);
    }

    #[test]
    fn only_callers_with_a_key_get_a_login_of_their_own() {
        let mut coturn = servers(None);
        coturn.stun = vec!["stun:coturn.example".to_owned()];
        coturn.turn = vec!["turn:coturn.example".to_owned()];
        let stranger = answer(&coturn, "", None);
        let entries = stranger["iceServers"].as_array().unwrap();
        assert_eq!(entries, &[json!({"urls": ["stun:coturn.example"]})]);
        let peer = PeerId::new("a").unwrap();
        let known = answer(&coturn, "", Some(&peer));
        let login = &known["iceServers"][1];
        let username = login["username"].as_str().unwrap();
        assert!(username.ends_with(":a"), "{username}");
        let secret = Secret::new("opensesame".to_owned());
        let password = crate::nat::credentials::password(&secret, username);
        assert_eq!(login["credential"], password.reveal());
    }
}
