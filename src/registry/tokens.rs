//! The tokens that open WebSockets: gives them out and checks them.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::protocol::PeerId;

/// Random bytes in a token.
pub(super) const TOKEN_BYTES: usize = 32;

/// The tokens given out and still valid. Each opens any number of WebSockets until it expires.
///
/// It deliberately has no `Debug`: its content is secret.
pub(super) struct Tokens {
    lifetime: Duration,
    limit: usize,
    peers: HashMap<String, PeerId>,
    /// When each token expires. All live equally long, so the first given out is the first to expire.
    expiries: VecDeque<(Instant, String)>,
}

impl Tokens {
    /// Makes an empty set of at most `limit` valid tokens.
    pub(super) fn new(lifetime: Duration, limit: usize) -> Self {
        Tokens {
            lifetime,
            limit,
            peers: HashMap::new(),
            expiries: VecDeque::new(),
        }
    }

    /// Makes a token of `peer` from `random`; returns `None` when the limit is reached.
    pub(super) fn issue(
        &mut self,
        now: Instant,
        peer: PeerId,
        random: [u8; TOKEN_BYTES],
    ) -> Option<String> {
        self.forget_expired(now);
        if self.peers.len() >= self.limit {
            return None;
        }
        let token = hex(&random);
        self.expiries
            .push_back((now + self.lifetime, token.clone()));
        self.peers.insert(token.clone(), peer);
        Some(token)
    }

    /// Returns the peer that a token was given to; `None` when it is unknown or has expired.
    pub(super) fn peer(&mut self, now: Instant, token: &str) -> Option<PeerId> {
        self.forget_expired(now);
        self.peers.get(token).cloned()
    }

    fn forget_expired(&mut self, now: Instant) {
        while let Some((_, token)) = self.expiries.pop_front_if(|(expiry, _)| *expiry <= now) {
            self.peers.remove(&token);
        }
    }
}

/// Returns the bytes as two hexadecimal digits each.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);

    fn peer(name: &str) -> PeerId {
        PeerId::new(name).unwrap()
    }

    #[test]
    fn a_token_names_its_peer_until_it_expires() {
        let (start, mut tokens) = (Instant::now(), Tokens::new(LIFETIME, 10));
        let token = tokens.issue(start, peer("a"), [0xab; TOKEN_BYTES]).unwrap();
        assert_eq!(token, "ab".repeat(TOKEN_BYTES));
        let last = start + LIFETIME - Duration::from_millis(1);
        assert_eq!(tokens.peer(last, &token), Some(peer("a")));
        assert_eq!(tokens.peer(last, &token), Some(peer("a")), "reusable");
        assert_eq!(tokens.peer(start + LIFETIME, &token), None);
        assert_eq!(tokens.peer(start, "never given"), None);
    }

    #[test]
    fn no_more_than_the_limit_until_some_expire() {
        let (start, mut tokens) = (Instant::now(), Tokens::new(LIFETIME, 2));
        let later = start + Duration::from_secs(1);
        assert!(tokens.issue(start, peer("a"), [1; TOKEN_BYTES]).is_some());
        let second = tokens.issue(later, peer("b"), [2; TOKEN_BYTES]).unwrap();
        assert!(tokens.issue(later, peer("c"), [3; TOKEN_BYTES]).is_none());

        let expired = start + LIFETIME;
        assert!(tokens.issue(expired, peer("c"), [4; TOKEN_BYTES]).is_some());
        assert_eq!(tokens.peer(expired, &second), Some(peer("b")));
    }
}
