//! Answers to requests, without I/O.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;

use crate::http1::{Refusal, Request, reason_phrase};
use crate::mesh::statistics::Statistics;
use crate::protocol::exposition::Format;

use super::families;
use super::process::ProcessNumbers;

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/metrics`
    Metrics(Format),
    /// `/stats`
    Stats,
    /// `/health`
    Health,
}

impl Resource {
    /// Returns what a request asks for, or the answer to one that asks for something else. Where only this machine
    /// can ask (`is_local`), no other name is answered to: a page of the web could have a name of its own lead
    /// here, and read in a browser of this machine what is told.
    pub(super) fn asked_for(request: &Request, is_local: bool) -> Result<Self, Answer> {
        if is_local && !request.header("host").is_none_or(is_this_machine) {
            let text = "ask 127.0.0.1, [::1] or localhost: other names are not answered to\n";
            return Err(Answer::text(421, text));
        }
        let resource = match request.path.as_str() {
            "/metrics" => Resource::Metrics(Format::accepted(request.values("accept"))),
            "/stats" => Resource::Stats,
            "/health" => Resource::Health,
            _ => {
                return Err(Answer::text(404, "here are /metrics, /stats and /health\n"));
            }
        };
        match request.method.as_str() {
            "GET" | "HEAD" => Ok(resource),
            _ => Err(Answer::text(405, "use GET\n")),
        }
    }
}

/// Returns whether the value of a `Host` header is `localhost` or an address, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let is_address = host.parse::<SocketAddr>().is_ok() || host.parse::<Ipv4Addr>().is_ok();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    is_address || host == "[::1]" || name.eq_ignore_ascii_case("localhost")
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    body: String,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Answer {
    fn ok(content_type: &'static str, body: String) -> Self {
        Answer {
            status: 200,
            content_type,
            body,
        }
    }

    fn text(status: u16, body: &str) -> Self {
        Answer {
            status,
            content_type: TEXT,
            body: body.to_owned(),
        }
    }

    /// Makes the answer when the event loop gives no numbers in time.
    pub(super) fn no_numbers() -> Self {
        Self::text(503, "the sidecar's event loop does not answer\n")
    }

    /// Makes the answer to a client that takes too long to ask.
    pub(super) fn too_slow() -> Self {
        Self::text(408, "the request did not come in time\n")
    }

    /// Makes the answer that the sidecar works, with what a probe may want to look at.
    pub(super) fn health(numbers: &Statistics) -> Self {
        let process = &numbers.process;
        let health = json!({
            "status": "ok",
            "version": process.version,
            "uptime_seconds": process.uptime_seconds,
            "registry": process.registry,
            "connected_peers": process.peers.connected,
        });
        Self::ok(JSON, health.to_string())
    }

    /// Makes the answer with the payload of the command `stats`.
    pub(super) fn stats(numbers: &Statistics) -> Self {
        Self::ok(JSON, numbers.to_json().get().to_owned())
    }

    /// Makes the answer with all metrics.
    pub(super) fn metrics(
        format: Format,
        numbers: &Statistics,
        process: &ProcessNumbers,
        names_peers: bool,
    ) -> Self {
        let text = families::text(format, numbers, process, names_peers);
        Self::ok(format.content_type(), text)
    }

    /// Returns the bytes of the answer, with its body or, for `HEAD`, without.
    pub(super) fn to_bytes(&self, has_body: bool) -> Vec<u8> {
        let mut text = format!(
            "HTTP/1.1 {} {}\r\n",
            self.status,
            reason_phrase(self.status)
        );
        if self.status == 405 {
            text.push_str("Allow: GET, HEAD\r\n");
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "Content-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
            self.content_type,
            self.body.len()
        );
        if has_body {
            text.push_str(&self.body);
        }
        text.into_bytes()
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::text(refusal.status, &(refusal.text + "\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::RequestBuffer;

    fn asked(head: &str) -> Result<Resource, u16> {
        let request = RequestBuffer::default().push(format!("{head}\r\n\r\n").as_bytes());
        let Ok(Some(request)) = request else {
            panic!("no request");
        };
        Resource::asked_for(&request, true).map_err(|answer| answer.status)
    }

    #[test]
    fn only_this_machine_is_answered_to_where_nobody_else_can_ask() {
        for host in [
            "127.0.0.1:9464",
            "127.0.0.1",
            "[::1]:9464",
            "[::1]",
            "localhost",
            "LocalHost:1",
        ] {
            let head = format!("GET /health HTTP/1.1\r\nHost: {host}");
            assert_eq!(asked(&head), Ok(Resource::Health), "{host}");
        }
        for host in [
            "example.org:9464",
            "localhost.example.org",
            "127.0.0.1.example.org",
        ] {
            let head = format!("GET /stats HTTP/1.1\r\nHost: {host}");
            assert_eq!(asked(&head), Err(421), "{host}");
        }
    }

    #[test]
    fn three_paths_are_there_to_be_read() {
        let metrics = |format| Ok(Resource::Metrics(format));
        assert_eq!(asked("GET /metrics HTTP/1.1"), metrics(Format::OpenMetrics));
        assert_eq!(
            asked("GET /metrics?x=1 HTTP/1.1\r\nAccept: text/plain"),
            metrics(Format::Prometheus)
        );
        assert_eq!(asked("HEAD /stats HTTP/1.1"), Ok(Resource::Stats));
        assert_eq!(asked("GET /health HTTP/1.0"), Ok(Resource::Health));
        assert_eq!(asked("GET / HTTP/1.1"), Err(404));
        assert_eq!(asked("GET /metrics/ HTTP/1.1"), Err(404));
        assert_eq!(asked("POST /metrics HTTP/1.1"), Err(405));
    }

    #[test]
    fn an_answer_has_its_length_with_and_without_its_body() {
        let answer = Answer::text(405, "use GET\n");
        let head = "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Length: 8\r\n\
            Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n";
        assert_eq!(answer.to_bytes(false), head.as_bytes());
        assert_eq!(answer.to_bytes(true), format!("{head}use GET\n").as_bytes());
    }
}
