//! The part of HTTP/1.1 that the registry takes: one request a connection, bytes to types.

use super::limits::{REQUEST_BODY_BYTES, REQUEST_HEAD_BYTES, REQUEST_HEADERS};
use super::response::Response;

/// A request. It has no `Debug`, since it holds keys and tokens.
#[derive(Clone)]
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

    /// Returns the first value of a query parameter, decoded; `None` also when it is no text.
    pub(super) fn text_parameter(&self, name: &str) -> Option<String> {
        percent_decode(&self.parameter(name)?.replace('+', " "))
    }

    /// Returns the addresses that proxies have noted as those of their clients, the nearest last.
    pub(super) fn forwarded_for(&self) -> Vec<&str> {
        self.values("x-forwarded-for")
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect()
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

/// Decodes percent-encoded text; `None` if it is no UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        let taken = if decoded.is_some() { 2 } else { 0 };
        rest = after.get(taken..).unwrap_or_default();
    }
    String::from_utf8(bytes).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_parameter_is_decoded_as_forms_encode_it() {
        let request = parse(b"GET /r?skill=a+b%20%C3%BC%2&x=%ff HTTP/1.1\r\n\r\n");
        let request = request.unwrap().unwrap();
        assert_eq!(request.text_parameter("skill").as_deref(), Some("a b ü%2"));
        assert_eq!(request.text_parameter("x"), None);
        assert_eq!(request.text_parameter("y"), None);
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
}
