//! What the registry asks of a request beside its path and headers: keys, parameters, the names that proxies
//! give.

pub(super) use crate::http1::{Request, RequestBuffer};

impl Request {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Request {
        let Ok(Some(request)) = RequestBuffer::default().push(bytes) else {
            panic!("no request");
        };
        request
    }

    #[test]
    fn a_parameter_is_decoded_as_forms_encode_it() {
        let request = parse(b"GET /r?skill=a+b%20%C3%BC%2&x=%ff HTTP/1.1\r\n\r\n");
        assert_eq!(request.text_parameter("skill").as_deref(), Some("a b ü%2"));
        assert_eq!(request.text_parameter("x"), None);
        assert_eq!(request.text_parameter("y"), None);
        assert_eq!(request.parameter("x"), Some("%ff"));
        assert_eq!(request.parameter("kill"), None);
    }

    #[test]
    fn a_list_header_may_come_in_parts_and_in_any_case() {
        let request =
            parse(b"GET / HTTP/1.1\r\nConnection: keep-alive, UPGRADE\r\nConnection: x\r\n\r\n");
        assert!(request.lists("connection", "upgrade"));
        assert!(request.lists("connection", "X"));
        assert!(!request.lists("connection", "keep"));
    }
}
