//! Limits of what decides whom we trust.

use std::time::Duration;

use super::table::limits;

limits! {
    "whom we trust" as pub(super) TRUST;

    /// Peers in the file `KNOWN_PEERS`; with more it is not read, and once there are as many, further peers are not
    /// trusted at first use.
    pub const KNOWN_PEERS: usize = 4096;

    /// Largest `KNOWN_PEERS` file, in bytes; a larger one is not read.
    pub const KNOWN_PEERS_FILE_BYTES: u64 = 2 * 1024 * 1024;

    /// Largest `IDENTITY_FILE`, in bytes; a larger one is not read.
    pub const IDENTITY_FILE_BYTES: u64 = 64 * 1024;

    /// Peers that wait to be written to `KNOWN_PEERS`; further ones are not remembered beyond the end of the process.
    pub const KNOWN_PEERS_TO_WRITE: usize = 256;

    /// How long a peer may take to prove itself once our `hello` was sent; then the connection is ended.
    pub const PROOF_TIMEOUT: Duration = Duration::from_secs(4);

    /// The least of it, where two round trips are not longer, while the peer has proven itself on another connection,
    /// where it does not wait for ever; then that one is taken.
    pub const PROOF_TIMEOUT_BESIDE_PROVEN: Duration = Duration::from_secs(2);

    /// Peers that are warned of within an hour because they are not trusted; of further ones nothing is said at that
    /// level.
    pub const DISTRUST_WARNINGS: usize = 256;

    /// Longest `MESH_SECRET`, in bytes; with a longer one the sidecar does not start.
    pub const SECRET_BYTES: usize = 1024;
}

/// Least time between two warnings that the same peer is not trusted.
pub const DISTRUST_WARNING_INTERVAL: Duration = Duration::from_secs(3600);

/// Shortest `MESH_SECRET` that is not warned of, in bytes: whoever sits between sees a proof, and can try shorter
/// ones at leisure.
pub const GOOD_SECRET_BYTES: usize = 16;
