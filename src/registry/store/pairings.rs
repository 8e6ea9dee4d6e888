//! Invitations and the devices that redeem them: a code is redeemed, a person approves, and then the device
//! has a token. Without I/O.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::table::{Row, Table, Texts};
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::registry::secrets::hash;
use crate::registry::unix_time::UnixTime;

/// The state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::registry) enum Status {
    /// It has redeemed a code, and a person has to approve.
    PendingApproval,
    /// Its token is valid.
    Approved,
    /// It was not let in.
    Rejected,
    /// Its token is no longer valid.
    Revoked,
}

/// A device that has redeemed a code. It has no `Debug`, since it may hold a token.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::registry) struct Device {
    /// An id that can't be guessed: whoever knows it may fetch the device's token.
    pub(in crate::registry) id: String,
    pub(in crate::registry) agent_name: String,
    pub(in crate::registry) peer_id: PeerId,
    pub(in crate::registry) status: Status,
    pub(in crate::registry) created_at: UnixTime,
    pub(in crate::registry) updated_at: UnixTime,
    /// The hash of its token.
    token_hash: Option<String>,
    /// The token itself, until the device has had time to fetch it.
    token: Option<String>,
    /// When the device first fetched its token.
    fetched_at: Option<UnixTime>,
}

impl Device {
    /// Returns its token while that can still be shown.
    pub(in crate::registry) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    fn turn_to(&mut self, now: UnixTime, status: Status) {
        self.status = status;
        self.updated_at = now;
        self.token = None;
    }
}

impl Row for Device {
    fn key(&self) -> &str {
        &self.id
    }

    fn time(&self) -> UnixTime {
        self.created_at
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Invitation {
    code: String,
    expires: UnixTime,
}

impl Row for Invitation {
    fn key(&self) -> &str {
        &self.code
    }

    fn time(&self) -> UnixTime {
        self.expires
    }
}

/// The reason why a code is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum RedeemError {
    /// It was never given out, has expired, or was redeemed.
    UnknownCode,
    /// There are too many devices.
    Full,
}

/// The reason why nothing is decided about a device.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum DecideError {
    /// There is no such device.
    Unknown,
    /// It is in this state, from which that is not possible.
    Is(Status),
}

/// The invitations that are open, and the devices, the oldest first.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(in crate::registry) struct Pairings {
    invitations: Table<Invitation>,
    devices: Table<Device>,
}

impl Pairings {
    /// Takes a new code, which can be redeemed once. Returns whether there is room for it.
    pub(super) fn invite(&mut self, now: UnixTime, code: String) -> bool {
        self.forget_old(now);
        let has_room = self.invitations.len() < limits::INVITATIONS;
        if has_room {
            let expires = now + limits::INVITATION_LIFETIME;
            self.invitations.put(Invitation { code, expires });
        }
        has_room
    }

    /// Redeems a code for a device, which then waits for approval.
    pub(super) fn redeem(
        &mut self,
        now: UnixTime,
        code: &str,
        id: String,
        agent_name: String,
        peer_id: PeerId,
    ) -> Result<Device, RedeemError> {
        self.forget_old(now);
        if self.invitations.get(code).is_none() {
            return Err(RedeemError::UnknownCode);
        }
        if self.devices.len() >= limits::DEVICES {
            return Err(RedeemError::Full);
        }
        self.invitations.remove(code);
        let device = Device {
            id,
            agent_name,
            peer_id,
            status: Status::PendingApproval,
            created_at: now,
            updated_at: now,
            token_hash: None,
            token: None,
            fetched_at: None,
        };
        self.devices.put(device.clone());
        Ok(device)
    }

    /// Lets a device in, with this token. One that is let in already keeps its own.
    pub(super) fn approve(
        &mut self,
        now: UnixTime,
        id: &str,
        token: String,
    ) -> Result<&Device, DecideError> {
        let device = self.find(id)?;
        match device.status {
            Status::PendingApproval => self.change(id, |device| {
                device.turn_to(now, Status::Approved);
                device.token_hash = Some(hash(&token));
                device.token = Some(token);
            }),
            Status::Approved if device.token.is_some() => self.find(id),
            status => Err(DecideError::Is(status)),
        }
    }

    /// Does not let a device in that waits for it.
    pub(super) fn reject(&mut self, now: UnixTime, id: &str) -> Result<&Device, DecideError> {
        match self.find(id)?.status {
            Status::PendingApproval | Status::Rejected => {
                self.change(id, |device| device.turn_to(now, Status::Rejected))
            }
            status => Err(DecideError::Is(status)),
        }
    }

    /// Lets a device in no longer.
    pub(super) fn revoke(&mut self, now: UnixTime, id: &str) -> Result<&Device, DecideError> {
        self.change(id, |device| device.turn_to(now, Status::Revoked))
    }

    /// Returns a device that asks for its token. The token can be fetched for
    /// [`limits::TOKEN_SHOWN`] from the first time on, because an answer may be lost.
    pub(super) fn fetch(&mut self, now: UnixTime, id: &str) -> Option<&Device> {
        self.forget_old(now);
        let device = self.find(id).ok()?;
        if device.token.is_some() && device.fetched_at.is_none() {
            return self.change(id, |device| device.fetched_at = Some(now)).ok();
        }
        self.find(id).ok()
    }

    /// Returns all devices, the oldest first.
    pub(in crate::registry) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// Returns the device of a token with this hash, whether it is let in or not.
    pub(super) fn of_token_hash(&self, hash: &str) -> Option<&Device> {
        let mut devices = self.devices.iter();
        devices.find(|device| device.token_hash.as_deref() == Some(hash))
    }

