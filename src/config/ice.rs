//! The settings of ICE: which STUN and TURN servers are used, and how.

use std::ffi::OsString;

use super::settings::{self, Reader};
use super::values;
use crate::nat::credentials::Credentials;
use crate::nat::reach::TransportPolicy;
use crate::nat::url::{StunUrl, TurnUrl, list};
use crate::secret::Secret;

static POLICIES: [(&str, TransportPolicy); 2] = [
    ("all", TransportPolicy::All),
    ("relay", TransportPolicy::Relay),
];

/// The servers that the user names, and how they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceSettings {
    /// `STUN_URL`, in order of preference.
    pub stun: Vec<StunUrl>,
    /// `TURN_URL`, in order of preference.
    pub turn: Vec<TurnUrl>,
    /// `TURN_SECRET`, or else `TURN_USERNAME` and `TURN_PASSWORD`. They are present if there are TURN
    /// servers.
    pub credentials: Option<Credentials>,
    /// `ICE_TRANSPORT_POLICY`
    pub policy: TransportPolicy,
    /// `ICE_SERVERS_FROM_REGISTRY`
    pub from_registry: bool,
}

impl IceSettings {
    pub(super) fn read(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> Self {
        let secret = reader.read(&settings::TURN_SECRET, values::turn_secret);
        let username = reader.read(&settings::TURN_USERNAME, values::turn_username);
        let password = reader.read(&settings::TURN_PASSWORD, values::turn_secret);
        let ice = IceSettings {
            stun: reader.read(&settings::STUN_URL, |text| list(text, StunUrl::parse)),
            turn: reader.read(&settings::TURN_URL, |text| list(text, TurnUrl::parse)),
            credentials: credentials(secret, username, password),
            policy: reader.read(&settings::ICE_TRANSPORT_POLICY, values::word(&POLICIES)),
            from_registry: reader.read(&settings::ICE_SERVERS_FROM_REGISTRY, values::switch),
        };
        if reader.all_right() {
            ice.check(reader);
        }
        ice
    }

    /// Returns all servers to use: the user's, and those that the registry names and the user does not.
    pub fn joined(
        &self,
        stun: &[StunUrl],
        turn: &[(TurnUrl, Credentials)],
    ) -> (Vec<StunUrl>, Vec<(TurnUrl, Credentials)>) {
        let stun = stun.iter().filter(|url| !self.stun.contains(url));
        let turn = turn.iter().filter(|(url, _)| !self.turn.contains(url));
        let own = self.credentials.iter();
        let own = own.flat_map(|login| self.turn.iter().map(|url| (url.clone(), login.clone())));
        (
            self.stun.iter().chain(stun).cloned().collect(),
            own.chain(turn.cloned()).collect(),
        )
    }

    fn check(&self, reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) {
        if !self.turn.is_empty() && self.credentials.is_none() {
            reader.error(
                "TURN_URL needs TURN_SECRET, or both of TURN_USERNAME and TURN_PASSWORD".to_owned(),
            );
        }
        let has_relays = !self.turn.is_empty() || self.from_registry;
        if self.policy == TransportPolicy::Relay && !has_relays {
            reader.error("ICE_TRANSPORT_POLICY=relay needs a TURN server: set TURN_URL".to_owned());
        }
    }
}

fn credentials(
    secret: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
) -> Option<Credentials> {
    match (secret, username, password) {
        (Some(secret), _, _) => Some(Credentials::Shared(secret)),
        (None, Some(username), Some(password)) => Some(Credentials::Given { username, password }),
        (None, _, _) => None,
    }
}
