//! The results of `list_peers` and `status`: what is known of the registry, the peers and the network.

use std::time::Instant;

use super::Server;
use super::calls::Outcome;
use super::json::{json_string, push_member};
use super::results::{Peer, describe_findings};
use super::sidecar::Registry;
use crate::protocol::json::{Value, shorten, write_object};

impl Server {
    /// Returns the result of `list_peers`.
    pub(super) fn peers(&self, statistics: Value<'_>) -> Outcome {
        let mut connected = Vec::new();
        let mut others = Vec::new();
        let mut listed = Vec::new();
        statistics.members(|key, value| match key {
            "peers" => {
                value.elements(|peer| {
                    let peer = Peer::read(peer);
                    if peer.state == "connected" {
                        connected.push(peer);
                    } else {
                        others.push((peer.name, peer.state));
                    }
                });
            }
            "listed" => {
                value.elements(|name| listed.extend(name.string().map(String::from)));
            }
            _ => {}
        });
        for name in listed {
            let is_known = connected.iter().any(|peer| peer.name == name)
                || others.iter().any(|(known, _)| *known == name);
            if !is_known {
                others.push((name, "listed".to_owned()));
            }
        }
        let mut text = self.introduction();
        if connected.is_empty() {
            text.push_str("No peer is connected.\n");
        }
        for peer in &connected {
            text.push_str(&peer.line());
        }
        for (name, state) in &others {
            let name = shorten(name);
            text.push_str(&format!("- \"{name}\": not connected ({state})\n"));
        }
        let connected: Vec<_> = connected.iter().map(Peer::structured).collect();
        let others = others.iter().map(|(name, state)| {
            let mut json = String::new();
            write_object(&mut json, |out| {
                out.string("peer", name);
                out.string("state", state);
            });
            json
        });
        let others: Vec<_> = others.collect();
        let mut members = self.own_members();
        push_member(
            &mut members,
            "connected",
            &format!("[{}]", connected.join(",")),
        );
        push_member(
            &mut members,
            "not_connected",
            &format!("[{}]", others.join(",")),
        );
        Outcome::Done(text, members)
    }

    /// Ends a call of `status`. `findings`: the JSON text of the doctor's.
    pub(super) fn give_status(&mut self, number: u64, findings: &str, now: Instant) {
        let trouble = self.sidecar.trouble(now);
        let mut text = self.introduction();
        if let Some(trouble) = &trouble {
            text.push_str(&format!("{trouble}\n"));
        }
        if let Some(reason) = &self.sidecar.reason {
            text.push_str(&format!("The registry: {}\n", shorten(reason)));
        }
        if self.inbox.is_full() {
            text.push_str("The inbox is full, so those who send are slowed down: call inbox.\n");
        }
        if self.unread > 0 {
            let count = self.unread;
            text.push_str(&format!(
                "{count} messages were not kept, because MCP_ALLOW leaves the inbox out.\n"
            ));
        }
        let (described, kept) = describe_findings(findings);
        text.push_str(&described);
        let mut members = self.own_members();
        let state = if trouble.is_some() {
            "ended"
        } else {
            "running"
        };
        push_member(&mut members, "sidecar", &json_string(state));
        let reason = self.sidecar.reason.as_deref().map(json_string);
        push_member(
            &mut members,
            "registry_reason",
            reason.as_deref().unwrap_or("null"),
        );
        push_member(
            &mut members,
            "peers_connected",
            &self.sidecar.peers().to_string(),
        );
        let is_full = if self.inbox.is_full() {
            "true"
        } else {
            "false"
        };
        push_member(&mut members, "inbox_is_full", is_full);
        push_member(&mut members, "findings", &kept);
        self.end(number, Outcome::Done(text, members));
    }

    fn introduction(&self) -> String {
        let own = match &self.sidecar.name {
            Some(name) => format!("Your own name is \"{}\".", shorten(name)),
            None => "Your own name is not known yet: the registry gives it.".to_owned(),
        };
        let registry = match self.sidecar.registry {
            Registry::Connected => "The registry is connected.",
            Registry::Connecting => "The registry was not reached yet; try again in a second.",
            Registry::Disconnected => "The registry is not connected; it is tried again and again.",
            Registry::Refused => "The registry refuses us: the key or token is wrong.",
        };
        format!("{own} {registry}\n")
    }

    fn own_members(&self) -> String {
        let mut members = String::new();
        let name = self.sidecar.name.as_deref().map(json_string);
        push_member(&mut members, "own_name", name.as_deref().unwrap_or("null"));
        push_member(
            &mut members,
            "registry",
            &json_string(self.sidecar.registry.name()),
        );
        members
    }
}
