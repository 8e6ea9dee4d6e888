//! The registry's answer to `GET /api/config`: the list of STUN and TURN servers, in the form that
//! browsers know (contract part 3).

use serde::Deserialize;
use serde::de::IgnoredAny;

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
    ice_servers: Vec<Listed>,
}

/// An entry that can't be used must not cost those that can: a registry may list servers with other credentials.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Usable(Entry),
    Other(IgnoredAny),
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

/// Parses the answer: the first [`limits::ICE_SERVERS`] entries that have the form of one, and as many URLs of each.
///
/// # Errors
/// The answer has another form. The error says where, and quotes nothing, since the answer may hold
/// passwords.
pub fn parse(answer: &[u8]) -> Result<Vec<IceServer>, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("no JSON with a list \"iceServers\" (line {line}, column {column})")
    })?;
    let entries = answer
        .ice_servers
        .into_iter()
        .filter_map(|listed| match listed {
            Listed::Usable(entry) => Some(entry),
            Listed::Other(_) => None,
        });
    let entries = entries.take(limits::ICE_SERVERS);
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
    fn an_entry_of_another_form_costs_only_itself() {
        let answer = br#"{"iceServers": [
            null, 5, {}, {"url": "stun:old"}, {"urls": 5}, {"urls": ["stun:a", 5]},
            {"urls": "turn:b", "username": "u", "credential": {"accessToken": "t"}},
            {"urls": "stun:c"}
        ]}"#;
        let servers = parse(answer).unwrap();
        let urls: Vec<_> = servers.into_iter().map(|server| server.urls).collect();
        assert_eq!(urls, [["stun:c"]]);
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
