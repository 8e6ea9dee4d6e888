//! Implements [`Link`] with str0m: ICE, DTLS, SCTP and data channels.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::config::DtlsCert;
use str0m::crypto::from_feature_flags;
use str0m::net::{Protocol, Receive};
use str0m::{
    Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig, RtcError,
};

use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::nat::stun::message;

use super::candidate::candidate_of;
use super::checked_pairs::CheckedPairs;
use super::clock::Clock;
use super::consent::Consent;
use super::description::{first_mid, ice_password, rename_mid, waits_for_sctp};
use super::late_start::LateStart;
use super::pacing::Pacing;
use super::preference::Preferences;
use super::remote::RemoteCandidates;
use super::{
    Channel, Datagram, Link, LinkError, LinkOutput, Linker, Packets, Path, Transmit, sctp_init,
};

/// How many bytes str0m buffers for all channels of a connection, beside the largest message. The core
/// keeps the mesh channel below that; the rest is headroom for control frames.
const SEND_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// After how many checks the wait for the next one is no longer doubled, which is then 7 minutes, and after how
/// many without an answer a pair is given up. Not all of them are sent: see [`CheckedPairs`]. While a path is
/// looked for, the core has all pairs checked anew, and the one in use is asked by [`Consent`].
const STUN_ATTEMPTS: usize = 13;

/// The longest wait between two checks of a pair: longer than [`STUN_ATTEMPTS`] allow.
const LONGEST_STUN_WAIT: Duration = Duration::from_secs(3600);

/// The first wait for the answer to a connectivity check.
///
/// The first check that comes to a router from outside is often lost, and does not open a way for later
/// ones: only what was sent from inside does. And pion and webrtc-rs nominate a path when a check comes
/// along it after their own was answered; otherwise they look at their paths only every 200 ms.
const FIRST_STUN_WAIT: Duration = Duration::from_millis(100);

/// The length of our ICE username fragment, which each check repeats. RFC 8445 (section 5.3) asks for four
/// bytes at least; str0m makes 16.
const UFRAG_BYTES: usize = 8;

/// How often the round-trip time is read.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(3);

/// Makes str0m connections that share one certificate.
pub struct WebRtc {
    configuration: RtcConfig,
}

impl WebRtc {
    /// Creates a maker of connections that announce room for messages of `max_message_bytes`.
    pub fn new(max_message_bytes: usize) -> Result<Self, LinkError> {
        let provider = from_feature_flags();
        let certificate: DtlsCert = provider
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| LinkError("cannot make a DTLS certificate".into()))?;
        let mut configuration = RtcConfig::new()
            .set_crypto_provider(provider.into())
            .set_dtls_cert(certificate)
            .clear_codecs()
            .set_sctp_max_message_size(u32::try_from(max_message_bytes).unwrap_or(u32::MAX))
            .set_sctp_max_buffered_amount(SEND_BUFFER_BYTES + max_message_bytes)
            // Puts SCTP's handshake into the descriptions. A peer that does not know that has it as ever.
            .set_snap_enabled(true)
            .set_stats_interval(Some(STATISTICS_INTERVAL));
        configuration.set_initial_stun_rto(FIRST_STUN_WAIT);
        configuration.set_max_stun_rto(LONGEST_STUN_WAIT);
        configuration.set_max_stun_retransmits(STUN_ATTEMPTS);
        Ok(WebRtc { configuration })
    }

    fn build(
        &self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
    ) -> Result<WebRtcLink, LinkError> {
        let rtc = guarded(|| {
            let mut credentials = IceCreds::new();
            credentials.ufrag.truncate(UFRAG_BYTES);
            let largest = match packets {
                Packets::Full => limits::FULL_PACKET_BYTES,
                Packets::Small => limits::SMALL_PACKET_BYTES,
            };
            let configuration = self.configuration.clone();
            let configuration = configuration.set_local_ice_credentials(credentials);
            Ok(configuration.set_mtu(largest..=usize::MAX).build(now))
        })?;
        let mut link = WebRtcLink {
            rtc,
            pending: None,
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
            outputs: VecDeque::new(),
            responses: 0,
        };
        for candidate in candidates {
            link.add_local_candidate(*candidate);
        }
        Ok(link)
    }
}

impl Linker for WebRtc {
    type Link = WebRtcLink;

