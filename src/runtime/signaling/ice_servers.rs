//! Asks the registry for its ICE servers, by `GET` of `config` beside its token URL (contract part 3).

use ureq::http::HeaderValue;

use super::settings::Settings;
use super::wakeups::Wakeups;
use super::{https, token};
use crate::config::url::Url;
use crate::protocol::ice_servers::{self, IceServer};

/// A client that asks for the ICE servers.
#[derive(Debug)]
pub struct IceServersClient {
    settings: Settings,
    url: Url,
    header: (&'static str, HeaderValue),
}

impl IceServersClient {
    /// Creates the client. Fails when the credential can't be sent.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        Ok(IceServersClient {
            settings: settings.clone(),
            url: settings.token_url.beside("config"),
            header: token::header(&settings.credential)?,
        })
    }

    /// Asks once. Blocks for [`Times::handshake`](super::Times::handshake) at most, beside what the
    /// resolver takes.
    ///
    /// # Errors
    /// Says why there are no servers, in a line for the log.
    pub fn fetch(&self) -> Result<Vec<IceServer>, String> {
        let place = self.settings.shown(&self.url);
        let failed = |what: &dyn std::fmt::Display| format!("{place}: {what}");
        // Nobody tells this one of changes.
        let (wakeups, _control) =
            Wakeups::new(self.settings.local_addresses).map_err(|error| failed(&error))?;
        let (name, value) = &self.header;
        let connected = https::connect(&self.url, &self.settings, &wakeups);
        let agent = connected.map_err(|lost| failed(&lost))?.agent;
        let asked = agent.get(self.url.uri());
        let answer = asked.header(*name, value).call();
        let mut response = answer.map_err(|error| failed(&https::lost(&error)))?;
        if !response.status().is_success() {
            return Err(failed(&format!("answered {}", response.status())));
        }
        let body = https::body(&mut response).map_err(|error| failed(&https::lost(&error)))?;
        ice_servers::parse(&body).map_err(|why| failed(&why))
    }
}