    /// Returns invitations and devices as they are kept elsewhere.
    pub(super) fn tables(&mut self) -> [&mut dyn Texts; 2] {
        [&mut self.invitations, &mut self.devices]
    }

    fn find(&self, id: &str) -> Result<&Device, DecideError> {
        self.devices.get(id).ok_or(DecideError::Unknown)
    }

    fn change(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Device),
    ) -> Result<&Device, DecideError> {
        let changed = self.devices.update(id, change);
        changed.ok_or(DecideError::Unknown)
    }

    fn forget_old(&mut self, now: UnixTime) {
        self.invitations
            .remove_all(|invitation| invitation.expires <= now);
        let is_old = |device: &Device, after: Duration| now.since(device.updated_at) >= after;
        self.devices.remove_all(|device| match device.status {
            Status::Approved => false,
            Status::PendingApproval => is_old(device, limits::APPROVAL_AWAITED),
            Status::Rejected | Status::Revoked => is_old(device, limits::ENDED_DEVICE_KEPT),
        });
        let is_over = |fetched: UnixTime| now.since(fetched) >= limits::TOKEN_SHOWN;
        self.devices.update_all(
            |device| device.token.is_some() && device.fetched_at.is_some_and(is_over),
            |device| device.token = None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> PeerId {
        PeerId::new("agent-00ff00").unwrap()
    }

    fn redeemed(now: UnixTime) -> Pairings {
        let mut pairings = Pairings::default();
        assert!(pairings.invite(now, "123456".to_owned()));
        let redeem = pairings.redeem(now, "123456", "id".to_owned(), "pi".to_owned(), peer());
        assert!(redeem.is_ok());
        pairings
    }

    #[test]
    fn a_code_is_redeemed_once_and_within_its_time() {
        let now = UnixTime::now();
        let mut pairings = redeemed(now);
        let mut redeem = |now, code| {
            let redeemed = pairings.redeem(now, code, "x".to_owned(), "x".to_owned(), peer());
            redeemed.map(|device| device.status).err()
        };
        assert_eq!(redeem(now, "123456"), Some(RedeemError::UnknownCode));
        assert_eq!(redeem(now, "000000"), Some(RedeemError::UnknownCode));
        assert!(pairings.invite(now, "222222".to_owned()));
        let late = now + limits::INVITATION_LIFETIME;
        let redeemed = pairings.redeem(late, "222222", "x".to_owned(), "x".to_owned(), peer());
        assert_eq!(redeemed.err(), Some(RedeemError::UnknownCode));
    }

    #[test]
    fn a_token_is_valid_from_approval_to_revocation() {
        let now = UnixTime::now();
        let mut pairings = redeemed(now);
        assert!(pairings.of_token_hash(&hash("dt_1")).is_none());
        assert_eq!(pairings.fetch(now, "id").unwrap().token(), None);
        pairings.approve(now, "id", "dt_1".to_owned()).ok().unwrap();
        let again = pairings.approve(now, "id", "dt_2".to_owned()).ok().unwrap();
        assert_eq!(again.token(), Some("dt_1"));
        assert_eq!(
            pairings.of_token_hash(&hash("dt_1")).unwrap().status,
            Status::Approved
        );
        assert!(pairings.of_token_hash(&hash("dt_2")).is_none());
        let rejected = pairings.reject(now, "id").map(|device| device.status);
        assert_eq!(rejected.err(), Some(DecideError::Is(Status::Approved)));
        pairings.revoke(now, "id").ok().unwrap();
        assert_eq!(
            pairings.of_token_hash(&hash("dt_1")).unwrap().status,
            Status::Revoked
        );
    }

    #[test]
    fn a_token_can_be_fetched_for_a_while_and_then_only_its_hash_is_kept() {
        let now = UnixTime::now();
        let mut pairings = redeemed(now);
        pairings.approve(now, "id", "dt_1".to_owned()).ok().unwrap();
        let later = now + limits::APPROVAL_AWAITED;
        assert_eq!(pairings.fetch(later, "id").unwrap().token(), Some("dt_1"));
        let last = later + limits::TOKEN_SHOWN;
        assert_eq!(pairings.fetch(last, "id").unwrap().token(), None);
        assert!(pairings.of_token_hash(&hash("dt_1")).is_some());
        let text = serde_json::to_string(&pairings).unwrap();
        assert!(!text.contains("dt_1"), "{text}");
    }

    #[test]
    fn what_waits_for_nobody_is_forgotten() {
        let now = UnixTime::now();
        let mut pairings = redeemed(now);
        assert!(
            pairings
                .fetch(now + limits::APPROVAL_AWAITED, "id")
                .is_none()
        );
        let mut pairings = redeemed(now);
        pairings.reject(now, "id").ok().unwrap();
        let kept = now + limits::ENDED_DEVICE_KEPT;
        assert!(pairings.fetch(kept, "id").is_none());
    }

    #[test]
    fn invitations_and_devices_are_bounded() {
        let now = UnixTime::now();
        let mut pairings = Pairings::default();
        for number in 0..limits::INVITATIONS {
            assert!(pairings.invite(now, number.to_string()));
        }
        assert!(!pairings.invite(now, "one more".to_owned()));
        let mut pairings = Pairings::default();
        for number in 0..=limits::DEVICES {
            assert!(pairings.invite(now, number.to_string()));
            let text = number.to_string();
            let redeemed = pairings.redeem(now, &text, text.clone(), text.clone(), peer());
            let expected = (number == limits::DEVICES).then_some(RedeemError::Full);
            assert_eq!(redeemed.err(), expected);
        }
    }
}
