//! Writes our descriptions.

use str0m::IceCreds;

use super::remote::{RemoteDescription, Section, Setup};

/// The name of the only media section of our offers. Several stacks match a trickled candidate by its `sdpMid` alone,
/// and everybody else's only section is called that.
const OUR_MID: &str = "0";

/// The content of our description.
pub struct LocalDescription {
    /// The number of the session, below 2^62 (RFC 9429 section 5.2.1).
    pub session_id: u64,
    /// Our candidates, each as it is trickled.
    pub candidates: Vec<String>,
    /// Our credentials for connectivity checks.
    pub credentials: IceCreds,
    /// The SHA-256 fingerprint of our certificate.
    pub fingerprint: String,
    /// The largest message that we take, in bytes.
    pub max_message_bytes: usize,
    /// Our SCTP INIT chunk in Base64 (draft-hancke-tsvwg-snap).
    pub sctp_init: Option<String>,
}

impl LocalDescription {
    /// Returns an offer.
    pub fn offer(&self) -> String {
        let mut lines = self.session(Some(OUR_MID));
        lines.extend(self.section(Some(OUR_MID), Setup::ActPass));
        joined(&lines)
    }

    /// Returns the answer to an offer, in which we take this part in DTLS. Of its sections only the one for data
    /// channels is accepted.
    pub fn answer(&self, offer: &RemoteDescription, setup: Setup) -> String {
        let accepted = offer.sections.get(offer.data_section);
        let bundled = accepted.filter(|_| offer.is_bundled);
        let mut lines = self.session(bundled.and_then(|section| section.mid.as_deref()));
        for (place, section) in offer.sections.iter().enumerate() {
            if place == offer.data_section {
                lines.extend(self.section(section.mid.as_deref(), setup));
            } else {
                lines.extend(refused(section));
            }
        }
        joined(&lines)
    }

    /// The lines of the session. `bundled` is the section that is alone in a group.
    fn session(&self, bundled: Option<&str>) -> Vec<String> {
        let mut lines = vec![
            "v=0".to_owned(),
            format!("o=- {} 2 IN IP4 0.0.0.0", self.session_id),
            "s=-".to_owned(),
            "t=0 0".to_owned(),
        ];
        lines.extend(bundled.map(|mid| format!("a=group:BUNDLE {mid}")));
        lines.push("a=extmap-allow-mixed".to_owned());
        lines.push("a=msid-semantic: WMS ".to_owned());
        lines
    }

    /// The lines of the section for data channels. All addresses are candidates, so the address and the port of the
    /// section itself mean nothing (RFC 8840 section 4.1.1).
    fn section(&self, mid: Option<&str>, setup: Setup) -> Vec<String> {
        let mut lines = vec![
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel".to_owned(),
            "c=IN IP4 0.0.0.0".to_owned(),
        ];
        let candidates = self.candidates.iter();
        lines.extend(candidates.map(|candidate| format!("a={candidate}")));
        lines.extend([
            format!("a=ice-ufrag:{}", self.credentials.ufrag),
            format!("a=ice-pwd:{}", self.credentials.pass),
            "a=ice-options:trickle".to_owned(),
            format!("a=fingerprint:sha-256 {}", self.fingerprint),
            format!("a=setup:{}", setup.word()),
        ]);
        lines.extend(mid.map(|mid| format!("a=mid:{mid}")));
        lines.push("a=sctp-port:5000".to_owned());
        lines.push(format!("a=max-message-size:{}", self.max_message_bytes));
        let init = self.sctp_init.as_ref();
        lines.extend(init.map(|init| format!("a=sctp-init:{init}")));
        lines
    }
}

/// The lines of a section that we refuse (RFC 3264 section 6).
fn refused(section: &Section) -> Vec<String> {
    let Section {
        media,
        protocol,
        mid,
    } = section;
    let mut lines = vec![
        format!("m={media} 0 {protocol}"),
        "c=IN IP4 0.0.0.0".to_owned(),
    ];
    lines.extend(mid.as_ref().map(|mid| format!("a=mid:{mid}")));
    lines.push("a=inactive".to_owned());
    lines
}

fn joined(lines: &[String]) -> String {
    let lines = lines.iter().map(String::as_str);
    lines.flat_map(|line| [line, "\r\n"]).collect()
}
