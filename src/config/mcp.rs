//! The settings of `mcp` beside the sidecar's.

use std::ffi::OsString;

use super::settings::{self, Flags, Kind, Reader};
use super::sources::NO_FILE;
use super::{Config, LogFormat, values};
use crate::limits;
use crate::mcp::Tool;
use crate::secret::Secret;

/// All the settings of `mcp`.
#[derive(Debug, Clone)]
pub struct McpConfig {
    /// `MCP_ALLOW`
    pub allowed: Vec<Tool>,
    /// `MCP_CHANNEL`
    pub has_channel: bool,
    /// Longest line that is taken from the host, in bytes.
    pub line_bytes: usize,
    /// The flags that are the sidecar's own.
    pub sidecar: SidecarFlags,
    /// `RUST_LOG`
    pub log_filter: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
}

/// The flags of `mcp` that are a sidecar's, as a process gets them that reads a sidecar's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SidecarFlags {
    /// What its command line holds, which anybody on this machine can read.
    pub arguments: Vec<String>,
    /// The variables of its environment that hold what nobody else may read.
    pub variables: Vec<(String, Secret)>,
}

impl SidecarFlags {
    fn of(flags: &Flags) -> SidecarFlags {
        let mut given = SidecarFlags::default();
        for setting in settings::SIDECAR {
            let Some(value) = flags.get(setting) else {
                continue;
            };
            let variable = match setting.kind {
                // An empty variable would count as none.
                _ if value.is_empty() => None,
                Kind::Secret => Some(setting.name.to_owned()),
                // In lower case it wins over the environment's, as the flag does.
                Kind::Proxy => Some(setting.name.to_ascii_lowercase()),
                Kind::Plain | Kind::FlagOnly => None,
            };
            let flag = format!("--{}", setting.flag());
            match variable {
                Some(name) => given.variables.push((name, Secret::new(value.to_owned()))),
                None if setting.syntax.is_empty() => given.arguments.push(flag),
                None => given.arguments.push(format!("{flag}={value}")),
            }
        }
        given
    }
}

impl McpConfig {
    /// Adds the flags that differ from a sidecar's where nothing is given. Hosts start their servers in the
    /// directory of whatever is worked on, whose `.env` holds another program's settings and keys. And what lingers
    /// after the host would be an orphan.
    pub fn complete(flags: &mut Flags, environment: impl Fn(&str) -> Option<OsString>) {
        let is_given = |setting| Reader::new(flags, &environment).is_given(setting);
        if !is_given(&settings::ENV_FILE) {
            flags.set(&settings::ENV_FILE, NO_FILE.to_owned());
        }
        if !flags.has(&settings::AGENT_LINGER) {
            flags.set(&settings::AGENT_LINGER, "0".to_owned());
        }
    }

    /// Reads the settings of `mcp`: `flags` over `environment` over defaults. `sidecar` has the settings that the
    /// sidecar will read again.
    ///
    /// # Errors
    /// One line for each setting that can't be used.
    pub fn from(
        sidecar: &Config,
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<McpConfig, Vec<String>> {
        let mut reader = Reader::new(flags, environment);
        let config = McpConfig {
            allowed: reader.read(&settings::MCP_ALLOW, tools),
            has_channel: reader.read(&settings::MCP_CHANNEL, values::switch),
            // A text may have escapes that the message to the peer has not.
            line_bytes: 2 * sidecar.max_message_bytes + limits::LINE_OVERHEAD_BYTES,
            sidecar: SidecarFlags::of(flags),
            log_filter: sidecar.log_filter.clone(),
            log_format: sidecar.log_format,
        };
        reader.finish(config)
    }
}

fn tools(text: &str) -> Result<Vec<Tool>, String> {
    if text.is_empty() {
        return Ok(Tool::ALL.to_vec());
    }
    let names = text.split(',').map(str::trim);
    let tools: Option<Vec<Tool>> = names.map(Tool::named).collect();
    tools.ok_or_else(|| {
        let known: Vec<_> = Tool::ALL.iter().map(|tool| tool.name()).collect();
        format!("expected a list of these: {}", known.join(","))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_gets_secrets_in_its_environment_and_not_on_its_command_line() {
        let mut flags = Flags::default();
        for (setting, value) in [
            (&settings::REGISTRY_URL, "http://h"),
            (&settings::API_KEY, "s3cret-key"),
            (&settings::MESH_SECRET, "s3cret-mesh"),
            (&settings::HTTP_PROXY, "http://u:s3cret@p"),
            (&settings::DEVICE_TOKEN, ""),
        ] {
            flags.set(setting, value.to_owned());
        }
        let given = SidecarFlags::of(&flags);
        assert_eq!(
            given.arguments,
            ["--registry-url=http://h", "--device-token="]
        );
        let variables = given.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name.as_str(), value.reveal()))
            .collect();
        assert_eq!(
            variables,
            [
                ("API_KEY", "s3cret-key"),
                ("http_proxy", "http://u:s3cret@p"),
                ("MESH_SECRET", "s3cret-mesh"),
            ]
        );
        assert!(!format!("{given:?}").contains("s3cret"));
        for kept in ["s3cret-key", "s3cret-mesh"] {
            assert!(!given.arguments.concat().contains(kept));
        }
    }
}
