//! `ALLOW_PEERS`: the names of the peers that may talk to us.

use crate::protocol::PeerId;

/// Names and patterns, in which `*` stands for any text. The default allows everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedPeers {
    /// `None`: everybody.
    patterns: Option<Vec<String>>,
}

impl AllowedPeers {
    /// Returns who is named by these patterns.
    pub fn of(patterns: Vec<String>) -> Self {
        AllowedPeers {
            patterns: Some(patterns),
        }
    }

    /// Returns whether this peer is allowed.
    pub fn contains(&self, peer: &PeerId) -> bool {
        let patterns = self.patterns.as_ref();
        patterns.is_none_or(|all| all.iter().any(|pattern| matches(pattern, peer.as_str())))
    }
}

/// Returns whether a name has the form of a pattern. Takes no longer than the product of their lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    // Of several places where a part may be, the first leaves the most for those that follow.
    for part in between.split('*') {
        let Some((_, after)) = name.split_once(part) else {
            return false;
        };
        name = after;
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, is_match) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("robot-*", "robot-7", true),
            ("robot-*", "robot-", true),
            ("robot-*", "my-robot-7", false),
            ("*-sidecar", "a-sidecar", true),
            ("*-sidecar", "a-sidecar2", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a**b", "ab", true),
            ("*é*", "caféteria", true),
        ] {
            assert_eq!(matches(pattern, name), is_match, "{pattern} {name}");
        }
    }

    #[test]
    fn without_patterns_everybody_is_allowed_and_with_none_nobody() {
        let peer = PeerId::new("a").unwrap();
        assert!(AllowedPeers::default().contains(&peer));
        assert!(!AllowedPeers::of(Vec::new()).contains(&peer));
        assert!(AllowedPeers::of(vec!["b".into(), "a".into()]).contains(&peer));
    }
}
