//! Reads the description of a peer.
//!
//! Stacks write attributes at the level of the session or of a media section, in any order and with many that mean
//! nothing here. Refused is only what no connection can come of. An error never quotes the text, which holds
//! credentials.

use std::fmt;

use str0m::IceCreds;
use str0m::config::Fingerprint;

use crate::limits;
use crate::mesh::link::LinkError;
use crate::protocol::fingerprint;

use super::lines;

/// The longest username fragment and the longest password of ICE (RFC 8839 section 5.4).
const ICE_CREDENTIAL_BYTES: usize = 256;

/// The hash functions that fingerprints are checked by, the best first, with the sizes of their digests in bytes.
const HASHES: [(&str, usize); 2] = [
    (fingerprint::SHA_256, fingerprint::SHA_256_BYTES),
    ("sha-1", 20),
];

/// The largest message that aiortc and werift announce.
const SIXTY_FOUR_KIB: u64 = 65_536;

/// The part that the sender of a description takes in DTLS (RFC 8842 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// It leaves the choice to the other side, as each offer does.
    ActPass,
    /// It begins the handshake.
    Active,
    /// It waits for the handshake.
    Passive,
}

impl Setup {
    /// Returns the word for it in `a=setup`.
    pub fn word(self) -> &'static str {
        match self {
            Setup::ActPass => "actpass",
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Setup::ActPass, Setup::Active, Setup::Passive]
            .into_iter()
            .find(|setup| setup.word() == word)
    }
}

/// A media section of a description: so much of it as an answer repeats (RFC 3264 section 6).
pub struct Section {
    /// The kind of media, as `audio`.
    pub media: String,
    /// The protocol and the formats.
    pub protocol: String,
    /// Its identification tag (RFC 5888).
    pub mid: Option<String>,
}

/// The content of a peer's description.
pub struct RemoteDescription {
    /// The credentials for connectivity checks.
    pub credentials: IceCreds,
    /// Whether the peer only answers checks (RFC 8445 section 2.5).
    pub is_ice_lite: bool,
    /// The fingerprint of its certificate.
    pub fingerprint: Fingerprint,
    /// Its part in DTLS.
    pub setup: Option<Setup>,
    /// Whether that is said in the section for data channels.
    is_setup_of_section: bool,
    /// The largest message that it takes, in bytes.
    max_message_bytes: Option<u64>,
    /// Its SCTP INIT chunk in Base64 (draft-hancke-tsvwg-snap).
    pub sctp_init: Option<String>,
    /// Its candidates, each as it is trickled.
    pub candidates: Vec<String>,
    /// All its media sections.
    pub sections: Vec<Section>,
    /// Which of them is the one for data channels.
    pub data_section: usize,
    /// Whether that one is in a group that shares one transport (BUNDLE, RFC 9143).
    pub is_bundled: bool,
}

impl RemoteDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// If no connection with data channels can come of it: the error says what is missing.
    pub fn read(sdp: &str) -> Result<Self, LinkError> {
        let (session, sections) = levels_of(sdp)?;
        let mut numbered = sections.iter().enumerate();
        let (data_section, data) = numbered
            .find(|(_, section)| section.is_for_data_channels())
            .ok_or_else(|| unusable("has no section for data channels"))?;
        let is_bundled = data.mid().is_some_and(|mid| session.bundles(mid));
        // In a group port 0 may say that the section has the transport of another (RFC 9143 section 6).
        if data.port() == Some("0") && !is_bundled {
            return Err(unusable("refuses data channels"));
        }
        // The section counts before its session, and the session before other sections: those of a group have one
        // transport, and not all of them repeat what they have in common.
        let levels = || [data, &session].into_iter().chain(&sections);
        let credentials = levels()
            .find_map(Level::credentials)
            .ok_or_else(|| unusable("has no a=ice-ufrag and a=ice-pwd"))?;
        let longest = credentials.ufrag.len().max(credentials.pass.len());
        if longest > ICE_CREDENTIAL_BYTES {
            return Err(unusable("has ICE credentials of more than 256 bytes"));
        }
        let fingerprint = levels()
            .find_map(Level::fingerprint)
            .ok_or_else(|| unusable("has no a=fingerprint by SHA-256 or SHA-1"))?;
        Ok(RemoteDescription {
            credentials,
            is_ice_lite: session.value("ice-lite").is_some(),
            fingerprint,
            setup: levels().find_map(Level::setup),
            is_setup_of_section: data.setup().is_some(),
            max_message_bytes: data
                .value("max-message-size")
                .and_then(|size| size.parse().ok()),
            sctp_init: data
                .value("sctp-init")
                .filter(|init| !init.is_empty())
                .map(str::to_owned),
            candidates: lines::candidates(sdp).map(str::to_owned).collect(),
            sections: sections.iter().map(Level::section).collect(),
            data_section,
            is_bundled,
        })
    }

    /// Returns whether the sender of this answer leaves it to us to begin the SCTP association, if neither of us has
    /// put its INIT chunk into the descriptions.
    ///
    /// Both sides are to begin it (RFC 8841 section 9.3), but aiortc before 1.16 and werift do so only as the
    /// offerer, and str0m only as the DTLS client: when they answer, nobody would. They are recognised by the
    /// size that they announce, together with `a=setup` in the media section. With others we must not begin
    /// it, since str0m does not resolve two beginnings that cross.
    pub fn waits_for_sctp(&self) -> bool {
        self.setup == Some(Setup::Active)
            && self.is_setup_of_section
            && self.max_message_bytes == Some(SIXTY_FOUR_KIB)
    }
}

