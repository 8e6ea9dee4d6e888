//! Two links of the real stack that are stepped by hand, datagram by datagram.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::world::MAX_MESSAGE_BYTES;
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
        let now = Instant::now();
        let candidate = |address| [LocalCandidate::Host { address }];
        let host = Self::address;
        let mut webrtc = WebRtc::new(MAX_MESSAGE_BYTES).unwrap();
        let (mut first, offer) = webrtc.offer(now, &candidate(host(0)), packets).unwrap();
        let offer = without_forward_tsn(&offer);
        let candidates = candidate(host(1));
        let (second, answer) = webrtc.answer(now, &candidates, packets, &offer).unwrap();
        let answer = without_forward_tsn(&answer);
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
