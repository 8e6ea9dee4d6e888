//! The page that the registry serves, and the module that makes a browser a peer: files from `web/`, in the binary.

mod compact;

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use compact::{compact, compact_length};

use crate::registry::http::Request;
use crate::registry::response::Response;

/// What the page may do: run and load what comes from here, and talk to here. WebRTC is not the policy's matter.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// Makes an entry of [`FILES`] of a file in `web/`: the name that it has below the registry's address, its type and its
/// text.
macro_rules! file {
    ($name:literal, $kind:expr, $path:literal) => {{
        const TEXT: &str = include_str!(concat!("../../../../web/", $path));
        #[allow(long_running_const_eval)]
        const LENGTH: usize = compact_length(TEXT);
        #[allow(long_running_const_eval)]
        static COMPACT: [u8; LENGTH] = compact(TEXT);
        ($name, $kind, COMPACT.as_slice())
    }};
}

static FILES: [(&str, &str, &[u8]); 14] = [
    file!("", HTML, "index.html"),
    file!("page.css", STYLE, "page.css"),
    file!("page.js", SCRIPT, "page.js"),
    file!("picture.js", SCRIPT, "picture.js"),
    file!("chatixia.js", SCRIPT, "chatixia.js"),
    file!("connection.js", SCRIPT, "connection.js"),
    file!("greeting.js", SCRIPT, "greeting.js"),
    file!("introductions.js", SCRIPT, "introductions.js"),
    file!("offers.js", SCRIPT, "offers.js"),
    file!("peer.js", SCRIPT, "peer.js"),
    file!("registry.js", SCRIPT, "registry.js"),
    file!("session.js", SCRIPT, "session.js"),
    file!("wire.js", SCRIPT, "wire.js"),
    file!("icon.svg", PICTURE, "icon.svg"),
];

/// A tag for all files together, so that a browser never mixes those of two versions.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (name, _, text) in FILES {
        hash.update(name);
        hash.update(text);
    }
    let bytes = hash.finalize();
    let hex: String = bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
});

/// Returns the answer to a request for the file `name`; `None` if there is no such file.
pub(super) fn answer(name: &str, request: &Request) -> Option<Response> {
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == name)?;
    if request.method != "GET" {
        return Some(Response::only("GET"));
    }
    let is_known = request.lists("if-none-match", &TAG);
    let response = if is_known {
        Response::not_modified()
    } else {
        Response::file(kind, str::from_utf8(text).unwrap_or_default())
    };
    let response = response
        .with("Content-Security-Policy", POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Opener-Policy", "same-origin")
        .with("ETag", &TAG);
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::http::RequestBuffer;

    /// The most that the page may take in all, in bytes.
    const MOST: usize = 80_000;

    fn ask(line: &str, headers: &str) -> (u16, String) {
        let text = format!("{line} HTTP/1.1\r\n{headers}\r\n");
        let request = RequestBuffer::default().push(text.as_bytes());
        let request = request.unwrap().unwrap();
        let name = request.path.strip_prefix('/').unwrap();
        let response = answer(name, &request).unwrap();
        let bytes = response.to_bytes(std::time::UNIX_EPOCH);
        (response.status, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_page_is_small() {
        let size: usize = FILES.iter().map(|(_, _, text)| text.len()).sum();
        println!("the page and what it loads: {size} bytes");
        assert!(size < MOST, "{size} bytes, more than {MOST}");
    }

    #[test]
    fn the_page_forbids_what_it_does_not_need() {
        let (status, text) = ask("GET /", "");
        assert_eq!(status, 200);
        for header in [
            "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'",
            "frame-ancestors 'none'",
            "X-Content-Type-Options: nosniff",
            "Content-Type: text/html; charset=utf-8",
            "Cache-Control: no-cache",
        ] {
            assert!(text.contains(header), "{header} is not in {text}");
        }
        assert!(!text.contains("unsafe"));
    }

    #[test]
    fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
        for (name, _, text) in FILES {
            let text = str::from_utf8(text).unwrap();
            for bad in [
                "<style",
                " style=",
                " onclick=",
                "src=\"http",
                "href=\"http",
                "innerHTML",
                "@import",
                "url(",
            ] {
                assert!(!text.contains(bad), "{bad} in {name:?}");
            }
            let scripts = text.matches("<script").count();
            assert_eq!(
                scripts,
                text.matches("<script type=\"module\" src=").count(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let (_, first) = ask("GET /chatixia.js", "");
        let tag = first
            .lines()
            .find_map(|line| line.strip_prefix("ETag: "))
            .unwrap();
        let (status, text) = ask("GET /chatixia.js", &format!("If-None-Match: {tag}\r\n"));
        assert_eq!(status, 304);
        assert!(text.ends_with("\r\n\r\n"), "{text}");
        assert_eq!(
            ask("GET /chatixia.js", "If-None-Match: \"other\"\r\n").0,
            200
        );
        assert_eq!(ask("POST /page.js", "").0, 405);
    }
}