fn unusable(why: impl fmt::Display) -> LinkError {
    LinkError(format!("the session description {why}"))
}

/// The session, or a media section.
#[derive(Default)]
struct Level<'a> {
    /// The kind of media, the port, the protocol and the formats, as after `m=`. Empty for the session.
    media: &'a str,
    /// Its attributes, with their values.
    attributes: Vec<(&'a str, &'a str)>,
}

/// Returns the session and its media sections.
fn levels_of(sdp: &str) -> Result<(Level<'_>, Vec<Level<'_>>), LinkError> {
    if sdp.len() > limits::DESCRIPTION_BYTES {
        let (size, limit) = (sdp.len(), limits::DESCRIPTION_BYTES);
        return Err(unusable(format_args!(
            "has {size} bytes, more than {limit}"
        )));
    }
    let mut session = Level::default();
    let mut sections: Vec<Level<'_>> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        // Our answer repeats names, which must not add lines to it.
        if line.contains('\r') {
            return Err(unusable("has a carriage return within a line"));
        }
        if let Some(media) = line.strip_prefix("m=") {
            if sections.len() == limits::DESCRIPTION_SECTIONS {
                let most = limits::DESCRIPTION_SECTIONS;
                return Err(unusable(format_args!(
                    "has more than {most} media sections"
                )));
            }
            let attributes = Vec::new();
            sections.push(Level { media, attributes });
        } else if let Some(attribute) = line.strip_prefix("a=") {
            let attribute = attribute.split_once(':').unwrap_or((attribute, ""));
            let level = sections.last_mut().unwrap_or(&mut session);
            level.attributes.push(attribute);
        }
    }
    Ok((session, sections))
}

impl<'a> Level<'a> {
    /// Returns the values of an attribute.
    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self
            .attributes
            .iter()
            .filter(move |(found, _)| *found == name);
        named.map(|(_, value)| value.trim())
    }

    /// Returns the first value of an attribute.
    fn value(&self, name: &str) -> Option<&'a str> {
        self.values(name).next()
    }

    fn mid(&self) -> Option<&'a str> {
        self.value("mid").filter(|mid| !mid.is_empty())
    }

    fn port(&self) -> Option<&'a str> {
        self.media.split(' ').nth(1)
    }

    /// Returns whether it is a section of SCTP over DTLS, written as of RFC 8841 or as of its drafts.
    fn is_for_data_channels(&self) -> bool {
        let mut words = self.media.split(' ');
        words.next() == Some("application")
            && words
                .nth(1)
                .is_some_and(|protocol| protocol.ends_with("DTLS/SCTP"))
    }

    /// Returns whether the section with this tag is in a group that shares one transport. There may be several groups
    /// (RFC 9143 section 5).
    fn bundles(&self, mid: &str) -> bool {
        let mut groups = self.values("group");
        groups.any(|group| {
            let mut words = group.split(' ');
            words.next() == Some("BUNDLE") && words.any(|tag| tag == mid)
        })
    }

    fn credentials(&self) -> Option<IceCreds> {
        let value = |name| self.value(name).filter(|value| !value.is_empty());
        Some(IceCreds {
            ufrag: value("ice-ufrag")?.to_owned(),
            pass: value("ice-pwd")?.to_owned(),
        })
    }

    /// Returns the fingerprint of the best hash function.
    fn fingerprint(&self) -> Option<Fingerprint> {
        HASHES.into_iter().find_map(|(hash, size)| {
            self.values("fingerprint")
                .find_map(|value| read_fingerprint(value, hash, size))
        })
    }

    fn setup(&self) -> Option<Setup> {
        self.value("setup").and_then(Setup::of_word)
    }

    fn section(&self) -> Section {
        let (media, rest) = self.media.split_once(' ').unwrap_or((self.media, ""));
        let (_, protocol) = rest.split_once(' ').unwrap_or_default();
        Section {
            media: media.to_owned(),
            protocol: protocol.to_owned(),
            mid: self.mid().map(str::to_owned),
        }
    }
}

/// Reads a fingerprint by this hash function (RFC 8122 section 5), whose digests have so many bytes.
fn read_fingerprint(value: &str, hash: &str, size: usize) -> Option<Fingerprint> {
    let (function, digest) = value.split_once(' ')?;
    let bytes = fingerprint::digest_of(digest)?;
    let is_whole = function.eq_ignore_ascii_case(hash) && bytes.len() == size;
    is_whole.then(|| Fingerprint {
        hash_func: hash.to_owned(),
        bytes,
    })
}
