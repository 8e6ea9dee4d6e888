//! Tickets: everything that another machine needs to join, in one word that is pasted there.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::env_file::EnvFile;
use super::settings::{self, Flags, Reader};
use super::sources::{NO_FILE, usual_config_file};
use super::url::Url;
use super::values;
use crate::secret::Secret;

/// The beginning of every ticket, by which it is recognised.
const PREFIX: &str = "chatixia1-";

/// Settings that every ticket takes the place of.
const REPLACED: [&str; 5] = [
    settings::REGISTRY_URL.name,
    settings::SIGNALING_URL.name,
    settings::TOKEN_URL.name,
    settings::API_KEY.name,
    settings::DEVICE_TOKEN.name,
];

/// Settings that a ticket takes the place of if it holds a secret. One that holds none takes none away, so that
/// nobody can make us do without.
const REPLACED_BY_SECRET: [&str; 2] = [settings::MESH_SECRET.name, settings::MESH_SECRET_FILE.name];

/// An invitation to a registry, with the key for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// `REGISTRY_URL`
    pub registry: Url,
    /// `API_KEY`
    pub key: Secret,
    /// `MESH_SECRET`, where one is set.
    pub secret: Option<Secret>,
}

/// The content of a ticket, which is Base64 of its JSON.
#[derive(Serialize, Deserialize)]
struct Content {
    registry: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Ticket {
    /// Parses a ticket. The error quotes nothing of it.
    pub fn parse(text: &str) -> Result<Ticket, String> {
        let broken = || {
            format!("this is no ticket, or not all of it; it begins with {PREFIX} and is one word")
        };
        let coded = text.trim().strip_prefix(PREFIX).ok_or_else(broken)?;
        let json = URL_SAFE_NO_PAD.decode(coded).map_err(|_| broken())?;
        let content: Content = serde_json::from_slice(&json).map_err(|_| broken())?;
        let Content {
            registry,
            key,
            secret,
        } = content;
        let secret = secret.map(|secret| {
            let secret = values::mesh_secret(&secret).ok().flatten();
            secret.ok_or_else(broken)
        });
        let secret = secret.transpose()?;
        let key = values::secret(&key).ok().flatten().ok_or_else(broken)?;
        let registry = Url::registry(&registry).map_err(|_| broken())?;
        Ok(Ticket {
            registry,
            key,
            secret,
        })
    }

    /// Returns the ticket as it is pasted. It holds the key and the secret.
    pub fn reveal(&self) -> String {
        let content = Content {
            registry: self.registry.to_string(),
            key: self.key.reveal().to_owned(),
            secret: self
                .secret
                .as_ref()
                .map(|secret| secret.reveal().to_owned()),
        };
        // Strings always have a JSON form.
        let content = serde_json::to_vec(&content).unwrap_or_default();
        PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(content)
    }

    /// Returns the names and values of what the ticket sets.
    fn settings(&self) -> impl Iterator<Item = (String, String)> {
        let registry = (&settings::REGISTRY_URL, self.registry.to_string());
        let key = (&settings::API_KEY, self.key.reveal().to_owned());
        let secret = self.secret.as_ref().map(Secret::reveal);
        let secret = secret.map(|secret| (&settings::MESH_SECRET, secret.to_owned()));
        let all = [registry, key].into_iter().chain(secret);
        all.map(|(setting, value)| (setting.name.to_owned(), value))
    }

    /// Returns the text of the settings file: what the ticket sets, and of the `old` text what it leaves alone, with
    /// the values that it has in this `environment`.
    ///
    /// # Errors
    /// The number of a line of the old text that can't be read.
    pub fn settings_file(
        &self,
        old: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<String, usize> {
        let old = EnvFile::parse(old, environment);
        if let Some(line) = old.bad_line {
            return Err(line);
        }
        let mut text =
            "# Written by `chatixia-sidecar join`; the environment and .env go over it.\n"
                .to_owned();
        let kept = old.values.into_iter();
        let has_secret = self.secret.is_some();
        let kept = kept.filter(|(name, _)| {
            let name = &name.as_str();
            let is_replaced =
                REPLACED.contains(name) || (has_secret && REPLACED_BY_SECRET.contains(name));
            !is_replaced
        });
        for (name, value) in self.settings().chain(kept) {
            // A single quote is written outside of the quotes.
            text.push_str(&format!("{name}='{}'\n", value.replace('\'', "'\\''")));
        }
        Ok(text)
    }
}

/// All the settings of `join`.
#[derive(Debug, Clone)]
pub struct JoinConfig {
    /// The ticket; `None`: it comes on standard input.
    pub ticket: Option<Ticket>,
    /// `CONFIG_FILE`
    pub file: PathBuf,
}

impl JoinConfig {
    /// Reads the settings of `join` with this ticket; `-` and none mean standard input.
    ///
    /// # Errors
    /// One line for each thing that can't be used.
    pub fn from(
        ticket: Option<&str>,
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<JoinConfig, Vec<String>> {
        let mut reader = Reader::new(flags, &environment);
        let ticket = ticket.filter(|ticket| *ticket != "-").map(Ticket::parse);
        let ticket = ticket.transpose().unwrap_or_else(|why| {
            reader.error(format!("join: {why}"));
            None
        });
        let named = reader.read(&settings::CONFIG_FILE, values::optional_path);
        let file = named.or_else(|| usual_config_file(&environment));
        let file = file.filter(|file| file.as_os_str() != NO_FILE);
        let file = file.unwrap_or_else(|| {
            reader.error("join: set CONFIG_FILE to the file that is to be written".to_owned());
            PathBuf::new()
        });
        reader.finish(JoinConfig { ticket, file })
    }
}

/// Reads a ticket from standard input, as far as one is that long.
///
/// # Errors
/// A line that says what is wrong.
pub fn read_ticket(input: impl io::Read) -> Result<Ticket, String> {
    let mut text = String::new();
    let mut limited = input.take(crate::limits::SETTINGS_FILE_BYTES);
    io::Read::read_to_string(&mut limited, &mut text)
        .map_err(|error| format!("join: the ticket can't be read: {error}"))?;
    Ticket::parse(&text).map_err(|why| format!("join: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            registry: Url::registry("https://host:8443/mesh").unwrap(),
            key: Secret::new("ak_it's".to_owned()),
            secret: None,
        }
    }

    fn with_secret(secret: &str) -> Ticket {
        Ticket {
            secret: Some(Secret::new(secret.to_owned())),
            ..ticket()
        }
    }

    #[test]
    fn a_ticket_is_one_word_that_comes_back_whole() {
        let text = ticket().reveal();
        assert!(text.starts_with(PREFIX));
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_eq!(Ticket::parse(&format!(" {text}\n")), Ok(ticket()));
        let secret = with_secret("two 'words' é");
        assert_eq!(Ticket::parse(&secret.reveal()), Ok(secret));
        assert!(!format!("{:?}", ticket()).contains("ak_"));
    }

    #[test]
    fn what_is_no_ticket_is_refused_without_being_shown() {
        let text = ticket().reveal();
        let coded = |json: &str| PREFIX.to_owned() + &URL_SAFE_NO_PAD.encode(json);
        for bad in [
            "",
            "chatixia1-",
            &text[1..],
            &text[..text.len() - 5],
            &coded("{}"),
            &coded(r#"{"registry": "https://host", "key": ""}"#),
            &coded(r#"{"registry": "https://host", "key": "two words"}"#),
            &coded(r#"{"registry": "ftp://host", "key": "k"}"#),
            &coded(r#"{"registry": "https://host", "key": "k", "secret": ""}"#),
            &coded(r#"{"registry": "https://host", "key": "k", "secret": "a\nb"}"#),
        ] {
            let error = Ticket::parse(bad).unwrap_err();
            assert!(
                error.starts_with("this is no ticket, or not all of it"),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_file_keeps_what_the_ticket_does_not_set() {
        let old =
            "# mine\nMESH=lazy\nAPI_KEY=old\nDEVICE_TOKEN=dt\nTOKEN_URL=http://old/api/token\n";
        let text = ticket().settings_file(old, |_| None).unwrap();
        let file = EnvFile::parse(&text, |_| None);
        let pairs: Vec<_> = file
            .values
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("REGISTRY_URL", "https://host:8443/mesh"),
                ("API_KEY", "ak_it's"),
                ("MESH", "lazy"),
            ]
        );
        assert_eq!(file.bad_line, None);
        assert_eq!(
            ticket().settings_file("A=1\nwhat is this\n", |_| None),
            Err(2)
        );
    }

    #[test]
    fn what_is_kept_has_the_value_that_it_had() {
        let environment = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        let old = "IDENTITY_FILE=$HOME/identity\n";
        let text = ticket().settings_file(old, environment).unwrap();
        let file = EnvFile::parse(&text, environment);
        assert_eq!(file.get("IDENTITY_FILE"), Some("/home/me/identity"));
    }

    #[test]
    fn a_secret_takes_the_place_of_another_and_no_secret_of_none() {
        let old = "MESH_SECRET_FILE=/secret\nMESH=lazy\n";
        let text = with_secret("two 'words'")
            .settings_file(old, |_| None)
            .unwrap();
        let secret = |text: &str, name| {
            let file = EnvFile::parse(text, |_| None);
            file.get(name).map(str::to_owned)
        };
        assert_eq!(secret(&text, "MESH_SECRET"), Some("two 'words'".into()));
        assert_eq!(secret(&text, "MESH_SECRET_FILE"), None);
        let text = ticket().settings_file(&text, |_| None).unwrap();
        assert_eq!(secret(&text, "MESH_SECRET"), Some("two 'words'".into()));
    }
}