    fn offer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
    ) -> Result<(WebRtcLink, String), LinkError> {
        let mut link = self.build(now, candidates, packets)?;
        let (offer, pending) = guarded(|| {
            let mut changes = link.rtc.sdp_api();
            changes.add_channel(Channel::Mesh.label().to_owned());
            Ok(changes.apply())
        })?
        .ok_or_else(|| LinkError("no offer to make".into()))?;
        let sdp = offer.to_sdp_string();
        let mid = first_mid(&sdp).unwrap_or(OUR_MID).to_owned();
        let renamed = rename_mid(&sdp, &mid, OUR_MID);
        link.pending = Some(Pending {
            offer: pending,
            mid,
            sctp_init: sctp_init::line(&sdp).map(str::to_owned),
        });
        Ok((link, renamed))
    }

    fn answer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
        offer: &str,
    ) -> Result<(WebRtcLink, String), LinkError> {
        let password = ice_password(offer);
        // The offer is read first, because a connection costs milliseconds of key generation.
        let sdp = offer;
        let offer =
            guarded(|| SdpOffer::from_sdp_string(sdp).map_err(|_| LinkError(UNREADABLE.into())))?;
        let mut link = self.build(now, candidates, packets)?;
        link.consent.described(password);
        // Until it is first told the time, the ICE agent sends no checks and only answers them. It is
        // told before it knows the other side, so that its checks begin a little after the answer leaves.
        link.handle_timeout(now)?;
        let answer = guarded(|| {
            link.remote.described(sdp);
            link.rtc.sdp_api().accept_offer(offer).map_err(describe)
        })?;
        link.pacing.candidates_changed(now);
        Ok((link, answer.to_sdp_string()))
    }
}

/// The name of the only media section of our offers; see [`rename_mid`].
const OUR_MID: &str = "0";

/// The text of an error. It quotes nothing of the description, which holds credentials.
const UNREADABLE: &str = "the session description cannot be read";

/// An address that no path leads to.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

struct Pending {
    offer: SdpPendingOffer,
    /// The name that str0m uses for the section that is [`OUR_MID`] on the wire.
    mid: String,
    /// The line of our offer with SCTP's INIT.
    sctp_init: Option<String>,
}

/// One str0m connection.
pub struct WebRtcLink {
    rtc: Rtc,
    pending: Option<Pending>,
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
    /// Outputs of our own, which go first.
    outputs: VecDeque<LinkOutput>,
    /// How many checks of the pair in use were answered when its round-trip time was last read.
    responses: u64,
}

impl WebRtcLink {
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
        let pending = self
            .pending
            .take()
            .ok_or_else(|| LinkError("an answer without an open offer".into()))?;
        let sdp = sctp_init::without_repeated(sdp, pending.sctp_init.as_deref());
        let sdp = rename_mid(&sdp, OUR_MID, &pending.mid);
        self.now = now;
        self.consent.described(ice_password(&sdp));
        self.pacing.candidates_changed(now);
        let told = self.clock.told(now);
        guarded(|| {
            self.rtc
                .handle_input(Input::Timeout(told))
                .map_err(describe)?;
            let answer =
                SdpAnswer::from_sdp_string(&sdp).map_err(|_| LinkError(UNREADABLE.into()))?;
            self.remote.described(&sdp);
            if waits_for_sctp(&sdp) {
                self.late_start = Some(LateStart::default());
                // str0m now takes 64 KiB for the largest message of the other side, which is what that
                // announces. And it numbers its channels as the DTLS client would, which the other side
                // does not mind.
                self.rtc.direct_api().start_sctp(true);
            }
            self.rtc
                .sdp_api()
                .accept_answer(pending.offer, answer)
                .map_err(describe)
        })
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

    fn ask(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        let check = self.consent.ask(now).map(|bytes| Transmit {
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
            self.checked_pairs.checked_by_peer(now, datagram.path());
        }
        if let Some(round_trip) = self.consent.answered(now, datagram.bytes) {
            self.outputs.push_back(LinkOutput::RoundTrip(round_trip));
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
        let opened = guarded(|| {
            let mut changes = self.rtc.sdp_api();
            changes.add_channel(Channel::Control.label().to_owned());
            // The media section exists already, so there is nothing to negotiate.
            changes.apply();
            Ok(())
        });
        if let Err(error) = opened {
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

/// Returns an error that says what failed, without what a peer's description may have put into the text.
fn describe(error: RtcError) -> LinkError {
    match error {
        RtcError::RemoteSdp(reason) => LinkError(format!("session description: {reason}")),
        RtcError::Ice(_) => LinkError("ICE failed".into()),
        RtcError::Dtls(reason) => LinkError(format!("DTLS: {reason}")),
        RtcError::Sctp(reason) => LinkError(format!("SCTP: {reason}")),
        other => LinkError(other.to_string()),
    }
}

/// Runs a piece of the WebRTC stack and catches its panics. It holds assertions that a peer might
/// trigger: a panic costs that peer its connection, and nobody else anything.
fn guarded<T>(work: impl FnOnce() -> Result<T, LinkError>) -> Result<T, LinkError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(LinkError("the WebRTC stack panicked".into())))
}
