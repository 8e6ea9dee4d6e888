//! The URL of the store that registries share (`REGISTRY_STORE`).

use std::fmt;

use super::url::bare_host;
use crate::secret::Secret;

/// A Redis or Valkey, or the Sentinels that know where it is. Its `Display` and `Debug` leave out the password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    /// Host and port of the server, or of each Sentinel.
    pub hosts: Vec<(String, u16)>,
    /// The name by which Sentinels know the server; `None` if the host is the server itself.
    pub service: Option<String>,
    /// Whether connections are encrypted.
    pub is_secure: bool,
    /// The user, if one is named.
    pub user: Option<String>,
    /// The password, if there is one.
    pub password: Option<Secret>,
    /// The number of the database.
    pub database: u32,
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl StoreUrl {
    /// Parses `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://` for TLS, or
    /// `redis-sentinel://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DATABASE]` and
    /// `rediss-sentinel://`. The error quotes nothing of `text`.
    pub fn parse(text: &str) -> Result<StoreUrl, String> {
        let wanted = || {
            "give a URL as in redis://:password@host:6379/0, rediss://host, or \
             redis-sentinel://host1,host2/service"
                .to_owned()
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wanted)?;
        let (is_secure, by_sentinel) = match scheme.to_ascii_lowercase().as_str() {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis-sentinel" => (false, true),
            "rediss-sentinel" => (true, true),
            _ => return Err(wanted()),
        };
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let (user, password) = match login.map(|login| login.split_once(':').ok_or_else(wanted)) {
            Some(login) => {
                let (user, password) = login?;
                (decoded(user)?, decoded(password)?)
            }
            None => (None, None),
        };
        let mut path = rest.split('/');
        let hosts = path.next().unwrap_or_default();
        let port = if by_sentinel { SENTINEL_PORT } else { PORT };
        let hosts = hosts.split(',').map(|host| host_and_port(host, port));
        let hosts: Vec<(String, u16)> = hosts.collect::<Option<_>>().ok_or_else(wanted)?;
        let service = by_sentinel.then(|| path.next().unwrap_or_default().to_owned());
        let database = path.next().filter(|number| !number.is_empty());
        let is_wrong = service.as_ref().is_some_and(String::is_empty)
            || (hosts.len() > 1 && !by_sentinel)
            || path.next().is_some();
        if is_wrong {
            return Err(wanted());
        }
        Ok(StoreUrl {
            hosts,
            service,
            is_secure,
            user,
            password: password.map(Secret::new),
            database: match database {
                None => 0,
                Some(number) => number.parse().map_err(|_| wanted())?,
            },
        })
    }
}

/// Decodes a part of a URL; `None` if it is empty.
fn decoded(text: &str) -> Result<Option<String>, String> {
    let wrong = || "a % in user or password that stands for itself is written %25".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| {
                    let digit = digit.and_then(|digit| char::from(digit).to_digit(16));
                    digit.and_then(|digit| u8::try_from(digit).ok())
                });
                match digits {
                    [Some(high), Some(low)] => high << 4 | low,
                    _ => return Err(wrong()),
                }
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn host_and_port(text: &str, port: u16) -> Option<(String, u16)> {
    let (host, digits) = match text.rsplit_once(':') {
        Some((host, digits)) if !host.contains(':') || host.ends_with(']') => (host, Some(digits)),
        _ => (text, None),
    };
    let port = digits.map_or(Some(port), |digits| digits.parse().ok())?;
    let host = bare_host(host);
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    let is_usable = !host.is_empty() && host.chars().all(is_host) && port != 0;
    is_usable.then(|| (host.to_owned(), port))
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.is_secure { "s" } else { "" };
        let by_sentinel = self.service.as_ref().map_or("", |_| "-sentinel");
        let hosts = self
            .hosts
            .iter()
            .map(|(host, port)| match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        write!(f, "redis{s}{by_sentinel}://{hosts}")?;
        if let Some(service) = &self.service {
            write!(f, "/{service}")?;
        }
        write!(f, "/{}", self.database)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_as_people_write_them() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            (
                "REDISS://u:p%40ss@db.example:7000/3",
                "rediss://db.example:7000/3",
            ),
            ("redis://:a/b@[::1]:1", ""),
            ("redis://:secret@[::1]:1/", "redis://[::1]:1/0"),
            (
                "redis-sentinel://a,b:7/mesh",
                "redis-sentinel://a:26379,b:7/mesh/0",
            ),
            (
                "rediss-sentinel://:p@a/mesh/2",
                "rediss-sentinel://a:26379/mesh/2",
            ),
        ] {
            match StoreUrl::parse(text) {
                Ok(url) => assert!(
                    url.to_string() == shown || shown.is_empty(),
                    "{text}: {url}"
                ),
                Err(error) => panic!("{text}: {error}"),
            }
        }
        let url = StoreUrl::parse("rediss://u:p%40ss@db.example").unwrap();
        assert_eq!(url.user.as_deref(), Some("u"));
        assert_eq!(url.password.unwrap().reveal(), "p@ss");
    }

    #[test]
    fn other_texts_are_refused_without_quoting_them() {
        for text in [
            "",
            "hush",
            "http://hush",
            "redis://",
            "redis://hush:x",
            "redis://a,b",
            "redis://hush/x",
            "redis://hush/0/1",
            "redis://hush@host",
            "redis://:hush%x@host",
            "redis-sentinel://hush",
            "redis://hu sh",
        ] {
            let error = StoreUrl::parse(text).expect_err(text);
            assert!(!error.contains("hush"), "{text}: {error}");
        }
    }
}
