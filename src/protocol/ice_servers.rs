//! The registry's answer to `GET /api/config`: the list of STUN and TURN servers, in the form that
//! browsers know (contract part 3).

use serde::Deserialize;

use crate::limits;

/// One entry of the list. Its URLs are unchecked texts of any kind.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// The URLs, all with the same credentials.
    pub urls: Vec<String>,
    /// The name to log in with at TURN servers.
    pub username: Option<String>,
    /// The password for that name.
    pub credential: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "iceServers")]
    ice_servers: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    urls: Urls,
    username: Option<String>,
    credential: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Urls {
    One(String),
    Many(Vec<String>),
}

/// Parses the answer: the first [`limits::ICE_SERVERS`] entries, and as many URLs of each.
///
/// # Errors
/// The answer has another form. The error says where, and quotes nothing, since the answer may hold
/// passwords.
pub fn parse(answer: &[u8]) -> Result<Vec<IceServer>, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("no JSON with a list \"iceServers\" (line {line}, column {column})")
    })?;
    let entries = answer.ice_servers.into_iter().take(limits::ICE_SERVERS);
    let servers = entries.map(|entry| IceServer {
        urls: match entry.urls {
            Urls::One(url) => vec![url],
            Urls::Many(mut urls) => {
                urls.truncate(limits::ICE_SERVERS);
                urls
            }
        },
        username: entry.username,
        credential: entry.credential,
    });
    Ok(servers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_as_a_list_or_alone_and_ignores_what_it_does_not_know() {
        let answer = br#"{"iceServers": [
            {"urls": ["stun:a", "stun:b"]},
            {"urls": "turn:c", "username": "u", "credential": "p", "credentialType": "password"}
        ], "x": 1}"#;
        let servers = parse(answer).unwrap();
        assert_eq!(servers[0].urls, ["stun:a", "stun:b"]);
        assert_eq!(servers[0].username, None);
        assert_eq!(servers[1].urls, ["turn:c"]);
        assert_eq!(servers[1].username.as_deref(), Some("u"));
        assert_eq!(servers[1].credential.as_deref(), Some("p"));
    }

    #[test]
    fn what_is_something_else_is_told_without_its_content() {
        for answer in [
            "",
            "<html>s3cret",
            r#"{"iceServers": "s3cret"}"#,
            r#"{"s3cret": []}"#,
        ] {
            let error = parse(answer.as_bytes()).err().unwrap();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn no_more_than_so_many_are_taken() {
        let urls = vec!["\"stun:a\""; 100].join(",");
        let entries = vec![format!("{{\"urls\": [{urls}]}}"); 100].join(",");
        let servers = parse(format!("{{\"iceServers\": [{entries}]}}").as_bytes()).unwrap();
        assert_eq!(servers.len(), limits::ICE_SERVERS);
        assert_eq!(servers[0].urls.len(), limits::ICE_SERVERS);
    }
}
