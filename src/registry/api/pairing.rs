//! Pairing (contract part 3), without I/O: a code is given out, a device redeems it, a person approves, and
//! the device fetches its token.
//!
//! Beside the contract's calls there is `GET /api/pairing/{id}`, which needs no key: the id can't be guessed,
//! and is told to the device alone and to those who may approve it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::{self, Call, Caller, done, full, no_random_numbers};
use crate::protocol::PeerId;
use crate::registry::limits;
use crate::registry::response::Response;
use crate::registry::secrets::{hex, random};
use crate::registry::store::pairings::{DecideError, Device, RedeemError, Status};
use crate::registry::store::{AccountError, Store};

/// Random bytes of a device's id, its token, and its peer's name.
const ID_BYTES: usize = 16;
const TOKEN_BYTES: usize = 16;
const NAME_BYTES: usize = 3;

/// The number of codes of six digits.
const CODES: u32 = 1_000_000;

#[derive(Deserialize)]
struct Redemption {
    code: String,
    agent_name: String,
}

/// A device in the form that callers see.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    agent_name: &'a str,
    peer_id: &'a PeerId,
    status: Status,
    created_at: u64,
    updated_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn without_token(device: &'a Device) -> Self {
        Shown {
            id: &device.id,
            agent_name: &device.agent_name,
            peer_id: &device.peer_id,
            status: device.status,
            created_at: device.created_at.seconds(),
            updated_at: device.updated_at.seconds(),
            device_token: None,
        }
    }

    fn with_token(device: &'a Device) -> Self {
        Shown {
            device_token: device.token(),
            ..Self::without_token(device)
        }
    }
}

/// Answers a request for a path below `/api/pairing`.
pub(super) fn answer(
    path: &[&str],
    call: &Call<'_>,
    store: &mut Store,
) -> Result<Response, Response> {
    let method = call.request.method.as_str();
    match (path, method) {
        (["pair"], "POST") => return redeem(call, store),
        (["pending" | "all" | "generate-code"], _) => {}
        (["pair"], _) => return Err(Response::only("POST")),
        ([id], "GET") => return fetch(id, call, store),
        _ => {}
    }
    call.needs_api_key()?;
    match (path, method) {
        (["generate-code"], "POST") => invite(call, store),
        (["pending"], "GET") => Ok(list(call, store, |status| {
            status == Status::PendingApproval
        })),
        (["all"], "GET") => Ok(list(call, store, |_| true)),
        ([id, "approve"], "POST") => {
            let token = random::<TOKEN_BYTES>().ok_or_else(no_random_numbers)?;
            let token = format!("dt_{}", hex(&token));
            let device = store.approve(call.now, id, token);
            let device = device.map_err(|error| not_decided(&error))?;
            log::info!("{} of {:?} is let in", device.peer_id, device.agent_name);
            Ok(call::json(&Shown::with_token(&device)))
        }
        ([id, "reject"], "POST") => {
            let rejected = store.reject(call.now, id);
            rejected.map_err(|error| not_decided(&error))?;
            Ok(done())
        }
        ([id, "revoke"], "POST") => {
            let device = store.revoke(call.now, id);
            let device = device.map_err(|error| not_decided(&error))?;
            log::info!("{} is no longer let in", device.peer_id);
            Ok(done().disconnecting(device.peer_id))
        }
        (["generate-code"] | [_, "approve" | "reject" | "revoke"], _) => {
            Err(Response::only("POST"))
        }
        ([_], _) => Err(Response::only("GET")),
        _ => Err(Response::nothing_here()),
    }
}

fn invite(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let number = random()
        .map(u32::from_ne_bytes)
        .ok_or_else(no_random_numbers)?;
    let code = format!("{:06}", number % CODES);
    if !store.invite(call.now, code.clone()) {
        return Err(full("there are too many open invitations"));
    }
    let expires_in = limits::INVITATION_LIFETIME.as_secs();
    Ok(call::json(
        &json!({ "code": code, "expires_in": expires_in }),
    ))
}

fn redeem(call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let told: Redemption = call.body()?;
    let name = told.agent_name.trim();
    let is_usable = !name.is_empty()
        && name.len() <= limits::AGENT_NAME_BYTES
        && !name.chars().any(char::is_control);
    if !is_usable {
        let most = limits::AGENT_NAME_BYTES;
        let text = format!("agent_name has 1 to {most} bytes and no control characters");
        return Err(Response::error(400, &text));
    }
    let id = hex(&random::<ID_BYTES>().ok_or_else(no_random_numbers)?);
    let peer_id = unused_name(store)?;
    let redeemed = store.redeem(call.now, &told.code, id, name.to_owned(), peer_id);
    let device = redeemed.map_err(|error| match error {
        RedeemError::UnknownCode => {
            let text = "this code is unknown, has expired or was used; ask for another";
            Response::error(401, text)
        }
        RedeemError::Full => full("there are too many paired devices"),
    })?;
    log::info!(
        "{:?} has redeemed a code and waits for approval as {}",
        device.agent_name,
        device.peer_id
    );
    Ok(call::json(&json!({
        "id": device.id, "status": device.status, "peer_id": device.peer_id,
    })))
}

/// Returns a name for a device's peer that no other device has.
fn unused_name(store: &Store) -> Result<PeerId, Response> {
    loop {
        let digits = hex(&random::<NAME_BYTES>().ok_or_else(no_random_numbers)?);
        let name = PeerId::new(&format!("agent-{digits}"));
        let is_used = |name: &PeerId| store.devices().iter().any(|other| other.peer_id == *name);
        if let Some(name) = name.filter(|name| !is_used(name)) {
            return Ok(name);
        }
    }
}

fn fetch(id: &str, call: &Call<'_>, store: &mut Store) -> Result<Response, Response> {
    let device = store.fetch_device(call.now, id).ok_or_else(unknown)?;
    Ok(call::json(&Shown::with_token(&device)))
}

fn list(call: &Call<'_>, store: &Store, is_meant: impl Fn(Status) -> bool) -> Response {
    // In the field a device looks for its token in the list of all.
    let show = match call.caller {
        Caller::Anybody(_) => Shown::with_token,
        _ => Shown::without_token,
    };
    let devices = store.devices();
    let meant = devices.iter().filter(|device| is_meant(device.status));
    call::json(&meant.map(show).collect::<Vec<_>>())
}

fn unknown() -> Response {
    Response::error(404, "there is no such device: it is unknown, or forgotten")
}

fn not_decided(error: &AccountError) -> Response {
    match error {
        AccountError::Device(DecideError::Unknown) => unknown(),
        AccountError::Device(DecideError::Is(status)) => {
            let status = call::text(status);
            Response::error(409, &format!("the device is {status}"))
        }
        AccountError::NameTaken => {
            let text = "another key or device has an agent of this name; revoke that one first, or \
                        pair under another name";
            Response::error(409, text)
        }
        AccountError::Full => full("there are too many keys"),
    }
}
