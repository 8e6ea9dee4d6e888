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

    /// Takes the peer's answer. Returns whether we begin SCTP only because the peer waits for it.
    pub(super) fn accept(
        self,
        rtc: &mut Rtc,
        answer: &RemoteDescription,
    ) -> Result<bool, LinkError> {
        let init = self.offered_init.and_then(|ours| with_init(ours, answer));
        // With both INIT chunks in the descriptions there is nothing to begin.
        let is_awaited = init.is_none() && answer.waits_for_sctp();
        // An answer that does not say it waits for us (RFC 4145 section 4.1).
        let is_dtls_client = answer.setup.unwrap_or(Setup::Passive) == Setup::Passive;
        let start = Start {
            is_dtls_client,
            begins_sctp: is_awaited || is_dtls_client,
            init,
        };
        start.run(rtc, self.own_offer, answer)?;
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
        // Where the offerer leaves us the choice, or says nothing, we leave it to the offerer to begin DTLS.
        let is_dtls_client = offer.setup == Some(Setup::Passive);
        let start = Start {
            is_dtls_client,
            begins_sctp: is_dtls_client,
            init,
        };
        start.run(rtc, self.own_offer, offer)?;
        let setup = match is_dtls_client {
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

/// How DTLS and SCTP start.
struct Start {
    /// Whether we begin DTLS.
    is_dtls_client: bool,
    /// Whether we begin SCTP. str0m takes the even numbers for the channels of that side. RFC 8832 (section 6) gives them
    /// to the DTLS client, which is another side only if the peer waits for us; our channel is then the first there is.
    begins_sctp: bool,
    /// The INIT chunks of both sides, if they are in the descriptions.
    init: Option<SctpInitData>,
}

impl Start {
    fn run(
        self,
        rtc: &mut Rtc,
        own_offer: OwnOffer,
        theirs: &RemoteDescription,
    ) -> Result<(), LinkError> {
        let mut direct = rtc.direct_api();
        direct.set_remote_fingerprint(theirs.fingerprint.clone());
        direct.start_dtls(self.is_dtls_client).map_err(describe)?;
        own_offer.show(rtc)?;
        let mut direct = rtc.direct_api();
        direct.set_remote_ice_credentials(theirs.credentials.clone());
        match self.init {
            Some(init) => direct
                .start_sctp_with_snap(self.begins_sctp, init)
                .map_err(describe),
            None => {
                direct.start_sctp(self.begins_sctp);
                Ok(())
            }
        }
    }
}
