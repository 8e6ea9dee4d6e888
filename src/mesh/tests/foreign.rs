//! A sidecar of another make, as the contract's parts 3 and 4 describe those in the field: it makes
//! a new connection on every offer and forgets its own, and drops everything with its registry.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::agent;
use super::ledger::Sender;
use super::network::Place;
use super::world::World;
use crate::mesh::link::{Channel, Datagram, Link, LinkOutput, Linker, Packets};
use crate::nat::candidate::LocalCandidate;
use crate::protocol::PeerId;
use crate::protocol::message::Message;
use crate::protocol::signaling::{Extension, Incoming, Outgoing, Signal};

/// After this long without a datagram it takes a connection for dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(25);

struct Connection<L> {
    link: L,
    is_described: bool,
    is_open: bool,
    candidates: Vec<String>,
    heard: Instant,
    timeout: Instant,
}

pub(super) struct Foreign<K: Linker> {
    pub(super) name: PeerId,
    address: SocketAddr,
    stack: K,
    connections: BTreeMap<PeerId, Connection<K::Link>>,
    /// Reads nothing.
    pub(super) is_stalled: bool,
    /// Ends each connection once it is open.
    pub(super) hangs_up: bool,
    /// How long it gathers candidates before it answers.
    pub(super) gathers_for: Duration,
    /// Offers that it will answer: when, whose, and their text.
    offers: VecDeque<(Instant, PeerId, String)>,
}

impl<K: Linker> Foreign<K> {
    fn candidate(&self) -> LocalCandidate {
        let address = self.address;
        LocalCandidate::Host { address }
    }

    pub(super) fn new(name: PeerId, address: SocketAddr, stack: K) -> Self {
        Foreign {
            name,
            address,
            stack,
            connections: BTreeMap::new(),
            is_stalled: false,
            hangs_up: false,
            gathers_for: Duration::ZERO,
            offers: VecDeque::new(),
        }
    }

    /// Was away, and answers all that has waited for it.
    pub(super) fn returns(&mut self, now: Instant) {
        self.gathers_for = Duration::ZERO;
        for (at, ..) in &mut self.offers {
            *at = now;
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let answers = self.offers.iter().map(|(at, ..)| *at);
        self.connections
            .values()
            .map(|connection| connection.timeout.min(connection.heard + PATIENCE))
            .chain(answers)
            .min()
    }

    pub(super) fn is_connected_to(&self, peer: &PeerId) -> bool {
        self.connections
            .get(peer)
            .is_some_and(|connection| connection.is_open)
    }

    fn add(&mut self, now: Instant, peer: &PeerId, link: K::Link, is_described: bool) {
        let candidates = self
            .connections
            .remove(peer)
            .map(|old| old.candidates)
            .unwrap_or_default();
        let mut connection = Connection {
            link,
            is_described,
            is_open: false,
            candidates: Vec::new(),
            heard: now,
            timeout: now,
        };
        // Candidates may have come before the offer that they belong to.
        for candidate in candidates.iter().filter(|_| is_described) {
            let _ = connection.link.add_remote_candidate(candidate);
        }
        self.connections.insert(peer.clone(), connection);
    }
}

impl<K: Linker> World<K> {
    pub(super) fn foreign_at(&mut self, place: Place) -> &mut Foreign<K> {
        let ours = self.nodes.len();
        &mut self.foreign[place - ours]
    }

    pub(super) fn foreign_lost_registry(&mut self, place: Place) {
        if place >= self.nodes.len() {
            self.foreign_at(place).connections.clear();
        }
    }

    fn foreign_signal(&mut self, place: Place, target: &PeerId, signal: Signal) {
        let frame = Outgoing::Relay {
            target: target.clone(),
            signal,
            extension: Extension::default(),
        };
        self.tell_registry(place, &frame);
    }

    pub(super) fn foreign_frame(&mut self, place: Place, frame: Incoming) {
        match frame {
            Incoming::PeerList { peers, .. } => {
                for peer in peers {
                    if !self.foreign_at(place).connections.contains_key(&peer) {
                        self.foreign_offers(place, &peer);
                    }
                }
            }
            Incoming::Relay { sender, signal, .. } => {
                self.foreign_hears(place, &sender, signal);
            }
            Incoming::Unknown { .. } => {}
        }
    }

    pub(super) fn foreign_offers(&mut self, place: Place, peer: &PeerId) {
        let now = self.now;
        let foreign = self.foreign_at(place);
        let (link, sdp) = foreign
            .stack
            .offer(now, &[foreign.candidate()], Packets::Full)
            .unwrap();
        foreign.add(now, peer, link, false);
        self.foreign_signal(place, peer, Signal::Offer { sdp });
    }

