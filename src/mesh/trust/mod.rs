//! What decides who is trusted: the settings, the certificates that are known, and why somebody is not trusted.
//! [`crate::mesh::trusting`] acts on it.

pub mod allowed_peers;
pub mod distrust;
pub mod known_peers;
pub(crate) mod warnings;

use crate::secret::Secret;
use allowed_peers::AllowedPeers;

/// The setting `PEER_TRUST`: whose certificates are believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PeerTrust {
    /// Those that the registry brings.
    #[default]
    Registry,
    /// The first that a name comes with, and no other afterwards.
    FirstUse,
    /// Those in the file of known peers.
    Known,
}

/// The settings of trust. The default trusts the registry.
#[derive(Debug, Clone, Default)]
pub struct TrustSettings {
    /// `MESH_SECRET`: every peer has to prove that it knows it.
    pub secret: Option<Secret>,
    /// `ALLOW_UNPROVEN`: whether peers of another make need no proof.
    pub allow_unproven: bool,
    /// `ALLOW_PEERS`: who may talk to us at all.
    pub allowed: AllowedPeers,
    /// `PEER_TRUST`
    pub peers: PeerTrust,
}

impl TrustSettings {
    /// Returns whether the registry's word alone is not enough.
    pub(crate) fn is_demanding(&self) -> bool {
        self.secret.is_some() || self.peers != PeerTrust::Registry
    }
}
