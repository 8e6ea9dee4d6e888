//! Reads trusted certificates: `CA_FILE`, and the system's store.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::Error;
use crate::config::trust::SystemStore;
use crate::limits;

/// The files in which distributions have all authorities.
const USUAL_FILES: [&str; 7] = [
    // Debian, Ubuntu, Arch, Gentoo, NixOS
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, Red Hat
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    // Alpine, OpenWrt
    "/etc/ssl/cert.pem",
    // Android's Termux
    "/data/data/com.termux/files/usr/etc/tls/cert.pem",
];
/// The directory in which they have a file for each, if there is none for all.
const USUAL_DIRECTORY: &str = "/etc/ssl/certs";

/// Adds the system's authorities. What can't be read or used is left out: with a word where the user
/// has named it, silently else.
pub(super) fn add_system(roots: &mut RootCertStore, store: &SystemStore) {
    let (file, directories) = match store {
        SystemStore::None => return,
        SystemStore::Named { file, directories } => (file.clone(), directories.clone()),
        SystemStore::Usual => match USUAL_FILES.iter().find(|path| Path::new(path).is_file()) {
            Some(path) => (Some(PathBuf::from(path)), Vec::new()),
            None => (None, vec![PathBuf::from(USUAL_DIRECTORY)]),
        },
    };
    let is_named = matches!(store, SystemStore::Named { .. });
    let complain = |variable: &str, path: &Path, why: &dyn std::fmt::Display| {
        if is_named {
            log::warn!("{variable} {} is not used: {why}", path.display());
        }
    };
    let mut found = Vec::new();
    if let Some(path) = file {
        match read_bounded(&path).and_then(|bundle| certificates(&bundle)) {
            Ok(certificates) => found.extend(certificates),
            Err(why) => complain("SSL_CERT_FILE", &path, &why),
        }
    }
    for directory in directories {
        match read_directory(&directory) {
            Ok(certificates) => found.extend(certificates),
            Err(error) => complain("SSL_CERT_DIR", &directory, &error),
        }
    }
    add_new(roots, found);
}

/// Adds the authorities that are not there yet. Returns how many could be used, and how many not.
fn add_new(
    roots: &mut RootCertStore,
    found: impl IntoIterator<Item = CertificateDer<'static>>,
) -> (usize, usize) {
    let mut others = RootCertStore::empty();
    let counts = others.add_parsable_certificates(found);
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    known.extend(
        roots
            .roots
            .iter()
            .map(|root| root.subject_public_key_info.to_vec()),
    );
    others
        .roots
        .retain(|root| known.insert(root.subject_public_key_info.to_vec()));
    roots.extend(others.roots);
    counts
}

/// Returns the certificates in the regular files of a directory, up to [`limits::CA_DIRECTORY_FILES`] files
/// and [`limits::CA_FILE_BYTES`] together. Files without certificates are left out.
fn read_directory(directory: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut found = Vec::new();
    let mut read = 0;
    for entry in fs::read_dir(directory)?.take(limits::CA_DIRECTORY_FILES) {
        let Ok(bundle) = read_bounded(&entry?.path()) else {
            continue;
        };
        read += bundle.len() as u64;
        if read > limits::CA_FILE_BYTES {
            break;
        }
        found.extend(certificates(&bundle).unwrap_or_default());
    }
    Ok(found)
}

/// Adds the authorities in `CA_FILE`, and returns all certificates in it.
pub(super) fn add_ca_file(
    roots: &mut RootCertStore,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unusable = |why: &str| Error::Unusable(path.to_owned(), why.to_owned());
    let failed = |why| match why {
        Unread::Io(error) => Error::Unreadable(path.to_owned(), error),
        Unread::Unusable(why) => unusable(&why),
    };
    let bundle = read_bounded(path).map_err(failed)?;
    let own = certificates(&bundle).map_err(failed)?;
    match add_new(roots, own.iter().cloned()) {
        (0, 0) => Err(unusable("it holds no certificate")),
        (0, _) => Err(unusable("none of its certificates can be used")),
        (_, 0) => Ok(own),
        (_, skipped) => {
            log::warn!("CA_FILE {}: {skipped} certificates skipped", path.display());
            Ok(own)
        }
    }
}

