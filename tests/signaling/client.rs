//! A client for the tests: the signaling thread, with the test in the place of the event loop.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use chatixia_sidecar::config::settings::Flags;
use chatixia_sidecar::config::trust::Trust;
use chatixia_sidecar::config::url::Url;
use chatixia_sidecar::config::{Config, Credential};
use chatixia_sidecar::protocol::PeerId;
use chatixia_sidecar::protocol::signaling::{Extension, Incoming, Outgoing, Signal};
use chatixia_sidecar::runtime::signaling::{
    self, CurrentTls, Handle, Notice, Settings, Times, tls,
};
use chatixia_sidecar::runtime::wake::LoopWaker;
use chatixia_sidecar::secret::Secret;
use crossbeam_channel::{Receiver, bounded};

use crate::scripted_registry::{DEADLINE, Request, ScriptedRegistry, Seen};

/// Each secret of these tests holds this word, and no notice may.
pub(crate) const SECRET_WORD: &str = "s3cret";

pub(crate) fn api_key() -> Credential {
    Credential::ApiKey(Secret::new(format!("{SECRET_WORD}.alice")))
}

pub(crate) fn device_token() -> Credential {
    Credential::DeviceToken(Secret::new(format!("{SECRET_WORD}.alice")))
}

/// The times as in the field, except that failures are tried again at once.
pub(crate) fn times() -> Times {
    Times {
        backoff: (Duration::from_millis(5), Duration::from_millis(20)),
        refused_backoff: (Duration::from_millis(5), Duration::from_millis(20)),
        ..Times::default()
    }
}

pub(crate) struct Client {
    pub(crate) handle: Handle,
    pub(crate) notices: Receiver<Notice>,
    _poll: mio::Poll,
}

impl Client {
    pub(crate) fn start(registry: &ScriptedRegistry, credential: Credential) -> Self {
        Self::start_with(registry, credential, times(), None)
    }

    pub(crate) fn start_with(
        registry: &ScriptedRegistry,
        credential: Credential,
        times: Times,
        ca_file: Option<&Path>,
    ) -> Self {
        let urls = (registry.signaling_url(), registry.token_url());
        Self::launch(&urls.0, &urls.1, credential, times, ca_file, 64)
    }

    pub(crate) fn launch(
        signaling_url: &str,
        token_url: &str,
        credential: Credential,
        times: Times,
        ca_file: Option<&Path>,
        room: usize,
    ) -> Self {
        let trust = Trust {
            ca_file: ca_file.map(Path::to_owned),
            ..Trust::default()
        };
        let tls = tls::client_config(&trust).unwrap();
        let settings = settings((signaling_url, token_url), credential, tls);
        Self::with_settings(settings.with_times(times), room)
    }

    /// Trusting what `tls` holds when a connection is made.
    pub(crate) fn trusting(registry: &ScriptedRegistry, tls: impl Into<CurrentTls>) -> Self {
        Self::with_settings(settings_for(registry, tls).with_times(times()), 64)
    }

    /// On a machine that has no address any more, when it looks.
    pub(crate) fn without_addresses(registry: &ScriptedRegistry, times: Times) -> Self {
        let tls = tls::client_config(&Trust::default()).unwrap();
        let settings = settings_for(registry, tls).with_local_addresses(|| Ok(Vec::new()));
        Self::with_settings(settings.with_times(times), 64)
    }

    /// With the settings of this environment, and a key of ours.
    pub(crate) fn of_environment(environment: &[(&str, String)], times: Times) -> Self {
        let variables: HashMap<_, _> = environment.iter().cloned().collect();
        let find = |name: &str| variables.get(name).map(OsString::from);
        let config = Config::from(&Flags::default(), find).unwrap();
        let tls = tls::client_config(&config.trust).unwrap();
        let settings = Settings::new(config.signaling_url, config.token_url, api_key(), tls);
        Self::with_settings(settings.with_proxies(config.proxies).with_times(times), 64)
    }

    pub(crate) fn with_settings(settings: Settings, room: usize) -> Self {
        let poll = mio::Poll::new().unwrap();
        let waker = LoopWaker::new(poll.registry(), mio::Token(0)).unwrap();
        let (sender, notices) = bounded(room);
        let handle = signaling::start(settings, sender, waker).unwrap();
        Client {
            handle,
            notices,
            _poll: poll,
        }
    }

    /// The next notice, but for those of round trips.
    pub(crate) fn next(&self) -> Notice {
        let next = || self.notices.recv_timeout(DEADLINE).expect("no notice");
        let mut notice = next();
        while let Notice::Measured { .. } = notice {
            notice = next();
        }
        let text = format!("{notice:?}");
        assert!(!text.contains(SECRET_WORD), "a secret is told: {text}");
        notice
    }

    /// Skips what comes before the next connection, its peer list included.
    pub(crate) fn connected(&self) -> PeerId {
        let peer_id = loop {
            if let Notice::Connected { peer_id } = self.next() {
                break peer_id;
            }
        };
        let list = Incoming::PeerList {
            peers: Vec::new(),
            left_out: 0,
        };
        assert_eq!(self.next(), Notice::Frame(list));
        peer_id
    }

    pub(crate) fn disconnected(&self) -> String {
        match self.next() {
            Notice::Disconnected { reason } => reason,
            other => panic!("not Disconnected: {other:?}"),
        }
    }

    pub(crate) fn refused(&self) -> (String, bool) {
        match self.next() {
            Notice::Refused { reason, fatal } => (reason, fatal),
            other => panic!("not Refused: {other:?}"),
        }
    }
}

/// The settings of a client that has these URLs and nothing else to say.
fn settings(
    (signaling_url, token_url): (&str, &str),
    credential: Credential,
    tls: impl Into<CurrentTls>,
) -> Settings {
    let signaling_url = Url::websocket(signaling_url).unwrap();
    Settings::new(
        signaling_url,
        Url::http(token_url).unwrap(),
        credential,
        tls,
    )
}

/// The settings of a client of this registry.
fn settings_for(registry: &ScriptedRegistry, tls: impl Into<CurrentTls>) -> Settings {
    let urls = (registry.signaling_url(), registry.token_url());
    settings((&urls.0, &urls.1), api_key(), tls)
}

/// An offer that can be found by `mark`.
pub(crate) fn offer(mark: &str) -> Outgoing {
    Outgoing::Relay {
        target: PeerId::new("bob").unwrap(),
        signal: Signal::Offer {
            sdp: mark.to_owned(),
        },
        extension: Extension::default(),
    }
}

pub(crate) fn token_request(seen: Seen) -> Option<Request> {
    match seen {
        Seen::TokenRequest(request) => Some(request),
        _ => None,
    }
}

pub(crate) fn upgrade(seen: Seen) -> Option<String> {
    match seen {
        Seen::Upgrade { request, .. } => Some(request.target),
        _ => None,
    }
}

pub(crate) fn frame(seen: Seen) -> Option<(usize, String)> {
    match seen {
        Seen::Frame { socket, text } => Some((socket, text)),
        _ => None,
    }
}

pub(crate) fn closed(seen: Seen) -> Option<Option<u16>> {
    match seen {
        Seen::Closed { code, .. } => Some(code),
        _ => None,
    }
}

/// Waits for a frame with `mark`; gives the number of its socket.
pub(crate) fn frame_with(registry: &ScriptedRegistry, mark: &str) -> usize {
    registry.wait_for(|seen| {
        frame(seen)
            .filter(|(_, text)| text.contains(mark))
            .map(|(socket, _)| socket)
    })
}
