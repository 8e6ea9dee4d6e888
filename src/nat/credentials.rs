//! Logins at TURN servers: names and passwords, given to us or made from a shared secret, and when to
//! replace them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

use crate::limits;
use crate::secret::Secret;

/// Lifetime in seconds of a login that we make from a shared secret.
pub const LIFETIME: u64 = 24 * 60 * 60;

/// The credentials for one TURN server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `TURN_SECRET`, shared with the server. Logins that expire are made from it.
    Shared(Secret),
    /// A name and a password, from the user or from the registry.
    Given {
        /// The name. If it begins with a Unix time, as in `1700000000:name`, the login expires then.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// A name and a password for one allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Secret,
    /// Unix time in seconds from which on another login should be used, some time before this one
    /// expires. `None` when its expiry is not known.
    pub(super) renew_at: Option<u64>,
}

impl Credentials {
    /// Returns the login to use at this Unix time, in seconds.
    pub(super) fn login(&self, unix: u64) -> Login {
        match self {
            Credentials::Shared(secret) => {
                let expires = unix.saturating_add(LIFETIME);
                let username = format!("{expires}:mesh");
                Login {
                    password: password(secret, &username),
                    username,
                    renew_at: Some(renew_at(expires, unix)),
                }
            }
            Credentials::Given { username, password } => Login {
                username: username.clone(),
                password: password.clone(),
                renew_at: expiry(username).map(|expires| renew_at(expires, unix)),
            },
        }
    }

    /// Returns the Unix time in seconds at which a login that was given to us expires; `None` when that
    /// is not known, or when we make new logins ourselves.
    pub fn given_until(&self) -> Option<u64> {
        match self {
            Credentials::Shared(_) => None,
            Credentials::Given { username, .. } => expiry(username),
        }
    }
}

/// Returns the password of the TURN REST API: base64(HMAC-SHA1(secret, username)).
pub(crate) fn password(secret: &Secret, username: &str) -> Secret {
    let tag = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes())
        .map(|mac| mac.chain_update(username).finalize().into_bytes());
    // HMAC takes a key of any length, so there is always a tag.
    Secret::new(tag.map(|tag| STANDARD.encode(tag)).unwrap_or_default())
}

/// Returns when to replace a login that is used from `unix` on: when half of its time is left, or
/// [`limits::TURN_RENEWAL`] if that is less.
fn renew_at(expires: u64, unix: u64) -> u64 {
    let left = expires.saturating_sub(unix);
    expires - limits::TURN_RENEWAL.as_secs().min(left / 2)
}

/// Reads the time at the beginning of a name such as `1700000000:name`.
fn expiry(username: &str) -> Option<u64> {
    let time = username.split(':').next()?;
    let is_time = time.len() == 10 && time.bytes().all(|byte| byte.is_ascii_digit());
    is_time.then(|| time.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_secret_makes_logins_of_a_day() {
        // echo -n 1700086400:mesh | openssl dgst -sha1 -hmac opensesame -binary | base64
        let login = Credentials::Shared(Secret::new("opensesame".to_owned())).login(1_700_000_000);
        assert_eq!(login.username, "1700086400:mesh");
        assert_eq!(login.renew_at, Some(1_700_085_800));
        assert_eq!(login.password.reveal(), "xxwlwW2c/CPjqNBo61N/C/x/pto=");
    }

    #[test]
    fn a_login_is_replaced_some_time_before_it_expires() {
        assert_eq!(renew_at(1_700_003_600, 1_700_000_000), 1_700_003_000);
        assert_eq!(renew_at(1_700_000_060, 1_700_000_000), 1_700_000_030);
        assert_eq!(renew_at(1_700_000_060, 1_700_000_100), 1_700_000_060);
    }

    #[test]
    fn a_name_that_begins_with_a_time_expires() {
        let until = |username: &str| {
            let username = username.to_owned();
            let password = Secret::new("p".to_owned());
            Credentials::Given { username, password }.given_until()
        };
        assert_eq!(until("1700000000:mesh"), Some(1_700_000_000));
        assert_eq!(until("1700000000"), Some(1_700_000_000));
        assert_eq!(until("user"), None);
        assert_eq!(until("17:user"), None);
    }
}
