//! The settings that say which peers are trusted, and by what they know us.

use std::ffi::OsString;
use std::path::PathBuf;

use super::settings::{self, Flags, Reader};
use super::sources::{NO_FILE, usual_file};
use super::values;
use crate::limits;
use crate::mesh::trust::{PeerTrust, TrustSettings};
use crate::secret::Secret;

/// The name of the usual `KNOWN_PEERS`.
const KNOWN_PEERS_NAME: &str = "known_peers";

/// The name of the usual `IDENTITY_FILE`.
const IDENTITY_NAME: &str = "identity";

static TRUST: [(&str, PeerTrust); 3] = [
    ("registry", PeerTrust::Registry),
    ("first-use", PeerTrust::FirstUse),
    ("known", PeerTrust::Known),
];

/// Who is trusted, and how they know us.
#[derive(Debug, Clone, Default)]
pub struct PeerSettings {
    /// `MESH_SECRET`, `ALLOW_UNPROVEN`, `ALLOW_PEERS` and `PEER_TRUST`
    pub trust: TrustSettings,
    /// `KNOWN_PEERS`, if it is read at all.
    pub known_peers: Option<PathBuf>,
    /// `IDENTITY_FILE`; `None`: a new certificate at each start.
    pub identity_file: Option<PathBuf>,
}

impl PeerSettings {
    pub(super) fn read(
        reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        reader.refuse_empty(&settings::ALLOW_PEERS);
        reader.refuse_empty(&settings::PEER_TRUST);
        let trust = TrustSettings {
            secret: mesh_secret(reader),
            allow_unproven: reader.read(&settings::ALLOW_UNPROVEN, values::switch),
            allowed: reader.read(&settings::ALLOW_PEERS, values::allowed_peers),
            peers: reader.read(&settings::PEER_TRUST, values::word(&TRUST)),
        };
        let keeps_certificates = trust.peers != PeerTrust::Registry;
        let known_peers = reader.read(&settings::KNOWN_PEERS, values::optional_path);
        let known_peers = known_peers.or_else(|| usual_file(KNOWN_PEERS_NAME, &environment));
        if keeps_certificates && known_peers.is_none() {
            reader.error("KNOWN_PEERS: give the file that PEER_TRUST needs".to_owned());
        }
        let usual_identity = || usual_file(IDENTITY_NAME, &environment);
        let identity_file = reader.read(&settings::IDENTITY_FILE, values::optional_path);
        let identity_file = match identity_file {
            Some(path) => (path.as_os_str() != NO_FILE).then_some(path),
            None => keeps_certificates.then(usual_identity).flatten(),
        };
        PeerSettings {
            trust,
            known_peers: known_peers.filter(|_| keeps_certificates),
            identity_file,
        }
    }

    /// Returns lines about what is allowed, but hardly meant.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let TrustSettings {
            secret,
            allow_unproven,
            peers,
            ..
        } = &self.trust;
        let bytes = secret.as_ref().map(|secret| secret.reveal().len());
        if bytes.is_some_and(|bytes| bytes < limits::GOOD_SECRET_BYTES) {
            doubts.push(format!(
                "MESH_SECRET is shorter than {} bytes: whoever sits between could find it by trying; take one of \
                 `openssl rand -hex 32`",
                limits::GOOD_SECRET_BYTES
            ));
        }
        if *allow_unproven && secret.is_none() {
            doubts.push("ALLOW_UNPROVEN means nothing without MESH_SECRET".to_owned());
        }
        if *peers != PeerTrust::Registry && self.identity_file.is_none() {
            doubts.push(
                "without IDENTITY_FILE our certificate is new at each start, and peers with PEER_TRUST refuse it"
                    .to_owned(),
            );
        }
        doubts
    }
}

/// Reads `MESH_SECRET`.
pub(super) fn mesh_secret(
    reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
) -> Option<Secret> {
    reader.refuse_empty(&settings::MESH_SECRET);
    reader.refuse_empty(&settings::MESH_SECRET_FILE);
    reader.read(&settings::MESH_SECRET, values::mesh_secret)
}

