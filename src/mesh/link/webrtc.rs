//! Makes connections of str0m: ICE, DTLS, SCTP and data channels.

use std::fmt;
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::crypto::from_feature_flags;
use str0m::{IceCreds, RtcConfig};

use crate::limits;
use crate::nat::candidate::LocalCandidate;
use crate::protocol::fingerprint;

use super::description::remote::RemoteDescription;
use super::dtls;
use super::guard::guarded;
use super::negotiation::Negotiation;
use super::webrtc_link::WebRtcLink;
use super::{Link as _, LinkError, Linker, Packets};

/// How many bytes str0m buffers for all channels of a connection, beside the largest message. The core
/// keeps the mesh channel below that; the rest is headroom for control frames.
const SEND_BUFFER_BYTES: usize = 2 * 1024 * 1024;

/// After how many checks the wait for the next one is no longer doubled, which is then 7 minutes, and after how
/// many without an answer a pair is given up. Not all of them are sent: see `checked_pairs`. While a path is
/// looked for, the core has all pairs checked anew, and the one in use is asked by `consent`.
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

/// A certificate and its key, by which peers know us.
#[derive(Clone)]
pub struct Identity {
    certificate: Vec<u8>,
    private_key: Vec<u8>,
}

impl Identity {
    /// Makes a new one.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub fn generate() -> Result<Self, LinkError> {
        let made = from_feature_flags().dtls_provider.generate_certificate();
        let made = made.ok_or_else(|| LinkError("cannot make a DTLS certificate".into()))?;
        Ok(Identity::new(made.certificate, made.private_key))
    }

    /// Takes a certificate and its private key (PKCS #8), both in DER. They must belong together.
    pub fn new(certificate: Vec<u8>, private_key: Vec<u8>) -> Self {
        Identity {
            certificate,
            private_key,
        }
    }

    /// Returns the certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Returns the private key in DER, for the file that keeps it.
    pub fn reveal_private_key(&self) -> &[u8] {
        &self.private_key
    }

    /// Returns the SHA-256 fingerprint of the certificate.
    pub fn fingerprint(&self) -> String {
        fingerprint::of_certificate(&self.certificate)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity")
            .field(&self.fingerprint())
            .finish()
    }
}

/// Makes str0m connections that share one certificate.
pub struct WebRtc {
    configuration: RtcConfig,
    fingerprint: String,
    max_message_bytes: usize,
}

impl WebRtc {
    /// Creates a maker of connections that announce room for messages of `max_message_bytes`, with a certificate of
    /// its own.
    ///
    /// # Errors
    /// If no certificate can be made.
    pub fn new(max_message_bytes: usize) -> Result<Self, LinkError> {
        Ok(Self::with(Identity::generate()?, max_message_bytes))
    }

    /// The same, with this certificate.
    pub fn with(identity: Identity, max_message_bytes: usize) -> Self {
        let fingerprint = identity.fingerprint();
        let certificate = DtlsCert {
            certificate: identity.certificate,
            private_key: identity.private_key,
        };
        // str0m sends nothing larger either (see `message_size`), and control frames have a limit of their own.
        let largest = max_message_bytes.max(limits::CONTROL_FRAME_BYTES);
        let mut configuration = RtcConfig::new()
            .set_crypto_provider(dtls::crypto_provider().into())
            .set_dtls_cert(certificate)
            .clear_codecs()
            .set_sctp_max_message_size(u32::try_from(largest).unwrap_or(u32::MAX))
            .set_sctp_max_buffered_amount(SEND_BUFFER_BYTES + max_message_bytes)
            // The offer that `message_size` shows it has to hold an INIT chunk.
            .set_snap_enabled(true)
            .set_stats_interval(Some(STATISTICS_INTERVAL));
        configuration.set_initial_stun_rto(FIRST_STUN_WAIT);
        configuration.set_max_stun_rto(LONGEST_STUN_WAIT);
        configuration.set_max_stun_retransmits(STUN_ATTEMPTS);
        WebRtc {
            configuration,
            fingerprint,
            max_message_bytes,
        }
    }

    /// Does once what the first connection would otherwise wait for, some milliseconds of cryptography.
    pub fn prepare() {
        dtls::prepare();
    }

    /// Makes a connection with these candidates. Returns them with it, as they are trickled.
    fn build(
        &self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
    ) -> Result<(WebRtcLink, Vec<String>), LinkError> {
        let (rtc, negotiation) = guarded(|| {
            let mut credentials = IceCreds::new();
            credentials.ufrag.truncate(UFRAG_BYTES);
            let largest = match packets {
                Packets::Full => limits::FULL_PACKET_BYTES,
                Packets::Small => limits::SMALL_PACKET_BYTES,
            };
            let configuration = self.configuration.clone();
            let configuration = configuration.set_local_ice_credentials(credentials);
            let mut rtc = configuration.set_mtu(largest..=usize::MAX).build(now);
            let negotiation = Negotiation::new(&mut rtc, self.max_message_bytes)?;
            Ok((rtc, negotiation))
        })?;
        let mut link = WebRtcLink::new(now, rtc, negotiation);
        let lines = candidates.iter();
        let lines = lines.filter_map(|candidate| link.add_local_candidate(*candidate));
        let lines = lines.collect();
        Ok((link, lines))
    }
}

impl Linker for WebRtc {
    type Link = WebRtcLink;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn offer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
    ) -> Result<(WebRtcLink, String), LinkError> {
        let (mut link, candidates) = self.build(now, candidates, packets)?;
        let sdp = link.make_offer(candidates)?;
        Ok((link, sdp))
    }

    fn answer(
        &mut self,
        now: Instant,
        candidates: &[LocalCandidate],
        packets: Packets,
        offer: &str,
    ) -> Result<(WebRtcLink, String), LinkError> {
        // The offer is read first, because making a connection costs cryptography.
        let offer = RemoteDescription::read(offer)?;
        let (mut link, candidates) = self.build(now, candidates, packets)?;
        let answer = link.make_answer(now, candidates, &offer)?;
        Ok((link, answer))
    }
}
