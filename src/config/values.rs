//! Parsers that turn the text of a setting into its value. Each error says what would be right.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits;
use crate::mesh::trust::allowed_peers::AllowedPeers;
use crate::nat::external::ExternalAddress;
use crate::nat::host::InterfaceFilter;
use crate::secret::Secret;

/// Longest path of a Unix socket, in bytes: `sun_path` of `sockaddr_un` on Linux without its terminating
/// zero.
const SOCKET_PATH_BYTES: usize = 107;

type Parsed<T> = Result<T, String>;

/// Parses a whole number in `range`.
pub(super) fn number(range: RangeInclusive<usize>) -> impl Fn(&str) -> Parsed<usize> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (first, last) = (range.start(), range.end());
            format!("give a whole number from {first} to {last}")
        })
    }
}

/// Parses seconds in `range`, fractions allowed.
pub(super) fn seconds(range: RangeInclusive<f64>) -> impl Fn(&str) -> Parsed<Duration> {
    move |text| {
        let seconds = text.parse().ok().filter(|seconds| range.contains(seconds));
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| {
                let (first, last) = (range.start(), range.end());
                format!("give seconds from {first} to {last}, as in 0.5")
            })
    }
}

/// Parses seconds in `range`, or `inf`.
pub(super) fn seconds_or_inf(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Parsed<Option<Duration>> {
    let finite = seconds(range);
    move |text| match text {
        "inf" => Ok(None),
        text => finite(text)
            .map(Some)
            .map_err(|problem| problem + ", or inf"),
    }
}

/// Parses one of a few words, in upper or lower case.
pub(super) fn word<T: Copy>(words: &'static [(&'static str, T)]) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("give {}", known.join(" or "))
        })
    }
}

/// Parses `on` or `off` and their synonyms.
pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("give on or off".to_owned()),
    }
}

