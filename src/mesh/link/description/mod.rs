//! Session descriptions (SDP, RFC 8866): those of peers read, and ours written.
//!
//! A connection of ours has data channels only, all on one SCTP association (RFC 8841), so a description says little:
//! ICE's credentials and candidates (RFC 8839), whose certificate DTLS will see and who begins it (RFC 8842), and how
//! large a message may be.

mod lines;
pub mod local;
pub mod remote;

pub use lines::{
    UNANNOUNCED_MAX_MESSAGE_BYTES, candidate_address, candidate_name, candidates, fingerprint,
    limit_candidates, max_message_bytes,
};
