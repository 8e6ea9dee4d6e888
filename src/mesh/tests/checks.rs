//! What has to hold at any time, and what has to hold once everything is calm.

use std::time::Duration;

use super::network::Place;
use super::world::World;
use crate::limits;
use crate::mesh::connection::Phase;
use crate::mesh::connection::intervals::Intervals;
use crate::mesh::link::Linker;
use crate::mesh::peer::session::Session;
use crate::protocol::PeerId;

/// Connections to one peer: the one in use, and an attempt of each side.
const CONNECTIONS_PER_PEER: usize = 3;

/// Whether this session is with the other one.
fn knows(session: &Session, other: &Session) -> bool {
    let theirs = session.theirs().map(|theirs| theirs.session.as_str());
    theirs == Some(other.own())
}

impl<K: Linker> World<K> {
    /// Holds one core against its bounds, and notes who can't be reached for how long.
    pub(super) fn check_bounds(&mut self, place: Place) {
        let node = &mut self.nodes[place];
        let mesh = &node.mesh;
        let settings = &mesh.settings;
        assert!(mesh.peers.len() - mesh.resting.len() <= settings.max_peers);
        assert!(mesh.resting.len() <= settings.max_peers);
        assert!(mesh.resting.iter().all(|id| mesh.peers.contains_key(id)));
        assert!(mesh.routes.len() <= settings.max_peers * limits::ROUTES_PER_PEER);
        let message = settings.limits.message_bytes + limits::ITEM_COST_BYTES;
        let (mut moving, mut aside) = (0, 0);
        for peer in mesh.peers.values() {
            let queued = peer.session.queued().cost();
            let most = settings.queue_bytes + settings.overflow_bytes + 2 * message;
            assert!(queued <= most, "{queued} bytes queued for {}", peer.id);
            let excess = queued.saturating_sub(settings.queue_bytes);
            if peer.is_out_of_the_way() {
                aside += excess;
            } else {
                moving += excess;
            }
            assert!(peer.session.unusable_runs() <= peer.inbox.items());
            assert!(peer.connections.len() <= CONNECTIONS_PER_PEER, "{peer:?}");
            assert!(peer.early.len() <= limits::CANDIDATES_PER_CONNECTION);
            assert!(peer.waiting.len() <= limits::WAITING_CONNECTS);
            // One message more, which was taken just below the limit.
            let most = mesh.inbox_limit() + settings.limits.message_bytes;
            assert!(
                peer.inbox.bytes() <= most || !peer.speaks_sessions,
                "{:?} of {}",
                peer.inbox,
                peer.id
            );
            // And what its link has already taken of the network.
            let most = most + limits::RECEIVE_BUFFER_BYTES;
            assert!(
                peer.inbox.cost() <= most || !peer.speaks_sessions,
                "{:?} of {}",
                peer.inbox,
                peer.id
            );
        }
        assert_eq!((moving, aside), mesh.overflow.sums(), "{place}");
        let one_each = mesh.peers.len() * message;
        assert!(aside <= settings.overflow_bytes + one_each, "{aside} bytes");
        let all = moving + aside;
        assert!(
            all <= 2 * (settings.overflow_bytes + one_each),
            "{all} bytes"
        );
        for connection in mesh.connections.values() {
            assert!(connection.early.len() <= limits::EARLY_MESSAGES);
        }
        self.excuse_losses(place);
    }

    /// Notes who could not be reached for longer than he is waited for, or was forgotten: his session is
    /// given up.
    fn excuse_losses(&mut self, place: Place) {
        let now = self.now;
        let node = &mut self.nodes[place];
        let settings = &node.mesh.settings;
        // A silence counts as one after a while, which is part of the time that a lost peer is waited for.
        let patience = settings
            .recovery_timeout
            .saturating_sub(Intervals::NORMAL.silent);
        let reachable = |id: &PeerId| node.mesh.peers.get(id).is_some_and(|peer| peer.reachable);
        let mut given_up = Vec::new();
        for other in (0..self.places.len()).filter(|other| *other != place) {
            let since = &mut node.unreachable[other];
            *since = match reachable(&self.names[other]) {
                true => None,
                false => Some(since.unwrap_or(now)),
            };
            if since.is_some_and(|since| now - since + Duration::from_secs(1) >= patience) {
                given_up.push(other);
            }
        }
        given_up.extend(
            (0..self.places.len()).filter(|other| {
                *other != place && !node.mesh.peers.contains_key(&self.names[*other])
            }),
        );
        for other in given_up {
            self.excuse(place, other);
        }
        for other in 0..self.nodes.len() {
            let agree = self.sessions_agree(place, other)
                && !self.is_doubled(place)
                && !self.is_doubled(other);
            let [one, other] = [place, other].map(|place| self.first_of_name(place));
            self.ledger.extend_excuse(now, one, other, agree);
        }
    }

    /// Whether each knows the other's session.
    fn sessions_agree(&self, one: Place, other: Place) -> bool {
        let session = |from: Place, to: Place| {
            let node = &self.nodes[from];
            let peer = node.mesh.peers.get(&self.names[to])?;
            node.is_running.then_some(&peer.session)
        };
        match (session(one, other), session(other, one)) {
            (Some(own), Some(theirs)) => knows(own, theirs) && knows(theirs, own),
            _ => false,
        }
    }

