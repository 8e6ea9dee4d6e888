//! The check of the files of trust: whether a sidecar can use `IDENTITY_FILE` and `KNOWN_PEERS`. Makes none of them.

use std::path::Path;

use super::report::{Check, Finding};
use crate::config::peers::PeerSettings;
use crate::mesh::trust::PeerTrust;
use crate::runtime::peer_files::{self, identity, known_peers};

/// Returns a finding for each of the files that the settings name.
pub(super) fn check(settings: &PeerSettings) -> Vec<Finding> {
    let identity = settings.identity_file.as_deref().map(check_identity);
    let may_add = settings.trust.peers == PeerTrust::FirstUse;
    let known = settings.known_peers.as_deref();
    let known = known.map(|path| check_known_peers(path, may_add));
    identity.into_iter().chain(known).collect()
}

fn check_identity(path: &Path) -> Finding {
    let about = format!("IDENTITY_FILE={}", path.display());
    let found = match identity::load(path) {
        Ok(found) => found,
        Err(why) => return Finding::fail(Check::Trust, why),
    };
    match found.map(|identity| identity.fingerprint()) {
        Some(fingerprint) => Finding::ok(Check::Trust, format!("our certificate is {fingerprint}")),
        None => match peer_files::can_be_made(path) {
            Ok(()) => Finding::ok(Check::Trust, "it is not there; the sidecar makes it"),
            Err(error) => Finding::fail(
                Check::Trust,
                format!("it is not there, and can't be made: {error}"),
            )
            .advice("name a file in a directory that this user may write to"),
        },
    }
    .about(about)
}

fn check_known_peers(path: &Path, may_add: bool) -> Finding {
    let known = match known_peers::load(path) {
        Ok(known) => known,
        Err(why) => return Finding::fail(Check::Trust, why),
    };
    let about = format!("KNOWN_PEERS={}", path.display());
    let count = known.count();
    let finding = match peer_files::can_be_written(path) {
        Err(error) if may_add => Finding::warn(
            Check::Trust,
            format!("{count} peers, and further ones can't be remembered: {error}"),
        )
        .advice("let this user write to it, or write the lines yourself and set PEER_TRUST=known"),
        _ if count == 0 && !may_add => Finding::warn(Check::Trust, "it names nobody").advice(
            "with PEER_TRUST=known it needs a line for each peer, as `chatixia-sidecar identity` there prints it, and \
             the peer's name",
        ),
        _ => Finding::ok(Check::Trust, format!("{count} peers")),
    };
    finding.about(about)
}