/// The reason why a file is not used.
enum Unread {
    Io(io::Error),
    Unusable(String),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Unread::Io(error)
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::Io(error) if error.kind() == ErrorKind::NotFound => {
                f.write_str("there is none")
            }
            Unread::Io(error) => error.fmt(f),
            Unread::Unusable(why) => f.write_str(why),
        }
    }
}

fn certificates(bundle: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unread> {
    let found = CertificateDer::pem_slice_iter(bundle).collect::<Result<Vec<_>, _>>();
    found.map_err(|error| {
        Unread::Unusable(match error {
            pem::Error::MissingSectionEnd { .. } => "a certificate has no end line".to_owned(),
            error => error.to_string(),
        })
    })
}

/// Reads a regular file of bounded size. Others may never end, or keep us from ending.
fn read_bounded(path: &Path) -> Result<Vec<u8>, Unread> {
    if !fs::metadata(path)?.is_file() {
        return Err(Unread::Unusable("it is no regular file".to_owned()));
    }
    let mut content = Vec::new();
    let file = File::open(path)?;
    file.take(limits::CA_FILE_BYTES + 1)
        .read_to_end(&mut content)?;
    if content.len() as u64 > limits::CA_FILE_BYTES {
        return Err(Unread::Unusable("it is larger than 8 MiB".to_owned()));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::super::client_config;
    use super::*;
    use crate::config::trust::Trust;

    fn trusting(path: &Path) -> Trust {
        Trust {
            ca_file: Some(path.to_owned()),
            ..Trust::default()
        }
    }

    fn error_with(content: &[u8], name: &str) -> String {
        let name = format!("chatixia-tls-{}-{name}.pem", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        let error = client_config(&trusting(&path)).unwrap_err().to_string();
        fs::remove_file(&path).unwrap();
        assert!(error.contains(&path.display().to_string()), "{error}");
        error
    }

    #[test]
    fn says_what_is_wrong_with_the_ca_file() {
        let error_of = |path: &str| {
            let error = client_config(&trusting(Path::new(path))).unwrap_err();
            error.to_string()
        };
        let missing = error_of("/does/not/exist.pem");
        assert!(
            missing.contains("/does/not/exist.pem cannot be read"),
            "{missing}"
        );
        let device = error_of("/dev/zero");
        assert!(
            device.contains("/dev/zero: it is no regular file"),
            "{device}"
        );
        let large = vec![b'\n'; 8 * 1024 * 1024 + 1];
        assert!(error_with(&large, "large").contains("larger than 8 MiB"));

        assert!(error_with(b"", "empty").contains("holds no certificate"));
        assert!(error_with(b"\x00\xffnoise", "noise").contains("holds no certificate"));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(error_with(cut, "cut").contains("no end line"));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(error_with(empty, "bad").contains("none of its certificates"));
    }

    fn authority() -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, own.der());
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn the_system_s_store_is_what_the_variables_name_and_never_an_error() {
        let directory = format!("chatixia-store-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        fs::create_dir_all(directory.join("more")).unwrap();
        let file = directory.join("a.pem");
        fs::write(&file, authority()).unwrap();
        fs::write(directory.join("b.0"), authority() + &authority()).unwrap();
        fs::write(directory.join("noise"), b"\x00\xff").unwrap();
        let count = |file: Option<PathBuf>, directories| {
            let mut roots = RootCertStore::empty();
            add_system(&mut roots, &SystemStore::Named { file, directories });
            roots.len()
        };
        let missing = PathBuf::from("/does/not/exist");
        assert_eq!(count(Some(file.clone()), Vec::new()), 1);
        // One of them is in both.
        assert_eq!(count(Some(file), vec![directory.clone()]), 3);
        assert_eq!(
            count(Some(missing.clone()), vec![missing, directory.clone()]),
            3
        );
        assert_eq!(count(Some("/dev/zero".into()), vec!["/dev/null".into()]), 0);
        fs::remove_dir_all(directory).unwrap();
    }
}
