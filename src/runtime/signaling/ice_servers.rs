//! Asks the registry for its ICE servers, by `GET` of `config` beside its token URL (contract part 3).

use std::sync::Arc;

use ureq::Agent;
use ureq::http::{HeaderValue, StatusCode};

use super::settings::{Settings, Times};
use super::{https, token};
use crate::config::url::Url;
use crate::protocol::ice_servers::{self, IceServer};

/// A client that asks for the ICE servers.
#[derive(Debug)]
pub struct IceServersClient {
    agent: Agent,
    url: Url,
    header: (&'static str, HeaderValue),
    times: Times,
}

impl IceServersClient {
    /// Creates the client. Fails when the credential can't be sent.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Ok(IceServersClient {
            agent: https::agent(&settings.times, Arc::clone(&settings.tls)),
            url: settings.token_url.beside("config"),
            header: token::header(&settings.credential)?,
            times: settings.times,
        })
    }

    /// Asks once. Blocks for [`Times::handshake`](super::Times::handshake) at most, beside what the
    /// resolver takes.
    ///
    /// # Errors
    /// Says why there are no servers, in a line for the log.
    pub fn fetch(&self) -> Result<Vec<IceServer>, String> {
        let failed = |what: &dyn std::fmt::Display| format!("{}: {what}", self.url);
        let (name, value) = &self.header;
        let mut response = self
            .agent
            .get(self.url.uri())
            .header(*name, value)
            .call()
            .map_err(|error| failed(&self.times.describe(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(failed(&format!("answered {}", response.status())));
        }
        let body =
            https::body(&mut response).map_err(|error| failed(&self.times.describe(&error)))?;
        ice_servers::parse(&body).map_err(|why| failed(&why))
    }
}
