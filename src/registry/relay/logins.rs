//! Logins to TURN servers that share a secret with the registry, in the form of the TURN REST API: the name
//! is `expiry:peer`, the password HMAC-SHA1 of it. So a server knows nobody, and checks all.

use std::collections::HashMap;

use crate::limits::TURN_LOGIN_BYTES;
use crate::nat::credentials;
use crate::protocol::PeerId;
use crate::registry::limits::RELAY_LOGIN_LIFETIME;
use crate::registry::unix_time::UnixTime;
use crate::secret::Secret;

/// A name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::registry) struct Login {
    pub(in crate::registry) username: String,
    pub(in crate::registry) password: Secret,
}

/// Makes a peer's login, which is good for [`RELAY_LOGIN_LIFETIME`].
pub(in crate::registry) fn login(secret: &Secret, peer: &PeerId, now: UnixTime) -> Login {
    let username = format!("{}:{peer}", (now + RELAY_LOGIN_LIFETIME).seconds());
    Login {
        password: credentials::password(secret, &username),
        username,
    }
}

/// Judges names.
#[derive(Debug)]
pub(super) struct Logins {
    secret: Secret,
    /// Peers that are no longer let in. Names that expire by this Unix time, in seconds, were given out
    /// before that.
    barred: HashMap<PeerId, u64>,
}

impl Logins {
    pub(super) fn new(secret: Secret) -> Self {
        Logins {
            secret,
            barred: HashMap::new(),
        }
    }

    /// Returns the peer of a name, and the password that belongs to it; `None` when the name has expired, is
    /// no name of ours, or its peer is no longer let in.
    pub(super) fn known(&self, username: &str, now: UnixTime) -> Option<(PeerId, Secret)> {
        if username.len() > TURN_LOGIN_BYTES {
            return None;
        }
        let (expiry, peer) = username.split_once(':')?;
        let expiry: u64 = expiry.parse().ok()?;
        let peer = PeerId::new(peer)?;
        let is_barred = self.barred.get(&peer).is_some_and(|until| expiry <= *until);
        let is_good = expiry > now.seconds() && !is_barred;
        is_good.then(|| (peer, credentials::password(&self.secret, username)))
    }

    /// Judges by another secret.
    pub(super) fn set_secret(&mut self, secret: Secret) {
        self.secret = secret;
    }

    /// Takes no login any more that a peer had got by then.
    pub(super) fn bar(&mut self, peer: PeerId, at: UnixTime) {
        self.barred.retain(|_, until| *until > at.seconds());
        let last = (at + RELAY_LOGIN_LIFETIME).seconds();
        self.barred.insert(peer, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn subject() -> (Logins, Secret, PeerId, UnixTime) {
        let secret = Secret::new("opensesame".to_owned());
        let peer = PeerId::new("a:b").unwrap();
        (Logins::new(secret.clone()), secret, peer, UnixTime::now())
    }

    #[test]
    fn a_login_names_its_peer_until_it_expires() {
        let (logins, secret, peer, now) = subject();
        let made = login(&secret, &peer, now);
        let known = logins.known(&made.username, now);
        assert_eq!(known, Some((peer, made.password)));
        let later = now + RELAY_LOGIN_LIFETIME;
        assert_eq!(logins.known(&made.username, later), None);
    }

    #[test]
    fn other_names_are_unknown() {
        let (logins, _, _, now) = subject();
        let long = format!("99999999999:{}", "x".repeat(TURN_LOGIN_BYTES));
        for name in [
            "",
            ":",
            "x",
            "99999999999",
            "99999999999:",
            ":a",
            "-1:a",
            &long,
        ] {
            assert_eq!(logins.known(name, now), None, "{name:?}");
        }
    }

    #[test]
    fn a_peer_that_is_barred_needs_a_new_login() {
        let (mut logins, secret, peer, now) = subject();
        let old = login(&secret, &peer, now);
        logins.bar(peer.clone(), now);
        assert_eq!(logins.known(&old.username, now), None);
        let new = login(&secret, &peer, now + Duration::from_secs(1));
        assert!(logins.known(&new.username, now).is_some());
        let other = login(&secret, &PeerId::new("c").unwrap(), now);
        assert!(logins.known(&other.username, now).is_some());
    }
}
