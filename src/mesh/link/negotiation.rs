//! Offer and answer (RFC 3264): makes our descriptions, and starts DTLS and SCTP with what the peer's says. The
//! ICE agent learns whom it will meet.

use str0m::Rtc;
use str0m::channel::SctpInitData;

use crate::protocol::fingerprint;

use super::LinkError;
use super::description::local::LocalDescription;
use super::description::remote::{RemoteDescription, Setup};
use super::guard::describe;
use super::message_size::OwnOffer;

/// A connection that waits for the peer's description.
pub(super) struct Negotiation {
    own_offer: OwnOffer,
    /// The largest message that we take, in bytes.
    max_message_bytes: usize,
    /// The SCTP INIT chunk in our offer.
    offered_init: Option<SctpInitData>,
}

impl Negotiation {
    /// Begins one for a connection without candidates.
    pub(super) fn new(rtc: &mut Rtc, max_message_bytes: usize) -> Result<Self, LinkError> {
        Ok(Negotiation {
            own_offer: OwnOffer::make(rtc)?,
            max_message_bytes,
            offered_init: None,
        })
    }

    /// Returns our offer, with these candidates.
    pub(super) fn offer(
        &mut self,
        rtc: &mut Rtc,
        candidates: Vec<String>,
    ) -> Result<String, LinkError> {
        // RFC 8445 section 6.1.1.
        rtc.direct_api().set_ice_controlling(true);
        let mut init = SctpInitData::new();
        let description = self.local_description(rtc, candidates, Some(&mut init))?;
        self.offered_init = Some(init);
        Ok(description.offer())
    }

    /// Takes the peer's answer. Returns whether SCTP is begun by us because the peer waits for it.
    pub(super) fn accept(
        self,
        rtc: &mut Rtc,
        answer: &RemoteDescription,
    ) -> Result<bool, LinkError> {
        let init = self.offered_init.and_then(|ours| with_init(ours, answer));
        // With both INIT chunks in the descriptions there is nothing to begin.
        let is_awaited = init.is_none() && answer.waits_for_sctp();
        let begins_sctp = is_awaited || is_dtls_client(answer);
        start(rtc, self.own_offer, answer, init, begins_sctp)?;
        Ok(is_awaited)
    }

    /// Takes the peer's offer. Returns our answer, with these candidates.
    pub(super) fn answer(
        self,
        rtc: &mut Rtc,
        candidates: Vec<String>,
        offer: &RemoteDescription,
    ) -> Result<String, LinkError> {
        // RFC 8445 section 6.1.1.
        rtc.direct_api().set_ice_controlling(offer.is_ice_lite);
        let mut init = with_init(SctpInitData::new(), offer);
        let description = self.local_description(rtc, candidates, init.as_mut())?;
        let is_client = is_dtls_client(offer);
        start(rtc, self.own_offer, offer, init, is_client)?;
        let setup = match is_client {
            true => Setup::Active,
            false => Setup::Passive,
        };
        Ok(description.answer(offer, setup))
    }

    fn local_description(
        &self,
        rtc: &mut Rtc,
        candidates: Vec<String>,
        init: Option<&mut SctpInitData>,
    ) -> Result<LocalDescription, LinkError> {
        let init = init.map(SctpInitData::local_init_string).transpose();
        let sctp_init = init.map_err(|error| LinkError(format!("SCTP: {error}")))?;
        let direct = rtc.direct_api();
        Ok(LocalDescription {
            session_id: fastrand::u64(..1 << 62),
            candidates,
            credentials: direct.local_ice_credentials(),
            fingerprint: fingerprint::of_digest(&direct.local_dtls_fingerprint().bytes),
            max_message_bytes: self.max_message_bytes,
            sctp_init,
        })
    }
}

/// Returns our INIT chunk with that of the peer, if there is one that can be read. libdatachannel repeats in its answer
/// attributes that it does not know, and then expects SCTP's usual handshake.
fn with_init(mut ours: SctpInitData, theirs: &RemoteDescription) -> Option<SctpInitData> {
    let init = theirs.sctp_init.as_ref()?;
    let is_repeated = ours.local_init_string().is_ok_and(|ours| ours == *init);
    let is_read = !is_repeated && ours.set_remote_init_string(init).is_ok();
    is_read.then_some(ours)
}

/// Returns whether DTLS is begun by us: by the answerer if the offerer leaves it the choice, and we leave it to the
/// offerer then.
fn is_dtls_client(theirs: &RemoteDescription) -> bool {
    theirs.setup == Some(Setup::Passive)
}

/// Starts DTLS and SCTP. Who begins SCTP takes the even numbers for its channels (RFC 8832 section 6), which
/// nobody minds.
fn start(
    rtc: &mut Rtc,
    own_offer: OwnOffer,
    theirs: &RemoteDescription,
    init: Option<SctpInitData>,
    begins_sctp: bool,
) -> Result<(), LinkError> {
    let mut direct = rtc.direct_api();
    direct.set_remote_fingerprint(theirs.fingerprint.clone());
    direct
        .start_dtls(is_dtls_client(theirs))
        .map_err(describe)?;
    own_offer.show(rtc)?;
    let mut direct = rtc.direct_api();
    direct.set_remote_ice_credentials(theirs.credentials.clone());
    match init {
        Some(init) => direct
            .start_sctp_with_snap(begins_sctp, init)
            .map_err(describe),
        None => {
            direct.start_sctp(begins_sctp);
            Ok(())
        }
    }
}
