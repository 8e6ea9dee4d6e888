//! HTTP proxies: which one leads to a host, by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` as
//! curl takes them.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use super::networks::Network;
use super::settings::{self, Reader, Setting};
use super::url::{Url, bare_host};
use crate::limits;
use crate::secret::Secret;

/// The port of a proxy whose URL names none, as in curl.
const DEFAULT_PORT: u16 = 1080;

/// An HTTP proxy. Its `Display` and `Debug` show neither name nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The setting that names it.
    variable: &'static str,
    host: String,
    port: u16,
    login: Option<(String, Secret)>,
}

/// The setting and the scheme of a proxy that is none of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    variable: &'static str,
    scheme: String,
}

/// The proxy that a setting names, if it can be used.
type Named = Result<Proxy, Unsupported>;

/// The proxies, and the hosts that are reached without one. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    all: Option<Named>,
    exempt: Vec<Exemption>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exemption {
    /// `*`
    Everything,
    /// A host or domain in lower case, without a dot before or behind it, and a port if it has one.
    Domain(String, Option<u16>),
    /// An address, or a network.
    Network(Network),
}

impl Proxies {
    pub(super) fn read(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> Self {
        let mut read = |setting: &Setting| {
            let variable = setting.name;
            reader.read(setting, |text| Proxy::parse(variable, text))
        };
        Proxies {
            https: read(&settings::HTTPS_PROXY),
            http: read(&settings::HTTP_PROXY),
            all: read(&settings::ALL_PROXY),
            exempt: reader.read(&settings::NO_PROXY, |text| Ok(exemptions(text))),
        }
    }

    /// Returns whether any is set.
    pub fn are_set(&self) -> bool {
        self.https.is_some() || self.http.is_some() || self.all.is_some()
    }

    /// Returns the proxy to the host of a URL; `None` if it is reached without one.
    ///
    /// # Errors
    /// The proxy is none that can be used.
    pub fn to(&self, url: &Url) -> Result<Option<&Proxy>, &Unsupported> {
        self.to_host(url.host(), url.port(), url.is_secure())
    }

    /// Returns the proxy to a TURN server over TCP or TLS: the same as to an `https://` URL of its host.
    ///
    /// # Errors
    /// The proxy is none that can be used.
    pub fn to_relay(&self, host: &str, port: u16) -> Result<Option<&Proxy>, &Unsupported> {
        self.to_host(host, port, true)
    }

    fn to_host(
        &self,
        host: &str,
        port: u16,
        is_secure: bool,
    ) -> Result<Option<&Proxy>, &Unsupported> {
        let own = if is_secure { &self.https } else { &self.http };
        let Some(proxy) = own.as_ref().or(self.all.as_ref()) else {
            return Ok(None);
        };
        if self.exempt.iter().any(|entry| entry.covers(host, port)) {
            return Ok(None);
        }
        proxy.as_ref().map(Some)
    }
}

impl Proxy {
    /// Parses the value of a setting; `None` when empty. The error quotes nothing of `text`.
    fn parse(variable: &'static str, text: &str) -> Result<Option<Named>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !scheme.eq_ignore_ascii_case("http") {
            let word = scheme.chars().filter(char::is_ascii_alphanumeric).take(16);
            let scheme = word.collect();
            return Ok(Some(Err(Unsupported { variable, scheme })));
        }
        let wanted =
            || "give the URL of an HTTP proxy, as in http://user:password@host:3128".to_owned();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Some((
                percent_decode(user)?,
                Secret::new(percent_decode(password)?),
            ))
        });
        if login.as_ref().is_some_and(Option::is_none) {
            return Err("the name or password in it is not percent-encoded UTF-8".to_owned());
        }
        let url = Url::http(&format!("http://{place}")).map_err(|_| wanted())?;
        Ok(Some(Ok(Proxy {
            variable,
            host: url.host().to_owned(),
            port: url.uri().port_u16().unwrap_or(DEFAULT_PORT),
            login: login.flatten(),
        })))
    }

    /// Returns its name or address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the name and the password for it.
    pub fn login(&self) -> Option<(&str, &Secret)> {
        let login = self.login.as_ref();
        login.map(|(user, password)| (user.as_str(), password))
    }

    /// Returns the name of the setting that names it.
    pub fn variable(&self) -> &'static str {
        self.variable
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proxy { host, port, .. } = self;
        match host.contains(':') {
            true => write!(f, "http://[{host}]:{port}"),
            false => write!(f, "http://{host}:{port}"),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unsupported { variable, scheme } = self;
        write!(
            f,
            "{variable}: {scheme} proxies are not supported, only http:// ones; name an HTTP proxy in \
             HTTPS_PROXY and HTTP_PROXY, or what needs no proxy in NO_PROXY"
        )
    }
}

/// Parses `NO_PROXY`: entries between commas or blanks, at most [`limits::PROXY_EXEMPTIONS`] of them.
fn exemptions(text: &str) -> Vec<Exemption> {
    let entries = text
        .split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty());
    let parsed = entries.take(limits::PROXY_EXEMPTIONS).map(|entry| {
        if entry == "*" {
            return Exemption::Everything;
        }
        if let Some(network) = Network::parse(entry) {
            return Exemption::Network(network);
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (entry, None),
        };
        Exemption::Domain(plain_name(bare_host(name)), port)
    });
    parsed.collect()
}

/// Returns a name in lower case, without a dot before or behind it.
fn plain_name(name: &str) -> String {
    let name = name.strip_prefix('.').unwrap_or(name);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl Exemption {
    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Exemption::Everything => true,
            Exemption::Domain(domain, only) => {
                let host = plain_name(host);
                let is_inside = host
                    .strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_inside && !domain.is_empty() && only.is_none_or(|only| only == port)
            }
            Exemption::Network(network) => host
                .parse::<IpAddr>()
                .is_ok_and(|address| network.contains(address)),
        }
    }
}

