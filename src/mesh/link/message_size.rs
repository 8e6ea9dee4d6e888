//! Tells str0m how large the messages are that we send.
//!
//! By itself it sends none of more than 64 KiB. It takes another size only out of a session description that it has
//! read or made itself, and then only when it starts SCTP. We read and write descriptions ourselves, and its calls
//! without descriptions, with which we start SCTP, have no place for a size. So it is shown its own offer, in which
//! our size is. Out of that comes nothing but the size: its SCTP INIT chunk is in the offer, too, and there is no
//! association between two ends with the same tag.

use str0m::change::SdpOffer;
use str0m::channel::ChannelConfig;
use str0m::{Rtc, RtcError};

use super::LinkError;
use super::guard::describe;

/// A stream that nobody uses: the last one there is (RFC 8831 section 6.5). str0m makes no offer without a channel.
const UNUSED_STREAM: u16 = 65_534;

/// An offer that str0m has made, of which nobody else hears.
pub(super) struct OwnOffer(SdpOffer);

impl OwnOffer {
    /// Has one made. There must be no candidates yet: they would become the peer's.
    pub(super) fn make(rtc: &mut Rtc) -> Result<Self, LinkError> {
        let mut changes = rtc.sdp_api();
        changes.add_channel_with_config(ChannelConfig {
            negotiated: Some(UNUSED_STREAM),
            ..ChannelConfig::default()
        });
        let (offer, _) = changes
            .apply()
            .ok_or_else(|| LinkError("the WebRTC stack makes no offer".into()))?;
        Ok(OwnOffer(offer))
    }

    /// Shows it to the connection that has made it. DTLS must have been started and the fingerprint of the peer be
    /// known, or they would be taken out of it; the credentials of the peer must be set after it. The unused stream
    /// gets its number when the connection is next told the time.
    pub(super) fn show(self, rtc: &mut Rtc) -> Result<(), LinkError> {
        match rtc.sdp_api().accept_offer(self.0) {
            Err(RtcError::Sctp(_)) => Ok(()),
            Err(error) => Err(describe(error)),
            Ok(_) => Err(LinkError("SCTP began with itself".into())),
        }
    }
}