/// The settings of `identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// `IDENTITY_FILE`
    pub file: PathBuf,
}

impl IdentityConfig {
    /// Reads the settings of `identity`: `flags` over `environment` over defaults.
    ///
    /// # Errors
    /// One line for each setting that can't be used.
    pub fn from(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<IdentityConfig, Vec<String>> {
        let mut reader = Reader::new(flags, &environment);
        let named = reader.read(&settings::IDENTITY_FILE, values::optional_path);
        let file = named.or_else(|| usual_file(IDENTITY_NAME, &environment));
        let file = file.filter(|file| file.as_os_str() != NO_FILE);
        let file = file.unwrap_or_else(|| {
            reader.error("identity: set IDENTITY_FILE to the file that keeps it".to_owned());
            PathBuf::new()
        });
        reader.finish(IdentityConfig { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<PeerSettings, Vec<String>> {
        let flags = Flags::default();
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let mut reader = Reader::new(&flags, environment);
        let settings = PeerSettings::read(&mut reader, environment);
        reader.finish(settings)
    }

    #[test]
    fn what_is_empty_is_refused_where_it_would_protect_nothing() {
        for name in [
            "MESH_SECRET",
            "MESH_SECRET_FILE",
            "ALLOW_PEERS",
            "PEER_TRUST",
        ] {
            let errors = read(&[(name, "")]).unwrap_err();
            let expected = format!(
                "{name}: it is empty, which protects nothing; give it a value, or unset it"
            );
            assert_eq!(errors, [expected]);
        }
    }

    #[test]
    fn files_are_used_where_certificates_count() {
        let home = ("HOME", "/home/me");
        let usual = |name: &str| {
            let directory = PathBuf::from("/home/me/.config/chatixia-sidecar");
            Some(directory.join(name))
        };
        let none = read(&[home]).unwrap();
        assert_eq!((none.known_peers, none.identity_file), (None, None));
        let first_use = read(&[home, ("PEER_TRUST", "first-use")]).unwrap();
        assert_eq!(first_use.known_peers, usual("known_peers"));
        assert_eq!(first_use.identity_file, usual("identity"));
        let named = [
            ("PEER_TRUST", "known"),
            ("KNOWN_PEERS", "/k"),
            ("IDENTITY_FILE", "none"),
        ];
        let named = read(&named).unwrap();
        assert_eq!(named.known_peers, Some(PathBuf::from("/k")));
        assert_eq!(named.identity_file, None);
        assert!(named.doubts()[0].starts_with("without IDENTITY_FILE"));
        let homeless = read(&[("PEER_TRUST", "known")]).unwrap_err();
        assert!(homeless[0].starts_with("KNOWN_PEERS: "), "{homeless:?}");
    }

    #[test]
    fn a_secret_is_never_shown_and_a_short_one_is_doubted() {
        let short = read(&[("MESH_SECRET", "s3cret"), ("ALLOW_UNPROVEN", "on")]).unwrap();
        let doubts = short.doubts();
        assert!(
            doubts[0].starts_with("MESH_SECRET is shorter"),
            "{doubts:?}"
        );
        assert!(!format!("{short:?}{doubts:?}").contains("s3cret"));
        let long = read(&[("MESH_SECRET", "a secret of some length")]).unwrap();
        assert_eq!(long.doubts(), [""; 0]);
        let broken = read(&[("MESH_SECRET", "s3cret\nof two lines")]).unwrap_err();
        assert!(!broken[0].contains("s3cret"), "{broken:?}");
        let doubts = read(&[("ALLOW_UNPROVEN", "on")]).unwrap().doubts();
        assert_eq!(doubts, ["ALLOW_UNPROVEN means nothing without MESH_SECRET"]);
        assert!(read(&[("ALLOW_PEERS", " , ")]).is_err());
    }
}
