//! An answer to an HTTP request, and its bytes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

use crate::http_date::imf_fixdate;
use crate::http1::{Refusal, reason_phrase};
use crate::protocol::PeerId;

const SWITCHING_PROTOCOLS: u16 = 101;

/// An answer to a request.
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    headers: Vec<(&'static str, String)>,
    /// `None` for answers that have no content.
    pub(super) body: Option<Cow<'static, str>>,
    /// The type of the body.
    kind: &'static str,
    /// For how long browsers may use it again.
    caching: &'static str,
    /// The peer whose WebSocket ends with this answer, because it is no longer let in.
    pub(super) disconnected: Option<PeerId>,
}

impl Response {
    /// Makes a 200 with a JSON text.
    pub(super) fn ok(body: String) -> Self {
        Response {
            body: Some(body.into()),
            ..Self::empty(200)
        }
    }

    /// Makes a 200 with a file of this type, which a browser may use again if it asks whether it is still the same.
    pub(super) fn file(kind: &'static str, text: &'static str) -> Self {
        Response {
            body: Some(text.into()),
            kind,
            caching: "no-cache",
            ..Self::empty(200)
        }
    }

    /// Makes a 304: the file that the browser has is still the same.
    pub(super) fn not_modified() -> Self {
        Self::empty(304)
    }

    /// Makes an answer without content.
    fn empty(status: u16) -> Self {
        Response {
            status,
            headers: Vec::new(),
            body: None,
            kind: "application/json",
            caching: "no-store",
            disconnected: None,
        }
    }

    /// Makes a refusal: `{"error": text}`.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Response {
            body: Some(serde_json::json!({ "error": text }).to_string().into()),
            ..Self::empty(status)
        }
    }

    /// Makes a 405: the resource takes only these methods.
    pub(super) fn only(methods: &'static str) -> Self {
        Self::error(405, &format!("use {methods}")).with("Allow", methods)
    }

    /// Makes a 404.
    pub(super) fn nothing_here() -> Self {
        Self::error(404, "there is nothing at this path")
    }

    /// Makes a 101: the connection goes on as a WebSocket (RFC 6455, 4.2.2).
    pub(super) fn switching_to_websocket(accept_key: String) -> Self {
        Response {
            headers: vec![
                ("Connection", "Upgrade".to_owned()),
                ("Upgrade", "websocket".to_owned()),
                ("Sec-WebSocket-Accept", accept_key),
            ],
            ..Self::empty(SWITCHING_PROTOCOLS)
        }
    }

    /// Makes the answer to a browser that asks whether a page of another origin may send requests with keys
    /// (the preflight of CORS).
    pub(super) fn any_origin_may_ask() -> Self {
        let headers = [
            ("Access-Control-Allow-Methods", "GET, POST, DELETE"),
            (
                "Access-Control-Allow-Headers",
                "content-type, x-api-key, x-device-token",
            ),
            ("Access-Control-Max-Age", "86400"),
        ];
        Response {
            headers: headers
                .map(|(name, value)| (name, value.to_owned()))
                .to_vec(),
            ..Self::empty(204)
        }
    }

    /// Has the WebSocket of a peer end with this answer.
    pub(super) fn disconnecting(mut self, peer: PeerId) -> Self {
        self.disconnected = Some(peer);
        self
    }

    /// Has the same WebSocket end as another answer would.
    pub(super) fn disconnecting_as(mut self, other: &Response) -> Self {
        self.disconnected.clone_from(&other.disconnected);
        self
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Returns the bytes of the answer, with `date` as its date.
    pub(super) fn to_bytes(&self, date: SystemTime) -> Vec<u8> {
        let reason = reason_phrase(self.status);
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        let mut header = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        };
        header("Date", &imf_fixdate(date));
        for (name, value) in &self.headers {
            header(name, value);
        }
        // Pages of any origin may ask. What they may do depends on the key that they send.
        header("Access-Control-Allow-Origin", "*");
        if let Some(body) = &self.body {
            header("Content-Type", self.kind);
            header("Content-Length", &body.len().to_string());
            header("Cache-Control", self.caching);
        }
        if self.status != SWITCHING_PROTOCOLS {
            header("Connection", "close");
        }
        text.push_str("\r\n");
        text.push_str(self.body.as_deref().unwrap_or_default());
        text.into_bytes()
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Response::error(refusal.status, &refusal.text)
    }
}

/// Leaves out the body, which may hold a token.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn an_answer_is_dated_and_ends_the_connection() {
        let bytes = Response::ok("{}".to_owned())
            .with("Allow", "GET")
            .to_bytes(UNIX_EPOCH);
        let expected = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nAllow: GET\r\n\
            Access-Control-Allow-Origin: *\r\nContent-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\
            Connection: close\r\n\r\n{}";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
