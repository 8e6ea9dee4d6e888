//! The URLs of the registry: checked once, shown without secrets.

use std::ffi::OsString;
use std::fmt;
use std::fmt::Write as _;

use http::Uri;

use super::settings::{self, Reader, Setting};
use crate::secret::Secret;

/// The URL of a server, with a host and without credentials.
///
/// Its `Display` and `Debug` leave out the query, which may hold a secret. The default names no server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// Parses a `ws://` or `wss://` URL. The error says what would be right, and quotes nothing of `text`.
    pub fn websocket(text: &str) -> Result<Self, String> {
        Self::parse(text, ["ws", "wss"])
    }

    /// Parses an `http://` or `https://` URL. The error says what would be right, and quotes nothing of
    /// `text`.
    pub fn http(text: &str) -> Result<Self, String> {
        Self::parse(text, ["http", "https"])
    }

    /// Parses the URL of a registry, `https://` or `http://` and perhaps a path, below which its resources are.
    /// The error quotes nothing of `text`.
    pub fn registry(text: &str) -> Result<Self, String> {
        let url = Self::http(text)?;
        match url.0.query() {
            None => Ok(url),
            Some(_) => Err("it ends with the path, without a query".to_owned()),
        }
    }

    /// Returns the URL of a resource below this one, which a registry has: `/ws` with the scheme of WebSockets,
    /// `/api/token`.
    fn below(&self, path: &str) -> Url {
        let scheme = match (path, self.is_secure()) {
            (SIGNALING_PATH, true) => "wss",
            (SIGNALING_PATH, false) => "ws",
            (_, true) => "https",
            (_, false) => "http",
        };
        let uri = Uri::builder()
            .scheme(scheme)
            .authority(self.0.authority().map_or("", |a| a.as_str()))
            .path_and_query(format!("{}{path}", self.0.path().trim_end_matches('/')))
            .build();
        // Everything but the path, which is ours, comes from a valid URL.
        Url(uri.unwrap_or_default())
    }

    /// Parses a URL. `schemes` are the plain one and the encrypted one.
    fn parse(text: &str, schemes: [&str; 2]) -> Result<Self, String> {
        let [plain, encrypted] = schemes;
        let wanted = || format!("give a URL as in {encrypted}://host:port/path or {plain}://...");
        let (scheme, rest) = text.split_once("://").ok_or_else(wanted)?;
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err(wanted());
        }
        let odd = |c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}#".contains(c);
        if let Some(c) = rest.chars().find(|c| odd(*c)) {
            return Err(format!("{c:?} cannot be in this URL"));
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(
                "a user name or password in it would not be used; the registry knows the \
                 sidecar by its API_KEY or DEVICE_TOKEN"
                    .to_owned(),
            );
        }
        if !is_host_and_port(authority) {
            return Err(wanted());
        }
        let uri = format!("{scheme}://{rest}").parse();
        uri.map(Url).map_err(|_| wanted())
    }

    /// Returns the URL with `token` added to its query.
    ///
    /// Fails when the result is longer than a URL can be (65,534 bytes).
    pub fn with_token(&self, token: &Secret) -> Result<Uri, String> {
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

    /// Returns the URL of another resource in the same place: `/api/token` becomes `/api/name`.
    pub fn beside(&self, name: &str) -> Url {
        let path = self.0.path();
        let place = path.rfind('/').and_then(|end| path.get(..=end));
        let uri = Uri::builder()
            .scheme(self.0.scheme_str().unwrap_or_default())
            .authority(self.0.authority().map_or("", |a| a.as_str()))
            .path_and_query(format!("{}{name}", place.unwrap_or("/")))
            .build();
        // Everything but the name, which is ours, comes from a valid URL.
        Url(uri.unwrap_or_default())
    }

    /// Returns whether the connection is to be encrypted.
    pub fn is_secure(&self) -> bool {
        matches!(self.0.scheme_str(), Some("wss" | "https"))
    }

    /// Returns the whole URL, query included.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// Returns the name or address of the host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        bare_host(self.0.host().unwrap_or_default())
    }

    /// Returns the port, or else the scheme's.
    pub fn port(&self) -> u16 {
        let default = if self.is_secure() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(default)
    }
}

/// The resources of a registry below its own URL.
const SIGNALING_PATH: &str = "/ws";
const TOKEN_PATH: &str = "/api/token";

