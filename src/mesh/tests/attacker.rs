//! Somebody who holds the registry. He swaps fingerprints, sits between two sidecars, plays one of them, repeats
//! what he has seen, and strips frames of what shows that they are ours.
//!
//! He can't forge a certificate: what he does under another's name he does with his own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fake_link::{self, FakeStack};
use super::network::{self, Place};
use super::registry::Relayed;
use super::world::World;
use crate::mesh::link::{Channel, Datagram, Link, LinkOutput, Linker, Packets, description};
use crate::nat::candidate::LocalCandidate;
use crate::protocol::PeerId;
use crate::protocol::control::{Control, Hello};
use crate::protocol::signaling::{Extension, Signal};

/// What he says to agents, if anybody lets him.
const INJECTED: &str = r#"{"type":"evil","request_id":"evil"}"#;

/// Frames that he remembers.
const MEMORY: usize = 64;

/// His links live so long.
const LIFETIME: Duration = Duration::from_secs(20);

/// Somebody whom he plays towards somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mask {
    name: Place,
    victim: Place,
}

struct Line {
    mask: Mask,
    conn: Option<String>,
    link: <FakeStack as Linker>::Link,
    is_described: bool,
    /// The other one, if he sits between.
    partner: Option<usize>,
    born: Instant,
    timeout: Instant,
    /// What is to be written, once the channel is open.
    waiting: Vec<(Channel, Vec<u8>)>,
    open: Vec<Channel>,
}

/// The attacker, and what he has got.
pub(super) struct Attacker {
    stack: FakeStack,
    address: SocketAddr,
    random: fastrand::Rng,
    lines: BTreeMap<usize, Line>,
    next_line: usize,
    seen: Vec<Relayed>,
    proofs: BTreeSet<String>,
    sessions: BTreeMap<Place, String>,
    /// The attempts whose offerer he calls by another's name: who that is, and whose name.
    renamed: BTreeMap<String, (Place, Place)>,
    /// While not, he is an honest registry.
    pub(super) is_active: bool,
    /// Whether he makes ours pass for another make, which promises less.
    pub(super) strips: bool,
    /// Whether he calls ours by each other's names. Where nothing is demanded they believe it.
    pub(super) renames: bool,
    /// Whose offers he answers himself, saying nothing. Everything else he leaves alone.
    pub(super) answers: Option<Place>,
    /// Messages of ours that he has read.
    pub(super) read: u64,
    /// Messages of his that an agent of ours has taken.
    pub(super) accepted: u64,
    /// Channels that ours have opened with him.
    pub(super) reached: u64,
}

impl Attacker {
    pub(super) fn certificate() -> String {
        fake_link::certificate(Self::CERTIFICATE)
    }

    const CERTIFICATE: u64 = 0xbad;

