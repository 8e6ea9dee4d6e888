//! Implements [`Link`] with str0m.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::Fingerprint;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use crate::nat::candidate::LocalCandidate;
use crate::nat::stun::message;
use crate::protocol::fingerprint;

use super::candidate::candidate_of;
use super::checked_pairs::CheckedPairs;
use super::clock::Clock;
use super::consent::Consent;
use super::description::remote::RemoteDescription;
use super::guard::{describe, guarded};
use super::late_start::LateStart;
use super::negotiation::Negotiation;
use super::pacing::Pacing;
use super::preference::Preferences;
use super::remote::RemoteCandidates;
use super::sources::Sources;
use super::{Certificates, Channel, Datagram, Link, LinkError, LinkOutput, Path, Transmit};

/// An address that no path leads to.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// One str0m connection.
pub struct WebRtcLink {
    rtc: Rtc,
    /// Waits for the peer's description; `None` once that has come.
    negotiation: Option<Negotiation>,
    mesh: Option<ChannelId>,
    control: Option<ChannelId>,
    /// The time of the latest input.
    now: Instant,
    /// Tells str0m the time.
    clock: Clock,
    /// Holds back the first SCTP packets, if the peer waits for us to begin SCTP.
    late_start: Option<LateStart>,
    pacing: Pacing,
    preferences: Preferences,
    has_path: bool,
    remote: RemoteCandidates,
    consent: Consent,
    checked_pairs: CheckedPairs,
    sources: Sources,
    /// Outputs of our own, which go first.
    outputs: VecDeque<LinkOutput>,
    /// How many checks of the pair in use were answered when its round-trip time was last read.
    responses: u64,
}

impl WebRtcLink {
    /// Creates it without candidates and descriptions.
    pub(super) fn new(now: Instant, rtc: Rtc, negotiation: Negotiation) -> Self {
        WebRtcLink {
            rtc,
            negotiation: Some(negotiation),
            mesh: None,
            control: None,
            now,
            clock: Clock::default(),
            late_start: None,
            pacing: Pacing::new(now),
            preferences: Preferences::default(),
            has_path: false,
            remote: RemoteCandidates::default(),
            consent: Consent::new(fastrand::Rng::new()),
            checked_pairs: CheckedPairs::default(),
            sources: Sources::default(),
            outputs: VecDeque::new(),
            responses: 0,
        }
    }

    /// Returns our offer, with these candidates, as they are trickled.
    pub(super) fn make_offer(&mut self, candidates: Vec<String>) -> Result<String, LinkError> {
        let negotiation = self.negotiation.as_mut().ok_or_else(described_already)?;
        guarded(|| negotiation.offer(&mut self.rtc, candidates))
    }

    /// Returns the answer to the peer's offer, with these candidates.
    pub(super) fn make_answer(
        &mut self,
        now: Instant,
        candidates: Vec<String>,
        offer: &RemoteDescription,
    ) -> Result<String, LinkError> {
        let negotiation = self.negotiation.take().ok_or_else(described_already)?;
        let answer = guarded(|| negotiation.answer(&mut self.rtc, candidates, offer))?;
        self.meet(now, offer)?;
        Ok(answer)
    }

    /// Lets ICE begin with the candidates of the peer's description, when all else has been started.
    fn meet(&mut self, now: Instant, theirs: &RemoteDescription) -> Result<(), LinkError> {
        self.consent.described(&theirs.credentials.pass);
        // Until it is first told the time, the ICE agent sends no checks and only answers them. It is
        // told before it knows the candidates, so that its checks begin a little after the answer leaves.
        // With this str0m also does what it would otherwise ask to be called for at once.
        self.handle_timeout(now)?;
        self.pacing.candidates_changed(now);
        guarded(|| {
            let candidates = theirs.candidates.iter();
            for candidate in candidates.filter_map(|line| Candidate::from_sdp_string(line).ok()) {
                self.remote.add(&mut self.rtc, candidate);
            }
            Ok(())
        })
    }

