//! `--help` and `--version`: the texts about each subcommand.

use std::fmt::Write as _;

use crate::config::settings::{Kind, Setting};

/// The parts of a help text beside the settings.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The purpose of the subcommand.
    pub purpose: &'static str,
    /// The ways to call it, one a line, without the program's name; two spaces or more divide a call from
    /// what it does.
    pub usage: &'static [&'static str],
    /// The text that follows the settings.
    pub tail: &'static str,
    /// The meaning of each exit code, where there is more to it than success and failure.
    pub exit_codes: &'static [(u8, &'static str)],
    /// Whether the settings can also be given as environment variables.
    pub environment: bool,
}

pub(super) const SIDECAR: Topic = Topic {
    purpose: "\
Carries messages between an agent, which speaks JSON lines over a Unix socket or over standard input
and output, and other agents' sidecars, over encrypted WebRTC data channels. A registry introduces
the peers.",
    usage: &[
        "[SETTING...]              be the sidecar",
        "--stdio [SETTING...]      be that of the program that started this one",
        "mcp [SETTING...]          be an MCP server, with a sidecar of its own behind it",
        "doctor [SETTING...]       check what can be reached with these settings",
        "attach [SOCKET]           talk to a sidecar from the terminal",
        "top [ADDRESS]             watch the numbers of a sidecar that has METRICS",
        "health [SOCKET]           say whether a sidecar serves its socket",
        "identity [SETTING...]     tell by what certificate peers know this sidecar",
        "join TICKET               take the registry and the key of a ticket",
        "pair CODE [SETTING...]    redeem an invitation for a device token",
        "limits                    list what is bounded, and what happens at each limit",
        #[cfg(feature = "registry")]
        "registry [SETTING...]     be a registry, or tell one something",
        #[cfg(feature = "registry")]
        "invite NAME [SETTING...]  print a ticket with which another machine joins",
        #[cfg(feature = "registry")]
        "demo [SETTING...]         see registry, sidecars and agents at work",
        "help [SUBCOMMAND]         the same as --help",
        "--version",
    ],
    tail: "\
Give keys and tokens in the environment rather than as flags: flags can be read by every user of
the machine.
",
    exit_codes: &[
        (0, "ended as asked"),
        (1, "failed while running"),
        (2, "wrong configuration or usage"),
        (3, "the registry refused the API key"),
        (4, "the IPC socket can't be had"),
    ],
    environment: true,
};

pub(super) const MCP: Topic = Topic {
    purpose: "\
Gives a program that speaks the Model Context Protocol (MCP) on standard input and output, such as an
assistant in a terminal or an editor, other agents to talk to. It starts a sidecar with the same
settings, and is its agent. Put it into the program's list of MCP servers.",
    usage: &["mcp [SETTING...]"],
    tail: "",
    exit_codes: &[
        (0, "the program has closed standard input"),
        (1, "failed while running"),
        (2, "wrong configuration or usage"),
    ],
    environment: true,
};

pub(super) const DOCTOR: Topic = Topic {
    purpose: "\
Checks, with the settings that a sidecar would be given, what it would find: its socket, network
interfaces, the registry, STUN and TURN servers, and what the network does with UDP. Prints a line
for each (ok, warn or fail, and what to do) within 10 seconds.",
    usage: &["doctor [--json] [SETTING...]"],
    tail: "",
    exit_codes: &[
        (0, "nothing failed"),
        (1, "something failed"),
        (2, "wrong configuration or usage"),
    ],
    environment: true,
};

pub(super) const ATTACH: Topic = Topic {
    purpose: "\
Takes the agent's place at a sidecar's socket. Type `@peer text` to send a message, or any command
as a line of JSON; events are shown as they come. Works in a pipe as well.",
    usage: &["attach [SOCKET]"],
    tail: "",
    exit_codes: &[],
    environment: true,
};

pub(super) const TOP: Topic = Topic {
    purpose: "\
Shows the numbers of a sidecar that tells them at METRICS, or at ADDRESS: its peers, their paths and
round-trip times, rates and queues, anew each second; q or Ctrl-C ends it. Elsewhere than on a
terminal it prints them once.",
    usage: &["top [ADDRESS]"],
    tail: "",
    exit_codes: &[],
    environment: true,
};

pub(super) const HEALTH: Topic = Topic {
    purpose: "\
Asks whether a sidecar serves its socket, without taking its agent's place: for health checks. Ends
with 0 if so and with 1 if not.",
    usage: &[
        "health [SOCKET]",
        #[cfg(feature = "registry")]
        "health --of-registry [SETTING...]",
    ],
    tail: "",
    exit_codes: &[],
    environment: true,
};

