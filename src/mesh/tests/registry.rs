//! The simulated registry: registers, lists, relays, forgets everybody, drops what has no target.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::network::Place;
use super::world::{Happening, World};
use crate::mesh::link::Linker;
use crate::protocol::PeerId;
use crate::protocol::ipc::RegistryState;
use crate::protocol::signaling::{Extension, Incoming, Outgoing, Signal};

/// A frame on its way through the registry.
#[derive(Clone)]
pub(super) struct Relayed {
    pub(super) from: Place,
    pub(super) to: PeerId,
    pub(super) signal: Signal,
    pub(super) extension: Extension,
}

/// What becomes of two participants under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SameName {
    /// The later one takes the place of the earlier one, whose socket is closed.
    Displaces,
    /// Both stay; the later one gets the frames for the name.
    LatestHears,
    /// Both stay, and both get the frames for the name.
    AllHear,
}

/// Frames to deliver in place of one, each with a further delay.
pub(super) type Script = Box<dyn FnMut(Relayed) -> Vec<(Duration, Relayed)>>;

pub(super) struct Registry {
    pub(super) is_up: bool,
    pub(super) latency: Duration,
    /// Whether frames keep their order, as those of one socket do.
    pub(super) in_order: bool,
    /// What it does with a frame beside relaying it.
    pub(super) script: Script,
    pub(super) same_name: SameName,
    /// Who bears each name, the latest last.
    online: BTreeMap<PeerId, Vec<(Place, u64)>>,
    /// The number of each participant's socket, while it has one.
    sockets: BTreeMap<Place, u64>,
    next_socket: u64,
    /// The names in each report of a participant, in order.
    pub(super) reports: Vec<(Place, Vec<String>)>,
    last_arrival: BTreeMap<(Place, bool), Instant>,
}

impl Registry {
    pub(super) fn new() -> Self {
        Registry {
            is_up: true,
            latency: Duration::from_millis(1),
            in_order: true,
            script: Box::new(|relayed| vec![(Duration::ZERO, relayed)]),
            same_name: SameName::Displaces,
            online: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next_socket: 0,
            reports: Vec::new(),
            last_arrival: BTreeMap::new(),
        }
    }

    pub(super) fn has_socket(&self, place: Place) -> bool {
        self.sockets.contains_key(&place)
    }

    fn arrival(&mut self, now: Instant, place: Place, up: bool, extra: Duration) -> Instant {
        let at = now + self.latency + extra;
        if !self.in_order {
            return at;
        }
        let last = self.last_arrival.entry((place, up)).or_insert(at);
        *last = at.max(*last);
        *last
    }
}

/// From a lost registry connection to the next try.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(400);

impl<K: Linker> World<K> {
    /// The participant's signaling thread tries to reach the registry, now and until it does.
    pub(super) fn connect_to_registry(&mut self, place: Place) {
        if self.registry.has_socket(place) || !self.is_running(place) {
            return;
        }
        if !self.registry.is_up {
            let jitter = Duration::from_millis(self.random.u64(..200));
            return self.schedule(RECONNECT_INTERVAL + jitter, Happening::Reconnect(place));
        }
        let socket = self.registry.next_socket;
        self.registry.next_socket += 1;
        self.registry.sockets.insert(place, socket);
        let name = self.name(place).clone();
        let bearers = self.registry.online.entry(name.clone()).or_default();
        let earlier: Vec<_> = bearers.iter().map(|(place, _)| *place).collect();
        bearers.push((place, socket));
        if self.registry.same_name == SameName::Displaces {
            for earlier in earlier {
                self.disconnect_from_registry(earlier);
            }
        }
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(place) {
            node.mesh.registry_connected(now, name);
        }
        self.tell_registry(place, &Outgoing::Register);
        self.after_input(place);
    }

    /// The participant loses its connection to the registry; it will try again.
    pub(super) fn disconnect_from_registry(&mut self, place: Place) {
        let Some(socket) = self.registry.sockets.remove(&place) else {
            return;
        };
        self.registry.online.retain(|_, bearers| {
            bearers.retain(|(_, online)| *online != socket);
            !bearers.is_empty()
        });
        if let Some(node) = self.nodes.get_mut(place) {
            node.mesh
                .registry_disconnected(RegistryState::Disconnected, "gone".into());
        }
        self.foreign_lost_registry(place);
        self.after_input(place);
        let jitter = Duration::from_millis(self.random.u64(..200));
        self.schedule(RECONNECT_INTERVAL + jitter, Happening::Reconnect(place));
    }

