//! The agents that have registered, with what they can do and when they were last heard. Without I/O.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::table::{Row, Table, Texts};
use super::tasks::{Actor, agent_name};
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::registry::unix_time::UnixTime;

/// Whether an agent is there, judged by its heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::registry) enum Health {
    /// It was heard within [`limits::AGENT_STALE`].
    Active,
    /// It was heard within [`limits::AGENT_OFFLINE`].
    Stale,
    /// It was not.
    Offline,
}

/// The abilities of an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::registry) struct Capabilities {
    pub(in crate::registry) skills: Vec<String>,
    /// Any JSON, as the agent has told it.
    pub(in crate::registry) mcp_servers: Box<RawValue>,
    pub(in crate::registry) goals_count: u64,
    pub(in crate::registry) mode: String,
}

/// A registered agent. The names of the fields are the contract's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::registry) struct Agent {
    pub(in crate::registry) agent_id: String,
    pub(in crate::registry) hostname: String,
    pub(in crate::registry) ip: String,
    pub(in crate::registry) port: u16,
    pub(in crate::registry) sidecar_peer_id: String,
    pub(in crate::registry) capabilities: Capabilities,
    pub(in crate::registry) status: String,
    pub(in crate::registry) mode: String,
    /// The peer whose key has registered it, if keys are asked for. Only that one may change it.
    pub(in crate::registry) peer: Option<PeerId>,
    pub(in crate::registry) registered_at: UnixTime,
    pub(in crate::registry) last_heartbeat: UnixTime,
}

impl Agent {
    /// Makes an agent of which nothing but its name is known.
    pub(in crate::registry) fn new(now: UnixTime, actor: &Actor) -> Self {
        let peer = actor.peer.as_ref();
        Agent {
            agent_id: actor.agent.clone(),
            hostname: String::new(),
            ip: String::new(),
            port: limits::AGENT_PORT,
            sidecar_peer_id: peer.map_or_else(String::new, PeerId::to_string),
            capabilities: Capabilities {
                skills: Vec::new(),
                mcp_servers: empty_list(),
                goals_count: 0,
                mode: String::new(),
            },
            status: "active".to_owned(),
            mode: String::new(),
            peer: actor.peer.clone(),
            registered_at: now,
            last_heartbeat: now,
        }
    }

    /// Returns whether it is there.
    pub(in crate::registry) fn health(&self, now: UnixTime) -> Health {
        match now.since(self.last_heartbeat) {
            silence if silence < limits::AGENT_STALE => Health::Active,
            silence if silence < limits::AGENT_OFFLINE => Health::Stale,
            _ => Health::Offline,
        }
    }

    /// Returns whether both tell the same of themselves, times aside.
    pub(in crate::registry) fn tells_the_same_as(&self, other: &Agent) -> bool {
        let (own, others) = (&self.capabilities, &other.capabilities);
        self.texts() == other.texts()
            && self.port == other.port
            && own.skills == others.skills
            && own.goals_count == others.goals_count
            && own.mcp_servers.get() == others.mcp_servers.get()
    }

    fn texts(&self) -> [&str; 7] {
        [
            &self.agent_id,
            &self.hostname,
            &self.ip,
            &self.sidecar_peer_id,
            &self.capabilities.mode,
            &self.status,
            &self.mode,
        ]
    }

    fn size(&self) -> usize {
        /// What a string takes beside its bytes.
        const STRING_BYTES: usize = 24;
        let skills = self.capabilities.skills.iter();
        let skills = skills.map(|skill| skill.len() + STRING_BYTES);
        let texts = self.texts().into_iter().map(str::len);
        texts.chain(skills).sum::<usize>() + self.capabilities.mcp_servers.get().len()
    }
}

