//! The certificates that peers are known by: `KNOWN_PEERS`, a file with one line a peer.
//!
//! A line is `sha-256 FINGERPRINT NAME`. Empty lines and those that begin with `#` say nothing. A name may have
//! several lines: then any of its certificates is good.

use std::collections::BTreeMap;
use std::fmt;

use crate::limits;
use crate::protocol::{PeerId, fingerprint};

/// One peer and its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    /// Its name.
    pub peer: PeerId,
    /// The SHA-256 fingerprint of its certificate.
    pub certificate: String,
}

impl KnownPeer {
    /// Parses a line of the file. `None`: it is none of these lines.
    pub fn parse(line: &str) -> Option<Self> {
        let (bytes, name) = line
            .strip_prefix(fingerprint::SHA_256)?
            .strip_prefix(' ')?
            .split_once(' ')?;
        Some(KnownPeer {
            peer: PeerId::new(name)?,
            certificate: fingerprint::parse(bytes)?,
        })
    }
}

impl fmt::Display for KnownPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KnownPeer { peer, certificate } = self;
        write!(f, "{} {certificate} {peer}", fingerprint::SHA_256)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    certificate: String,
    line: usize,
}

/// All that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownPeers {
    file: String,
    entries: BTreeMap<PeerId, Vec<Entry>>,
    /// How many certificates there are.
    count: usize,
    /// How many lines the file has.
    lines: usize,
}

/// What is known of a peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Familiarity {
    /// It is the one that is known.
    Known,
    /// Nothing is known of this peer.
    New,
    /// Another is known, from this line.
    Other {
        /// The certificate that is known.
        certificate: String,
        /// The number of the line, from 1.
        line: usize,
    },
}

impl KnownPeers {
    /// Reads the text of the file. `file`: its name, for a person.
    ///
    /// # Errors
    /// A text for a person about the first line that can't be read, or about too many of them.
    pub fn parse(file: String, text: &str) -> Result<Self, String> {
        let mut known = KnownPeers {
            file,
            ..KnownPeers::default()
        };
        for line in text.lines() {
            known.lines += 1;
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (file, number) = (&known.file, known.lines);
            let peer = KnownPeer::parse(line).ok_or_else(|| {
                format!("{file}: line {number} is not of the form: sha-256 FINGERPRINT NAME")
            })?;
            if !known.has_room() {
                let limit = limits::KNOWN_PEERS;
                return Err(format!("{file} has more than {limit} peers"));
            }
            known.insert(peer);
        }
        Ok(known)
    }

    /// Returns the name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns how many certificates are known.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns whether another certificate can be remembered.
    pub fn has_room(&self) -> bool {
        self.count < limits::KNOWN_PEERS
    }

    /// Returns what is known of the certificate of a peer.
    pub fn familiarity(&self, peer: &PeerId, certificate: &str) -> Familiarity {
        let Some(entries) = self.entries.get(peer) else {
            return Familiarity::New;
        };
        if entries.iter().any(|entry| entry.certificate == certificate) {
            return Familiarity::Known;
        }
        entries
            .last()
            .map_or(Familiarity::New, |last| Familiarity::Other {
                certificate: last.certificate.clone(),
                line: last.line,
            })
    }

    /// Adds a peer as one further line.
    pub fn add(&mut self, peer: KnownPeer) {
        self.lines += 1;
        self.insert(peer);
    }

    /// Takes what a later copy of the file knows of one peer in place of what is known.
    pub fn take_lines_of(&mut self, peer: &PeerId, file: &KnownPeers) {
        let found = file.entries.get(peer).cloned().unwrap_or_default();
        self.count += found.len();
        if let Some(former) = self.entries.insert(peer.clone(), found) {
            self.count -= former.len();
        }
    }

    fn insert(&mut self, peer: KnownPeer) {
        self.count += 1;
        self.entries.entry(peer.peer).or_default().push(Entry {
            certificate: peer.certificate,
            line: self.lines,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(byte: &str) -> String {
        vec![byte; 32].join(":")
    }

    #[test]
    fn a_line_comes_back_whole_whatever_the_name() {
        for name in ["a", "# two words ", "sha-256 é"] {
            let known = KnownPeer {
                peer: PeerId::new(name).unwrap(),
                certificate: certificate("0A"),
            };
            assert_eq!(KnownPeer::parse(&known.to_string()), Some(known));
        }
    }

    #[test]
    fn what_a_later_copy_knows_of_one_peer_changes_nothing_for_the_others() {
        let [one, other, third] = ["01", "02", "03"].map(certificate);
        let [a, b] = ["a", "b"].map(|name| PeerId::new(name).unwrap());
        let text = format!("sha-256 {one} a\nsha-256 {other} b\n");
        let mut known = KnownPeers::parse("file".into(), &text).unwrap();
        let later = KnownPeers::parse("file".into(), &format!("\nsha-256 {third} a\n")).unwrap();
        known.take_lines_of(&a, &later);
        assert_eq!(known.familiarity(&a, &third), Familiarity::Known);
        let told = Familiarity::Other {
            certificate: third,
            line: 2,
        };
        assert_eq!(known.familiarity(&a, &one), told);
        assert_eq!(known.familiarity(&b, &other), Familiarity::Known);
        assert_eq!(known.count(), 2);
    }

    #[test]
    fn a_peer_is_known_by_any_of_its_lines_and_another_is_told_with_the_last() {
        let [one, other, third] = ["01", "0b", "0C"].map(certificate);
        let text = format!("# mine\n\nsha-256 {one} a\nsha-256 {other} a\nsha-256 {third} b\n");
        let mut known = KnownPeers::parse("file".into(), &text).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| PeerId::new(name).unwrap());
        let other = other.to_uppercase();
        assert_eq!(known.familiarity(&a, &one), Familiarity::Known);
        assert_eq!(known.familiarity(&a, &other), Familiarity::Known);
        let changed = Familiarity::Other {
            certificate: other,
            line: 4,
        };
        assert_eq!(known.familiarity(&a, &third), changed);
        assert_eq!(known.familiarity(&c, &one), Familiarity::New);
        known.add(KnownPeer {
            peer: c.clone(),
            certificate: one.clone(),
        });
        assert_eq!(known.familiarity(&c, &one), Familiarity::Known);
        let changed = Familiarity::Other {
            certificate: one.clone(),
            line: 6,
        };
        assert_eq!(known.familiarity(&c, &third), changed);
        assert_ne!(known.familiarity(&b, &one), Familiarity::New);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let one = certificate("01");
        for bad in ["what is this", "sha-1 01 a", &format!("sha-256 {one} ")] {
            let error = KnownPeers::parse("file".into(), &format!("\n{bad}\n")).unwrap_err();
            assert!(error.starts_with("file: line 2 "), "{error}");
        }
        let line = format!("sha-256 {one} a\n");
        assert!(KnownPeers::parse("f".into(), &line.repeat(limits::KNOWN_PEERS)).is_ok());
        assert!(KnownPeers::parse("f".into(), &line.repeat(limits::KNOWN_PEERS + 1)).is_err());
    }
}
