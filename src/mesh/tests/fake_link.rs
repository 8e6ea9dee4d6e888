//! A deterministic stand-in for a WebRTC stack: descriptions, checks ([`super::fake_path`]), a
//! handshake, two streams ([`super::fake_stream`]) and a goodbye.
//!
//! Its datagrams are told apart by their first byte like the real ones (RFC 7983) and carry the tag
//! of the connection that they are meant for, so nothing of one connection disturbs another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fake_path::Paths;
use super::fake_stream::{Delivered, Streams};
use crate::mesh::link::description::{self, candidate_address};
use crate::mesh::link::{
    Certificates, Channel, Datagram, Link, LinkError, LinkOutput, Linker, Packets, Path, Transmit,
};
use crate::nat::candidate::LocalCandidate;
use crate::protocol::control::Control;

/// Bytes that fit into a link's buffers, for both channels.
const SEND_BUFFER_BYTES: usize = 2 * 1024 * 1024;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::from_secs(3600);

const GOODBYE: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// Makes fake links.
pub(in crate::mesh) struct FakeStack {
    random: fastrand::Rng,
    /// The number of its certificate.
    pub(super) certificate: u64,
    /// What the descriptions announce.
    max_message_bytes: Option<usize>,
    /// Its links tell one false number in so many; none if it is 0.
    pub(super) one_lie_in: u32,
}

impl FakeStack {
    pub(in crate::mesh) fn new(seed: u64, max_message_bytes: Option<usize>) -> Self {
        FakeStack {
            random: fastrand::Rng::with_seed(seed),
            certificate: seed,
            max_message_bytes,
            one_lie_in: 0,
        }
    }

    fn describe(&self, link: &FakeLink, candidates: &[LocalCandidate]) -> String {
        let mut sdp = format!("v=0\r\na=fake-tag:{:x}\r\n", link.own);
        let certificate = certificate(self.certificate);
        sdp.push_str(&format!("a=fingerprint:sha-256 {certificate}\r\n"));
        if let Some(size) = self.max_message_bytes {
            sdp.push_str(&format!("a=max-message-size:{size}\r\n"));
        }
        for local in candidates {
            sdp.push_str(&format!("a={}\r\n", candidate(local.source())));
        }
        sdp
    }

    fn link(&mut self, now: Instant, candidates: &[LocalCandidate], is_offerer: bool) -> FakeLink {
        let addresses: Vec<_> = candidates.iter().map(LocalCandidate::source).collect();
        let own = self.random.u64(1..);
        let lies = (self.one_lie_in > 0).then(|| (self.random.fork(), self.one_lie_in));
        FakeLink {
            lies,
            certificate: self.certificate,
            announced: None,
            theirs: None,
            own,
            now,
            is_offerer,
            paths: Paths::new(own, addresses, is_offerer),
            secure: Secure::Waiting { resend: None },
            streams: Streams::default(),
            output: VecDeque::new(),
            has_ended: false,
            candidates: 0,
        }
    }
}

/// The fingerprint of a certificate of this number.
pub(super) fn certificate(number: u64) -> String {
    let byte = |index: u32| format!("{:02X}", number.rotate_left(8 * index) as u8);
    (0..32).map(byte).collect::<Vec<_>>().join(":")
}

pub(super) fn candidate(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("candidate:1 1 udp 2130706431 {ip} {port} typ host")
}

impl Linker for FakeStack {
    type Link = FakeLink;

    fn fingerprint(&self) -> String {
        certificate(self.certificate)
    }

    fn offer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        _: Packets,
    ) -> Result<(FakeLink, String), LinkError> {
        let mut link = self.link(now, candidates, true);
        link.streams.open(Channel::Mesh);
        let sdp = self.describe(&link, candidates);
        Ok((link, sdp))
    }

    fn answer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        _: Packets,
        offer: &str,
    ) -> Result<(FakeLink, String), LinkError> {
        let mut link = self.link(now, candidates, false);
        link.described(offer)?;
        let sdp = self.describe(&link, candidates);
        Ok((link, sdp))
    }
}

/// How far the handshake is. The answerer begins it.
#[derive(Debug)]
enum Secure {
    Waiting { resend: Option<(Instant, Duration)> },
    Established,
}

/// One fake connection.
#[derive(Debug)]
pub(in crate::mesh) struct FakeLink {
    own: u64,
    certificate: u64,
    /// The fingerprint of the peer's certificate, as its description has it.
    announced: Option<String>,
    /// The peer's certificate.
    theirs: Option<u64>,
    lies: Option<(fastrand::Rng, u32)>,
    /// Of the last input, as str0m has it.
    now: Instant,
    is_offerer: bool,
    paths: Paths,
    secure: Secure,
    streams: Streams,
    output: VecDeque<LinkOutput>,
    has_ended: bool,
    /// How many candidates of the peer it was given.
    pub(super) candidates: usize,
}