    pub(super) fn new(place: Place, seed: u64) -> Self {
        let mut stack = FakeStack::new(seed, Some(super::world::MAX_MESSAGE_BYTES));
        stack.certificate = Self::CERTIFICATE;
        Attacker {
            stack,
            address: network::address(place, 0, 1, 4000),
            random: fastrand::Rng::with_seed(seed),
            lines: BTreeMap::new(),
            next_line: 0,
            seen: Vec::new(),
            proofs: BTreeSet::new(),
            sessions: BTreeMap::new(),
            renamed: BTreeMap::new(),
            is_active: true,
            strips: true,
            renames: false,
            answers: None,
            read: 0,
            accepted: 0,
            reached: 0,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let lines = self.lines.values();
        lines
            .map(|line| line.timeout.min(line.born + LIFETIME))
            .min()
    }

    fn candidates(&self) -> [LocalCandidate; 1] {
        let address = self.address;
        [LocalCandidate::Host { address }]
    }

    fn add(
        &mut self,
        now: Instant,
        mask: Mask,
        conn: Option<String>,
        link: <FakeStack as Linker>::Link,
        is_described: bool,
    ) -> usize {
        let id = self.next_line;
        self.next_line += 1;
        let line = Line {
            mask,
            conn,
            link,
            is_described,
            partner: None,
            born: now,
            timeout: now,
            waiting: Vec::new(),
            open: Vec::new(),
        };
        self.lines.insert(id, line);
        id
    }

    /// Offers a connection to the victim under the name; gives the frame of it.
    fn offer(&mut self, now: Instant, mask: Mask, extension: Extension) -> (usize, Signal) {
        let candidates = self.candidates();
        let (link, sdp) = self.stack.offer(now, &candidates, Packets::Full).unwrap();
        let id = self.add(now, mask, extension.conn, link, false);
        (id, Signal::Offer { sdp })
    }

    /// One of the proofs that he has seen.
    fn some_proof(&mut self) -> Option<String> {
        let proofs: Vec<_> = self.proofs.iter().cloned().collect();
        (!proofs.is_empty()).then(|| proofs[self.random.usize(..proofs.len())].clone())
    }

    /// A frame of one side on its way to the other, as he hands it on.
    fn altered(&mut self, frame: Vec<u8>) -> Vec<u8> {
        let Some(Control::Hello(mut hello)) = Control::parse(&frame) else {
            return frame;
        };
        self.proofs.extend(hello.proof.clone());
        match self.random.u32(..6) {
            0 => hello.proof = self.some_proof(),
            1 => hello.proof = None,
            2 => hello.received = self.random.u64(..5),
            _ => return frame,
        }
        Control::Hello(hello).to_text().into_bytes()
    }
}

impl World<FakeStack> {
    /// Somebody takes the registry over.
    pub(super) fn attack(&mut self, seed: u64) {
        let place = self.attacker_place();
        self.attacker = Some(Attacker::new(place, seed));
    }
}

impl<K: Linker> World<K> {
    pub(super) fn attacker_place(&self) -> Place {
        self.nodes.len() + self.foreign.len()
    }

    /// What becomes of a frame in his hands.
    pub(super) fn attacker_takes(&mut self, frame: Relayed) {
        let Some(to) = self.places.get(&frame.to).copied() else {
            return self.relay(Duration::ZERO, frame);
        };
        let Some(attacker) = &mut self.attacker else {
            return;
        };
        if let Some(session) = &frame.extension.session {
            attacker.sessions.insert(frame.from, session.clone());
        }
        if attacker.seen.len() == MEMORY {
            attacker.seen.remove(0);
        }
        attacker.seen.push(frame.clone());
        if !attacker.is_active {
            return self.relay(Duration::ZERO, frame);
        }
        let conn = frame.extension.conn.clone().unwrap_or_default();
        if let Some((offerer, name)) = attacker.renamed.get(&conn).copied() {
            if frame.from == offerer {
                return self.relay(
                    Duration::ZERO,
                    Relayed {
                        from: name,
                        ..frame
                    },
                );
            } else if to == name {
                let to = self.names[offerer].clone();
                return self.relay(Duration::ZERO, Relayed { to, ..frame });
            }
        }
        let between = attacker.lines.iter().find(|(_, line)| {
            let is_victim = line.mask.victim == frame.from && line.mask.name == to;
            is_victim && line.conn == frame.extension.conn
        });
        match (between.map(|(id, _)| *id), &frame.signal) {
            (Some(id), Signal::Answer { sdp }) => {
                let now = self.now;
                let line = attacker.lines.get_mut(&id).unwrap();
                if !line.is_described && line.link.accept_answer(now, sdp).is_ok() {
                    line.is_described = true;
                    if frame.extension.ours {
                        line.link.open_control();
                    }
                }
                return self.drive_attacker();
            }
            (Some(id), Signal::Candidate { candidate }) => {
                let line = attacker.lines.get_mut(&id).unwrap();
                let _ = line.link.add_remote_candidate(candidate);
                return self.drive_attacker();
            }
            _ => {}
        }
        if let Some(victim) = attacker.answers {
            if frame.from == victim && matches!(frame.signal, Signal::Offer { .. }) {
                let Some((_, answer)) = self.attacker_answers(to, &frame) else {
                    return;
                };
                self.relay(Duration::ZERO, answer);
                return self.drive_attacker();
            }
            return self.relay(Duration::ZERO, frame);
        }
        match attacker.random.u32(..20) {
            0 => {}
            1..3 => {
                let seen = &attacker.seen;
                let old = seen[attacker.random.usize(..seen.len())].clone();
                self.relay(Duration::ZERO, old);
                self.relay(Duration::ZERO, frame);
            }
            3..5 => {
                // Only the fingerprint: nobody has that certificate where the frame leads to.
                let swapped = |sdp: &str| {
                    let told = description::fingerprint(sdp).unwrap_or_default();
                    sdp.replace(&told, &Attacker::certificate())
                };
                let signal = match &frame.signal {
                    Signal::Offer { sdp } => Signal::Offer { sdp: swapped(sdp) },
                    Signal::Answer { sdp } => Signal::Answer { sdp: swapped(sdp) },
                    Signal::Candidate { .. } => frame.signal.clone(),
                };
                self.relay(Duration::ZERO, Relayed { signal, ..frame });
            }
            5 if attacker.strips => {
                let extension = Extension::default();
                self.relay(Duration::ZERO, Relayed { extension, ..frame });
            }
            6 if attacker.renames && matches!(frame.signal, Signal::Offer { .. }) => {
                let others = 0..self.nodes.len();
                let mut others = others.filter(|other| ![frame.from, to].contains(other));
                if let Some(name) = others.next_back() {
                    attacker.renamed.insert(conn, (frame.from, name));
                    return self.relay(
                        Duration::ZERO,
                        Relayed {
                            from: name,
                            ..frame
                        },
                    );
                }
                self.relay(Duration::ZERO, frame);
            }
            7..9 => self.relay(Duration::ZERO, frame),
            _ if matches!(frame.signal, Signal::Offer { .. }) => self.sit_between(to, frame),
            _ => self.relay(Duration::ZERO, frame),
        }
    }