/// Reads `SIGNALING_URL` or `TOKEN_URL`, which follow from `REGISTRY_URL` where they are not set.
pub(super) fn read(
    reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>,
    setting: &Setting,
) -> Url {
    let is_signaling = *setting == settings::SIGNALING_URL;
    if !reader.is_given(setting) && reader.is_given(&settings::REGISTRY_URL) {
        let path = if is_signaling {
            SIGNALING_PATH
        } else {
            TOKEN_PATH
        };
        let parse = |text: &str| Url::registry(text).map(|url| url.below(path));
        return reader.read(&settings::REGISTRY_URL, parse);
    }
    let parse = if is_signaling {
        Url::websocket
    } else {
        Url::http
    };
    reader.read(setting, parse)
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

/// Returns `host` without the brackets around an IPv6 address.
pub fn bare_host(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Returns whether it is `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return false,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_is_right = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port != 0),
        None => port.is_empty(),
    };
    !host.is_empty() && !host.contains(['[', ']']) && port_is_right
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, section 2.3.
fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_use_passes_whole() {
        for good in [
            "ws://localhost:8080/ws",
            "wss://registry.example/a/b?x=y%20z",
            "ws://127.0.0.1/",
            "ws://[::1]:8080/ws?tenant=7",
            "ws://my_registry/",
        ] {
            let url = Url::websocket(good).unwrap();
            assert_eq!(url.uri().to_string(), good);
        }
        for good in [
            "WSS://registry.example",
            "ws://host?query",
            "ws://127.0.0.1",
        ] {
            assert!(Url::websocket(good).is_ok(), "{good}");
        }
        assert!(Url::http("https://h/api/token").is_ok());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_would_be_right() {
        let wanted = "give a URL as in wss://host:port/path or ws://...";
        for (bad, expected) in [
            ("", wanted),
            ("localhost:8080", wanted),
            ("http://localhost", wanted),
            ("ws://", wanted),
            ("ws:///ws", wanted),
            ("ws://:80", wanted),
            ("ws://host:0", wanted),
            ("ws://host:70000", wanted),
            ("ws://host:80:90", wanted),
            ("ws://host:", wanted),
            ("ws://host:x/", wanted),
            ("ws://[::1", wanted),
            ("ws://[x]:1", wanted),
            ("ws://[::1]80", wanted),
            ("ws://user:password@host/", "a user name or password in it"),
            ("ws://ho st/", "' ' cannot be in this URL"),
            ("ws://host/\n", "'\\n' cannot be in this URL"),
            ("ws://host/#part", "'#' cannot be in this URL"),
            ("ws://münchen.example/", "'ü' cannot be in this URL"),
        ] {
            let error = Url::websocket(bad).unwrap_err();
            assert!(error.starts_with(expected), "{bad}: {error}");
        }
        let too_long = format!("ws://h/{}", "x".repeat(70_000));
        assert!(Url::websocket(&too_long).is_err());
    }

    #[test]
    fn neither_errors_nor_display_show_query_or_user_info() {
        for text in [
            "ws://user:s3cret@h/ws",
            "ws://s3cret@h:x/ws?token=s3cret",
            "s3cret@h?s3cret",
            "ftp://us@er:s3cret@h/#s3cret",
        ] {
            let error = Url::websocket(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let url = Url::websocket("ws://h/ws?key=s3cret").unwrap();
        assert_eq!(url.to_string(), "ws://h/ws");
        assert_eq!(format!("{url:?}"), "ws://h/ws");
    }

    #[test]
    fn the_token_is_encoded_and_an_existing_query_kept() {
        let with_token = |text, token: &str| {
            let url = Url::websocket(text).unwrap();
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
        let url = Url::websocket("ws://h/ws").unwrap();
        let error = url.with_token(&Secret::new("s3cret".repeat(20_000)));
        assert!(!error.unwrap_err().contains("s3cret"));
    }

    #[test]
    fn host_and_port_are_told_apart_and_ports_have_defaults() {
        let parts = |text| {
            let url = Url::websocket(text).unwrap();
            (url.host().to_owned(), url.port())
        };
        assert_eq!(parts("ws://127.0.0.1/"), ("127.0.0.1".to_owned(), 80));
        assert_eq!(parts("WSS://h"), ("h".to_owned(), 443));
        assert_eq!(parts("ws://[::1]:8/"), ("::1".to_owned(), 8));
    }
}
