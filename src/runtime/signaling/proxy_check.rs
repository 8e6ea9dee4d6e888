//! Asks, for `doctor`, the proxy that leads to the registry.

use super::dial::dial;
use super::https;
use super::settings::Settings;
use super::waiting_stream::WaitingStream;
use super::wakeups::Wakeups;
use crate::config::url::Url;

/// A proxy that is used, and what it has answered.
#[derive(Debug)]
pub struct ProxyAnswer {
    /// Its URL without login.
    pub proxy: String,
    /// The name of the setting that names it.
    pub variable: &'static str,
    /// The status line of its answer when it has connected us, or else why it has not.
    pub said: Result<String, String>,
}

/// Asks the proxy that leads to the host of a URL to connect us; `None` if none is used. Blocks for
/// [`Times::handshake`](super::Times::handshake) at most, beside what the resolver takes.
pub fn ask_proxy(settings: &Settings, url: &Url) -> Option<ProxyAnswer> {
    let proxy = settings.proxies.to(url).ok()??;
    Some(ProxyAnswer {
        proxy: proxy.to_string(),
        variable: proxy.variable(),
        said: ask(settings, url),
    })
}

fn ask(settings: &Settings, url: &Url) -> Result<String, String> {
    // Nobody tells this one of changes, or asks it to stop.
    let (wakeups, _control) =
        Wakeups::new(settings.local_addresses).map_err(|error| error.to_string())?;
    let dialled = dial(url, settings, &wakeups).map_err(|lost| lost.to_string())?;
    let said = WaitingStream::new(dialled, &settings.times, &wakeups).open();
    let said = said.map_err(|error| https::io_lost(&error).to_string())?;
    Ok(said.unwrap_or_default())
}