    /// Answers an offer himself. Returns that line, and the frame of the answer.
    fn attacker_answers(&mut self, to: Place, frame: &Relayed) -> Option<(usize, Relayed)> {
        let now = self.now;
        let attacker = self.attacker.as_mut()?;
        let Signal::Offer { sdp } = &frame.signal else {
            return None;
        };
        let candidates = attacker.candidates();
        let answered = attacker.stack.answer(now, &candidates, Packets::Full, sdp);
        let (link, answer) = answered.ok()?;
        let conn = frame.extension.conn.clone();
        let mask = Mask {
            name: to,
            victim: frame.from,
        };
        let near = attacker.add(now, mask, conn.clone(), link, true);
        let session = attacker.sessions.get(&to).cloned();
        let answer = Relayed {
            from: to,
            to: self.names[frame.from].clone(),
            signal: Signal::Answer { sdp: answer },
            extension: Extension {
                ours: frame.extension.ours,
                conn,
                session,
                refused: None,
            },
        };
        Some((near, answer))
    }

    /// Answers an offer himself, and makes one of his own of it.
    fn sit_between(&mut self, to: Place, frame: Relayed) {
        let now = self.now;
        let Some((near, answer)) = self.attacker_answers(to, &frame) else {
            return;
        };
        let Some(attacker) = &mut self.attacker else {
            return;
        };
        let mask = Mask {
            name: frame.from,
            victim: to,
        };
        let (far, offer) = attacker.offer(now, mask, frame.extension.clone());
        attacker.lines.get_mut(&near).unwrap().partner = Some(far);
        attacker.lines.get_mut(&far).unwrap().partner = Some(near);
        let offer = Relayed {
            signal: offer,
            ..frame
        };
        self.relay(Duration::ZERO, answer);
        self.relay(Duration::ZERO, offer);
        self.drive_attacker();
    }