/// Returns an empty list as JSON.
pub(in crate::registry) fn empty_list() -> Box<RawValue> {
    // It is JSON, so this is never null.
    RawValue::from_string("[]".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The reason why an agent is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum KeepError {
    /// It tells more than [`limits::AGENT_BYTES`].
    TooLarge,
    /// There are [`limits::AGENTS`].
    Full,
    /// Its peer has registered [`limits::AGENTS_OF_PEER`].
    TooManyOfPeer,
}

impl Row for Agent {
    fn key(&self) -> &str {
        &self.agent_id
    }

    fn time(&self) -> UnixTime {
        self.registered_at
    }
}

/// The agents, in the order in which they came.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::registry) struct Agents {
    agents: Table<Agent>,
}

impl Agents {
    /// Takes an agent, in place of one of that name.
    pub(super) fn keep(&mut self, now: UnixTime, agent: Agent) -> Result<(), KeepError> {
        if agent.size() > limits::AGENT_BYTES {
            return Err(KeepError::TooLarge);
        }
        self.forget_old(now);
        if self.agents.get(&agent.agent_id).is_none() {
            let of_peer = |known: &&Agent| agent.peer.is_some() && known.peer == agent.peer;
            if self.agents.len() >= limits::AGENTS {
                return Err(KeepError::Full);
            }
            if self.agents.iter().filter(of_peer).count() >= limits::AGENTS_OF_PEER {
                return Err(KeepError::TooManyOfPeer);
            }
        }
        self.agents.put(agent);
        Ok(())
    }

    /// Returns the agent of that name.
    pub(super) fn get(&mut self, now: UnixTime, agent_id: &str) -> Option<&Agent> {
        self.forget_old(now);
        self.agents.get(agent_id)
    }

    /// Notes a heartbeat of an agent. Returns whether it is known.
    pub(super) fn heard(&mut self, now: UnixTime, agent_id: &str) -> bool {
        let heard = |agent: &mut Agent| agent.last_heartbeat = now;
        self.agents.update(agent_id, heard).is_some()
    }

    /// Removes the agent of that name. Returns whether there was one.
    pub(super) fn remove(&mut self, agent_id: &str) -> bool {
        self.agents.remove(agent_id)
    }

    /// Returns all agents.
    pub(super) fn all(&mut self, now: UnixTime) -> impl Iterator<Item = &Agent> {
        self.forget_old(now);
        self.agents.iter()
    }

    /// Returns the peer whose key has registered an agent of this name.
    pub(super) fn peer_of(&self, name: &str) -> Option<&PeerId> {
        let mut agents = self.agents.iter();
        let found = agents.find(|agent| agent_name(&agent.agent_id) == agent_name(name));
        found.and_then(|agent| agent.peer.as_ref())
    }

    /// Returns them as they are kept elsewhere.
    pub(super) fn table(&mut self) -> &mut dyn Texts {
        &mut self.agents
    }

    fn forget_old(&mut self, now: UnixTime) {
        let is_old = |agent: &Agent| now.since(agent.last_heartbeat) >= limits::AGENT_KEPT;
        self.agents.remove_all(is_old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn actor(agent: &str, peer: Option<&str>) -> Actor {
        Actor {
            agent: agent.to_owned(),
            peer: peer.and_then(PeerId::new),
        }
    }

    #[test]
    fn health_is_judged_by_the_last_heartbeat() {
        let now = UnixTime::now();
        let mut agents = Agents::default();
        agents
            .keep(now, Agent::new(now, &actor("a", None)))
            .unwrap();
        for (seconds, expected) in [
            (0, Health::Active),
            (89, Health::Active),
            (90, Health::Stale),
            (269, Health::Stale),
            (270, Health::Offline),
        ] {
            let later = now + Duration::from_secs(seconds);
            let agent = agents.get(later, "a").unwrap();
            assert_eq!(agent.health(later), expected, "{seconds}");
        }
        let later = now + Duration::from_secs(300);
        assert!(agents.heard(later, "a"));
        let health = agents.get(later, "a").unwrap().health(later);
        assert_eq!(health, Health::Active);
        assert!(agents.get(later + limits::AGENT_KEPT, "a").is_none());
        assert!(!agents.heard(later, "a"));
    }

    #[test]
    fn agents_are_bounded_in_number_for_each_peer_and_in_size() {
        let now = UnixTime::now();
        let mut agents = Agents::default();
        for number in 0..limits::AGENTS_OF_PEER {
            let agent = Agent::new(now, &actor(&number.to_string(), Some("p")));
            agents.keep(now, agent).unwrap();
        }
        let more = Agent::new(now, &actor("more", Some("p")));
        assert_eq!(agents.keep(now, more), Err(KeepError::TooManyOfPeer));
        let again = Agent::new(now, &actor("0", Some("p")));
        assert_eq!(agents.keep(now, again), Ok(()));
        for number in limits::AGENTS_OF_PEER..limits::AGENTS {
            let agent = Agent::new(now, &actor(&number.to_string(), None));
            agents.keep(now, agent).unwrap();
        }
        let more = Agent::new(now, &actor("more", None));
        assert_eq!(agents.keep(now, more), Err(KeepError::Full));
        assert!(agents.remove("0") && !agents.remove("0"));
        let mut large = Agent::new(now, &actor("large", None));
        large.hostname = "x".repeat(limits::AGENT_BYTES);
        assert_eq!(agents.keep(now, large), Err(KeepError::TooLarge));
    }
}
