//! The agents that are registered (contract part 3), without I/O: who they are, and which has a skill.

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::call::{self, Call, Caller, done, full};
use crate::registry::http::percent_decode;
use crate::registry::limits;
use crate::registry::response::Response;
use crate::registry::store::Store;
use crate::registry::store::agents::{Agent, Capabilities, Health, KeepError, empty_list};
use crate::registry::unix_time::UnixTime;

/// An agent's own words.
#[derive(Deserialize)]
struct Registration {
    agent_id: String,
    hostname: Option<String>,
    ip: Option<String>,
    port: Option<u16>,
    sidecar_peer_id: Option<String>,
    capabilities: Option<ToldCapabilities>,
    status: Option<String>,
    mode: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToldCapabilities {
    skills: Option<Vec<String>>,
    mcp_servers: Option<Box<RawValue>>,
    goals_count: Option<u64>,
    mode: Option<String>,
}

/// An agent in the form that others see.
#[derive(Serialize)]
struct Shown<'a> {
    agent_id: &'a str,
    hostname: &'a str,
    ip: &'a str,
    port: u16,
    sidecar_peer_id: &'a str,
    capabilities: &'a Capabilities,
    status: &'a str,
    mode: &'a str,
    health: Health,
    registered_at: String,
    last_heartbeat: String,
}

impl<'a> Shown<'a> {
    fn new(agent: &'a Agent, now: UnixTime) -> Self {
        Shown {
            agent_id: &agent.agent_id,
            hostname: &agent.hostname,
            ip: &agent.ip,
            port: agent.port,
            sidecar_peer_id: &agent.sidecar_peer_id,
            capabilities: &agent.capabilities,
            status: &agent.status,
            mode: &agent.mode,
            health: agent.health(now),
            registered_at: agent.registered_at.rfc3339(),
            last_heartbeat: agent.last_heartbeat.rfc3339(),
        }
    }
}

/// Answers a request for a path below `/api/registry`.
pub(super) fn answer(
    path: &[&str],
    call: &Call<'_>,
    store: &mut Store,
) -> Result<Response, Response> {
    match (path, call.request.method.as_str()) {
        (["agents"], "POST") => register(call, store),
        (["agents"], "GET") => Ok(list(call, store)),
        (["agents", id], "GET") => show(id, call, store),
        (["agents", id], "DELETE") => remove(id, call, store),
        (["route"], "GET") => route(call, store),
        (["agents"], _) => Err(Response::only("GET, POST")),
        (["agents", _], _) => Err(Response::only("GET, DELETE")),
        (["route"], _) => Err(Response::only("GET")),
        _ => Err(Response::nothing_here()),
    }
}

fn register(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let told: Registration = call.body()?;
    let actor = call.acting_as(told.agent_id, store)?;
    if actor.agent.is_empty() {
        return Err(Response::error(400, "agent_id is empty"));
    }
    let new = Agent::new(call.now, &actor);
    let capabilities = told.capabilities.unwrap_or_default();
    // The peer of a key is known better than the agent can tell.
    let sidecar_peer_id = match &actor.peer {
        Some(_) => new.sidecar_peer_id,
        None => told.sidecar_peer_id.unwrap_or_default(),
    };
    let agent = Agent {
        hostname: told.hostname.unwrap_or_default(),
        ip: told.ip.unwrap_or_default(),
        port: told.port.unwrap_or(new.port),
        sidecar_peer_id,
        mode: told
            .mode
            .or_else(|| capabilities.mode.clone())
            .unwrap_or_default(),
        capabilities: Capabilities {
            skills: capabilities.skills.unwrap_or_default(),
            mcp_servers: capabilities.mcp_servers.unwrap_or_else(empty_list),
            goals_count: capabilities.goals_count.unwrap_or_default(),
            mode: capabilities.mode.unwrap_or_default(),
        },
        status: told.status.unwrap_or(new.status),
        ..new
    };
    store
        .keep_agent(call.now, agent)
        .map_err(|error| not_kept(&error))?;
    Ok(done())
}

/// Returns the refusal for an agent that is not kept.
pub(super) fn not_kept(error: &KeepError) -> Response {
    match error {
        KeepError::Full => full("there are too many agents"),
        KeepError::TooLarge => {
            let most = limits::AGENT_BYTES;
            Response::error(
                413,
                &format!("an agent tells {most} bytes of itself at most"),
            )
        }
        KeepError::TooManyOfPeer => {
            let most = limits::AGENTS_OF_PEER;
            let text = format!("this key has registered {most} agents; remove one first");
            Response::error(429, &text).with("Retry-After", "10")
        }
    }
}

fn list(call: &Call<'_>, store: &mut Store) -> Response {
    let agents = store.agents(call.now);
    let mut text = "[".to_owned();
    for agent in &agents {
        let shown = call::text(&Shown::new(agent, call.now));
        if text.len() + shown.len() > limits::LIST_BYTES {
            log::debug!("the list of agents is cut at {} bytes", limits::LIST_BYTES);
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&shown);
    }
    text.push(']');
    Response::ok(text)
}

fn show(id: &str, call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    Ok(match find(id, call, store)? {
        Some(agent) => call::json(&Shown::new(&agent, call.now)),
        None => not_found(),
    })
}

fn remove(id: &str, call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let Some(agent) = find(id, call, store)? else {
        return Ok(not_found());
    };
    if let Caller::Member(member) = &call.caller
        && agent.peer.as_ref() != Some(&member.peer_id)
    {
        let text = "another key has registered this agent";
        return Err(Response::error(403, text));
    }
    store.remove_agent(&agent.agent_id);
    Ok(done())
}

fn find(id: &str, call: &Call<'_>, store: &mut Store) -> Result<Option<Agent>, Response> {
    let id = percent_decode(id).ok_or_else(|| Response::error(400, "the id is no text"))?;
    Ok(store.agent(call.now, &id))
}

/// Returns the contract's answer about an agent that is unknown: its status is 200.
fn not_found() -> Response {
    call::json(&json!({ "error": "not found" }))
}

fn route(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let Some(skill) = call.request.text_parameter("skill") else {
        return Err(Response::error(400, "say which skill, as in ?skill=S"));
    };
    Ok(match store.agent_with(call.now, &skill) {
        Some(agent) => call::json(&Shown::new(&agent, call.now)),
        None => {
            let text = "no active agent has this skill";
            call::json(&json!({ "error": text, "skill": skill }))
        }
    })
}