    /// Opens a channel, reliable and ordered.
    fn open(&mut self, channel: Channel) -> Result<(), LinkError> {
        guarded(|| {
            self.rtc.direct_api().create_data_channel(ChannelConfig {
                label: channel.label().to_owned(),
                ..ChannelConfig::default()
            });
            Ok(())
        })
    }

    fn id_of(&self, channel: Channel) -> Option<ChannelId> {
        match channel {
            Channel::Mesh => self.mesh,
            Channel::Control => self.control,
        }
    }

    fn channel_of(&self, id: ChannelId) -> Option<Channel> {
        [Channel::Mesh, Channel::Control]
            .into_iter()
            .find(|channel| self.id_of(*channel) == Some(id))
    }

    /// Notes that a channel has opened. Returns it if its label is known and it is the first of that
    /// label.
    fn opened(&mut self, id: ChannelId, label: &str) -> Option<Channel> {
        let channel = Channel::of_label(label)?;
        let slot = match channel {
            Channel::Mesh => &mut self.mesh,
            Channel::Control => &mut self.control,
        };
        if slot.is_some() {
            return None;
        }
        *slot = Some(id);
        self.pacing.is_connected();
        Some(channel)
    }

    /// Returns what an event means for the core; `None` for events that mean nothing to it.
    fn translate(&mut self, event: Event) -> Option<LinkOutput> {
        match event {
            Event::ChannelOpen(id, label) => self.opened(id, &label).map(LinkOutput::Opened),
            Event::ChannelData(data) => {
                let channel = self.channel_of(data.id)?;
                Some(LinkOutput::Message(channel, data.data))
            }
            Event::ChannelClose(id) => self.channel_of(id).map(|_| LinkOutput::Closed),
            Event::Closed => Some(LinkOutput::Closed),
            Event::IceConnectionStateChange(state) => {
                let has_path = matches!(
                    state,
                    IceConnectionState::Connected | IceConnectionState::Completed
                );
                let had_path = std::mem::replace(&mut self.has_path, has_path);
                (has_path && !had_path).then_some(LinkOutput::Nominated)
            }
            Event::PeerStats(stats) => {
                let pair = stats.selected_candidate_pair?;
                let (local, remote) = (pair.local.addr, pair.remote.addr);
                self.checked_pairs.uses(Path { local, remote });
                // The ICE agent repeats what it measured last, which may be an hour ago.
                let responses = std::mem::replace(&mut self.responses, pair.responses_received);
                let measured = pair.current_round_trip_time;
                let measured = measured.filter(|_| responses != pair.responses_received);
                Some(LinkOutput::Pair {
                    local,
                    remote,
                    round_trip: measured
                        .and_then(|measured| self.clock.measured(self.now, measured)),
                })
            }
            _ => None,
        }
    }
}

