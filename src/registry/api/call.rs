//! A request with what is known of its sender, and what that one may do.
//!
//! The contract leaves it open who may do what. Here callers show the key of the token exchange
//! (`x-api-key`, `x-device-token`) and count as the agent of that key. They act under its name, and under
//! others that belong to no other key: an agent need not be named as its key's peer is. A registry that
//! lets in everybody (`--open`) believes whatever name a caller gives, even without a key: agents in the
//! field submit like that. Whoever reaches the control socket may do everything.

use std::net::IpAddr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::MESSAGE_NESTING;
use crate::protocol::message::nesting;
use crate::registry::http::Request;
use crate::registry::response::Response;
use crate::registry::store::tasks::{Actor, agent_name};
use crate::registry::store::{Member, Store};
use crate::registry::unix_time::UnixTime;

/// The place that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registry) enum Origin {
    /// The control socket, which only the registry's owner can open.
    Owner,
    /// A client at this address.
    Address(IpAddr),
}

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// The owner of the registry.
    Owner,
    /// Somebody with a key that is known.
    Member(Member),
    /// Anybody, as everybody is let in; with the key's member if there was a key.
    Anybody(Option<Member>),
    /// Somebody without a key that is known.
    Stranger,
}

/// A request that is to be answered.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) origin: Origin,
    pub(super) caller: Caller,
    pub(super) now: UnixTime,
}

impl<'a> Call<'a> {
    /// Finds out who has sent the request.
    pub(super) fn new(request: &'a Request, origin: Origin, store: &Store, now: UnixTime) -> Self {
        let member = request.key().and_then(|key| store.member(key));
        let caller = match (origin, member) {
            (Origin::Owner, _) => Caller::Owner,
            (_, member) if store.is_open() => Caller::Anybody(member),
            (_, Some(member)) => Caller::Member(member),
            (_, None) => Caller::Stranger,
        };
        Call {
            request,
            origin,
            caller,
            now,
        }
    }

    /// Refuses those who have shown no key.
    pub(super) fn needs_key(&self) -> Result<(), Response> {
        match self.caller {
            Caller::Stranger => {
                let text = "send a key that is known, as x-api-key or x-device-token";
                Err(Response::error(401, text))
            }
            Caller::Owner | Caller::Member(_) | Caller::Anybody(_) => Ok(()),
        }
    }

    /// Refuses those who may not decide about others: paired devices, and who has no key.
    pub(super) fn needs_api_key(&self) -> Result<(), Response> {
        match &self.caller {
            Caller::Member(member) if member.is_device => {
                let text =
                    "this needs an API key, sent as x-api-key; a paired device may not do it";
                Err(Response::error(403, text))
            }
            _ => self.needs_key(),
        }
    }

    /// Refuses everybody but the owner.
    pub(super) fn needs_owner(&self) -> Result<(), Response> {
        match self.caller {
            Caller::Owner => Ok(()),
            _ => Err(Response::nothing_here()),
        }
    }

    /// Returns the one to act as when the caller asks to be the agent `claimed`; an empty name asks for
    /// nothing. The name is empty if nobody has told one.
    pub(super) fn acting_as(&self, claimed: String, store: &Store) -> Result<Actor, Response> {
        let member = match &self.caller {
            Caller::Member(member) => member,
            Caller::Anybody(Some(member)) if claimed.is_empty() => {
                return Ok(Actor {
                    agent: member.agent.clone(),
                    peer: None,
                });
            }
            Caller::Owner | Caller::Anybody(_) | Caller::Stranger => {
                return Ok(Actor {
                    agent: claimed,
                    peer: None,
                });
            }
        };
        let is_own = claimed.is_empty() || agent_name(&claimed) == agent_name(&member.agent);
        if !is_own
            && store
                .peer_of_agent(&claimed)
                .is_some_and(|peer| peer != member.peer_id)
        {
            let own = &member.agent;
            let text = format!("{claimed:?} belongs to another key; this one is of agent {own:?}");
            return Err(Response::error(403, &text));
        }
        Ok(Actor {
            agent: if is_own {
                member.agent.clone()
            } else {
                claimed
            },
            peer: Some(member.peer_id.clone()),
        })
    }

    /// Returns the request's body, which has to be JSON of this form.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Response> {
        let body = &self.request.body;
        let json = String::from_utf8_lossy(body);
        if nesting(&json).is_some_and(|nesting| nesting > MESSAGE_NESTING) {
            let text =
                format!("the body is nested deeper than {MESSAGE_NESTING} objects and arrays");
            return Err(Response::error(400, &text));
        }
        serde_json::from_slice(body).map_err(|error| {
            let text = format!("the body is not the JSON object that is expected here: {error}");
            Response::error(400, &text)
        })
    }
}

/// Returns a 200 with this as its JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    Response::ok(text(value))
}

/// Returns the JSON text of a value.
pub(super) fn text(value: &impl Serialize) -> String {
    // The maps have string keys and the writer does not fail, so this cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns the answer to a request that has done what it asked for.
pub(super) fn done() -> Response {
    Response::ok(r#"{"status":"ok"}"#.to_owned())
}

/// Returns a refusal for now: there is no room for something.
pub(super) fn full(what: &str) -> Response {
    Response::error(503, &format!("{what}; try again later")).with("Retry-After", "10")
}

/// Returns the refusal when the system gives no random numbers.
pub(super) fn no_random_numbers() -> Response {
    Response::error(500, "no random numbers")
}
