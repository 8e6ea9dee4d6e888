//! The tokens that open WebSockets: gives them out and checks them. Of each its hash is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::{Row, Table, Texts};
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::registry::secrets::{hash, hex};
use crate::registry::unix_time::UnixTime;

/// Random bytes in a token.
pub(in crate::registry) const TOKEN_BYTES: usize = 32;

/// A token that was given out.
#[derive(Clone, Serialize, Deserialize)]
struct Token {
    hash: String,
    peer: PeerId,
    expires: UnixTime,
}

impl Row for Token {
    fn key(&self) -> &str {
        &self.hash
    }

    fn time(&self) -> UnixTime {
        self.expires
    }
}

/// The tokens given out and still valid. Each opens any number of WebSockets until it expires.
pub(in crate::registry) struct Tokens {
    lifetime: Duration,
    limit: usize,
    /// All live equally long, so the first given out is the first to expire.
    tokens: Table<Token>,
}

impl Tokens {
    /// Makes an empty set of at most `limit` valid tokens.
    pub(in crate::registry) fn new(lifetime: Duration, limit: usize) -> Self {
        Tokens {
            lifetime,
            limit,
            tokens: Table::default(),
        }
    }

    /// Makes a token of `peer` from `random`; returns `None` when the limit is reached. Of one peer
    /// [`limits::TOKENS_OF_PEER`] are valid at a time; one more takes the place of its oldest.
    pub(in crate::registry) fn issue(
        &mut self,
        now: UnixTime,
        peer: PeerId,
        random: [u8; TOKEN_BYTES],
    ) -> Option<String> {
        self.forget_expired(now);
        if self.tokens.len() >= self.limit {
            return None;
        }
        let own = self.tokens.iter().filter(|token| token.peer == peer);
        let own: Vec<String> = own.map(|token| token.hash.clone()).collect();
        if let Some(oldest) = own.first().filter(|_| own.len() >= limits::TOKENS_OF_PEER) {
            self.tokens.remove(oldest);
        }
        let token = hex(&random);
        self.tokens.put(Token {
            hash: hash(&token),
            peer,
            expires: now + self.lifetime,
        });
        Some(token)
    }

    /// Returns the peer that a token was given to; `None` when it is unknown or has expired.
    pub(in crate::registry) fn peer(&mut self, now: UnixTime, token: &str) -> Option<PeerId> {
        self.forget_expired(now);
        let known = self.tokens.get(&hash(token));
        let valid = known.filter(|token| now < token.expires);
        valid.map(|token| token.peer.clone())
    }

    /// Forgets the tokens of a peer that may no longer come in.
    pub(in crate::registry) fn forget(&mut self, peer: &PeerId) {
        self.tokens.remove_all(|token| token.peer == *peer);
    }

    /// Returns them as they are kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.tokens
    }

    fn forget_expired(&mut self, now: UnixTime) {
        let expired = self.tokens.iter().take_while(|token| token.expires <= now);
        let expired: Vec<String> = expired.map(|token| token.hash.clone()).collect();
        for hash in expired {
            self.tokens.remove(&hash);
        }
    }
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
        let (start, mut tokens) = (UnixTime::now(), Tokens::new(LIFETIME, 10));
        let token = tokens.issue(start, peer("a"), [0xab; TOKEN_BYTES]).unwrap();
        assert_eq!(token, "ab".repeat(TOKEN_BYTES));
        let last = start + LIFETIME - Duration::from_millis(1);
        assert_eq!(tokens.peer(last, &token), Some(peer("a")));
        assert_eq!(tokens.peer(last, &token), Some(peer("a")), "reusable");
        assert_eq!(tokens.peer(start + LIFETIME, &token), None);
        assert_eq!(tokens.peer(start, "never given"), None);
    }

    #[test]
    fn of_one_peer_the_latest_few_are_valid() {
        let (start, mut tokens) = (UnixTime::now(), Tokens::new(LIFETIME, 1000));
        let mut issue = |number: u8| tokens.issue(start, peer("a"), [number; TOKEN_BYTES]);
        let first = issue(0).unwrap();
        let others: Vec<_> = (1..=limits::TOKENS_OF_PEER as u8).map(&mut issue).collect();
        assert_eq!(tokens.peer(start, &first), None);
        for token in others.iter().flatten() {
            assert_eq!(tokens.peer(start, token), Some(peer("a")));
        }
        for number in 0..1000_u16 {
            let [low, high] = number.to_ne_bytes();
            let mut random = [9; TOKEN_BYTES];
            (random[0], random[1]) = (low, high);
            assert!(tokens.issue(start, peer("b"), random).is_some());
        }
        assert!(tokens.tokens.len() <= 2 * limits::TOKENS_OF_PEER);
        tokens.forget(&peer("a"));
        assert_eq!(tokens.peer(start, others[0].as_ref().unwrap()), None);
        tokens.forget_expired(start + LIFETIME);
        assert_eq!(tokens.tokens.len(), 0);
    }

    #[test]
    fn no_more_than_the_limit_until_some_expire() {
        let (start, mut tokens) = (UnixTime::now(), Tokens::new(LIFETIME, 2));
        let later = start + Duration::from_secs(1);
        assert!(tokens.issue(start, peer("a"), [1; TOKEN_BYTES]).is_some());
        let second = tokens.issue(later, peer("b"), [2; TOKEN_BYTES]).unwrap();
        assert!(tokens.issue(later, peer("c"), [3; TOKEN_BYTES]).is_none());

        let expired = start + LIFETIME;
        assert!(tokens.issue(expired, peer("c"), [4; TOKEN_BYTES]).is_some());
        assert_eq!(tokens.peer(expired, &second), Some(peer("b")));
    }
}
