//! The system's settings for name servers: `/etc/resolv.conf` (resolv.conf(5)).

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::limits;

/// The servers that are asked, and the names that they are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) servers: Vec<IpAddr>,
    /// The domains in which a short name is searched.
    search: Vec<String>,
    /// A name with fewer dots is short.
    dots: usize,
}

impl Configuration {
    /// Reads the file. Without it the machine itself is asked.
    pub(super) fn of_system() -> Self {
        let mut text = Vec::new();
        if let Ok(file) = File::open("/etc/resolv.conf") {
            // What was read until an error counts.
            let _ = file.take(limits::RESOLV_CONF_BYTES).read_to_end(&mut text);
        }
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Self {
        let mut read = Configuration {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => read
                    .servers
                    .extend(words.next().and_then(|a| a.parse::<IpAddr>().ok())),
                Some("search" | "domain") => {
                    let domains = words.map(|domain| domain.trim_matches('.').to_owned());
                    let domains = domains.filter(|domain| !domain.is_empty());
                    read.search = domains.take(limits::SEARCHED_DOMAINS).collect();
                }
                Some("options") => {
                    let mut dots =
                        words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    read.dots = dots.next_back().unwrap_or(read.dots);
                }
                _ => {}
            }
        }
        read.servers.truncate(limits::NAME_SERVERS);
        if read.servers.is_empty() {
            read.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        read
    }

    /// Returns the whole names that a name may mean, the likeliest first.
    pub(super) fn meanings(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{domain}"));
        let mut names: Vec<_> = searched.collect();
        let is_short = name.matches('.').count() < self.dots;
        let place = if is_short { names.len() } else { 0 };
        names.insert(place, name.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_domains_and_dots_are_read_and_the_rest_is_ignored() {
        let read = Configuration::parse(
            "# nameserver 192.0.2.1\nnameserver 10.0.0.1\nnameserver x\nnameserver ::1 # here\n\
             search a.test. b.test\noptions timeout:1 ndots:2\n\u{fffd}\n",
        );
        let servers: Vec<IpAddr> = vec![[10, 0, 0, 1].into(), "::1".parse().unwrap()];
        assert_eq!(read.servers, servers);
        assert_eq!(read.meanings("r"), ["r.a.test", "r.b.test", "r"]);
        assert_eq!(read.meanings("r.x"), ["r.x.a.test", "r.x.b.test", "r.x"]);
        assert_eq!(
            read.meanings("r.x.y"),
            ["r.x.y", "r.x.y.a.test", "r.x.y.b.test"]
        );
        assert_eq!(read.meanings("r."), ["r"]);
        let many = Configuration::parse(&"nameserver 10.0.0.1\n".repeat(9));
        assert_eq!(many.servers.len(), limits::NAME_SERVERS);
        let none = Configuration::parse("");
        assert_eq!(none.servers, [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(none.meanings("r"), ["r"]);
    }
}