/// Parses a path; `None` when empty.
pub(super) fn optional_path(text: &str) -> Parsed<Option<PathBuf>> {
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// Parses the path of a Unix socket.
pub(super) fn socket_path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() {
        Err("give a path".to_owned())
    } else if text.len() > SOCKET_PATH_BYTES {
        Err(format!(
            "a socket's path has at most {SOCKET_PATH_BYTES} bytes, this one has {}",
            text.len()
        ))
    } else if text.contains(char::is_control) {
        Err("a socket's path holds no control characters, such as an end of line".to_owned())
    } else if text.ends_with(char::is_whitespace) {
        Err("a socket's path does not end with a blank".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

/// Parses the name or number of a group; `None` when empty.
pub(super) fn group(text: &str) -> Parsed<Option<String>> {
    if text.contains([':', '\n']) || text.trim() != text {
        return Err("give the name or the number of a group".to_owned());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Parses the mode of a socket, in octal; `None` when empty. Its owner can always use it.
pub(super) fn socket_mode(text: &str) -> Parsed<Option<u32>> {
    if text.is_empty() {
        return Ok(None);
    }
    let mode = u32::from_str_radix(text, 8).ok();
    let mode = mode.filter(|mode| (0o600..=0o777).contains(mode));
    mode.map(Some)
        .ok_or_else(|| "give three octal digits from 600 to 777, as in 660".to_owned())
}

/// Parses a secret that can be sent as an HTTP header; `None` when empty.
pub(super) fn secret(text: &str) -> Parsed<Option<Secret>> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "it is sent as an HTTP header, so it may hold visible ASCII characters only \
             (is there a space or an end of line in it?)"
                .to_owned(),
        );
    }
    Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
}

/// Parses the secret of the mesh; `None` when it is not given.
pub(super) fn mesh_secret(text: &str) -> Parsed<Option<Secret>> {
    if text.len() > limits::SECRET_BYTES || text.contains(char::is_control) {
        return Err(format!(
            "give at most {} bytes without control characters (is there an end of line in it?)",
            limits::SECRET_BYTES
        ));
    }
    Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
}

/// Parses names and patterns of peers, with commas between them.
pub(super) fn allowed_peers(text: &str) -> Parsed<AllowedPeers> {
    let patterns = text.split(',').map(str::trim).filter(|e| !e.is_empty());
    let patterns: Vec<_> = patterns.map(str::to_owned).collect();
    if patterns.is_empty() {
        return Err("give names of peers, as in hub,robot-*".to_owned());
    }
    Ok(AllowedPeers::of(patterns))
}

/// Parses a secret for a TURN server; `None` when empty.
pub(super) fn turn_secret(text: &str) -> Parsed<Option<Secret>> {
    Ok(turn_text(text)?.map(Secret::new))
}

/// Parses our name at a TURN server; `None` when empty.
pub(super) fn turn_username(text: &str) -> Parsed<Option<String>> {
    turn_text(text)
}

fn turn_text(text: &str) -> Parsed<Option<String>> {
    if text.len() > limits::TURN_LOGIN_BYTES || text.contains(char::is_control) {
        return Err(format!(
            "give at most {} bytes without control characters (is there an end of line in it?)",
            limits::TURN_LOGIN_BYTES
        ));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Parses `5000` or `5000-5100`; `None` when empty.
pub(super) fn ports(text: &str) -> Parsed<Option<(u16, u16)>> {
    if text.is_empty() {
        return Ok(None);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Some((first, last))),
        _ => Err("give a port from 1 to 65535 or a range as in 5000-5100".to_owned()),
    }
}

/// Parses `203.0.113.7`, `203.0.113.7:5000-5002` or `[2001:db8::7]:5000`, or one of each family with a comma
/// between them.
pub(super) fn external_addresses(text: &str) -> Parsed<Vec<ExternalAddress>> {
    let entries = text.split(',').map(str::trim).filter(|e| !e.is_empty());
    let found: Vec<_> = entries.map(external_address).collect::<Result<_, _>>()?;
    let of_ipv4 = found.iter().filter(|outside| outside.address.is_ipv4());
    let ipv4_count = of_ipv4.count();
    if ipv4_count > 1 || found.len() > ipv4_count + 1 {
        return Err("give one IPv4 and one IPv6 address at most".to_owned());
    }
    Ok(found)
}

fn external_address(text: &str) -> Parsed<ExternalAddress> {
    let wrong = || {
        format!(
            "{text:?} is no address with or without ports; give it as in 203.0.113.7, \
             203.0.113.7:5000-5002 or [2001:db8::7]:5000-5002"
        )
    };
    let (address, ports_text) = match text.parse::<IpAddr>() {
        Ok(address) => (address, None),
        Err(_) => {
            let (host, ports_text) = text.rsplit_once(':').ok_or_else(wrong)?;
            let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
            let address = match inner {
                Some(inner) => inner.parse().map(IpAddr::V6),
                None => host.parse().map(IpAddr::V4),
            };
            (address.map_err(|_| wrong())?, Some(ports_text))
        }
    };
    if address.is_unspecified() || address.is_multicast() {
        return Err(wrong());
    }
    let ports = match ports_text {
        Some("") => return Err(wrong()),
        Some(text) => ports(text).map_err(|_| wrong())?,
        None => None,
    };
    Ok(ExternalAddress { address, ports })
}

/// Parses a TCP port to listen on, 0 for any.
#[cfg(feature = "registry")]
pub(super) fn port(text: &str) -> Parsed<u16> {
    text.parse()
        .map_err(|_| "give a port from 0 to 65535".to_owned())
}

/// Parses an IP address.
pub(super) fn address(text: &str) -> Parsed<Option<IpAddr>> {
    text.parse()
        .map(Some)
        .map_err(|_| "give an IP address without a port".to_owned())
}

/// Parses an address that this machine can have; `None` when empty.
pub(super) fn own_address(text: &str) -> Parsed<Option<IpAddr>> {
    if text.is_empty() {
        return Ok(None);
    }
    match address(text)? {
        Some(ip) if ip.is_unspecified() => {
            Err("leave it unset to use every address of this machine".to_owned())
        }
        Some(ip) if ip.is_multicast() => Err("give an address of this machine".to_owned()),
        ip => Ok(ip),
    }
}

/// Parses a list of interfaces: `eth0,wlan*,-docker*`.
pub(super) fn interfaces(text: &str) -> Parsed<InterfaceFilter> {
    let mut filter = InterfaceFilter::default();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let (list, name) = match entry.strip_prefix(['-', '!']) {
            Some(name) => (&mut filter.deny, name),
            None => (&mut filter.allow, entry),
        };
        let stem = name.strip_suffix('*').unwrap_or(name);
        if name.is_empty() || stem.contains(['*', '/', ' ']) {
            return Err(format!(
                "{entry:?} is no interface; give names as in eth0,wlan*,-docker0 (a * at the end \
                 stands for any rest)"
            ));
        }
        list.push(name.to_owned());
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_take_fractions_and_refuse_what_is_no_time() {
        let parse = seconds(0.1..=600.0);
        assert_eq!(parse("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "x", "-1", "NaN", "inf", "1e99", "0", "601", "5s"] {
            assert_eq!(
                parse(bad).unwrap_err(),
                "give seconds from 0.1 to 600, as in 0.5",
                "{bad}"
            );
        }
        assert_eq!(seconds_or_inf(0.0..=9.0)("inf"), Ok(None));
    }

    #[test]
    fn ports_are_one_or_a_range() {
        assert_eq!(ports(""), Ok(None));
        assert_eq!(ports("5000"), Ok(Some((5000, 5000))));
        assert_eq!(ports("5000-5100"), Ok(Some((5000, 5100))));
        for bad in [
            "0",
            "0-5",
            "70000",
            "5100-5000",
            "-",
            "5000-",
            "-5000",
            "1-2-3",
            "x",
        ] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_outside_are_given_with_or_without_ports() {
        let told = |text| -> Vec<_> {
            let found = external_addresses(text).unwrap();
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(told(""), [""; 0]);
        for right in [
            "203.0.113.7",
            "203.0.113.7:5000",
            "203.0.113.7:5000-5002",
            "[2001:db8::7]:5000-5002",
            "2001:db8::7",
            "2001:db8::",
        ] {
            assert_eq!(told(right), [right]);
        }
        let both = told("203.0.113.7:5000, [2001:db8::7]:5000");
        assert_eq!(both, ["203.0.113.7:5000", "[2001:db8::7]:5000"]);
        for bad in [
            "example.org",
            "203.0.113.7:",
            "203.0.113.7:0",
            "203.0.113.7:9-1",
            "0.0.0.0",
            "[203.0.113.7]:5000",
            "203.0.113.7,203.0.113.8",
        ] {
            assert!(external_addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_that_no_header_can_carry_are_refused_without_being_shown() {
        for bad in ["key\n", "a key", "schlüssel", "\u{7f}"] {
            assert!(!secret(bad).unwrap_err().contains(bad), "{bad:?}");
        }
        assert_eq!(secret(""), Ok(None));
    }

    #[test]
    fn own_addresses_are_such_as_a_socket_can_be_bound_to() {
        assert_eq!(own_address(""), Ok(None));
        assert!(own_address("192.0.2.1").is_ok());
        assert!(own_address("::1").is_ok());
        for bad in ["0.0.0.0", "::", "224.0.0.1", "localhost", "192.0.2.1:80"] {
            assert!(own_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn socket_paths_must_fit_into_an_address() {
        assert!(socket_path(&"x".repeat(107)).is_ok());
        assert_eq!(
            socket_path(&"x".repeat(108)).unwrap_err(),
            "a socket's path has at most 107 bytes, this one has 108"
        );
    }

    #[test]
    fn interfaces_are_allowed_and_denied() {
        let filter = interfaces("eth0, wlan*,-docker0,!veth*").unwrap();
        assert_eq!(filter.allow, ["eth0", "wlan*"]);
        assert_eq!(filter.deny, ["docker0", "veth*"]);
        for bad in ["-", "*eth", "a/b", "eth0 eth1"] {
            assert!(interfaces(bad).is_err(), "{bad}");
        }
    }
}
