//! The few fields of an X.509 certificate (RFC 5280) that are needed to say why it is not trusted, and
//! what it may be used for. It verifies nothing.

/// Tags of DER (X.690 section 8).
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The optional version, and the extensions, of a certificate.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The object identifiers `id-ce-extKeyUsage`, `id-kp-serverAuth`, `anyExtendedKeyUsage`, and of the names
/// `commonName` and `organizationName`.
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SERVER_AUTHENTICATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const ORGANIZATION: &[u8] = &[0x55, 4, 10];

/// Longest name of an authority that is shown, in characters.
const SHOWN_NAME: usize = 64;

/// The fields of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// The usages it names; `None` if it names none.
    usages: Option<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate in DER; `None` if it is none.
    pub fn parse(der: &'a [u8]) -> Option<Self> {
        let mut whole = Reader(Reader(der).take(SEQUENCE)?);
        let mut fields = Reader(whole.take(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.take(VERSION)?;
        }
        let (_serial, _algorithm) = (fields.next()?, fields.take(SEQUENCE)?);
        let issuer = fields.take(SEQUENCE)?;
        let _validity = fields.take(SEQUENCE)?;
        let subject = fields.take(SEQUENCE)?;
        let mut usages = None;
        while let Some((tag, content)) = fields.next() {
            if tag == EXTENSIONS {
                usages = extended_key_usage(Reader(content).take(SEQUENCE)?)?;
            }
        }
        Some(Certificate {
            issuer,
            subject,
            usages,
        })
    }

    /// Returns whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Returns whether it may be a server's: it names that usage, or none at all.
    pub fn is_for_servers(&self) -> bool {
        let Some(usages) = self.usages else {
            return true;
        };
        let mut reader = Reader(usages);
        while let Some((_, usage)) = reader.next() {
            if [SERVER_AUTHENTICATION, ANY_USAGE].contains(&usage) {
                return true;
            }
        }
        false
    }

    /// Returns the issuer's common name, or else its organization's, for a person: of bounded length and
    /// without control characters.
    pub fn issuer_name(&self) -> Option<String> {
        let name = [COMMON_NAME, ORGANIZATION]
            .iter()
            .find_map(|kind| part_of_name(self.issuer, kind))?;
        let name = String::from_utf8_lossy(name);
        let printable = name.chars().filter(|letter| !letter.is_control());
        let name: String = printable.take(SHOWN_NAME).collect();
        (!name.is_empty()).then_some(name)
    }
}

/// Returns the value of the extension with the usages; the outer `None` is a broken certificate.
fn extended_key_usage(extensions: &[u8]) -> Option<Option<&[u8]>> {
    let mut extensions = Reader(extensions);
    while !extensions.0.is_empty() {
        let mut extension = Reader(extensions.take(SEQUENCE)?);
        let kind = extension.take(OBJECT)?;
        if extension.0.first() == Some(&BOOLEAN) {
            extension.take(BOOLEAN)?;
        }
        let value = extension.take(OCTETS)?;
        if kind == EXTENDED_KEY_USAGE {
            return Some(Some(Reader(value).take(SEQUENCE)?));
        }
    }
    Some(None)
}

fn part_of_name<'a>(name: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut parts = Reader(name);
    while !parts.0.is_empty() {
        let mut part = Reader(Reader(parts.take(SET)?).take(SEQUENCE)?);
        let kind = part.take(OBJECT)?;
        let (_, value) = part.next()?;
        if kind == wanted {
            return Some(value);
        }
    }
    None
}

/// A reader of the elements of DER that follow each other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Returns the content of the next element, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|e| e.1)
    }

    /// Returns the tag and the content of the next element; `None` at the end, or if it is cut off.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            // A certificate of more than 64 KiB is none.
            let digits = usize::from(first & 0x7f);
            let (digits, rest) = rest.split_at_checked(digits).filter(|_| digits <= 2)?;
            let add = |sum: usize, digit: &u8| sum << 8 | usize::from(*digit);
            (digits.iter().fold(0, add), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};

    use super::*;

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["reg.test".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    #[test]
    fn issuer_and_usages_are_read() {
        let key = KeyPair::generate().unwrap();
        let own = params("own").self_signed(&key).unwrap();
        let read = Certificate::parse(own.der()).unwrap();
        assert!(read.is_self_issued() && read.is_for_servers());
        assert_eq!(read.issuer_name().as_deref(), Some("own"));

        let authority = params("the\nauthority");
        let issuer = Issuer::from_params(&authority, &key);
        let mut signed = params("server");
        signed.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let signed = signed.signed_by(&key, &issuer).unwrap();
        let read = Certificate::parse(signed.der()).unwrap();
        assert!(!read.is_self_issued() && !read.is_for_servers());
        assert_eq!(read.issuer_name().as_deref(), Some("theauthority"));
    }

    #[test]
    fn what_is_cut_or_changed_is_no_certificate_or_another_but_no_panic() {
        let key = KeyPair::generate().unwrap();
        let own = params("own").self_signed(&key).unwrap();
        for end in 0..own.der().len() {
            assert_eq!(Certificate::parse(&own.der()[..end]), None);
        }
        for at in 0..own.der().len() {
            let mut changed = own.der().to_vec();
            changed[at] ^= 0xff;
            if let Some(read) = Certificate::parse(&changed) {
                read.issuer_name();
                read.is_for_servers();
            }
        }
    }
}