/// Decodes percent-encoded text; `None` if it is no UTF-8 or holds a control character.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| *first == b'%');
        let encoded = encoded.and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        let taken = if decoded.is_some() { 2 } else { 0 };
        rest = after.get(taken..).unwrap_or_default();
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Flags;

    fn proxies(
        environment: &'static [(&'static str, &'static str)],
    ) -> Result<Proxies, Vec<String>> {
        let flags = Flags::default();
        let find = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(found.1))
        };
        let mut reader = Reader::new(&flags, find);
        let proxies = Proxies::read(&mut reader);
        reader.finish(proxies)
    }

    fn to(proxies: &Proxies, url: &str) -> String {
        let parsed = Url::http(url).or_else(|_| Url::websocket(url)).unwrap();
        match proxies.to(&parsed) {
            Ok(Some(proxy)) => proxy.to_string(),
            Ok(None) => String::new(),
            Err(unsupported) => unsupported.to_string(),
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_the_lower_case_name_wins() {
        let found = proxies(&[
            ("HTTPS_PROXY", "http://upper:1"),
            ("https_proxy", "http://lower:2"),
            ("HTTP_PROXY", "plain"),
            ("ALL_PROXY", "http://all:4"),
        ])
        .unwrap();
        assert_eq!(to(&found, "https://r.test/"), "http://lower:2");
        assert_eq!(to(&found, "wss://r.test/"), "http://lower:2");
        assert_eq!(to(&found, "http://r.test/"), "http://plain:1080");
        assert_eq!(to(&found, "ws://r.test/"), "http://plain:1080");
        let relay = found.to_relay("turn.test", 3478).unwrap().unwrap();
        assert_eq!(
            (relay.to_string().as_str(), relay.variable()),
            ("http://lower:2", "HTTPS_PROXY")
        );
        let all = proxies(&[("all_proxy", "http://[::1]:4/")]).unwrap();
        assert_eq!(to(&all, "wss://r.test/"), "http://[::1]:4");
        // In a CGI program it is what a client has sent as its header `Proxy`.
        let cgi = proxies(&[("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")]).unwrap();
        assert_eq!(to(&cgi, "http://r.test/"), "");
    }

    #[test]
    fn name_and_password_are_decoded_and_never_shown() {
        let found = proxies(&[("HTTPS_PROXY", "http://us%40er:s3cr%3Aet@p.test:3128")]).unwrap();
        let url = Url::http("https://r.test/").unwrap();
        let proxy = found.to(&url).unwrap().unwrap();
        let (user, password) = proxy.login().unwrap();
        assert_eq!((user, password.reveal()), ("us@er", "s3cr:et"));
        assert_eq!((proxy.host(), proxy.port()), ("p.test", 3128));
        assert!(!format!("{found:?} {proxy}").contains("s3cr"));
        for bad in [
            "http://u:s3cret@",
            "http://u:s3cret@h:x",
            "http://u:s3cret%00@h",
            "u:s3cret@h h",
        ] {
            let flags = Flags::default();
            let find = |name: &str| (name == "HTTPS_PROXY").then(|| OsString::from(bad));
            let mut reader = Reader::new(&flags, find);
            let proxies = Proxies::read(&mut reader);
            let errors = reader.finish(proxies).unwrap_err();
            assert!(errors[0].starts_with("HTTPS_PROXY: "), "{errors:?}");
            assert!(!errors[0].contains("s3cret"), "{errors:?}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_of_http_is_told_only_where_it_would_be_used() {
        let found = proxies(&[("ALL_PROXY", "socks5h://u:s3cret@h"), ("HTTP_PROXY", "h")]).unwrap();
        assert_eq!(to(&found, "http://r.test/"), "http://h:1080");
        let text = to(&found, "https://r.test/");
        assert!(
            text.starts_with("ALL_PROXY: socks5h proxies are not supported"),
            "{text}"
        );
        assert!(!text.contains("s3cret"));
        assert!(found.to_relay("", 443).is_err());
        let exempt = proxies(&[("ALL_PROXY", "socks5://h"), ("NO_PROXY", "*")]).unwrap();
        assert_eq!(exempt.to_relay("", 443), Ok(None));
    }

    #[test]
    fn exemptions_are_suffixes_addresses_networks_and_everything() {
        for (entries, host, port, expected) in [
            ("*", "r.test", 1, true),
            ("example.com", "example.com", 1, true),
            ("example.com", "www.EXAMPLE.com.", 1, true),
            (".example.com.", "example.com", 1, true),
            ("example.com", "notexample.com", 1, false),
            ("a.test, b.test\tc.test", "c.test", 1, true),
            ("r.test:8080", "r.test", 8080, true),
            ("r.test:8080", "r.test", 80, false),
            ("10.0.0.1", "10.0.0.1", 1, true),
            ("10.0.0.1", "10.0.0.11", 1, false),
            ("10.0.0.0/8", "10.9.8.7", 1, true),
            ("10.0.0.0/8", "11.0.0.1", 1, false),
            ("0.0.0.0/0", "192.0.2.1", 1, true),
            ("0.0.0.0/0", "r.test", 1, false),
            ("2001:db8::/32", "2001:db8:1::7", 1, true),
            ("[::1]", "::1", 1, true),
            ("::1", "::2", 1, false),
            ("", "r.test", 1, false),
            (".", "r.test", 1, false),
        ] {
            let covers = exemptions(entries)
                .iter()
                .any(|entry| entry.covers(host, port));
            assert_eq!(covers, expected, "{entries} {host}:{port}");
        }
    }
}
