//! Limits on what an outsider can make the sidecar hold or do, in one place.
//!
//! What is bounded is declared with [`limits!`](table::limits), so that `chatixia-sidecar limits` prints what the code
//! reads. Constants beside it pace what we do by ourselves. Settings that a user may change (`MAX_PEERS`,
//! `MAX_MESSAGE_BYTES`, `QUEUE_BYTES`, ...) have their defaults and ranges in [`crate::config`]; the values here are
//! fixed. Only these limits are elsewhere:
//!
//! * the registry's, in `registry/limits.rs` and below, since it is another program;
//! * how long the registry is waited for, in [`Times`](crate::runtime::signaling::Times), which tests
//!   shorten;
//! * figures of a protocol or a library, beside the code that follows it: what counts as silence
//!   (`mesh/connection/liveness.rs`), when a transport's acknowledgement is a receipt
//!   (`mesh/connection/receipts.rs`), the room that str0m is given (`mesh/link/webrtc.rs`).

mod agent_link;
mod connection;
mod flow;
mod http;
mod introduction;
mod mcp;
mod names;
mod network;
mod process;
mod registry_link;
mod servers;
pub mod table;
mod text;
mod trust;

pub use agent_link::*;
pub use connection::*;
pub use flow::*;
pub use http::*;
pub use introduction::*;
pub use mcp::*;
pub use names::*;
pub use network::*;
pub use process::*;
pub use registry_link::*;
pub use servers::*;
pub use text::*;
pub use trust::*;

/// The limits that are declared here, one table a matter.
pub const TABLES: &[table::Table] = &[
    text::TEXT,
    agent_link::AGENT_LINK,
    flow::FLOW,
    introduction::INTRODUCTION,
    connection::CONNECTION,
    network::NETWORK,
    http::HTTP,
    names::NAMES,
    servers::SERVERS,
    registry_link::REGISTRY_LINK,
    trust::TRUST,
    process::PROCESS,
    mcp::MCP,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_what_happens_at_the_limit() {
        let tables = TABLES.iter();
        #[cfg(feature = "registry")]
        let tables = tables.chain(crate::registry::LIMITS);
        for limit in tables.flat_map(|table| table.limits) {
            let (bounded, at_limit) = (limit.bounded(), limit.at_limit());
            assert!(!bounded.is_empty() && !at_limit.is_empty(), "{limit:?}");
        }
    }
}
