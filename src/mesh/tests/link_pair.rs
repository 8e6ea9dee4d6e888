//! Two links of the real stack that are stepped by hand, datagram by datagram.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::world::MAX_MESSAGE_BYTES;
use crate::limits;
use crate::mesh::link::sctp_init::without_forward_tsn;
use crate::mesh::link::webrtc::WebRtc;
use crate::mesh::link::webrtc_link::WebRtcLink;
use crate::mesh::link::{Channel, Datagram, Link, LinkError, LinkOutput, Linker, Packets};
use crate::nat::candidate::LocalCandidate;

const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(10);

/// One of the two.
pub(super) struct End {
    pub(super) link: WebRtcLink,
    address: SocketAddr,
    is_open: bool,
    /// The datagrams that it has sent and that have not arrived yet.
    pub(super) sent: VecDeque<Vec<u8>>,
    /// The messages that it has received.
    pub(super) received: Vec<Vec<u8>>,
}

/// Both of them, with the channel `mesh` open.
pub(super) struct LinkPair {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    /// The size of the largest datagram so far.
    pub(super) largest: usize,
}

impl LinkPair {
    pub(super) fn connect(packets: Packets) -> LinkPair {
        let received = |sdp: &str| without_forward_tsn(sdp).into_owned();
        LinkPair::connect_with(packets, MAX_MESSAGE_BYTES, received)
    }

    /// Connects two that take messages of so many bytes. Descriptions arrive changed like this.
    pub(super) fn connect_with(
        packets: Packets,
        max_message_bytes: usize,
        received: impl Fn(&str) -> String,
    ) -> LinkPair {
        let now = Instant::now();
        let candidate = |address| [LocalCandidate::Host { address }];
        let host = Self::address;
        let mut webrtc = WebRtc::new(max_message_bytes).unwrap();
        let (mut first, offer) = webrtc.offer(now, &candidate(host(0)), packets).unwrap();
        let offer = received(&offer);
        let candidates = candidate(host(1));
        let (second, answer) = webrtc.answer(now, &candidates, packets, &offer).unwrap();
        let answer = received(&answer);
        first.accept_answer(now, &answer).unwrap();
        let end = |link, address| End {
            link,
            address,
            is_open: false,
            sent: VecDeque::new(),
            received: Vec::new(),
        };
        let ends = [end(first, host(0)), end(second, host(1))];
        let mut pair = LinkPair {
            now,
            ends,
            largest: 0,
        };
        while !pair.ends.iter().all(|end| end.is_open) {
            assert!(pair.now < now + PATIENCE, "not connected");
            pair.settle();
            pair.pass(STEP);
        }
        pair.settle();
        pair
    }

    /// Returns the address of one of the two.
    pub(super) fn address(side: u8) -> SocketAddr {
        ([192, 0, 2, side + 1], 5000).into()
    }

    /// Connects them, and sends from the first until SCTP puts much under way at once.
    pub(super) fn warmed_up(packets: Packets) -> LinkPair {
        let mut pair = LinkPair::connect(packets);
        for _ in 0..8 {
            assert!(pair.write(0, &[0; 60_000]));
            pair.settle();
        }
        pair.pass(STEP);
        pair.settle();
        pair
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in [0, 1] {
            self.ends[side].link.handle_timeout(self.now).unwrap();
            self.drain(side);
        }
    }

    /// Carries datagrams until there are no more.
    pub(super) fn settle(&mut self) {
        for side in [0, 1].into_iter().cycle() {
            while let Some(datagram) = self.ends[1 - side].sent.pop_front() {
                self.give(side, &datagram).unwrap();
                self.drain(side);
            }
            if self.ends.iter().all(|end| end.sent.is_empty()) {
                return;
            }
        }
    }

    /// The same, while time passes.
    pub(super) fn settle_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.settle();
            self.pass(STEP);
        }
    }

    /// Gives a datagram of the other side to a link, and no more.
    pub(super) fn give(&mut self, side: usize, bytes: &[u8]) -> Result<(), LinkError> {
        let datagram = Datagram {
            destination: self.ends[side].address,
            source: self.ends[1 - side].address,
            bytes,
        };
        self.ends[side].link.handle_datagram(self.now, &datagram)
    }

    /// Takes the outputs of a link, until it asks for a timeout.
    pub(super) fn drain(&mut self, side: usize) {
        let end = &mut self.ends[side];
        loop {
            match end.link.poll().unwrap() {
                LinkOutput::Transmit(transmit) => {
                    self.largest = self.largest.max(transmit.bytes.len());
                    end.sent.push_back(transmit.bytes);
                }
                LinkOutput::Opened(Channel::Mesh) => end.is_open = true,
                LinkOutput::Message(Channel::Mesh, message) => end.received.push(message),
                LinkOutput::Timeout(_) => return,
                _ => {}
            }
        }
    }

    /// Writes a message, and returns whether it had room.
    pub(super) fn write(&mut self, side: usize, message: &[u8]) -> bool {
        let has_room = self.ends[side].link.write(Channel::Mesh, message).unwrap();
        self.drain(side);
        has_room
    }
}