impl FakeLink {
    fn described(&mut self, sdp: &str) -> Result<(), LinkError> {
        let tag = sdp
            .lines()
            .find_map(|line| line.strip_prefix("a=fake-tag:"))
            .and_then(|tag| u64::from_str_radix(tag, 16).ok())
            .ok_or_else(|| LinkError("the session description cannot be read".into()))?;
        self.paths.describe(self.now, tag);
        self.announced = description::fingerprint(sdp);
        for line in sdp.lines().filter_map(|line| line.strip_prefix("a=")) {
            if let Some((address, _)) = candidate_address(line) {
                self.candidates += 1;
                self.paths.add_remote(self.now, address);
            }
        }
        Ok(())
    }

    fn record(&self, kind: u8, body: &[u8]) -> Option<Transmit> {
        let (source, destination) = self.paths.selected()?;
        let mut bytes = vec![kind];
        bytes.extend(self.paths.theirs()?.to_be_bytes());
        bytes.extend(body);
        Some(Transmit {
            source,
            destination,
            bytes,
        })
    }

    fn send_record(&mut self, kind: u8, body: &[u8]) {
        self.output
            .extend(self.record(kind, body).map(LinkOutput::Transmit));
    }

    fn is_established(&self) -> bool {
        matches!(self.secure, Secure::Established)
    }

    fn handle_record(&mut self, datagram: &Datagram<'_>) {
        let body = match datagram.bytes.get(1..9) {
            Some(tag) if tag == self.own.to_be_bytes() => &datagram.bytes[9..],
            // Of another connection: would not be authentic.
            _ => return,
        };
        match datagram.bytes[0] {
            GOODBYE if self.is_established() => {
                self.has_ended = true;
                self.output.push_back(LinkOutput::Closed);
                // As the real one it says so too, after it has told.
                self.send_record(GOODBYE, &[]);
            }
            HANDSHAKE => self.handle_handshake(body),
            // Data of the client says as much as its last handshake message.
            DATA if self.theirs.is_some() && (self.is_offerer || self.is_established()) => {
                self.secure = Secure::Established;
                for (channel, delivered) in self.streams.handle(body) {
                    self.output.push_back(match delivered {
                        Delivered::Opened => LinkOutput::Opened(channel),
                        Delivered::Message(message) => LinkOutput::Message(channel, message),
                    });
                }
            }
            _ => {}
        }
    }

    fn send_handshake(&mut self, step: u8) {
        let certificate = self.certificate.to_be_bytes();
        self.send_record(HANDSHAKE, &[&[step][..], &certificate].concat());
    }

    /// Each message bears the sender's certificate, which has to be the one of its description.
    fn handle_handshake(&mut self, body: &[u8]) {
        let Some((step, theirs)) = body.split_first() else {
            return;
        };
        let theirs = u64::from_be_bytes(theirs.try_into().unwrap());
        if self.announced != Some(certificate(theirs)) {
            self.has_ended = true;
            return self.output.push_back(LinkOutput::Closed);
        }
        self.theirs = Some(theirs);
        match (self.is_offerer, step) {
            (true, 1) => {
                self.send_handshake(2);
                if let Secure::Waiting { resend } = &mut self.secure {
                    resend.get_or_insert((self.now + FIRST_WAIT, FIRST_WAIT));
                }
            }
            (true, 3) => self.secure = Secure::Established,
            (false, 2) => {
                self.secure = Secure::Established;
                self.send_handshake(3);
            }
            _ => {}
        }
    }

    /// The handshake message that is due.
    fn continue_handshake(&mut self) {
        let now = self.now;
        let has_path = self.paths.selected().is_some();
        let Secure::Waiting { resend } = &mut self.secure else {
            return;
        };
        match resend {
            None if !self.is_offerer && has_path => {
                *resend = Some((now + FIRST_WAIT, FIRST_WAIT));
            }
            Some((at, wait)) if *at <= now => {
                *wait *= 2;
                *at = now + *wait;
            }
            _ => return,
        }
        self.send_handshake(if self.is_offerer { 2 } else { 1 });
    }
}

/// A control frame whose number is another, one in so many times.
fn distorted(random: &mut fastrand::Rng, one_in: u32, frame: &[u8]) -> Vec<u8> {
    let mut distort = |number: u64| match (random.u32(..one_in), random.u32(..3)) {
        (0, 0) => number.saturating_sub(random.u64(1..5)),
        (0, 1) => number.saturating_add(random.u64(1..5)),
        (0, _) => random.u64(..),
        _ => number,
    };
    match Control::parse(frame) {
        Some(Control::Hello(mut hello)) => {
            hello.received = distort(hello.received);
            Control::Hello(hello).to_text().into()
        }
        Some(Control::Ack { taken, window }) => {
            let taken = distort(taken);
            Control::Ack { taken, window }.to_text().into()
        }
        Some(
            Control::Ping { .. } | Control::Pong { .. } | Control::Frame { .. } | Control::Rest,
        )
        | None => frame.to_vec(),
    }
}

