//! The registry's state, without I/O: who may come in, which agents there are, which tasks wait. The
//! resources (`api`) reach it through [`Store`] alone. Its rows are in tables, which registries can share.

pub(super) mod agents;
pub(super) mod barred;
pub(super) mod keys;
mod login_secret;
pub(super) mod pairings;
pub(super) mod table;
pub(super) mod tasks;
mod tokens;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits;
use super::secrets::hash;
use super::unix_time::UnixTime;
use crate::protocol::PeerId;
use crate::secret::Secret;
use agents::{Agent, Agents, Health, KeepError};
use barred::{Barred, Barring};
use keys::Keys;
use login_secret::LoginSecret;
use pairings::{DecideError, Device, Pairings, RedeemError, Status};
use table::{Row, Table, Texts};
use tasks::{Actor, EndError, Ending, Submission, SubmitError, Task, Tasks, agent_name};
pub(super) use tokens::TOKEN_BYTES;
use tokens::Tokens;

/// Somebody whose key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// The name by which other peers know its sidecar.
    pub(super) peer_id: PeerId,
    /// The role that the peer is told with its token.
    pub(super) role: String,
    /// The name of its agent.
    pub(super) agent: String,
    /// Whether it is a paired device. Devices don't decide about others.
    pub(super) is_device: bool,
}

/// A key that was added while the registry ran. Only its hash is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AddedKey {
    pub(super) agent: String,
    pub(super) peer_id: PeerId,
    pub(super) created_at: UnixTime,
    hash: String,
}

impl Row for AddedKey {
    fn key(&self) -> &str {
        &self.hash
    }

    fn time(&self) -> UnixTime {
        self.created_at
    }
}

/// The part of the state that outlives the process.
#[derive(Default, Clone, Serialize, Deserialize)]
pub(super) struct Lasting {
    keys: Table<AddedKey>,
    pairings: Pairings,
    agents: Agents,
    tasks: Tasks,
    #[serde(default)]
    barred: Barred,
    #[serde(default)]
    login_secret: LoginSecret,
}

/// How soon the lasting part of the state has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unsaved {
    /// Nothing has changed.
    Nothing,
    /// Agents or tasks have changed.
    Soon,
    /// Keys or devices have changed: before anybody is told.
    Now,
}

/// The reason why nothing is done about keys or devices.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AccountError {
    /// There is no room for more.
    Full,
    /// Another peer has an agent of this name.
    NameTaken,
    /// It is not possible for this device.
    Device(DecideError),
}

/// The whole state.
pub(super) struct Store {
    keys: Keys,
    tokens: Tokens,
    lasting: Lasting,
    unsaved: Unsaved,
}

impl Store {
    /// Makes a store with the lasting part of an earlier one.
    pub(super) fn new(keys: Keys, token_lifetime: Duration, lasting: Lasting) -> Self {
        Store {
            keys,
            tokens: Tokens::new(token_lifetime, limits::TOKENS),
            lasting,
            unsaved: Unsaved::Nothing,
        }
    }

    /// Judges requests by other listed keys from now on. Tokens that were given out stay.
    pub(super) fn replace_keys(&mut self, keys: Keys) {
        self.keys = keys;
    }

    /// Returns whether everybody is let in.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.keys, Keys::Open)
    }

    /// Returns the part that outlives the process.
    pub(super) fn lasting(&self) -> &Lasting {
        &self.lasting
    }

    /// Returns how soon the lasting part has to be written.
    pub(super) fn unsaved(&self) -> Unsaved {
        self.unsaved
    }

    /// Notes that the lasting part was written.
    pub(super) fn saved(&mut self) {
        self.unsaved = Unsaved::Nothing;
    }

    /// Has the lasting part written with the next that changes, because it could not be written at once.
    pub(super) fn save_later(&mut self) {
        self.unsaved = Unsaved::Soon;
    }

    /// Returns all that registries may share, each table by its name.
    pub(super) fn tables(&mut self) -> [(&'static str, &mut dyn Texts); 8] {
        let lasting = &mut self.lasting;
        let [invitations, devices] = lasting.pairings.tables();
        [
            ("keys", &mut lasting.keys),
            ("invitations", invitations),
            ("devices", devices),
            ("agents", lasting.agents.table()),
            ("tasks", lasting.tasks.table()),
            ("barred", lasting.barred.table()),
            ("secrets", lasting.login_secret.table()),
            ("tokens", self.tokens.table()),
        ]
    }

    /// Returns the secret of logins to the relay, if there is one.
    pub(super) fn login_secret(&self) -> Option<Secret> {
        self.lasting.login_secret.get()
    }

    /// Sets the secret of logins to the relay.
    pub(super) fn set_login_secret(&mut self, secret: String) {
        self.lasting.login_secret.set(secret);
        self.changed(Unsaved::Now);
    }

    /// Returns the peers that are no longer let in.
    pub(super) fn barred(&self) -> impl Iterator<Item = &Barring> {
        self.lasting.barred.all()
    }

    fn changed(&mut self, unsaved: Unsaved) {
        self.unsaved = self.unsaved.max(unsaved);
    }
}

