//! A request, one a connection: bytes to types.

use super::Refusal;
use crate::limits::{REQUEST_BODY_BYTES, REQUEST_HEAD_BYTES, REQUEST_HEADERS};

/// A request. It has no `Debug`, since it holds keys and tokens.
#[cfg_attr(
    not(any(feature = "registry", test)),
    expect(dead_code, reason = "what is only asked of the registry")
)]
#[derive(Clone)]
pub(crate) struct Request {
    /// The method as it was sent: `GET`, `POST`.
    pub(crate) method: String,
    /// The path without the query; nothing is percent-decoded.
    pub(crate) path: String,
    pub(crate) query: String,
    headers: Vec<(String, Vec<u8>)>,
    /// The body as it came.
    pub(crate) body: Vec<u8>,
    /// The bytes that came behind the request on the same connection.
    pub(crate) rest: Vec<u8>,
}

impl Request {
    /// Returns the first value of a header that is text and not empty.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).find(|value| !value.is_empty())
    }

    /// Returns the values of a header that are text.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.bytes(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Returns the values of a header as they came.
    fn bytes(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// Returns the length of the body in bytes (RFC 9112, 6.3).
    fn body_length(&self) -> Result<usize, Refusal> {
        if self.bytes("transfer-encoding").next().is_some() {
            return Err(Refusal::new(411, "send a Content-Length"));
        }
        let mut lengths = self.bytes("content-length").map(digits);
        let length = match (lengths.next(), lengths.next()) {
            (None, _) => 0,
            // A number with more digits than fit is over the limit as well.
            (Some(Some(length)), None) => length.parse().unwrap_or(usize::MAX),
            (Some(_), _) => return Err(Refusal::new(400, "Content-Length is not one number")),
        };
        if length > REQUEST_BODY_BYTES {
            let text = format!("the body is over {REQUEST_BODY_BYTES} bytes");
            return Err(Refusal::new(413, &text));
        }
        Ok(length)
    }
}

/// Returns a text of digits, if it is one.
fn digits(bytes: &[u8]) -> Option<&str> {
    let is_number = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| is_number)
}

/// Collects the bytes of a connection until they are a whole request.
#[derive(Default)]
pub(crate) struct RequestBuffer {
    pub(crate) bytes: Vec<u8>,
    /// The head, once it is whole, and how many bytes of body follow it.
    pub(crate) head: Option<(Request, usize)>,
}

impl RequestBuffer {
    /// Takes the next bytes. Returns the request when it is complete, or the answer to one that cannot be
    /// used.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<Request>, Refusal> {
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

    fn parse_head(&mut self) -> Result<(), Refusal> {
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
                return Err(Refusal::new(400, &text));
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

fn head_too_large() -> Refusal {
    let text = format!("the head is over {REQUEST_HEAD_BYTES} bytes or {REQUEST_HEADERS} headers");
    Refusal::new(431, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<Request>, u16> {
        RequestBuffer::default()
            .push(bytes)
            .map_err(|refusal| refusal.status)
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
        assert_eq!(request.query, "a=1&token=xyz");
        assert_eq!(request.header("x-api-key"), Some("k1"));
        assert_eq!(request.body, b"{}");
        assert_eq!(request.rest, b"after");
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
        // A proxy may take these for what we do not.
        assert_eq!(with("transfer-encoding:").err(), Some(411));
        assert_eq!(with("content-length:").err(), Some(400));
        let odd = |header: &[u8]| {
            let head = [b"POST / HTTP/1.1\r\n", header, b"\r\n\r\n"];
            refusal(&head.concat())
        };
        assert_eq!(odd(b"transfer-encoding: chunked\xff"), Some(411));
        assert_eq!(odd(b"content-length: 1\xff"), Some(400));
        let two = b"content-length: 1\xff\r\ncontent-length: 1";
        assert_eq!(odd(two), Some(400));
    }
}
