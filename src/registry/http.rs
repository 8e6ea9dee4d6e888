//! The part of HTTP/1.1 that the registry needs: one request and one answer a connection, bytes to types
//! and back.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use super::limits::{REQUEST_BODY_BYTES, REQUEST_HEAD_BYTES, REQUEST_HEADERS};
use crate::http_date::imf_fixdate;

/// A request. It has no `Debug`, since it holds keys and tokens.
pub(super) struct Request {
    /// The method as it was sent: `GET`, `POST`.
    pub(super) method: String,
    /// The path without the query; nothing is percent-decoded.
    pub(super) path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    /// The body as it came.
    pub(super) body: Vec<u8>,
    /// The bytes that came behind the request on the same connection.
    pub(super) rest: Vec<u8>,
}

impl Request {
    /// Returns the first value of a header that is text and not empty.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).find(|value| !value.is_empty())
    }

    /// Returns the key that says who sent it: that of a paired device, or an API key.
    pub(super) fn key(&self) -> Option<&str> {
        self.header("x-device-token")
            .or_else(|| self.header("x-api-key"))
    }

    /// Returns whether a header that is a comma-separated list holds `token`, in any case.
    pub(super) fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// Returns the first value of a query parameter; nothing is percent-decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Returns the length of the body in bytes (RFC 9112, 6.3).
    fn body_length(&self) -> Result<usize, Response> {
        if self.header("transfer-encoding").is_some() {
            return Err(Response::error(411, "send a Content-Length"));
        }
        let mut lengths = self.values("content-length");
        let length = match (lengths.next(), lengths.next()) {
            (None, _) => 0,
            (Some(length), None) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                // A number with more digits than fit is over the limit as well.
                length.parse().unwrap_or(usize::MAX)
            }
            (Some(_), _) => return Err(Response::error(400, "Content-Length is not one number")),
        };
        if length > REQUEST_BODY_BYTES {
            let text = format!("the body is over {REQUEST_BODY_BYTES} bytes");
            return Err(Response::error(413, &text));
        }
        Ok(length)
    }
}

/// Collects the bytes of a connection until they are a whole request.
#[derive(Default)]
pub(super) struct RequestBuffer {
    bytes: Vec<u8>,
    /// The head, once it is whole, and how many bytes of body follow it.
    head: Option<(Request, usize)>,
}

impl RequestBuffer {
    /// Returns whether anything has come.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.head.is_none()
    }

    /// Returns the head of a request whose body is on its way, and the length of that body in bytes.
    pub(super) fn head(&self) -> Option<(&Request, usize)> {
        self.head.as_ref().map(|(head, length)| (head, *length))
    }

    /// Takes the next bytes. Returns the request when it is complete, or the answer to one that cannot be
    /// used.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<Request>, Response> {
        // Only the end of a line can complete the head, so a client that sends single bytes costs little.
        // The very first bytes are parsed too, because they may show that this is no HTTP at all.
        let worth_parsing = self.bytes.is_empty() || bytes.contains(&b'\n');
        self.bytes.extend_from_slice(bytes);
        if self.head.is_none() {
            if worth_parsing {
                self.parse_head()?;
            }
            if self.head.is_none() && self.bytes.len() > REQUEST_HEAD_BYTES {
                return Err(head_too_large());
            }
        }
        let whole = |(_, length): &mut (Request, usize)| self.bytes.len() >= *length;
        Ok(self.head.take_if(whole).map(|(mut request, length)| {
            request.rest = self.bytes.split_off(length);
            request.body = std::mem::take(&mut self.bytes);
            request
        }))
    }

    fn parse_head(&mut self) -> Result<(), Response> {
        let mut headers = [httparse::EMPTY_HEADER; REQUEST_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(&self.bytes) {
            Ok(httparse::Status::Complete(length)) if length > REQUEST_HEAD_BYTES => {
                return Err(head_too_large());
            }
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(()),
            Err(httparse::Error::TooManyHeaders) => return Err(head_too_large()),
            Err(error) => {
                let text = format!("this is not HTTP/1.1: {error}");
                return Err(Response::error(400, &text));
            }
        };
        let target = parsed.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: parsed
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.to_owned()))
                .collect(),
            body: Vec::new(),
            rest: Vec::new(),
        };
        let body_length = request.body_length()?;
        self.bytes.drain(..length);
        self.head = Some((request, body_length));
        Ok(())
    }
}

fn head_too_large() -> Response {
    let text = format!("the head is over {REQUEST_HEAD_BYTES} bytes or {REQUEST_HEADERS} headers");
    Response::error(431, &text)
}