    fn foreign_hears(&mut self, place: Place, sender: &PeerId, signal: Signal) {
        let now = self.now;
        let foreign = self.foreign_at(place);
        match signal {
            Signal::Offer { sdp } => {
                let at = now + foreign.gathers_for;
                foreign.offers.push_back((at, sender.clone(), sdp));
                self.foreign_answers(place);
            }
            Signal::Answer { sdp } => {
                if let Some(connection) = foreign.connections.get_mut(sender)
                    && !connection.is_described
                    && connection.link.accept_answer(now, &sdp).is_ok()
                {
                    connection.is_described = true;
                    for candidate in std::mem::take(&mut connection.candidates) {
                        let _ = connection.link.add_remote_candidate(&candidate);
                    }
                }
            }
            Signal::Candidate { candidate } => {
                if let Some(connection) = foreign.connections.get_mut(sender) {
                    if connection.is_described {
                        let _ = connection.link.add_remote_candidate(&candidate);
                    } else {
                        connection.candidates.push(candidate);
                    }
                }
            }
        }
    }

    /// Answers the offers that it has gathered for.
    fn foreign_answers(&mut self, place: Place) {
        let now = self.now;
        let foreign = self.foreign_at(place);
        let Some((_, sender, offer)) = foreign.offers.pop_front_if(|(at, ..)| *at <= now) else {
            return;
        };
        if let Ok((link, sdp)) =
            foreign
                .stack
                .answer(now, &[foreign.candidate()], Packets::Full, &offer)
        {
            foreign.add(now, &sender, link, true);
            self.foreign_signal(place, &sender, Signal::Answer { sdp });
        }
    }

    pub(super) fn foreign_datagram(&mut self, place: Place, datagram: &Datagram<'_>) {
        let now = self.now;
        let foreign = self.foreign_at(place);
        let connection = foreign
            .connections
            .values_mut()
            .find(|connection| connection.link.accepts(now, datagram));
        if let Some(connection) = connection {
            let is_record = datagram.bytes.first() > Some(&3);
            connection.heard = now;
            if !(foreign.is_stalled && is_record) {
                connection.link.handle_datagram(now, datagram).unwrap();
            }
        }
    }

    pub(super) fn wake_foreign(&mut self) {
        let now = self.now;
        for place in self.nodes.len()..self.nodes.len() + self.foreign.len() {
            let foreign = self.foreign_at(place);
            foreign
                .connections
                .retain(|_, connection| now < connection.heard + PATIENCE);
            for connection in foreign.connections.values_mut() {
                if connection.timeout <= now {
                    connection.link.handle_timeout(now).unwrap();
                }
            }
            self.foreign_answers(place);
            self.drive_foreign(place);
        }
    }

    pub(super) fn drive_foreign(&mut self, place: Place) {
        let peers: Vec<_> = self.foreign_at(place).connections.keys().cloned().collect();
        for peer in peers {
            while let Some(connection) = self.foreign_at(place).connections.get_mut(&peer) {
                match connection.link.poll().unwrap() {
                    LinkOutput::Timeout(at) => {
                        connection.timeout = at;
                        if connection.is_open && self.foreign_at(place).hangs_up {
                            self.hang_up(place, &peer);
                        }
                        break;
                    }
                    LinkOutput::Transmit(transmit) => self.transmit(transmit),
                    LinkOutput::Opened(channel) => {
                        assert_eq!(channel, Channel::Mesh, "a second channel confuses others");
                        connection.is_open = true;
                    }
                    LinkOutput::Message(_, data) => {
                        let name = self.foreign_at(place).name.clone();
                        let message = Message::from_peer(&data).unwrap();
                        let number = message.request_id().unwrap().parse().unwrap();
                        self.ledger.delivered(place, &name, &peer, number);
                    }
                    LinkOutput::Closed => {
                        self.foreign_at(place).connections.remove(&peer);
                    }
                    LinkOutput::Pair { .. } | LinkOutput::Nominated => {}
                }
            }
        }
    }

    fn hang_up(&mut self, place: Place, peer: &PeerId) {
        if let Some(mut connection) = self.foreign_at(place).connections.remove(peer) {
            connection.link.close();
            while let Ok(LinkOutput::Transmit(transmit)) = connection.link.poll() {
                self.transmit(transmit);
            }
        }
    }

    /// It sends a message, if it has an open connection.
    pub(super) fn foreign_sends(&mut self, place: Place, peer: &PeerId, size: usize) {
        let now = self.now;
        if !self.foreign_at(place).is_connected_to(peer) {
            return;
        }
        let number = self.ledger.next_message();
        let text = agent::message(number, size);
        let connection = self.foreign_at(place).connections.get_mut(peer).unwrap();
        if connection
            .link
            .write(Channel::Mesh, text.as_bytes())
            .unwrap()
        {
            let sender = Sender {
                place,
                first_of_name: place,
                incarnation: 0,
                generation: None,
                wants_answer: false,
            };
            self.ledger.posted(now, sender, [peer.clone()]);
        }
        self.drive_foreign(place);
    }
}
