//! The request to an HTTP proxy to connect us with a host, and its answer (RFC 9110 section 9.3.6).

use crate::limits;

/// Longest status line that is shown, in characters.
const SHOWN_STATUS: usize = 80;

/// Returns the request for a connection with `host`, an IPv6 address without its brackets. `login` is the
/// name and the password with a colon between them, in base64.
pub fn request(host: &str, port: u16, login: Option<&str>) -> Vec<u8> {
    let place = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let login = login.map_or_else(String::new, |login| {
        format!("Proxy-Authorization: Basic {login}\r\n")
    });
    format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n").into_bytes()
}

/// The answer, as it comes in. What follows it is the host's already.
#[derive(Debug, Default)]
pub struct Answer {
    head: Vec<u8>,
}

/// A proxy's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its status code; `None` if what came is no HTTP.
    pub code: Option<u16>,
    /// Its status line after the version, or what came in its place, for a person.
    pub line: String,
    /// The kinds of login that it asks for.
    pub schemes: Vec<String>,
}

impl Status {
    /// Returns whether we are connected.
    pub fn is_connected(&self) -> bool {
        matches!(self.code, Some(200..300))
    }
}

impl Answer {
    /// Takes the next byte. Returns the answer once it is whole, or longer than
    /// [`limits::PROXY_ANSWER_BYTES`], or when its first line is no HTTP.
    pub fn push(&mut self, byte: u8) -> Option<Status> {
        self.head.push(byte);
        let is_http = self.head.iter().zip(b"HTTP/").all(|(a, b)| a == b);
        let is_whole = [&b"\r\n\r\n"[..], b"\n\n"]
            .iter()
            .any(|end| self.head.ends_with(end));
        let is_too_long = self.head.len() >= limits::PROXY_ANSWER_BYTES;
        let is_line = byte == b'\n';
        let is_over = is_whole || is_too_long || (!is_http && is_line);
        is_over.then(|| self.status(is_http && is_whole))
    }

    fn status(&self, is_http: bool) -> Status {
        let text = String::from_utf8_lossy(&self.head);
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (_, line) = first
            .split_once(' ')
            .filter(|_| is_http)
            .unwrap_or(("", first));
        let code = line.split(' ').next().unwrap_or_default();
        let code = code.parse().ok().filter(|_| is_http);
        let printable = line.chars().filter(|letter| !letter.is_control());
        Status {
            code,
            line: printable
                .take(SHOWN_STATUS)
                .collect::<String>()
                .trim()
                .to_owned(),
            schemes: lines.filter_map(scheme).take(8).collect(),
        }
    }
}

/// Returns the kind of login that a header asks for.
fn scheme(header: &str) -> Option<String> {
    let (name, value) = header.split_once(':')?;
    let word = value.split_whitespace().next()?;
    let is_asked = name.eq_ignore_ascii_case("proxy-authenticate");
    let word = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .collect();
    is_asked.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &[u8]) -> (Option<Status>, usize) {
        let mut reading = Answer::default();
        for (byte, taken) in answer.iter().zip(1..) {
            if let Some(status) = reading.push(*byte) {
                return (Some(status), taken);
            }
        }
        (None, answer.len())
    }

    #[test]
    fn a_request_names_the_host_and_the_login() {
        let plain = request("r.test", 443, None);
        assert_eq!(
            plain,
            b"CONNECT r.test:443 HTTP/1.1\r\nHost: r.test:443\r\n\r\n"
        );
        let with =
            String::from_utf8(request("::1", 80, Some("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))).unwrap();
        assert!(with.starts_with("CONNECT [::1]:80 "), "{with}");
        let login = "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        assert!(with.ends_with(login), "{with}");
    }

    #[test]
    fn nothing_is_taken_of_what_follows_the_answer() {
        let answer = b"HTTP/1.0 200 Connection established\r\nVia: p\r\n\r\n\x16\x03";
        let (status, taken) = read(answer);
        let status = status.unwrap();
        assert!(status.is_connected());
        assert_eq!(
            (status.line.as_str(), taken),
            ("200 Connection established", answer.len() - 2)
        );
    }

    #[test]
    fn refusals_and_what_is_no_answer_are_short_and_clean() {
        let (status, _) = read(
            b"HTTP/1.1 407 Proxy\x1b[31m Authentication\r\nProxy-Authenticate: Negotiate\r\n\
              proxy-authenticate: NTLM realm=\"x\"\r\n\r\n",
        );
        let status = status.unwrap();
        assert!(!status.is_connected());
        assert_eq!(status.line, "407 Proxy[31m Authentication");
        assert_eq!(status.schemes, ["Negotiate", "NTLM"]);
        let (status, _) = read(b"SSH-2.0-OpenSSH\r\n");
        assert_eq!(
            status.map(|s| (s.code, s.line)),
            Some((None, "SSH-2.0-OpenSSH".to_owned()))
        );
        let (status, taken) = read(&b"HTTP/1.1 200 x".repeat(10_000));
        assert_eq!(taken, limits::PROXY_ANSWER_BYTES);
        assert!(!status.unwrap().is_connected());
        assert_eq!(read(b"HTTP/1.1 200 OK\r\nVia").0, None);
    }
}