/// An answer to a request.
pub(super) struct Response {
    /// The status code.
    pub(super) status: u16,
    headers: Vec<(&'static str, String)>,
    /// JSON text; `None` for the answer that turns the connection into a WebSocket.
    pub(super) body: Option<String>,
}

impl Response {
    /// Makes a 200 with a JSON text.
    pub(super) fn ok(body: String) -> Self {
        Response {
            status: 200,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    /// Makes a refusal: `{"error": text}`.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Response {
            status,
            headers: Vec::new(),
            body: Some(serde_json::json!({ "error": text }).to_string()),
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
            status: 101,
            headers: vec![
                ("Connection", "Upgrade".to_owned()),
                ("Upgrade", "websocket".to_owned()),
                ("Sec-WebSocket-Accept", accept_key),
            ],
            body: None,
        }
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
        if let Some(body) = &self.body {
            header("Content-Type", "application/json");
            header("Content-Length", &body.len().to_string());
            header("Cache-Control", "no-store");
            header("Connection", "close");
        }
        text.push_str("\r\n");
        text.push_str(self.body.as_deref().unwrap_or_default());
        text.into_bytes()
    }
}

/// Leaves out the body, which may hold a token.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status)
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn parse(bytes: &[u8]) -> Result<Option<Request>, u16> {
        RequestBuffer::default()
            .push(bytes)
            .map_err(|response| response.status)
    }

    fn refusal(bytes: &[u8]) -> Option<u16> {
        parse(bytes).err()
    }

    #[test]
    fn reads_a_request_that_comes_byte_by_byte() {
        let text = b"POST /api/token?a=1&token=xyz HTTP/1.1\r\nX-API-Key: k1 \r\n\
            Content-Length: 2\r\n\r\n{}after";
        let mut buffer = RequestBuffer::default();
        let (head, rest) = text.split_at(text.len() - 6);
        for byte in head {
            assert!(buffer.push(&[*byte]).unwrap().is_none());
        }
        let request = buffer.push(rest).unwrap().unwrap();
        assert_eq!(request.method, "POST");
        assert_eq!(request.path, "/api/token");
        assert_eq!(request.parameter("token"), Some("xyz"));
        assert_eq!(request.parameter("oken"), None);
        assert_eq!(request.header("x-api-key"), Some("k1"));
        assert_eq!(request.body, b"{}");
        assert_eq!(request.rest, b"after");
    }

    #[test]
    fn a_list_header_may_come_in_parts_and_in_any_case() {
        let request =
            parse(b"GET / HTTP/1.1\r\nConnection: keep-alive, UPGRADE\r\nConnection: x\r\n\r\n")
                .unwrap()
                .unwrap();
        assert!(request.lists("connection", "upgrade"));
        assert!(request.lists("connection", "X"));
        assert!(!request.lists("connection", "keep"));
    }

    #[test]
    fn what_is_no_http_is_refused_at_its_first_bytes() {
        assert_eq!(refusal(b"\x16\x03\x01\x02\x00"), Some(400));
        assert_eq!(refusal(b"GET / HTTP/7.1\r\n\r\n"), Some(400));
        assert_eq!(refusal(b"GET / HTTP/1.1\r\nno colon\r\n\r\n"), Some(400));
    }

    #[test]
    fn a_head_over_the_limit_is_refused_before_it_ends() {
        let mut endless = b"GET / HTTP/1.1\r\nx: ".to_vec();
        endless.resize(REQUEST_HEAD_BYTES, b'a');
        let mut buffer = RequestBuffer::default();
        assert!(buffer.push(&endless).unwrap().is_none());
        assert_eq!(buffer.push(b"a").err().unwrap().status, 431);

        endless.extend_from_slice(b"\r\n\r\n");
        assert_eq!(refusal(&endless), Some(431));
    }

    #[test]
    fn too_many_headers_are_refused() {
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "x: y\r\n".repeat(REQUEST_HEADERS + 1)
        );
        assert_eq!(refusal(many.as_bytes()), Some(431));
    }

    #[test]
    fn a_body_is_waited_for_and_bounded() {
        let with = |header: &str| parse(format!("POST / HTTP/1.1\r\n{header}\r\n\r\n").as_bytes());
        assert!(with("content-length: 0").unwrap().is_some());
        assert!(with("content-length: 65536").unwrap().is_none());
        assert_eq!(with("content-length: 65537").err(), Some(413));
        assert_eq!(
            with("content-length: 99999999999999999999999").err(),
            Some(413)
        );
        assert_eq!(with("content-length: -1").err(), Some(400));
        assert_eq!(with("content-length: +1").err(), Some(400));
        assert_eq!(
            with("content-length: 1\r\ncontent-length: 1").err(),
            Some(400)
        );
        assert_eq!(with("transfer-encoding: chunked").err(), Some(411));
    }

    #[test]
    fn an_answer_is_dated_and_ends_the_connection() {
        let bytes = Response::ok("{}".to_owned())
            .with("Allow", "GET")
            .to_bytes(UNIX_EPOCH);
        let expected = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nAllow: GET\r\n\
            Content-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\
            Connection: close\r\n\r\n{}";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
