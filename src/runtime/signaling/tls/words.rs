//! Says in words for a person why TLS failed, and what to do about it.

use std::fmt;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use crate::protocol::certificate::Certificate;

/// The reason why a certificate is refused.
#[derive(Debug)]
pub(super) struct Refusal(String);

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Describes a failed handshake, and what a person can do about it.
pub(in crate::runtime::signaling) fn describe(error: &Error) -> String {
    let words = match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        Error::InvalidCertificate(_) => format!(
            "{error}; the key of the server's certificate may be of a kind that is too weak, such as RSA of \
             less than 2048 bits; {}",
            command("HOST", "DNS")
        ),
        Error::InvalidMessage(_) => format!("{error}; is it TLS that is spoken on this port?"),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        )
        | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks only TLS 1.1 or older; it must speak TLS 1.2 or 1.3".to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon,
        )
        | Error::AlertReceived(AlertDescription::InsufficientSecurity) => {
            "the server and we have no cipher in common".to_owned()
        }
        Error::AlertReceived(alert) => alert_in_words(*alert),
        error => error.to_string(),
    };
    format!("TLS: {words}")
}

fn alert_in_words(alert: AlertDescription) -> String {
    let words = match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server asks for a client certificate, and the sidecar has none; let it ask for none"
        }
        AlertDescription::HandshakeFailure => {
            "the server has broken off the handshake: it asks for a client certificate, which the sidecar \
             has not, or has no cipher in common with us"
        }
        AlertDescription::UnrecognisedName => {
            "the server knows nothing of the host's name; is the name in the URL right?"
        }
        AlertDescription::AccessDenied => "the server denies us access",
        AlertDescription::InternalError => "the server has an error of its own; see its log",
        AlertDescription::CertificateUnknown
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA => {
            "the server refuses our certificate, but the sidecar has none to show; let it ask for none"
        }
        alert => return format!("the server has broken off the handshake ({alert:?})"),
    };
    words.to_owned()
}

/// Returns whether the server was refused because it shows an authority's certificate as its own.
pub(super) fn is_authority(error: &Error) -> bool {
    // The library has no name for it.
    error.to_string().contains("CaUsedAsEndEntity")
}

/// Says why a certificate is refused: the server has shown it, with these beside it, for `name`.
pub(super) fn refusal(
    error: &Error,
    shown: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    name: &ServerName<'_>,
) -> Refusal {
    let host = name.to_str();
    let Error::InvalidCertificate(why) = error else {
        return Refusal(error.to_string());
    };
    Refusal(match why {
        CertificateError::UnknownIssuer => unknown(shown, intermediates),
        _ if is_authority(error) => {
            "the server's certificate is self-signed or an authority's, and not in CA_FILE; put this very \
             certificate there"
                .to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = match presented.as_slice() {
                [] => "names no host (subjectAltName)".to_owned(),
                names => format!("is for {}", listed(names)),
            };
            format!(
                "the server's certificate {names}, so it is not valid for name {host}; {}",
                command_for(name)
            )
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate expired {} ago; renew it, or set this machine's clock",
            between(*not_after, *time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is valid only in {}; is this machine's clock right?",
            between(*time, *not_before)
        ),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => format!(
            "the server's certificate is not for servers (extendedKeyUsage); {}",
            command_for(name)
        ),
        CertificateError::BadEncoding
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        | CertificateError::Other(_) => format!(
            "the server's certificate cannot be used ({}): of an old version, or too weak, such as RSA of less \
             than 2048 bits or SHA-1; {}",
            short(why),
            command_for(name)
        ),
        _ => format!("the server's certificate is refused: {why}"),
    })
}

fn unknown(shown: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> String {
    let read = Certificate::parse(shown);
    if read.is_some_and(|read| read.is_self_issued()) {
        return "the server's certificate is self-signed and not in CA_FILE; put this very certificate there"
            .to_owned();
    }
    let issuer = |read: Certificate<'_>| read.issuer_name();
    if intermediates.is_empty() {
        let issuer = read.and_then(issuer);
        let issuer = issuer.map_or_else(|| "an authority".to_owned(), |name| format!("{name:?}"));
        format!(
            "the server's certificate is signed by {issuer}, which is not known here, and no other comes with \
             it (UnknownIssuer); probably the server leaves out an intermediate certificate, and must show its \
             full chain; if the authority is your own, put its certificate into CA_FILE"
        )
    } else {
        let last = intermediates
            .last()
            .and_then(|last| Certificate::parse(last));
        let root = last.and_then(issuer);
        let root = root.map_or_else(String::new, |name| format!(" {name:?}"));
        format!(
            "the authority{root} that vouches for the server's certificate is not known here (UnknownIssuer); \
             if it is your own, put its certificate into CA_FILE"
        )
    }
}

/// Returns what makes a certificate for a server that is accepted once it is in `CA_FILE`.
fn command_for(name: &ServerName<'_>) -> String {
    let kind = match name {
        ServerName::IpAddress(_) => "IP",
        _ => "DNS",
    };
    command(&name.to_str(), kind)
}

fn command(host: &str, kind: &str) -> String {
    format!(
        "to make one: openssl req -x509 -newkey rsa:2048 -nodes -days 825 -subj /CN={host} -addext \
         subjectAltName={kind}:{host} -keyout key.pem -out cert.pem, and put cert.pem into CA_FILE"
    )
}

/// Lists the names in a certificate, which the library gives as in `DnsName("a")`.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 4;
    const LONGEST: usize = 100;
    let plain = names.iter().take(SHOWN).map(|name| {
        let inner = name.split('"').nth(1).unwrap_or(name);
        inner.chars().take(LONGEST).collect::<String>()
    });
    let more = names.len().saturating_sub(SHOWN);
    let mut text = plain.collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// The first word of what the library says, which is the name of the error.
fn short(why: &CertificateError) -> String {
    let text = match why {
        CertificateError::Other(other) => other.0.to_string(),
        why => format!("{why:?}"),
    };
    let word = text.split(|c: char| !c.is_ascii_alphanumeric()).next();
    word.unwrap_or_default().to_owned()
}

fn between(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    match seconds {
        0..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_told_in_words() {
        let words = |alert| describe(&Error::AlertReceived(alert));
        assert!(
            words(AlertDescription::CertificateRequired).contains("asks for a client certificate")
        );
        assert!(words(AlertDescription::ProtocolVersion).contains("only TLS 1.1"));
        let old = Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13);
        assert!(describe(&old).contains("only TLS 1.1"));
        let unusual = words(AlertDescription::DecodeError);
        assert_eq!(
            unusual,
            "TLS: the server has broken off the handshake (DecodeError)"
        );
    }

    #[test]
    fn names_and_times_are_short() {
        let names = [
            "DnsName(\"a.test\")".to_owned(),
            "IpAddress(10.0.0.1)".to_owned(),
        ];
        assert_eq!(listed(&names), "a.test, IpAddress(10.0.0.1)");
        let at = |s| UnixTime::since_unix_epoch(std::time::Duration::from_secs(s));
        assert_eq!(between(at(0), at(90)), "1 min");
        assert_eq!(between(at(0), at(90_000)), "25 h");
        assert_eq!(between(at(0), at(9_000_000)), "104 days");
    }
}