    /// The registry ends; with `returns` it starts again at once, having forgotten everybody.
    pub(super) fn stop_registry(&mut self, returns: bool) {
        self.registry.is_up = returns;
        let places: Vec<_> = self.registry.sockets.keys().copied().collect();
        for place in places {
            self.disconnect_from_registry(place);
        }
    }

    /// A frame leaves a participant; dropped when that has no connection to the registry.
    pub(super) fn tell_registry(&mut self, from: Place, frame: &Outgoing) {
        let Some(socket) = self.registry.sockets.get(&from).copied() else {
            return;
        };
        let text = frame.to_text(self.name(from));
        let at = self.registry.arrival(self.now, from, true, Duration::ZERO);
        self.schedule_at(at, Happening::AtRegistry { from, socket, text });
    }

    pub(super) fn at_registry(&mut self, from: Place, socket: u64, text: &str) {
        if self.registry.sockets.get(&from) != Some(&socket) {
            return;
        }
        let frame: serde_json::Value = serde_json::from_str(text).unwrap();
        let own = self.name(from).clone();
        match frame["type"].as_str().unwrap() {
            "register" => {
                let peers: Vec<_> = self
                    .registry
                    .online
                    .keys()
                    .filter(|name| **name != own)
                    .map(PeerId::as_str)
                    .collect();
                let list = serde_json::json!({
                    "type": "peer_list", "peer_id": "registry", "payload": {"peers": peers},
                });
                self.hear_registry(from, Duration::ZERO, list.to_string());
            }
            "heartbeat" => {
                let names = frame["payload"]["mesh_peers"].clone();
                if let Ok(names) = serde_json::from_value(names) {
                    self.registry.reports.push((from, names));
                }
            }
            "offer" | "answer" | "ice_candidate" => {
                let to = PeerId::new(frame["target_id"].as_str().unwrap()).unwrap();
                let Ok(Incoming::Relay {
                    signal, extension, ..
                }) = Incoming::parse(text)
                else {
                    panic!("a frame that nobody understands: {text}");
                };
                let relayed = Relayed {
                    from,
                    to,
                    signal,
                    extension,
                };
                if self.attacker.is_some() {
                    return self.attacker_takes(relayed);
                }
                let relayed = (self.registry.script)(relayed);
                for (extra, relayed) in relayed {
                    self.relay(extra, relayed);
                }
            }
            _ => {}
        }
    }

    /// Relays a frame, or drops it silently when its target is not online.
    pub(super) fn relay(&mut self, extra: Duration, relayed: Relayed) {
        let bearers = self.registry.online.get(&relayed.to);
        let mut places: Vec<_> = bearers.into_iter().flatten().map(|(at, _)| *at).collect();
        if self.registry.same_name != SameName::AllHear {
            places.drain(..places.len().saturating_sub(1));
        }
        let name = self.name(relayed.from).clone();
        let text = Outgoing::Relay {
            target: relayed.to,
            signal: relayed.signal,
            extension: relayed.extension,
        }
        .to_text(&name);
        for place in places {
            self.hear_registry(place, extra, text.clone());
        }
    }

    fn hear_registry(&mut self, to: Place, extra: Duration, text: String) {
        let Some(socket) = self.registry.sockets.get(&to).copied() else {
            return;
        };
        let at = self.registry.arrival(self.now, to, false, extra);
        self.schedule_at(at, Happening::FromRegistry { to, socket, text });
    }

    pub(super) fn arrived_from_registry(&mut self, to: Place, socket: u64, text: &str) {
        if self.registry.sockets.get(&to) != Some(&socket) {
            return;
        }
        let Ok(frame) = Incoming::parse(text) else {
            return;
        };
        let now = self.now;
        match self.nodes.get_mut(to) {
            Some(node) => node.mesh.handle_frame(now, frame),
            None => self.foreign_frame(to, frame),
        }
        self.after_input(to);
    }
}