impl Link for FakeLink {
    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), LinkError> {
        self.now = now;
        self.described(sdp)
    }

    fn add_remote_candidate(&mut self, candidate: &str) -> Result<(), LinkError> {
        let (address, _) = candidate_address(candidate)
            .ok_or_else(|| LinkError("a candidate of no use".into()))?;
        self.candidates += 1;
        self.paths.add_remote(self.now, address);
        Ok(())
    }

    fn add_local_candidate(&mut self, local: LocalCandidate) -> Option<String> {
        self.paths.add_local(self.now, local.source());
        Some(candidate(local.source()))
    }

    fn remove_local_candidate(&mut self, local: LocalCandidate) {
        self.paths.remove_local(self.now, local.source());
    }

    fn check_again(&mut self, now: Instant, _: &[LocalCandidate]) {
        self.paths.check_again(now);
    }

    fn has_path(&self) -> bool {
        self.paths.selected().is_some()
    }

    fn certificates(&mut self) -> Option<Certificates> {
        Some(Certificates {
            ours: certificate(self.certificate),
            theirs: certificate(self.theirs?),
        })
    }

    /// Its checks are none of STUN, so its paths are not measured.
    fn prefer(
        &mut self,
        _: Instant,
        _: Path,
        _: &[LocalCandidate],
        _: &[SocketAddr],
    ) -> Result<(), LinkError> {
        Ok(())
    }

    fn ask(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        let check = self.paths.ask(now, local, remote);
        self.output.extend(check.map(LinkOutput::Transmit));
    }

    fn retransmit(&mut self, now: Instant) -> Result<(), LinkError> {
        self.now = now;
        self.streams.retransmit();
        Ok(())
    }

    fn accepts(&self, _: Instant, datagram: &Datagram<'_>) -> bool {
        match datagram.bytes.first() {
            Some(0..=3) => self.paths.accepts(datagram.bytes),
            _ => self.paths.knows(datagram.source),
        }
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<(), LinkError> {
        self.now = now;
        if self.has_ended {
            return Ok(());
        }
        if let Some(20..=63) = datagram.bytes.first() {
            self.handle_record(datagram);
        } else {
            let (answer, round_trip) = self.paths.handle(now, datagram);
            self.output.extend(answer.map(LinkOutput::Transmit));
            if let (Some((local, remote)), Some(_)) = (self.paths.selected(), round_trip) {
                self.output.push_back(LinkOutput::Pair {
                    local,
                    remote,
                    round_trip,
                });
            }
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        self.now = now;
        let checks = self.paths.handle_timeout(now);
        self.output
            .extend(checks.into_iter().map(LinkOutput::Transmit));
        self.streams.handle_timeout(now);
        Ok(())
    }

    fn poll(&mut self) -> Result<LinkOutput, LinkError> {
        if let Some(output) = self.output.pop_front() {
            return Ok(output);
        }
        if self.has_ended {
            return Ok(LinkOutput::Timeout(self.now + NEVER));
        }
        self.continue_handshake();
        if self.is_established()
            && self.paths.selected().is_some()
            && let Some(packet) = self.streams.poll(self.now)
        {
            self.send_record(DATA, &packet);
        }
        if let Some(output) = self.output.pop_front() {
            return Ok(output);
        }
        let resend = match self.secure {
            Secure::Waiting { resend } => resend.map(|(at, _)| at),
            Secure::Established => self.streams.next_timeout(),
        };
        let next = [self.paths.next_timeout(), resend].into_iter().flatten();
        Ok(LinkOutput::Timeout(next.min().unwrap_or(self.now + NEVER)))
    }

    fn open_control(&mut self) {
        self.streams.open(Channel::Control);
    }

    fn write(&mut self, channel: Channel, message: &[u8]) -> Result<bool, LinkError> {
        if !self.streams.is_open(channel) {
            return Ok(false);
        }
        let buffered: usize = [Channel::Mesh, Channel::Control]
            .into_iter()
            .map(|channel| self.streams.buffered(channel))
            .sum();
        if buffered + message.len() > SEND_BUFFER_BYTES {
            return Ok(false);
        }
        match (&mut self.lies, channel) {
            (Some((random, one_in)), Channel::Control) => {
                let distorted = distorted(random, *one_in, message);
                self.streams.write(channel, &distorted);
            }
            _ => self.streams.write(channel, message),
        }
        Ok(true)
    }

    fn buffered(&mut self, channel: Channel) -> usize {
        self.streams.buffered(channel)
    }

    fn close(&mut self) {
        if self.is_established() {
            self.send_record(GOODBYE, &[]);
        }
        self.has_ended = true;
    }
}