    /// Plays one of ours towards another, as if that went on with its session.
    pub(super) fn attacker_plays(&mut self, name: Place, victim: Place) {
        let now = self.now;
        let names = self.names.clone();
        let Some(attacker) = &mut self.attacker else {
            return;
        };
        let extension = Extension {
            ours: !attacker.strips || attacker.random.u32(..8) > 0,
            conn: Some(format!("{:x}", attacker.random.u64(..))),
            session: attacker.sessions.get(&name).cloned(),
            refused: None,
        };
        let (id, signal) = attacker.offer(now, Mask { name, victim }, extension.clone());
        let proof = attacker.some_proof();
        let hello = Control::Hello(Hello {
            session: extension.session.clone().unwrap_or("s".to_owned()),
            received: attacker.random.u64(..3),
            metered: false,
            udp_buffer: None,
            peer_id: Some(names[name].clone()),
            proof,
        });
        let line = attacker.lines.get_mut(&id).unwrap();
        let before = Control::Ack {
            taken: 1,
            window: 1 << 20,
        };
        if attacker.random.bool() {
            line.waiting
                .push((Channel::Control, before.to_text().into_bytes()));
        }
        line.waiting
            .push((Channel::Control, hello.to_text().into_bytes()));
        line.waiting.push((Channel::Mesh, INJECTED.into()));
        let frame = Relayed {
            from: name,
            to: names[victim].clone(),
            signal,
            extension,
        };
        self.relay(Duration::ZERO, frame);
    }

    pub(super) fn attacker_datagram(&mut self, datagram: &Datagram<'_>) {
        let now = self.now;
        let Some(attacker) = &mut self.attacker else {
            return;
        };
        for line in attacker.lines.values_mut() {
            if line.link.accepts(now, datagram) {
                line.link.handle_datagram(now, datagram).unwrap();
            }
        }
    }

    pub(super) fn wake_attacker(&mut self) {
        let now = self.now;
        let Some(attacker) = &mut self.attacker else {
            return;
        };
        attacker.lines.retain(|_, line| now < line.born + LIFETIME);
        for line in attacker.lines.values_mut() {
            if line.timeout <= now {
                line.link.handle_timeout(now).unwrap();
            }
        }
        self.drive_attacker();
    }

    pub(super) fn drive_attacker(&mut self) {
        // What one link hands on may give another something to send.
        while self.drive_lines() {}
    }

    fn drive_lines(&mut self) -> bool {
        let Some(attacker) = &mut self.attacker else {
            return false;
        };
        let ids: Vec<_> = attacker.lines.keys().copied().collect();
        let mut has_moved = false;
        for id in ids {
            while let Some(attacker) = &mut self.attacker
                && let Some(line) = attacker.lines.get_mut(&id)
            {
                let open = line.open.clone();
                let written = line
                    .waiting
                    .extract_if(.., |(channel, _)| open.contains(channel));
                for (channel, bytes) in written.collect::<Vec<_>>() {
                    let _ = line.link.write(channel, &bytes);
                    has_moved = true;
                }
                match line.link.poll().unwrap() {
                    LinkOutput::Timeout(at) => {
                        line.timeout = at;
                        break;
                    }
                    LinkOutput::Transmit(transmit) => self.transmit(transmit),
                    LinkOutput::Opened(channel) => {
                        line.open.push(channel);
                        attacker.reached += 1;
                    }
                    LinkOutput::Message(channel, data) => {
                        self.attacker_hears(id, channel, data);
                        has_moved = true;
                    }
                    LinkOutput::Closed => {
                        attacker.lines.remove(&id);
                    }
                    LinkOutput::Pair { .. } | LinkOutput::Nominated => {}
                }
            }
        }
        has_moved
    }

    fn attacker_hears(&mut self, id: usize, channel: Channel, data: Vec<u8>) {
        let Some(attacker) = &mut self.attacker else {
            return;
        };
        let data = match channel {
            Channel::Mesh => {
                attacker.read += 1;
                data
            }
            Channel::Control => attacker.altered(data),
        };
        // At times he says something of his own instead.
        let injects = attacker.random.u32(..10) == 0;
        let partner = attacker.lines.get(&id).and_then(|line| line.partner);
        if let Some(partner) = partner.and_then(|id| attacker.lines.get_mut(&id)) {
            partner.waiting.push((channel, data));
            if injects {
                partner.waiting.push((Channel::Mesh, INJECTED.into()));
            }
        }
    }

    /// An agent of ours has taken a message that nobody of ours has sent.
    pub(super) fn took_forged(&mut self, from_peer: &PeerId, number: Option<usize>) -> bool {
        let is_forged = number.is_none() && self.attacker.is_some();
        if let Some(attacker) = self.attacker.as_mut().filter(|_| is_forged) {
            attacker.accepted += 1;
            log::debug!("forged: {from_peer}");
        }
        is_forged
    }
}
