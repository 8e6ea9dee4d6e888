//! The keys that the registry's owner adds and removes while it runs, without I/O. Only the owner reaches
//! these resources, over the control socket.
//!
//! | | |
//! |---|---|
//! | `POST /api/keys` | `{"name"}`; gives `{"key", "agent", "peer_id"}`, the key for the only time |
//! | `GET /api/keys` | a list of `{"agent", "peer_id", "created_at"}` |
//! | `DELETE /api/keys/{name}` | removes all that were added for this agent |

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{self, Call, done, full, no_random_numbers};
use crate::protocol::PeerId;
use crate::registry::http::percent_decode;
use crate::registry::limits;
use crate::registry::response::Response;
use crate::registry::secrets::{hex, random};
use crate::registry::store::tasks::agent_name;
use crate::registry::store::{AccountError, AddedKey, Store};

/// Random bytes of a key.
const KEY_BYTES: usize = 16;

#[derive(Deserialize)]
struct NewKey {
    name: String,
}

/// Answers a request for a path below `/api/keys`.
pub(super) fn answer(
    path: &[&str],
    call: &Call<'_>,
    store: &mut Store,
) -> Result<Response, Response> {
    call.needs_owner()?;
    match (path, call.request.method.as_str()) {
        ([], "POST") => add(call, store),
        ([], "GET") => {
            let shown = store.added_keys().map(shown);
            Ok(call::json(&shown.collect::<Vec<_>>()))
        }
        ([name], "DELETE") => {
            let name = percent_decode(name).unwrap_or_default();
            let peer = store.remove_keys(call.now, &name);
            let peer = peer.ok_or_else(|| Response::error(404, "no key of this name was added"))?;
            log::info!("the keys of {peer} are no longer taken");
            Ok(done().disconnecting(peer))
        }
        ([], _) => Err(Response::only("GET, POST")),
        ([_], _) => Err(Response::only("DELETE")),
        _ => Err(Response::nothing_here()),
    }
}

fn shown(key: &AddedKey) -> Value {
    json!({
        "agent": key.agent, "peer_id": key.peer_id, "created_at": key.created_at.seconds(),
    })
}

fn add(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let told: NewKey = call.body()?;
    let agent = agent_name(told.name.trim());
    let peer_id = PeerId::new(&format!("{agent}-sidecar"));
    let is_usable = !agent.is_empty() && agent.len() <= limits::AGENT_NAME_BYTES;
    let Some(peer_id) = peer_id.filter(|_| is_usable) else {
        let most = limits::AGENT_NAME_BYTES;
        let text = format!("a name has 1 to {most} bytes and no control characters");
        return Err(Response::error(400, &text));
    };
    let key = random::<KEY_BYTES>().ok_or_else(no_random_numbers)?;
    let key = format!("ak_{}", hex(&key));
    match store.add_key(call.now, agent, peer_id.clone(), &key) {
        Ok(()) => {}
        Err(AccountError::Full) => return Err(full("there are too many keys")),
        Err(_) => {
            let text = "another key or device has an agent of this name";
            return Err(Response::error(409, text));
        }
    }
    log::info!("a key was added for {peer_id}");
    Ok(call::json(
        &json!({ "key": key, "agent": agent, "peer_id": peer_id }),
    ))
}