    /// Whether the two are connected, both ways, by one connection.
    pub(super) fn are_connected(&self, one: Place, other: Place) -> bool {
        let sees = |from: Place, to: Place| {
            let id = self.name(to);
            match self.nodes.get(from) {
                Some(node) => {
                    let peer = node.mesh.peers.get(id);
                    peer.is_some_and(|peer| {
                        peer.reachable && peer.connections.len() == 1 && peer.current.is_some()
                    })
                }
                None => self.foreign[from - self.nodes.len()].is_connected_to(id),
            }
        };
        sees(one, other) && sees(other, one)
    }

    pub(super) fn all_connected(&self) -> bool {
        let places = self.nodes.len() + self.foreign.len();
        (0..self.nodes.len()).all(|one| {
            (one + 1..places).all(|other| {
                !self.is_running(one) || !self.is_running(other) || self.are_connected(one, other)
            })
        })
    }

    pub(super) fn run_until_connected(&mut self, limit: Duration) -> Duration {
        self.run_until(limit, "all connected", World::all_connected)
    }

    /// How everybody stands, for the one who has to find out why a test failed.
    pub(super) fn report(&self) -> String {
        let mut lines = vec![format!("at {:?}", self.now - self.start)];
        for node in self.nodes.iter().filter(|node| node.is_running) {
            for peer in node.mesh.peers.values() {
                let connections = peer
                    .connections
                    .iter()
                    .filter_map(|id| Some((id, node.mesh.connections.get(id)?)))
                    .map(|(id, own)| (id.0, own.role, own.phase, &own.handshake));
                lines.push(format!(
                    "{} to {}: reachable {}, current {:?} of {:?}, idle {}, queued {}, inbox {}, {:?}",
                    node.name,
                    peer.id,
                    peer.reachable,
                    peer.current.map(|id| id.0),
                    connections.collect::<Vec<_>>(),
                    peer.session.is_idle(),
                    peer.session.queued().bytes(),
                    peer.inbox.bytes(),
                    peer.retry,
                ));
            }
            let (agent, waiting) = (&node.agent.generation, node.agent.waiting_requests());
            let answered = node.mesh.agent_is_answered();
            lines.push(format!(
                "  agent {agent:?}, answered {answered}, waiting {waiting}"
            ));
        }
        for foreign in &self.foreign {
            let is_connected = |name: &&PeerId| foreign.is_connected_to(name);
            let connected: Vec<_> = self.names.iter().filter(is_connected).collect();
            lines.push(format!("{} to {connected:?}", foreign.name));
        }
        lines.join("\n")
    }

    /// Nothing is under way any more.
    pub(super) fn is_settled(&self) -> bool {
        self.nodes
            .iter()
            .filter(|node| node.is_running)
            .all(|node| {
                node.agent.waiting_requests() == 0
                    && node.mesh.agent_is_answered()
                    && node.mesh.peers.values().all(|peer| {
                        peer.session.is_idle() && peer.waiting.is_empty() && peer.inbox.items() == 0
                    })
            })
    }

    /// Runs until all pairs are connected and all messages settled, and holds what is then left
    /// against what there may be.
    pub(super) fn settle(&mut self, limit: Duration) {
        self.run_until(limit, "all connected and settled", |world| {
            world.all_connected() && world.is_settled()
        });
        // Late acknowledgements and receipts of the transport.
        self.run_for(Duration::from_secs(8));
        assert!(
            self.all_connected(),
            "connections do not last; {}",
            self.report()
        );
        self.ledger.check_settled();
        self.check_agreement();
        self.check_calm();
    }

    /// Both sides of each pair use the same connection and have the same idea of who offered it.
    fn check_agreement(&self) {
        for (one, node) in self.nodes.iter().enumerate() {
            if !node.is_running {
                continue;
            }
            for (id, peer) in &node.mesh.peers {
                assert!(peer.session.is_idle() && peer.held.is_none());
                assert_eq!(peer.wanted, None);
                let own = node.mesh.current_of(id).unwrap();
                assert!(own.phase == Phase::Open && own.early.len() == 0);
                let Some(other) = self.places.get(id) else {
                    continue;
                };
                let theirs = self.nodes[*other].mesh.current_of(&node.name).unwrap();
                assert_eq!(own.attempt, theirs.attempt, "{one} and {other}");
                assert_ne!(own.role, theirs.role);
                assert!(own.speaks_sessions && theirs.speaks_sessions);
                let their_peer = &self.nodes[*other].mesh.peers[&node.name];
                assert!(knows(&peer.session, &their_peer.session));
            }
            let told = self.ledger.told.get(&one).cloned().unwrap_or_default();
            if node.agent.generation.is_some() {
                let reachable: Vec<&PeerId> = node.mesh.reachable().collect();
                assert_eq!(told.iter().collect::<Vec<_>>(), reachable, "agent of {one}");
            }
            assert!(node.mesh.broadcasts.deliveries() == 0);
            assert_eq!(node.mesh.overflow.sums(), (0, 0));
        }
    }

    /// In an idle world timers fire as often as liveness asks, and not more. What is lost is asked again.
    fn check_calm(&mut self) {
        let time = Duration::from_secs(10);
        let before: Vec<_> = self.nodes.iter().map(|node| node.wakes).collect();
        self.run_for(time);
        for (node, before) in self.nodes.iter().zip(before) {
            let wakes = node.wakes - before;
            let lost = u64::from(self.network.weather.lost);
            let most = 3 * time.as_secs() * (1 + node.mesh.peers.len() as u64);
            let most = most + most * 4 * lost / 100;
            assert!(wakes <= most, "{} woke {wakes} times while idle", node.name);
        }
    }
}
