//! The token exchange: `POST TOKEN_URL` gives, for our key, a token of five minutes and the name that
//! peers know us by.

use std::time::Duration;

use serde::Deserialize;
use ureq::Body;
use ureq::http::{HeaderValue, Response, StatusCode};

use super::failure::{Failure, Kind};
use super::https;
use super::retry_after;
use super::settings::Settings;
use super::wakeups::Wakeups;
use crate::config::Credential;
use crate::config::url::Url;
use crate::limits;
use crate::protocol::PeerId;
use crate::secret::Secret;

/// The registry's answer to the question for a token, whatever its status.
pub(super) struct Asked {
    pub(super) answer: Response<Body>,
    /// The round trip of the TCP connection when it was opened.
    pub(super) round_trip: Duration,
}

/// The registry's answer: the token, and our name.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: Secret,
    pub(super) peer_id: PeerId,
}

/// A client that asks for tokens.
pub(super) struct TokenClient {
    settings: Settings,
    wakeups: Wakeups,
    url: Url,
    header: (&'static str, HeaderValue),
    credential: &'static str,
    /// Advice for when the credential is refused.
    advice: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    token: String,
    peer_id: String,
}

impl TokenClient {
    /// Creates the client, which waits in `wakeups`. Fails when the credential can't be sent.
    pub(super) fn new(settings: &Settings, wakeups: &Wakeups) -> Result<Self, String> {
        let (credential, advice) = match &settings.credential {
            Credential::ApiKey(_) => ("API key", "is API_KEY right?"),
            Credential::DeviceToken(_) => ("device token", "is DEVICE_TOKEN right, and approved?"),
        };
        Ok(TokenClient {
            settings: settings.clone(),
            wakeups: wakeups.clone(),
            url: settings.token_url.clone(),
            header: header(&settings.credential)?,
            credential,
            advice,
        })
    }

    /// Asks for a token once. Returns the round trip to the registry with it.
    ///
    /// Blocks for [`Times::handshake`](super::Times::handshake) and some round trips at most, beside what the
    /// resolver takes; less when the thread is asked to stop, or the way is lost by a change of the network.
    pub(super) fn exchange(&self) -> Result<(Grant, Duration), Failure> {
        let Asked { answer, round_trip } = self.ask()?;
        Ok((self.take(answer)?, round_trip))
    }

    /// Sends the request and returns the registry's answer.
    pub(super) fn ask(&self) -> Result<Asked, Failure> {
        let (name, value) = &self.header;
        let connected = https::connect(&self.url, &self.settings, &self.wakeups);
        let connected = connected.map_err(|lost| self.lost(lost))?;
        let asked = connected.agent.post(self.url.uri());
        let answer = asked.header(*name, value).send_empty();
        Ok(Asked {
            answer: answer.map_err(|error| self.lost(https::lost(&error)))?,
            round_trip: connected.round_trip,
        })
    }

    fn lost(&self, failure: Failure) -> Failure {
        let place = self.settings.shown(&self.url);
        failure.of(&format_args!("token exchange at {place}"))
    }

    /// Reads the token from an answer, or the failure that it means.
    pub(super) fn take(&self, mut response: Response<Body>) -> Result<Grant, Failure> {
        let unreachable = |what: &str| self.lost(what.to_owned().into());
        let status = response.status();
        let credential = self.credential;
        if status == StatusCode::UNAUTHORIZED {
            let why = format!(
                "token exchange at {}: the registry refused the {credential} ({status}): {}",
                self.url, self.advice
            );
            return Err(Failure::new(Kind::Refused, why));
        }
        // In contract part 3 only 401 is a refusal. A 403 may come from a proxy, or from a limit that
        // passes.
        if status == StatusCode::FORBIDDEN {
            return Err(unreachable(&format!(
                "answered {status}; the registry, or a proxy before it, does not serve this \
                 {credential} now"
            )));
        }
        if status.is_redirection() {
            return Err(unreachable(&format!(
                "answered {status}; redirects are not followed, TOKEN_URL must name the final place"
            )));
        }
        if !status.is_success() {
            let why = format!("answered {status}");
            return Err(self.lost(retry_after::lost(status, response.headers(), why)));
        }
        let body = https::body(&mut response).map_err(|error| self.lost(https::lost(&error)))?;
        parse(&body).map_err(|what| match status {
            StatusCode::OK => unreachable(&what),
            status => unreachable(&format!("answered {status}: {what}")),
        })
    }
}

/// Returns the header with our credential. Fails when the credential holds characters that no header
/// can carry.
pub(super) fn header(credential: &Credential) -> Result<(&'static str, HeaderValue), String> {
    let (name, secret, what) = match credential {
        Credential::ApiKey(key) => ("x-api-key", key, "API key"),
        Credential::DeviceToken(token) => ("x-device-token", token, "device token"),
    };
    let mut value = HeaderValue::from_str(secret.reveal())
        .map_err(|_| format!("the {what} holds characters other than printable ASCII"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Parses the answer's content. The errors show nothing of it, since it may hold the token.
fn parse(body: &[u8]) -> Result<Grant, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        format!(
            "the answer is not JSON with \"token\" and \"peer_id\" (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    if answer.token.is_empty() {
        return Err("the token in the answer is empty".to_owned());
    }
    let peer_id = PeerId::new(&answer.peer_id).ok_or_else(|| {
        format!(
            "the peer_id in the answer is not usable: it must have 1 to {} bytes and no control \
             characters",
            limits::PEER_ID_BYTES
        )
    })?;
    Ok(Grant {
        token: Secret::new(answer.token),
        peer_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_contracts_answer_and_further_fields() {
        let body = br#"{"token": "t0", "peer_id": "a-sidecar", "role": "agent", "x": [1]}"#;
        let grant = parse(body).unwrap();
        assert_eq!(grant.token.reveal(), "t0");
        assert_eq!(grant.peer_id.as_str(), "a-sidecar");
    }

    #[test]
    fn an_unusable_answer_is_described_without_its_content() {
        for body in [
            r#""s3cret""#,
            r#"{"token": "s3cret"}"#,
            r#"{"peer_id": "s3cret"}"#,
            r#"{"token": {"s3cret": 1}, "peer_id": "a"}"#,
            r#"{"token": "", "peer_id": "s3cret"}"#,
            r#"{"token": "s3cret", "peer_id": ""}"#,
            r#"{"token": "s3cret", "peer_id": "a\nb"}"#,
            "<html>s3cret",
            "",
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(!error.contains("s3cret"), "{body}: {error}");
        }
    }

    #[test]
    fn a_credential_that_no_header_can_carry_is_told_without_it() {
        let trust = crate::config::trust::Trust::default();
        let tls = crate::runtime::signaling::tls::client_config(&trust).unwrap();
        let key = Credential::ApiKey(Secret::new("s3cret\r\nx-evil: 1".to_owned()));
        let urls = (Url::websocket("ws://h/"), Url::http("http://h/"));
        let settings = Settings::new(urls.0.unwrap(), urls.1.unwrap(), key, tls);
        let (wakeups, _control) = Wakeups::new(|| Ok(Vec::new())).unwrap();
        let Err(error) = TokenClient::new(&settings, &wakeups) else {
            panic!("a header with a line break was taken");
        };
        assert!(
            error.contains("API key") && !error.contains("s3cret"),
            "{error}"
        );
    }
}
