//! Orders of a person to a registry that runs, over the control socket in its data directory.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::json;

use crate::config::url::Url;
use crate::config::{OrderConfig, RegistryOrder, Ticket};
use crate::http1::answer::{Answer, Exchange};
use crate::limits;
use crate::output;
use crate::registry::CONTROL_SOCKET;
use crate::secret::Secret;

/// Gives the order and prints what came of it. Returns exit code 0 if it was followed, 1 if not.
pub fn run(config: &OrderConfig) -> ExitCode {
    let control = Control(&config.data);
    let done = match &config.order {
        RegistryOrder::Invite => invite(&control),
        RegistryOrder::AddKey(name) => add_key(&control, name),
        RegistryOrder::Ticket {
            name,
            registry,
            secret,
        } => ticket(&control, name, registry, secret.as_ref()),
        RegistryOrder::Approve(None) => list_waiting(&control),
        RegistryOrder::Approve(Some(name)) => approve(&control, name),
        RegistryOrder::Revoke(None) => list_all(&control),
        RegistryOrder::Revoke(Some(name)) => revoke(&control, name),
    };
    match done {
        Ok(text) => {
            output::print(&text);
            ExitCode::SUCCESS
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Deserialize)]
struct Device {
    id: String,
    agent_name: String,
    peer_id: String,
    status: String,
}

impl Device {
    fn is_called(&self, name: &str) -> bool {
        [&self.id, &self.agent_name, &self.peer_id].contains(&&name.to_owned())
    }

    fn is_waiting(&self) -> bool {
        self.status == "pending_approval"
    }
}

#[derive(Deserialize)]
struct Key {
    agent: String,
    peer_id: String,
}

#[derive(Deserialize)]
struct NewKey {
    key: String,
    agent: String,
    peer_id: String,
}

#[derive(Deserialize)]
struct Invitation {
    code: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn invite(control: &Control<'_>) -> Result<String, String> {
    let Invitation { code, expires_in } = control.post("/api/pairing/generate-code", "")?;
    Ok(format!(
        "{code}\n\
         valid for {} minutes; on the other machine: chatixia-sidecar pair {code}\n",
        expires_in / 60
    ))
}

/// Returns the ticket alone, so that it can be handed on as it is printed.
fn ticket(
    control: &Control<'_>,
    name: &str,
    registry: &Url,
    secret: Option<&Secret>,
) -> Result<String, String> {
    let NewKey { key, .. } = new_key(control, name)?;
    let ticket = Ticket {
        registry: registry.clone(),
        key: Secret::new(key),
        secret: secret.cloned(),
    };
    Ok(ticket.reveal() + "\n")
}

fn new_key(control: &Control<'_>, name: &str) -> Result<NewKey, String> {
    control.post("/api/keys", &json!({ "name": name }).to_string())
}

fn add_key(control: &Control<'_>, name: &str) -> Result<String, String> {
    let NewKey {
        key,
        agent,
        peer_id,
    } = new_key(control, name)?;
    Ok(format!(
        "{key}\n\
         the API_KEY of agent {agent:?}, whose sidecar is {peer_id}; it is not shown again\n"
    ))
}

fn list_waiting(control: &Control<'_>) -> Result<String, String> {
    let devices: Vec<Device> = control.get("/api/pairing/pending")?;
    Ok(table(&devices, &[]).unwrap_or_else(|| "nobody waits for approval\n".to_owned()))
}

fn list_all(control: &Control<'_>) -> Result<String, String> {
    let devices: Vec<Device> = control.get("/api/pairing/all")?;
    let keys: Vec<Key> = control.get("/api/keys")?;
    Ok(table(&devices, &keys).unwrap_or_else(|| "there are no devices and no keys\n".to_owned()))
}

/// Returns a line for each; `None` if there are none.
fn table(devices: &[Device], keys: &[Key]) -> Option<String> {
    let mut text = String::new();
    for device in devices {
        let Device {
            agent_name,
            peer_id,
            status,
            ..
        } = device;
        let _ = writeln!(text, "device  {peer_id:<24} {status:<16} {agent_name:?}");
    }
    for Key { agent, peer_id } in keys {
        let _ = writeln!(text, "key     {peer_id:<24} {:<16} {agent:?}", "");
    }
    (!text.is_empty()).then_some(text)
}

fn approve(control: &Control<'_>, name: &str) -> Result<String, String> {
    let waiting: Vec<Device> = control.get("/api/pairing/pending")?;
    let device = the_one(&waiting, name)?;
    let path = format!("/api/pairing/{}/approve", device.id);
    let _: serde_json::Value = control.post(&path, "")?;
    let (peer_id, agent) = (&device.peer_id, &device.agent_name);
    Ok(format!("{peer_id}, agent {agent:?}, is let in\n"))
}

fn revoke(control: &Control<'_>, name: &str) -> Result<String, String> {
    let devices: Vec<Device> = control.get("/api/pairing/all")?;
    let keys: Vec<Key> = control.get("/api/keys")?;
    if let Some(key) = keys
        .iter()
        .find(|key| key.agent == name || key.peer_id == name)
    {
        let path = format!("/api/keys/{}", percent_encode(&key.agent));
        let _: serde_json::Value = control.send("DELETE", &path, "")?;
        return Ok(format!("the keys of {} are no longer taken\n", key.peer_id));
    }
    let alive: Vec<Device> = devices
        .into_iter()
        .filter(|device| device.is_waiting() || device.status == "approved")
        .collect();
    let device = the_one(&alive, name)?;
    let order = if device.is_waiting() {
        "reject"
    } else {
        "revoke"
    };
    let path = format!("/api/pairing/{}/{order}", device.id);
    let _: serde_json::Value = control.post(&path, "")?;
    let (peer_id, agent) = (&device.peer_id, &device.agent_name);
    Ok(format!("{peer_id}, agent {agent:?}, is not let in\n"))
}

/// Returns the only device that is called so.
fn the_one<'a>(devices: &'a [Device], name: &str) -> Result<&'a Device, String> {
    let mut called = devices.iter().filter(|device| device.is_called(name));
    match (called.next(), called.next()) {
        (Some(device), None) => Ok(device),
        (None, _) => Err(format!(
            "there is no {name:?}; without a name the order lists those that there are"
        )),
        (Some(_), Some(_)) => Err(format!(
            "several are called {name:?}; name one as agent-..., as the list shows them"
        )),
    }
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => encoded.push(char::from(byte)),
            false => {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// The control socket in this directory.
struct Control<'a>(&'a Path);

impl Control<'_> {
    fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.send("GET", path, "")
    }

    fn post<T: serde::de::DeserializeOwned>(&self, path: &str, body: &str) -> Result<T, String> {
        self.send("POST", path, body)
    }

    /// Sends a request; returns the answer's content, or in words why there is none.
    fn send<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<T, String> {
        let socket = self.0.join(CONTROL_SOCKET);
        let answer = exchange(&socket, method, path, body).map_err(|error| {
            format!(
                "no registry on {}: {error}; does it run, and with this REGISTRY_DATA?",
                socket.display()
            )
        })?;
        let no_answer = || "the registry's answer is not to be read".to_owned();
        if answer.status == 200 {
            return serde_json::from_str(&answer.content).map_err(|_| no_answer());
        }
        let refusal: Refusal = serde_json::from_str(&answer.content).map_err(|_| no_answer())?;
        Err(format!("the registry refuses: {}", refusal.error))
    }
}

fn exchange(socket: &Path, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limits::HEALTH_TIMEOUT))?;
    stream.set_write_timeout(Some(limits::HEALTH_TIMEOUT))?;
    let exchange = Exchange {
        method,
        path,
        host: "registry",
        body,
        most: limits::ORDER_ANSWER_BYTES,
    };
    exchange.run(stream)
}
