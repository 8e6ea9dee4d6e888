//! A peer on the bare WebRTC stack, which does what the test says.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::crypto::from_feature_flags;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::support::DEADLINE;

pub(crate) struct RawPeer {
    rtc: Rtc,
    socket: UdpSocket,
    address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    /// The channels that are open, in their order.
    pub(crate) opened: Vec<ChannelId>,
    /// Their labels.
    labels: Vec<String>,
    /// What has come in.
    pub(crate) received: Vec<Vec<u8>>,
}

impl RawPeer {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(from_feature_flags().into())
            .clear_codecs()
            .set_sctp_max_message_size(256 * 1024)
            .set_sctp_max_buffered_amount(4 * 1024 * 1024)
            .build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        RawPeer {
            rtc,
            socket,
            address,
            pending: None,
            opened: Vec::new(),
            labels: Vec::new(),
            received: Vec::new(),
        }
    }

    /// An offer with the channel `mesh`.
    pub(crate) fn offer(&mut self) -> String {
        self.offer_channels(vec![labelled("mesh")])
    }

    /// An offer with these channels.
    pub(crate) fn offer_channels(&mut self, channels: Vec<ChannelConfig>) -> String {
        let mut changes = self.rtc.sdp_api();
        for channel in channels {
            changes.add_channel_with_config(channel);
        }
        let (offer, pending) = changes.apply().unwrap();
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    /// The answer to an offer.
    pub(crate) fn answer(&mut self, offer: &str) -> String {
        let offer = SdpOffer::from_sdp_string(offer).unwrap();
        self.rtc
            .sdp_api()
            .accept_offer(offer)
            .unwrap()
            .to_sdp_string()
    }

    pub(crate) fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        let pending = self.pending.take().unwrap();
        self.rtc.sdp_api().accept_answer(pending, answer).unwrap();
    }

    /// Opens so many further channels.
    pub(crate) fn open_channels(&mut self, count: usize) {
        let mut changes = self.rtc.sdp_api();
        for number in 0..count {
            changes.add_channel(format!("channel-{number}"));
        }
        changes.apply();
    }

    /// The first open channel of this label.
    pub(crate) fn channel(&self, label: &str) -> Option<ChannelId> {
        let at = self.labels.iter().position(|found| found == label)?;
        self.opened.get(at).copied()
    }

    /// Writes to an open channel; `false` when there is no room.
    pub(crate) fn write(&mut self, channel: ChannelId, bytes: &[u8]) -> bool {
        self.write_as(false, channel, bytes)
    }

    /// The same, as a text or a binary message.
    pub(crate) fn write_as(&mut self, is_binary: bool, channel: ChannelId, bytes: &[u8]) -> bool {
        match self.rtc.channel(channel) {
            Some(mut channel) => channel.write(is_binary, bytes).unwrap_or(false),
            None => false,
        }
    }

    /// Lets the connection go on for so long.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.run_until(end, |_| false);
    }

    /// The same, while something is so.
    pub(crate) fn run_while(&mut self, time: Duration, is_so: impl Fn(&Self) -> bool) {
        self.run_until(Instant::now() + time, |peer| !is_so(peer));
    }

    /// Lets it go on until something is so.
    pub(crate) fn await_that(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let is_reached = self.run_until(Instant::now() + DEADLINE, is_so);
        assert!(is_reached, "not within {DEADLINE:?}: {what}");
    }

    fn run_until(&mut self, end: Instant, is_so: impl Fn(&Self) -> bool) -> bool {
        let mut buffer = vec![0; 65_536];
        loop {
            let timeout = self.drain();
            if is_so(self) {
                return true;
            }
            let now = Instant::now();
            if now >= end {
                return false;
            }
            if !self.rtc.is_alive() {
                return false;
            }
            let wait = timeout.min(end).saturating_duration_since(now);
            self.socket
                .set_read_timeout(Some(wait.max(Duration::from_millis(1))))
                .unwrap();
            let input = match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    let read = Receive::new(Protocol::Udp, source, self.address, &buffer[..length]);
                    read.ok()
                        .map(|receive| Input::Receive(Instant::now(), receive))
                }
                Err(_) => Some(Input::Timeout(Instant::now())),
            };
            if let Some(input) = input {
                // What has gone wrong shows in what the test awaits.
                let _ = self.rtc.handle_input(input);
            }
        }
    }

    /// Takes the outputs; returns when there is more to do.
    fn drain(&mut self) -> Instant {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => return at,
                Ok(Output::Transmit(transmit)) => {
                    let _ = self
                        .socket
                        .send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(Event::ChannelOpen(id, label))) => {
                    self.opened.push(id);
                    self.labels.push(label);
                }
                Ok(Output::Event(Event::ChannelData(data))) => self.received.push(data.data),
                Ok(Output::Event(_)) => {}
                Err(_) => return Instant::now() + DEADLINE,
            }
        }
    }
}

/// A reliable, ordered channel of this label.
pub(crate) fn labelled(label: &str) -> ChannelConfig {
    ChannelConfig {
        label: label.to_owned(),
        ..ChannelConfig::default()
    }
}

/// A signaling frame, as a peer of another make sends it.
pub(crate) fn frame(kind: &str, from: &str, to: &str, payload: Value) -> String {
    json!({"type": kind, "peer_id": from, "target_id": to, "payload": payload}).to_string()
}

/// The frame with an offer or an answer.
pub(crate) fn description(kind: &str, from: &str, to: &str, sdp: &str) -> String {
    frame(kind, from, to, json!({"sdp": sdp}))
}