impl Link for WebRtcLink {
    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), LinkError> {
        let negotiation = self.negotiation.take().ok_or_else(described_already)?;
        let answer = RemoteDescription::read(sdp)?;
        // DTLS and SCTP begin at this time.
        self.handle_timeout(now)?;
        let is_awaited = guarded(|| negotiation.accept(&mut self.rtc, &answer))?;
        self.late_start = is_awaited.then(LateStart::default);
        self.meet(now, &answer)?;
        self.open(Channel::Mesh)
    }

    fn add_remote_candidate(&mut self, candidate: &str) -> Result<(), LinkError> {
        guarded(|| {
            let line = candidate.strip_prefix("a=").unwrap_or(candidate);
            let candidate = Candidate::from_sdp_string(line)
                .map_err(|_| LinkError("a candidate of no use".into()))?;
            self.remote.add(&mut self.rtc, candidate);
            self.pacing.candidates_changed(self.now);
            Ok(())
        })
    }

    fn add_local_candidate(&mut self, candidate: LocalCandidate) -> Option<String> {
        guarded(|| {
            let candidate = candidate_of(candidate)?;
            let added = self.preferences.add(&mut self.rtc, candidate);
            Ok(added.map(Candidate::to_sdp_string))
        })
        .ok()
        .flatten()
    }

    fn remove_local_candidate(&mut self, candidate: LocalCandidate) {
        let removed = guarded(|| {
            let candidate = candidate_of(candidate)?;
            Ok(self.rtc.direct_api().invalidate_candidate(&candidate))
        });
        if let Err(error) = removed {
            log::debug!("a local candidate stays: {error}");
        }
    }

    fn check_again(&mut self, now: Instant, local: &[LocalCandidate]) {
        let restored = guarded(|| {
            self.remote.restore(&mut self.rtc);
            Ok(())
        });
        if let Err(error) = restored {
            log::debug!("candidates of the peer stay away: {error}");
        }
        // A candidate that comes anew is paired anew, and the ICE agent checks new pairs at once.
        for candidate in local {
            self.remove_local_candidate(*candidate);
            self.add_local_candidate(*candidate);
        }
        self.pacing.check_again(now);
        self.checked_pairs.check_again();
    }

    fn ask(&mut self, _: Instant, local: SocketAddr, remote: SocketAddr) {
        let check = self.consent.ask().map(|bytes| Transmit {
            source: local,
            destination: remote,
            bytes,
        });
        self.outputs.extend(check.map(LinkOutput::Transmit));
        self.checked_pairs.uses(Path { local, remote });
    }

    fn has_path(&self) -> bool {
        self.has_path
    }

    fn certificates(&mut self) -> Option<Certificates> {
        guarded(|| {
            let dtls = self.rtc.direct_api();
            let ours = fingerprint_text(dtls.local_dtls_fingerprint());
            let theirs = dtls.remote_dtls_fingerprint().and_then(fingerprint_text);
            Ok(ours.zip(theirs))
        })
        .ok()
        .flatten()
        .map(|(ours, theirs)| Certificates { ours, theirs })
    }

    fn prefer(
        &mut self,
        now: Instant,
        path: Path,
        local: &[LocalCandidate],
        seen: &[SocketAddr],
    ) -> Result<(), LinkError> {
        // The ICE agent goes by the priorities of candidates alone, and those never change.
        for candidate in local {
            self.remove_local_candidate(*candidate);
        }
        guarded(|| {
            self.remote
                .leave_out_all_but(&mut self.rtc, path.remote, seen);
            Ok(())
        })?;
        // The agent checks new pairs at once, and nominates them after each answer.
        let kept = local.iter().filter(|kept| kept.source() == path.local);
        for candidate in kept {
            self.add_local_candidate(*candidate);
        }
        self.pacing.check_again(now);
        self.handle_timeout(now)
    }

    fn retransmit(&mut self, now: Instant) -> Result<(), LinkError> {
        self.clock.put_forward(now);
        self.handle_timeout(now)
    }

    fn accepts(&self, now: Instant, datagram: &Datagram<'_>) -> bool {
        if message::is_binding_request(datagram.bytes) && !self.sources.admits(datagram.source) {
            return false;
        }
        // Once it has a path, str0m accepts everything that comes along it, unverified. Only about what
        // comes from elsewhere it asks its ICE agent, which looks at nothing but the STUN message.
        let asked = match datagram.bytes.first() {
            Some(0..=3) => Datagram {
                source: ELSEWHERE,
                ..*datagram
            },
            _ => *datagram,
        };
        let told = self.clock.told(now);
        guarded(|| Ok(self.rtc.accepts(&receive(told, &asked)?))).unwrap_or(false)
            || self.consent.is_answer(datagram.bytes)
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> Result<(), LinkError> {
        self.now = now;
        if message::is_binding_request(datagram.bytes) {
            if !self.sources.take(datagram.source) {
                return Ok(());
            }
            self.checked_pairs.checked_by_peer(now, datagram.path());
        }
        if self.consent.answered(datagram.bytes) {
            return Ok(());
        }
        // A datagram that is neither STUN nor DTLS nor RTP is no reason to end a connection.
        let Ok(input) = receive(self.clock.told(now), datagram) else {
            return Ok(());
        };
        guarded(|| self.rtc.handle_input(input).map_err(describe))
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        self.now = now;
        self.pacing.checked(now);
        let told = self.clock.told(now);
        guarded(|| {
            self.rtc
                .handle_input(Input::Timeout(told))
                .map_err(describe)
        })
    }

    fn poll(&mut self) -> Result<LinkOutput, LinkError> {
        let now = self.now;
        if let Some(output) = self.outputs.pop_front() {
            return Ok(output);
        }
        if let Some(late) = self.late_start.as_mut()
            && let Some(transmit) = late.due(now)
        {
            return Ok(LinkOutput::Transmit(transmit));
        }
        loop {
            match guarded(|| self.rtc.poll_output().map_err(describe))? {
                Output::Timeout(at) => {
                    let at = self.clock.meant(at);
                    let late = self.late_start.as_ref().and_then(LateStart::next);
                    let ours = [late, self.pacing.next()].into_iter().flatten();
                    return Ok(LinkOutput::Timeout(ours.fold(at, Instant::min)));
                }
                Output::Transmit(transmit) => {
                    if message::is_binding_request(&transmit.contents) {
                        self.consent.sent(&transmit.contents);
                        let path = Path {
                            local: transmit.source,
                            remote: transmit.destination,
                        };
                        if !self.checked_pairs.is_checked(now, path) {
                            continue;
                        }
                    }
                    let transmit = Transmit {
                        source: transmit.source,
                        destination: transmit.destination,
                        bytes: transmit.contents.into(),
                    };
                    let passed = match &mut self.late_start {
                        Some(late) => late.pass(now, transmit),
                        None => Some(transmit),
                    };
                    if let Some(transmit) = passed {
                        return Ok(LinkOutput::Transmit(transmit));
                    }
                }
                Output::Event(event) => {
                    if let Some(output) = self.translate(event) {
                        return Ok(output);
                    }
                }
            }
        }
    }

    fn open_control(&mut self) {
        if let Err(error) = self.open(Channel::Control) {
            log::debug!("cannot open {}: {error}", Channel::Control.label());
        }
    }

    fn write(&mut self, channel: Channel, message: &[u8]) -> Result<bool, LinkError> {
        let Some(id) = self.id_of(channel) else {
            return Ok(false);
        };
        guarded(|| match self.rtc.channel(id) {
            Some(mut handle) => handle.write(false, message).map_err(describe),
            None => Err(LinkError("the channel is closed".into())),
        })
    }

    fn buffered(&mut self, channel: Channel) -> usize {
        let Some(id) = self.id_of(channel) else {
            return 0;
        };
        // Once a channel is gone, nothing more is known to arrive on it.
        guarded(|| {
            Ok(self
                .rtc
                .channel(id)
                .map(|mut handle| handle.buffered_amount()))
        })
        .ok()
        .flatten()
        .unwrap_or(usize::MAX)
    }

    fn close(&mut self) {
        if let Err(error) = guarded(|| self.rtc.close().map_err(describe)) {
            log::debug!("no goodbye: {error}");
        }
    }
}

fn described_already() -> LinkError {
    LinkError("the peer's description has come already".into())
}

/// Returns the text of a fingerprint, if it is of SHA-256.
fn fingerprint_text(found: &Fingerprint) -> Option<String> {
    let is_sha256 = found.hash_func.eq_ignore_ascii_case(fingerprint::SHA_256);
    is_sha256.then(|| fingerprint::of_digest(&found.bytes))
}

fn receive<'a>(now: Instant, datagram: &Datagram<'a>) -> Result<Input<'a>, LinkError> {
    let receive = Receive::new(
        Protocol::Udp,
        datagram.source,
        datagram.destination,
        datagram.bytes,
    )
    .map_err(|error| LinkError(error.to_string()))?;
    Ok(Input::Receive(now, receive))
}