pub(super) const IDENTITY: Topic = Topic {
    purpose: "\
Prints the fingerprint of the certificate in IDENTITY_FILE, by which peers know this sidecar. Makes
the file if there is none. With a name behind it the line is one of a KNOWN_PEERS file.",
    usage: &["identity [SETTING...]"],
    tail: "",
    exit_codes: &[],
    environment: true,
};

pub(super) const JOIN: Topic = Topic {
    purpose: "\
Writes what a ticket of `invite` holds to a file that only its owner can read: the registry's URL,
the key, and the secret of the mesh if there is one. Sidecars, `doctor` and the Python client take
their settings from it. Other settings in the file stay. Without TICKET, or with `-`, it is read
from standard input, as in `join <FILE`; a command line is seen by every user of the machine.",
    usage: &["join [TICKET] [--config-file FILE]"],
    tail: "",
    exit_codes: &[],
    environment: true,
};

pub(super) const PAIR: Topic = Topic {
    purpose: "\
Redeems the code of an invitation (`registry invite`) at the registry, waits until a person there
approves, and writes the device token to a file. The sidecar takes it as DEVICE_TOKEN.",
    usage: &["pair CODE [SETTING...]"],
    tail: "",
    exit_codes: &[
        (0, "approved; the file holds the token"),
        (1, "refused, or failed"),
        (2, "wrong configuration or usage"),
    ],
    environment: true,
};

pub(super) const LIMITS: Topic = Topic {
    purpose: "\
Lists every limit: what is bounded, its value (of a setting the default), and what happens at it.",
    usage: &["limits"],
    tail: "",
    exit_codes: &[],
    environment: false,
};

#[cfg(feature = "registry")]
pub(super) const REGISTRY: Topic = Topic {
    purpose: "\
The registry: gives tokens, introduces peers, relays what they say to each other while they connect,
knows the agents and their tasks, pairs devices. It prints its address on standard output once it
listens. The orders are for a registry that runs with the same REGISTRY_DATA.",
    usage: &[
        "registry --open [SETTING...]",
        "registry --api-keys-file FILE [SETTING...]",
        "registry --registry-data DIRECTORY [SETTING...]",
        "registry key add NAME     make a key for an agent",
        "registry invite           give out a code for `pair`",
        "registry approve [NAME]   let a device in; without NAME list those that wait",
        "registry revoke [NAME]    let a device or key in no longer; without NAME list them",
    ],
    tail: "",
    exit_codes: &[],
    environment: true,
};

#[cfg(feature = "registry")]
pub(super) const INVITE: Topic = Topic {
    purpose: "\
Makes a key for an agent at the registry that runs on this machine with the same REGISTRY_DATA, and
prints a ticket: one word that holds the key, the registry's URL, and the secret of the mesh where
one is set. Who has it can be that agent.",
    usage: &["invite NAME --registry URL [SETTING...]"],
    tail: "",
    exit_codes: &[],
    environment: true,
};

#[cfg(feature = "registry")]
pub(super) const DEMO: Topic = Topic {
    purpose: "\
Starts a registry and sidecars on this machine, plays their agents, shows each line that crosses
between agent and sidecar and each frame that crosses between sidecar and registry, and measures
round trips.",
    usage: &["demo [--peers N] [--messages N]"],
    tail: "",
    exit_codes: &[],
    environment: false,
};

/// Returns the whole help text of a subcommand.
pub(super) fn text(topic: Topic, settings: &[&Setting]) -> String {
    let mut text = format!("{}{}\n\nUsage:\n", version(), topic.purpose);
    for usage in topic.usage {
        let _ = writeln!(text, "  chatixia-sidecar {usage}");
    }
    if !settings.is_empty() {
        text.push_str(if topic.environment {
            "\nSettings (a flag wins over the environment variable beside it):\n"
        } else {
            "\nSettings:\n"
        });
    }
    for setting in settings {
        push_setting(&mut text, setting);
    }
    if !topic.tail.is_empty() {
        text.push('\n');
        text.push_str(topic.tail);
    }
    if !topic.exit_codes.is_empty() {
        text.push_str("\nExit codes:\n");
        for (code, meaning) in topic.exit_codes {
            let _ = writeln!(text, "  {code}  {meaning}");
        }
    }
    text
}

/// Returns `chatixia-sidecar` and its version, with an end of line.
pub(super) fn version() -> String {
    concat!("chatixia-sidecar ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

fn push_setting(text: &mut String, setting: &Setting) {
    let flag = format!("--{} {}", setting.flag(), setting.syntax);
    let variable = match setting.kind {
        Kind::Plain | Kind::Secret | Kind::Proxy => setting.name,
        Kind::FlagOnly => "",
    };
    let line = format!("  {flag:<36} {variable}");
    let default = match setting.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    let _ = writeln!(
        text,
        "{}\n        {}{default}",
        line.trim_end(),
        setting.help
    );
}
