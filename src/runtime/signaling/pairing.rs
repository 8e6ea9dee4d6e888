//! Pairs this machine with a registry (contract part 3): redeems the code of an invitation, and asks for the
//! device token that follows when a person has approved.

use serde::Deserialize;
use ureq::http::StatusCode;

use super::https;
use super::settings::Settings;
use super::wakeups::Wakeups;
use crate::config::url::Url;
use crate::protocol::PeerId;
use crate::secret::Secret;

/// A client that pairs.
#[derive(Debug)]
pub struct PairingClient {
    settings: Settings,
    /// Beside it are the resources of pairing.
    token_url: Url,
}

/// The reason why there is no answer that helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingError {
    /// The registry has refused; in words.
    Refused(String),
    /// It could not be asked, or did not understand; in words.
    Failed(String),
}

/// A device as the registry knows it.
#[derive(Debug, Deserialize)]
pub struct Device {
    /// Its id at the registry, which nobody can guess.
    pub id: String,
    /// `pending_approval`, `approved`, `rejected` or `revoked`.
    pub status: String,
    /// The name that peers will know it by.
    pub peer_id: PeerId,
    /// Its token, once it is approved.
    #[serde(default)]
    device_token: Option<String>,
}

impl Device {
    /// Returns its token, once it is approved.
    pub fn token(&self) -> Option<Secret> {
        self.device_token.clone().map(Secret::new)
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl PairingClient {
    /// Creates the client.
    pub fn new(settings: &Settings) -> Self {
        PairingClient {
            settings: settings.clone(),
            token_url: settings.token_url.clone(),
        }
    }

    /// Returns the registry as messages show it.
    pub fn place(&self) -> String {
        self.settings.shown(&self.token_url.beside(""))
    }

    /// Redeems a code.
    ///
    /// # Errors
    /// The code is refused, or the registry can't be asked.
    pub fn redeem(&self, code: &str, agent_name: &str) -> Result<Device, PairingError> {
        let body = serde_json::json!({"code": code, "agent_name": agent_name}).to_string();
        let (status, answer) = self.ask("pairing/pair", Some(body))?;
        match status {
            StatusCode::OK => parse(&answer),
            status => Err(refused(status, &answer)),
        }
    }

    /// Asks how it stands about a device.
    ///
    /// # Errors
    /// The registry has forgotten it, or can't be asked.
    pub fn state(&self, id: &str) -> Result<Device, PairingError> {
        let (status, answer) = self.ask(&format!("pairing/{id}"), None)?;
        if status == StatusCode::OK {
            return parse(&answer);
        }
        let of_ours = refused(status, &answer);
        // The field's registry tells everybody about all, and of nobody alone.
        let (status, answer) = self.ask("pairing/all", None)?;
        if status != StatusCode::OK {
            return Err(of_ours);
        }
        let devices: Vec<Device> = parse(&answer)?;
        let found = devices.into_iter().find(|device| device.id == id);
        found.ok_or(of_ours)
    }

    /// Sends one request; with a body it is a `POST`.
    fn ask(
        &self,
        resource: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Vec<u8>), PairingError> {
        let url = self.token_url.beside(resource);
        let place = self.settings.shown(&url);
        let failed = |why: &dyn std::fmt::Display| PairingError::Failed(format!("{place}: {why}"));
        // Nobody tells this one of changes.
        let (wakeups, _control) =
            Wakeups::new(self.settings.local_addresses).map_err(|error| failed(&error))?;
        let connected = https::connect(&url, &self.settings, &wakeups);
        let agent = connected.map_err(|lost| failed(&lost))?.agent;
        let answer = match body {
            None => agent.get(url.uri()).call(),
            Some(body) => {
                let request = agent.post(url.uri());
                let request = request.header("content-type", "application/json");
                request.send(body)
            }
        };
        let mut answer = answer.map_err(|error| failed(&https::lost(&error)))?;
        let status = answer.status();
        let body = https::body(&mut answer).map_err(|error| failed(&https::lost(&error)))?;
        Ok((status, body))
    }
}

fn parse<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, PairingError> {
    // The parser's own text may quote the token.
    serde_json::from_slice(answer)
        .map_err(|_| PairingError::Failed("the registry's answer is not the contract's".to_owned()))
}

/// Returns what an answer other than 200 means. Only some say something about the code or the device.
fn refused(status: StatusCode, answer: &[u8]) -> PairingError {
    let words = serde_json::from_slice::<Refusal>(answer).map(|refusal| refusal.error);
    let words = match words {
        Ok(words) => format!("the registry answered {status}: {}", words.escape_debug()),
        Err(_) => format!("the registry answered {status}"),
    };
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND => PairingError::Refused(words),
        _ => PairingError::Failed(words),
    }
}
