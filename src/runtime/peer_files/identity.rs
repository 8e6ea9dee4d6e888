//! `IDENTITY_FILE`: keeps our certificate and its key, in PEM form, so that peers know us again.

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::limits;
use crate::mesh::link::webrtc::Identity;
use crate::private_file;
use crate::runtime::small_file::Found;

use super::LEADS_NOWHERE;

/// The bits of a file's mode that let others than its owner do something.
const OTHERS: u32 = 0o077;

/// Characters of a line in PEM form (RFC 7468).
const LINE: usize = 64;

/// Returns the identity that the file keeps. If there is no file, makes one with a new identity.
///
/// # Errors
/// A line for a person. It shows nothing of the key. A file that can't be used is left as it is.
pub(crate) fn load_or_make(path: &Path) -> Result<Identity, String> {
    if let Some(found) = load(path)? {
        return Ok(found);
    }
    let made = Identity::generate().map_err(|error| error.to_string())?;
    match private_file::create(path, &to_pem(&made)) {
        Ok(()) => {
            log::info!(
                "made a certificate in {}: {}",
                path.display(),
                made.fingerprint()
            );
            Ok(made)
        }
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            load(path)?.ok_or_else(|| problem(path, LEADS_NOWHERE))
        }
        Err(error) => Err(problem(path, &format!("it can't be made: {error}"))),
    }
}

/// Returns the identity that the file keeps; `None` if there is no file.
///
/// # Errors
/// As [`load_or_make`].
pub(crate) fn load(path: &Path) -> Result<Option<Identity>, String> {
    let found = super::read(path, limits::IDENTITY_FILE_BYTES);
    let found = found.map_err(|error| problem(path, &format!("it can't be read: {error}")))?;
    let Some(Found { text, mode }) = found else {
        return Ok(None);
    };
    if mode & OTHERS != 0 {
        let why = format!(
            "others can read or change it (mode {:04o}), and whoever has it can pass for us; make \
             it 0600, or move it away for a new one",
            mode & 0o7777
        );
        return Err(problem(path, &why));
    }
    let identity = parse(&text).map_err(|why| {
        let what = "mend it, or move it away for a new certificate, which peers don't know yet";
        problem(path, &format!("{why}; {what}"))
    })?;
    Ok(Some(identity))
}

fn problem(path: &Path, why: &str) -> String {
    format!("IDENTITY_FILE={}: {why}", path.display())
}

fn parse(text: &str) -> Result<Identity, &'static str> {
    let certificate = CertificateDer::from_pem_slice(text.as_bytes())
        .map_err(|_| "it holds no certificate in PEM form")?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| "it holds no private key in PEM form (PRIVATE KEY)")?;
    let signing = any_ecdsa_type(&PrivateKeyDer::Pkcs8(key.clone_key()))
        .map_err(|_| "its private key is none of ECDSA that can be used")?;
    CertifiedKey::new(vec![certificate.clone()], signing)
        .keys_match()
        .map_err(|_| "its private key is not that of its certificate")?;
    let key = key.secret_pkcs8_der().to_vec();
    Ok(Identity::new(certificate.to_vec(), key))
}

fn to_pem(identity: &Identity) -> String {
    let parts = [
        ("CERTIFICATE", identity.certificate()),
        ("PRIVATE KEY", identity.reveal_private_key()),
    ];
    let mut text = String::new();
    for (label, der) in parts {
        text.push_str(&format!("-----BEGIN {label}-----\n"));
        let mut coded = STANDARD.encode(der);
        while !coded.is_empty() {
            let rest = coded.split_off(coded.len().min(LINE));
            text.push_str(&coded);
            text.push('\n');
            coded = rest;
        }
        text.push_str(&format!("-----END {label}-----\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::TestDirectory;
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_the_same_ever_after() {
        let directory = TestDirectory::new("identity-kept");
        let path = directory.0.join("below/identity");
        let made = load_or_make(&path).unwrap();
        let again = load_or_make(&path).unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        assert_eq!(made.reveal_private_key(), again.reveal_private_key());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{made:?}").contains("key"));
    }

    #[test]
    fn of_several_that_make_it_at_once_all_have_the_same() {
        let directory = TestDirectory::new("identity-race");
        let path = directory.0.join("identity");
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| load_or_make(&path).unwrap().fingerprint()))
                .collect();
            let made = threads.into_iter().map(|thread| thread.join().unwrap());
            made.collect::<Vec<_>>()
        });
        assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = TestDirectory::new("identity-open");
        let path = directory.0.join("identity");
        load_or_make(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = load_or_make(&path).unwrap_err();
            assert!(error.contains(&format!("(mode {mode:04o})")), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(load_or_make(&path).is_ok());
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_alone() {
        let directory = TestDirectory::new("identity-damaged");
        let path = directory.0.join("identity");
        load_or_make(&path).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let (certificate, key) = whole.split_at(whole.find("-----BEGIN PRIVATE").unwrap());
        let other = to_pem(&Identity::generate().unwrap());
        let other_certificate = other.split("-----BEGIN PRIVATE").next().unwrap();
        let cases = [
            ("", "no certificate"),
            (key, "no certificate"),
            (certificate, "no private key"),
            (&whole[..whole.len() - 40], "no private key"),
            (
                &format!("{other_certificate}{key}"),
                "not that of its certificate",
            ),
        ];
        for (text, why) in cases {
            fs::write(&path, text).unwrap();
            let error = load_or_make(&path).unwrap_err();
            assert!(error.contains(why), "{error}");
            assert!(!error.contains("MI"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = load_or_make(&path).unwrap_err();
        assert!(error.contains("no regular file"), "{error}");
    }
}