/// Keys, devices and tokens.
impl Store {
    /// Returns whose key it is; `None` when it is to be refused.
    pub(super) fn member(&self, key: &str) -> Option<Member> {
        let hash = hash(key);
        if let Some(device) = self.lasting.pairings.of_token_hash(&hash) {
            return (device.status == Status::Approved).then(|| Member {
                peer_id: device.peer_id.clone(),
                role: keys::DEFAULT_ROLE.to_owned(),
                agent: device.agent_name.clone(),
                is_device: true,
            });
        }
        let (peer_id, role) = match self.lasting.keys.get(&hash) {
            Some(added) => (added.peer_id.clone(), keys::DEFAULT_ROLE.to_owned()),
            None => {
                let identity = self.keys.identity(key)?;
                (identity.peer_id, identity.role)
            }
        };
        Some(Member {
            agent: agent_name(peer_id.as_str()).to_owned(),
            peer_id,
            role,
            is_device: false,
        })
    }

    /// Returns the peer that an agent's name belongs to: that of a key or device, or of whoever has
    /// registered it.
    pub(super) fn peer_of_agent(&self, name: &str) -> Option<PeerId> {
        self.account_of(name)
            .or_else(|| self.lasting.agents.peer_of(name).cloned())
    }

    fn account_of(&self, name: &str) -> Option<PeerId> {
        let agent = agent_name(name);
        let added = self.lasting.keys.iter();
        let added = added.map(|key| (key.agent.as_str(), &key.peer_id));
        let devices = self.lasting.pairings.devices();
        let approved = devices.filter(|device| device.status == Status::Approved);
        let approved = approved.map(|device| (device.agent_name.as_str(), &device.peer_id));
        let mut accounts = added.chain(approved);
        let found = accounts.find(|(name, _)| agent_name(name) == agent);
        let found = found.map(|(_, peer)| peer);
        found.or_else(|| self.keys.peer_of(agent)).cloned()
    }

    /// Adds a key of an agent, whose peer is then known as the contract's convention has it.
    pub(super) fn add_key(
        &mut self,
        now: UnixTime,
        agent: &str,
        peer_id: PeerId,
        key: &str,
    ) -> Result<(), AccountError> {
        if self.lasting.keys.len() >= limits::ADDED_KEYS {
            return Err(AccountError::Full);
        }
        if self.account_of(agent).is_some_and(|peer| peer != peer_id) {
            return Err(AccountError::NameTaken);
        }
        self.lasting.keys.put(AddedKey {
            agent: agent.to_owned(),
            peer_id,
            created_at: now,
            hash: hash(key),
        });
        self.changed(Unsaved::Now);
        Ok(())
    }

    /// Returns the keys that were added.
    pub(super) fn added_keys(&self) -> impl Iterator<Item = &AddedKey> {
        self.lasting.keys.iter()
    }

    /// Removes all added keys of an agent. Returns the peer that has lost its keys.
    pub(super) fn remove_keys(&mut self, now: UnixTime, agent: &str) -> Option<PeerId> {
        let is_its = |key: &AddedKey| agent_name(&key.agent) == agent_name(agent);
        let peer = self.lasting.keys.iter().find(|key| is_its(key));
        let peer = peer.map(|key| key.peer_id.clone())?;
        self.lasting.keys.remove_all(is_its);
        self.tokens.forget(&peer);
        self.lasting.barred.bar(now, peer.clone());
        self.changed(Unsaved::Now);
        Some(peer)
    }

    /// Takes a new code, which can be redeemed once. Returns whether there is room for it.
    pub(super) fn invite(&mut self, now: UnixTime, code: String) -> bool {
        self.changed(Unsaved::Now);
        self.lasting.pairings.invite(now, code)
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
        let pairings = &mut self.lasting.pairings;
        let redeemed = pairings.redeem(now, code, id, agent_name, peer_id);
        if redeemed.is_ok() {
            self.changed(Unsaved::Now);
        }
        redeemed
    }

    /// Lets a device in, with this token.
    pub(super) fn approve(
        &mut self,
        now: UnixTime,
        id: &str,
        token: String,
    ) -> Result<Device, AccountError> {
        let is_taken = self.lasting.pairings.devices().any(|device| {
            let account = self.account_of(&device.agent_name);
            device.id == id && account.is_some_and(|peer| peer != device.peer_id)
        });
        if is_taken {
            return Err(AccountError::NameTaken);
        }
        let approved = self.lasting.pairings.approve(now, id, token).cloned();
        self.decided(approved)
    }

    /// Does not let a device in that waits for it.
    pub(super) fn reject(&mut self, now: UnixTime, id: &str) -> Result<Device, AccountError> {
        let rejected = self.lasting.pairings.reject(now, id).cloned();
        self.decided(rejected)
    }

