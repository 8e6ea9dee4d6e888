//! Calls into the WebRTC stack: what it panics at costs one connection, and its errors repeat nothing of a peer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use str0m::RtcError;

use super::LinkError;

/// Returns an error that says what failed, without what a peer's description may have put into the text.
pub(super) fn describe(error: RtcError) -> LinkError {
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
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, LinkError>) -> Result<T, LinkError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(LinkError("the WebRTC stack panicked".into())))
}