#[test]
fn packets_fit_wherever_the_least_path_of_ipv6_leads() {
    // 1,280 bytes for IPv6, less its header, that of UDP and that of a TURN channel.
    const MOST: usize = 1280 - 40 - 8 - 4;
    for (packets, most) in [(Packets::Full, MOST), (Packets::Small, 576)] {
        let mut pair = LinkPair::warmed_up(packets);
        for size in [1, 600, 1140, 1141, 1144, 1145, 1200, 1500, 20_000] {
            assert!(pair.write(0, &vec![b'x'; size]));
            pair.settle();
        }
        assert!(pair.largest <= most, "{} bytes", pair.largest);
    }
}

#[test]
fn a_kilobyte_and_its_envelope_are_one_packet() {
    for (size, packets) in [(1141, 1), (1144, 1), (1145, 2)] {
        let mut pair = LinkPair::warmed_up(Packets::Full);
        assert!(pair.write(0, &vec![b'x'; size]));
        assert_eq!(pair.ends[0].sent.len(), packets, "{size} bytes");
    }
}

/// Returns a description without the lines that hold this.
fn without(attribute: &str, sdp: &str) -> String {
    let lines = sdp.split_inclusive('\n');
    lines.filter(|line| !line.contains(attribute)).collect()
}

/// By itself str0m sends no more than 64 KiB.
#[test]
fn messages_may_be_as_large_as_is_announced() {
    const LARGE: usize = 1024 * 1024;
    let as_it_is = |sdp: &str| sdp.to_owned();
    let without_init = |sdp: &str| without("sctp-init", sdp);
    let received: [&dyn Fn(&str) -> String; 2] = [&as_it_is, &without_init];
    for received in received {
        let mut pair = LinkPair::connect_with(Packets::Full, LARGE, received);
        for side in [0, 1] {
            let message = vec![b'x'; LARGE];
            assert!(pair.write(side, &message));
            pair.settle_for(PATIENCE);
            assert!(pair.ends[1 - side].received == [message], "from {side}");
        }
    }
}

/// Without `a=setup` the offerer begins and the answerer waits (RFC 4145 section 4.1).
#[test]
fn an_answer_that_does_not_say_who_begins_dtls_waits_for_us() {
    let without_setup = |sdp: &str| without("a=setup", sdp);
    let mut pair = LinkPair::connect_with(Packets::Full, MAX_MESSAGE_BYTES, without_setup);
    assert!(pair.write(0, b"x"));
    pair.settle_for(PATIENCE);
    assert_eq!(pair.ends[1].received, [b"x"]);
}

/// Control frames do not depend on how large messages may be.
#[test]
fn control_frames_are_as_large_as_ever_where_messages_are_small() {
    let as_it_is = |sdp: &str| sdp.replace(":1024\r\n", ":262144\r\n");
    let mut pair = LinkPair::connect_with(Packets::Full, 1024, as_it_is);
    let frame = vec![b'x'; limits::CONTROL_FRAME_BYTES];
    assert!(pair.write(0, &frame));
    pair.settle_for(PATIENCE);
    assert!(pair.ends[1].received == [frame]);
}

/// A check that overtakes the answer is lost at best. libdatachannel even takes the connection that comes of it before it
/// knows our fingerprint, and refuses our certificate.
#[test]
fn checks_begin_a_little_after_the_answer_leaves() {
    let now = Instant::now();
    let mut webrtc = WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
    let candidates = |side| {
        [LocalCandidate::Host {
            address: LinkPair::address(side),
        }]
    };
    let (_, offer) = webrtc.offer(now, &candidates(0), Packets::Full).unwrap();
    let without_init = without("sctp-init", &offer);
    for offer in [offer, without_init] {
        let answered = webrtc.answer(now, &candidates(1), Packets::Full, &offer);
        let (mut answerer, _) = answered.unwrap();
        match answerer.poll().unwrap() {
            LinkOutput::Timeout(at) => {
                assert!(at >= now + STEP, "{:?}", at.saturating_duration_since(now))
            }
            other => panic!("{other:?}"),
        }
    }
}
