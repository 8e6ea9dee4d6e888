//! The settings of `mcp` beside the sidecar's.

use std::ffi::OsString;

use super::settings::{self, Flags, Reader};
use super::sources::NO_FILE;
use super::{Config, LogFormat, values};
use crate::limits;
use crate::mcp::Tool;

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
    pub sidecar_flags: Vec<String>,
    /// `RUST_LOG`
    pub log_filter: String,
    /// `LOG_FORMAT`
    pub log_format: LogFormat,
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
            sidecar_flags: flags.as_arguments(settings::SIDECAR),
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
