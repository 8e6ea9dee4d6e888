//! Answerers that leave it to the offerer to begin the SCTP association, though they are the DTLS
//! client: aiortc before 1.16 and werift.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::mesh::link::webrtc::WebRtc;
use crate::mesh::link::webrtc_link::WebRtcLink;
use crate::mesh::link::{Channel, Datagram, Link, LinkOutput, Linker, Packets};
use crate::nat::candidate::LocalCandidate;

const OURS: &str = "192.0.2.1:5000";
const THEIRS: &str = "192.0.2.2:5000";
const PATIENCE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(10);

/// Our offer and an answerer that announces room for messages of `max_message_bytes`.
struct Pair {
    now: Instant,
    ours: WebRtcLink,
    theirs: Rtc,
    our_address: SocketAddr,
    their_address: SocketAddr,
    opened: [bool; 2],
    /// The number of the channel's stream.
    stream: Option<u16>,
}

impl Pair {
    fn new(max_message_bytes: u32, answerer_begins: bool) -> Pair {
        let now = Instant::now();
        let our_address = OURS.parse().unwrap();
        let their_address = THEIRS.parse().unwrap();
        let mut webrtc = WebRtc::new(262_144).unwrap();
        let our_candidate = LocalCandidate::Host {
            address: our_address,
        };
        let (mut ours, offer) = webrtc.offer(now, &[our_candidate], Packets::Full).unwrap();
        let mut theirs = RtcConfig::new()
            .set_sctp_max_message_size(max_message_bytes)
            .build(now);
        let candidate = Candidate::host(their_address, Protocol::Udp).unwrap();
        theirs.add_local_candidate(candidate);
        theirs.direct_api().start_sctp(answerer_begins);
        // str0m would leave the part of the DTLS client to us.
        let offer = offer.replace("a=setup:actpass", "a=setup:passive");
        let offer = SdpOffer::from_sdp_string(&offer).unwrap();
        let answer = theirs.sdp_api().accept_offer(offer).unwrap();
        let answer = answer.to_sdp_string();
        assert!(answer.contains("a=setup:active"), "{answer}");
        ours.accept_answer(now, &answer).unwrap();
        Pair {
            now,
            ours,
            theirs,
            our_address,
            their_address,
            opened: [false; 2],
            stream: None,
        }
    }

    /// Steps both until the channel is open on both sides, or for as long as we are patient. Returns the number of its
    /// stream if it is open.
    fn opens(mut self) -> Option<u16> {
        let end = self.now + PATIENCE;
        while self.now < end && self.opened != [true; 2] {
            while self.carry_ours() | self.carry_theirs() {}
            self.now += STEP;
            self.ours.handle_timeout(self.now).unwrap();
            self.theirs.handle_input(Input::Timeout(self.now)).unwrap();
        }
        self.stream.filter(|_| self.opened == [true; 2])
    }

    fn carry_ours(&mut self) -> bool {
        let mut datagrams = Vec::new();
        loop {
            match self.ours.poll().unwrap() {
                LinkOutput::Timeout(_) => break,
                LinkOutput::Transmit(transmit) => datagrams.push(transmit.bytes),
                LinkOutput::Opened(Channel::Mesh) => self.opened[0] = true,
                _ => {}
            }
        }
        for bytes in &datagrams {
            let receive =
                Receive::new(Protocol::Udp, self.our_address, self.their_address, bytes).unwrap();
            let input = Input::Receive(self.now, receive);
            self.theirs.handle_input(input).unwrap();
        }
        !datagrams.is_empty()
    }

    fn carry_theirs(&mut self) -> bool {
        let mut datagrams = Vec::new();
        loop {
            match self.theirs.poll_output().unwrap() {
                Output::Timeout(_) => break,
                Output::Transmit(transmit) => datagrams.push(transmit.contents),
                Output::Event(Event::ChannelOpen(id, _)) => {
                    self.opened[1] = true;
                    self.stream = self.theirs.direct_api().sctp_stream_id_by_channel_id(id);
                }
                Output::Event(_) => {}
            }
        }
        for bytes in &datagrams {
            let datagram = Datagram {
                source: self.their_address,
                destination: self.our_address,
                bytes,
            };
            self.ours.handle_datagram(self.now, &datagram).unwrap();
        }
        !datagrams.is_empty()
    }
}

#[test]
fn the_association_is_begun_for_one_that_waits_for_it() {
    assert_eq!(Pair::new(65_536, false).opens(), Some(0));
}

#[test]
fn others_begin_by_themselves() {
    assert_eq!(Pair::new(262_144, true).opens(), Some(1));
}