    /// Lets a device in no longer.
    pub(super) fn revoke(&mut self, now: UnixTime, id: &str) -> Result<Device, AccountError> {
        let revoked = self.lasting.pairings.revoke(now, id).cloned();
        if let Ok(device) = &revoked {
            self.tokens.forget(&device.peer_id);
            self.lasting.barred.bar(now, device.peer_id.clone());
        }
        self.decided(revoked)
    }

    fn decided(&mut self, decided: Result<Device, DecideError>) -> Result<Device, AccountError> {
        if decided.is_ok() {
            self.changed(Unsaved::Now);
        }
        decided.map_err(AccountError::Device)
    }

    /// Returns a device that asks for its token.
    pub(super) fn fetch_device(&mut self, now: UnixTime, id: &str) -> Option<Device> {
        let device = self.lasting.pairings.fetch(now, id).cloned()?;
        if device.token().is_some() {
            self.changed(Unsaved::Soon);
        }
        Some(device)
    }

    /// Returns all devices, the oldest first.
    pub(super) fn devices(&self) -> Vec<Device> {
        self.lasting.pairings.devices().cloned().collect()
    }

    /// Makes a token of `peer` from `random`; returns `None` when there are too many.
    pub(super) fn issue_token(
        &mut self,
        now: UnixTime,
        peer: PeerId,
        random: [u8; TOKEN_BYTES],
    ) -> Option<String> {
        self.tokens.issue(now, peer, random)
    }

    /// Returns the peer that a token was given to; `None` when it is unknown or has expired.
    pub(super) fn peer_of_token(&mut self, now: UnixTime, token: &str) -> Option<PeerId> {
        self.tokens.peer(now, token)
    }
}

/// Agents.
impl Store {
    /// Takes an agent, in place of one of that name.
    pub(super) fn keep_agent(&mut self, now: UnixTime, agent: Agent) -> Result<(), KeepError> {
        self.changed(Unsaved::Soon);
        self.lasting.agents.keep(now, agent)
    }

    /// Returns the agent of that name.
    pub(super) fn agent(&mut self, now: UnixTime, agent_id: &str) -> Option<Agent> {
        self.lasting.agents.get(now, agent_id).cloned()
    }

    /// Notes a heartbeat of an agent. Returns whether it is known.
    pub(super) fn agent_heard(&mut self, now: UnixTime, agent_id: &str) -> bool {
        self.lasting.agents.heard(now, agent_id)
    }

    /// Removes the agent of that name. Returns whether there was one.
    pub(super) fn remove_agent(&mut self, agent_id: &str) -> bool {
        self.changed(Unsaved::Soon);
        self.lasting.agents.remove(agent_id)
    }

    /// Returns the first active agent that has a skill.
    pub(super) fn agent_with(&mut self, now: UnixTime, skill: &str) -> Option<Agent> {
        let has_skill = |agent: &&Agent| {
            let mut skills = agent.capabilities.skills.iter();
            agent.health(now) == Health::Active && skills.any(|own| own == skill)
        };
        self.lasting.agents.all(now).find(has_skill).cloned()
    }

    /// Returns all agents, in the order in which they came.
    pub(super) fn agents(&mut self, now: UnixTime) -> Vec<Agent> {
        self.lasting.agents.all(now).cloned().collect()
    }
}

/// Tasks.
impl Store {
    /// Takes a task; `id` is one that can't be guessed and was never used.
    pub(super) fn submit_task(
        &mut self,
        now: UnixTime,
        id: String,
        submission: Submission,
    ) -> Result<(), SubmitError> {
        self.changed(Unsaved::Soon);
        self.lasting.tasks.submit(now, id, submission)
    }

    /// Returns the task of that id.
    pub(super) fn task(&mut self, now: UnixTime, id: &str) -> Option<Task> {
        self.lasting.tasks.get(now, id).cloned()
    }

    /// Ends a task that has not ended.
    pub(super) fn end_task(
        &mut self,
        now: UnixTime,
        id: &str,
        ending: Ending,
    ) -> Result<(), EndError> {
        self.changed(Unsaved::Soon);
        self.lasting.tasks.end(now, id, ending)
    }

    /// Hands an agent the tasks that wait for it, the oldest first.
    pub(super) fn assign_tasks(
        &mut self,
        now: UnixTime,
        actor: &Actor,
        skills: &[String],
    ) -> Vec<Task> {
        let assigned = self.lasting.tasks.assign(now, actor, skills);
        let assigned: Vec<Task> = assigned.into_iter().cloned().collect();
        if !assigned.is_empty() {
            self.changed(Unsaved::Soon);
        }
        assigned
    }

    /// Returns the latest tasks that `is_shown`, the latest first, of [`limits::LIST_BYTES`] at most.
    pub(super) fn tasks(&mut self, now: UnixTime, is_shown: impl Fn(&Task) -> bool) -> Vec<Task> {
        let mut room = limits::LIST_BYTES;
        let all = self.lasting.tasks.all(now);
        let fitting = all.filter(|task| is_shown(task)).map_while(|task| {
            room = room.checked_sub(task.size())?;
            Some(task.clone())
        });
        fitting.collect()
    }
}
