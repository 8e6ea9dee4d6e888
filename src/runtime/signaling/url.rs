//! The addresses of the registry: checked once, shown without secrets.

use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use tungstenite::http::Uri;

use crate::config::Secret;

/// What `SIGNALING_URL` may start with.
pub const SIGNALING_SCHEMES: &[&str] = &["ws", "wss"];

/// What `TOKEN_URL` may start with.
pub const TOKEN_SCHEMES: &[&str] = &["http", "https"];

/// A checked URL: it has one of the schemes asked for and a host, and holds no credentials.
///
/// Its `Display` and `Debug` leave the query out, which may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Uri);

/// Checks `text`; the error says what is wrong with it and shows it without query and user info.
pub fn validate_url(text: &str, schemes: &[&str]) -> Result<Url, String> {
    let unusable = |why: &str| {
        Err(format!(
            "{:?} is not a usable URL: {why}",
            presentable(text)
        ))
    };
    let starts = || {
        let starts: Vec<_> = schemes.iter().map(|s| format!("{s}://")).collect();
        format!("it must start with {}", starts.join(" or "))
    };
    let Some((scheme, _)) = text.split_once("://") else {
        return unusable(&starts());
    };
    if !schemes.iter().any(|s| s.eq_ignore_ascii_case(scheme)) {
        return unusable(&starts());
    }
    let uri: Uri = match text.replacen(scheme, &scheme.to_lowercase(), 1).parse() {
        Ok(uri) => uri,
        Err(error) => return unusable(&error.to_string()),
    };
    let Some(authority) = uri.authority() else {
        return unusable("it has no host");
    };
    if authority.as_str().contains('@') {
        return unusable(
            "it holds a user name or password, which would not be used; \
             the sidecar is known to the registry by its API_KEY or DEVICE_TOKEN",
        );
    }
    if authority.host().is_empty() {
        return unusable("it has no host");
    }
    let port = authority.as_str().get(authority.host().len()..);
    if !matches!(port, None | Some("")) && !matches!(authority.port_u16(), Some(1..)) {
        return unusable("its port is not a number from 1 to 65535");
    }
    Ok(Url(uri))
}

impl Url {
    /// The URL with `token` added to its query.
    ///
    /// Fails when the whole becomes longer than a URL can be (65,534 bytes).
    pub(super) fn with_token(&self, token: &Secret) -> Result<Uri, String> {
        let mut text = self.to_string();
        match self.0.query() {
            Some(query) if !query.is_empty() => {
                let _ = write!(text, "?{query}&token=");
            }
            Some(_) | None => text.push_str("?token="),
        }
        percent_encode(token.reveal(), &mut text);
        text.parse()
            .map_err(|error| format!("the token does not fit into the URL: {error}"))
    }

    /// Whether the connection is to be encrypted.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.0.scheme_str(), Some("wss" | "https"))
    }

    /// The whole URL, query included.
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Name or address of the host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        bare_host(self.0.host().unwrap_or_default())
    }

    /// The addresses of host and port. Asks the system's resolver, which may take its time.
    pub(super) fn resolve(&self) -> io::Result<impl Iterator<Item = SocketAddr> + use<>> {
        let default_port = if self.is_secure() { 443 } else { 80 };
        let port = self.0.port_u16().unwrap_or(default_port);
        (self.host(), port).to_socket_addrs()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |a| a.as_str());
        write!(f, "{scheme}://{authority}{}", self.0.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `host` without the brackets around an IPv6 address.
pub(super) fn bare_host(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Encodes everything but the unreserved characters of RFC 3986, section 2.3.
fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// What of a URL, good or bad, can be shown: no query, no fragment, no user info, no endless text.
fn presentable(text: &str) -> String {
    const SHOWN: usize = 200;
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let host_and_path = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}{host_and_path}")
        .chars()
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signaling(text: &str) -> Result<Url, String> {
        validate_url(text, SIGNALING_SCHEMES)
    }

    #[test]
    fn takes_the_defaults_and_what_people_use() {
        for text in [
            "ws://localhost:8080/ws",
            "wss://registry.example.org/ws",
            "WS://[::1]:8080/ws?tenant=7",
            "ws://my_registry",
        ] {
            assert!(signaling(text).is_ok(), "{text}");
        }
        assert!(validate_url("https://h/api/token", TOKEN_SCHEMES).is_ok());
    }

    #[test]
    fn says_what_is_wrong_with_which_value() {
        for (text, expected) in [
            ("localhost:8080/ws", "must start with ws:// or wss://"),
            ("http://h/ws", "must start with ws:// or wss://"),
            ("ws://", "not a usable URL"),
            ("ws://h:99999/", "port is not a number"),
            ("ws://h:0/", "port is not a number"),
            ("ws://h:x/", "not a usable URL"),
            ("ws://h h/", "not a usable URL"),
            ("", "must start with"),
        ] {
            let error = signaling(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains(&format!("{text:?}")), "{text}: {error}");
        }
    }

    #[test]
    fn errors_and_display_show_neither_query_nor_user_info() {
        for text in [
            "ws://user:s3cret@h/ws",
            "ws://s3cret@h:x/ws?token=s3cret",
            "s3cret@h?s3cret",
            "ftp://us@er:s3cret@h/#s3cret",
        ] {
            let error = signaling(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let url = signaling("ws://h/ws?key=s3cret").unwrap();
        assert_eq!(url.to_string(), "ws://h/ws");
        assert_eq!(format!("{url:?}"), "ws://h/ws");
    }

    #[test]
    fn the_token_is_encoded_and_an_existing_query_kept() {
        let with_token = |text, token: &str| {
            let url = signaling(text).unwrap();
            url.with_token(&Secret::new(token.into()))
                .unwrap()
                .to_string()
        };
        assert_eq!(
            with_token("ws://h/ws", "a.b-c_~9"),
            "ws://h/ws?token=a.b-c_~9"
        );
        assert_eq!(
            with_token("ws://h", "a b&=/?#ü"),
            "ws://h/?token=a%20b%26%3D%2F%3F%23%C3%BC"
        );
        assert_eq!(with_token("ws://h/ws?x=1", "t"), "ws://h/ws?x=1&token=t");
        assert_eq!(with_token("ws://h/ws?", "t"), "ws://h/ws?token=t");
    }

    #[test]
    fn a_token_too_long_for_a_url_is_an_error_that_does_not_show_it() {
        let url = signaling("ws://h/ws").unwrap();
        let error = url.with_token(&Secret::new("s3cret".repeat(20_000)));
        assert!(!error.unwrap_err().contains("s3cret"));
    }

    #[test]
    fn resolves_addresses_with_the_default_ports() {
        let address = |text| {
            let mut addresses = signaling(text).unwrap().resolve().unwrap();
            addresses.next().unwrap()
        };
        assert_eq!(address("ws://127.0.0.1/"), "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("WSS://127.0.0.1"), "127.0.0.1:443".parse().unwrap());
        assert_eq!(address("ws://[::1]:8/"), "[::1]:8".parse().unwrap());
    }
}
