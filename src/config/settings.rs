//! The table of settings, which flags, environment, `--help` and the documentation are made of.

use std::collections::HashMap;
use std::ffi::OsString;

/// One setting.
///
/// Its name is that of the environment variable; the flag is the same in lower case with dashes:
/// `SIGNALING_URL` and `--signaling-url`.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: &'static str,
    /// The placeholder for the value in the help; empty for a switch, which takes no value.
    pub syntax: &'static str,
    /// The default as a user would write it; empty when there is none.
    pub default: &'static str,
    /// The effect of the setting, for the help.
    pub help: &'static str,
    /// How the setting is treated.
    pub kind: Kind,
}

/// The treatment of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A flag and an environment variable.
    Plain,
    /// As [`Kind::Plain`], but its value is never shown.
    Secret,
    /// As [`Kind::Secret`], and the environment variable may also be in lower case, which wins.
    Proxy,
    /// A flag only.
    FlagOnly,
}

impl Setting {
    /// Returns the flag without its leading dashes.
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }
}

/// Defines a constant for each row, so that code refers to it and not to a string, and a list of them in
/// order.
macro_rules! table {
    ($(#[$about:meta])* $table:ident: $(
        $kind:ident $name:ident $syntax:literal = $default:literal, $help:literal;
    )*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: ", $help)]
            pub const $name: Setting = Setting {
                name: stringify!($name),
                syntax: $syntax,
                default: $default,
                help: $help,
                kind: Kind::$kind,
            };
        )*
        $(#[$about])*
        pub const $table: &[&Setting] = &[$(&$name),*];
    };
}

table! {
    /// The sidecar's settings, in the order of its help.
    SIDECAR:
    Plain REGISTRY_URL "URL" = "",
        "the registry, as in https://host:8443/mesh; gives the next two where they are not set";
    Plain SIGNALING_URL "URL" = "ws://localhost:8080/ws",
        "the registry's WebSocket, ws:// or wss://";
    Plain TOKEN_URL "URL" = "http://localhost:8080/api/token",
        "where the key gets a token, http:// or https://";
    Secret API_KEY "KEY" = "ak_dev_001",
        "the key, sent as x-api-key";
    Plain API_KEY_FILE "FILE" = "",
        "file that holds it";
    Secret DEVICE_TOKEN "TOKEN" = "",
        "the token of a paired agent, sent as x-device-token in place of the key";
    Plain CA_FILE "FILE" = "",
        "PEM file of authorities, or servers' own certificates, to trust beside the system's";
    Plain SSL_CERT_FILE "FILE" = "",
        "PEM file of the system's authorities, in place of where distributions have it";
    Plain SSL_CERT_DIR "LIST" = "",
        "directories of such files, divided by colons";
    Proxy HTTPS_PROXY "URL" = "",
        "HTTP proxy to https://, wss:// and TURN servers, as in http://user:password@host:port";
    Proxy HTTP_PROXY "URL" = "",
        "HTTP proxy to http:// and ws:// URLs";
    Proxy ALL_PROXY "URL" = "",
        "HTTP proxy where the one above is not set";
    Proxy NO_PROXY "LIST" = "",
        "hosts, domains, addresses and networks without proxy; *: all";
    FlagOnly STDIO "" = "",
        "the agent is on standard input and output; no socket unless IPC_SOCKET is set";
    Secret MESH_SECRET "SECRET" = "",
        "shared by all peers of the mesh, who prove to each other that they know it";
    Plain MESH_SECRET_FILE "FILE" = "",
        "file that holds it";
    Plain ALLOW_UNPROVEN "on|off" = "off",
        "on: peers of another make need no proof of MESH_SECRET";
    Plain ALLOW_PEERS "LIST" = "*",
        "peers that may talk to us at all, as in hub,robot-*; *: any text";
    Plain PEER_TRUST "registry|first-use|known" = "registry",
        "whose certificates count: as brought, the first, or in KNOWN_PEERS";
    Plain KNOWN_PEERS "FILE" = "",
        "peers and their certificates; without it ~/.config/chatixia-sidecar/known_peers";
    Plain IDENTITY_FILE "FILE" = "",
        "keeps our certificate; without it, and without PEER_TRUST, each start makes one";
    Plain IPC_SOCKET "PATH" = "/tmp/chatixia-sidecar.sock",
        "the Unix socket on which the agent is awaited";
    Plain SOCKET_GROUP "GROUP" = "",
        "group, by name or number, whose members may use that socket, too";
    Plain SOCKET_MODE "MODE" = "",
        "mode of the socket, as in 666 for everybody; without it 600, with SOCKET_GROUP 660";
    Plain AGENT_LINGER "SECONDS" = "30",
        "how long to stay after the agent has left, inf: for ever; with --stdio 0";
    Plain MESH "full|lazy" = "full",
        "full: connect to every peer listed; lazy: when something is sent";
    Plain MAX_PEERS "N" = "256",
        "peers at a time";
    Plain MAX_MESSAGE_BYTES "N" = "262144",
        "largest message, in bytes of its JSON text";
    Plain QUEUE_BYTES "N" = "1048576",
        "for each peer and way, 128 more a message; at least MAX_MESSAGE_BYTES";
    Plain OVERFLOW_BYTES "N" = "8388608",
        "shared by all peers, for what their own queues have no room for";
    Plain CONNECT_TIMEOUT "SECONDS" = "15",
        "until the wish to reach a peer is given up";
    Plain RECOVERY_TIMEOUT "SECONDS" = "60",
        "how long messages are kept for a peer, from when it was last heard";
    Plain SEND_STALL_SECONDS "SECONDS" = "10",
        "until a peer that takes nothing is refused further messages";
    Plain METERED "on|off" = "off",
        "on: for lines paid by the byte; less while idle, later notice of silence";
    Plain UDP_PORT "PORT|FIRST-LAST" = "",
        "UDP port or range to use; without it any";
    Plain EXTERNAL_ADDRESS "IP[:PORTS]" = "",
        "where our UDP ports are reached from outside, as in 203.0.113.7:5000-5002";
    Plain BIND_ADDRESS "IP" = "",
        "the only local address to use";
    Plain INTERFACES "LIST" = "",
        "network interfaces to use, as in eth0,wlan*; -name or !name: not this one";
    Plain IPV6 "on|off" = "on",
        "whether IPv6 addresses are used";
    Plain STUN_URL "LIST" = "none",
        "servers that tell our address, as in stun:host,stun:host:port";
    Plain TURN_URL "LIST" = "none",
        "relays, as in turn:host:port, turn:host?transport=tcp, turns:host:443";
    Secret TURN_SECRET "SECRET" = "",
        "shared with the relays; logins that expire are made of it";
    Plain TURN_SECRET_FILE "FILE" = "",
        "file that holds it";
    Plain TURN_USERNAME "NAME" = "",
        "our name at the relays, without TURN_SECRET";
    Secret TURN_PASSWORD "PASSWORD" = "",
        "the password for it";
    Plain TURN_PASSWORD_FILE "FILE" = "",
        "file that holds it";
    Plain ICE_TRANSPORT_POLICY "all|relay" = "all",
        "which ways to a peer are allowed; relay: through TURN servers only";
    Plain ICE_SERVERS_FROM_REGISTRY "on|off" = "on",
        "whether servers that the registry names are used, after those named here";
    Plain REPORT_TOPOLOGY "on|off" = "on",
        "whether the registry is told with whom we are connected";
    Plain METRICS "ADDRESS" = "",
        "where numbers are told over HTTP: IP:PORT, as in 127.0.0.1:9464, or a socket's path";
    Plain METRICS_PEERS "on|off" = "off",
        "whether peers are named in the metrics, each with numbers of its own";
    Plain RUST_LOG "FILTER" = "info",
        "log filter, as in warn or info,mesh=debug; logs go to stderr";
    Plain LOG_FORMAT "text|json" = "text",
        "log lines for people or for machines";
    Plain ENV_FILE "FILE" = "",
        "NAME=value lines, below the environment; without it the nearest .env; none: no file";
    Plain CONFIG_FILE "FILE" = "",
        "the same, below that; without it ~/.config/chatixia-sidecar/config, as join writes it";
}

table! {
    /// The settings of `doctor` beside the sidecar's.
    DOCTOR:
    FlagOnly JSON "" = "",
        "print a JSON object a line";
    FlagOnly BESIDE_SIDECAR "" = "",
        "a sidecar without a socket runs with these settings: leave its place and its ports alone";
}

table! {
    /// The settings of `mcp` beside the sidecar's.
    MCP:
    Plain MCP_ALLOW "LIST" = "",
        "tools that the host may call, as in list_peers,ask,inbox,reply; without it all";
    Plain MCP_CHANNEL "on|off" = "off",
        "on: messages are announced through Claude Code's channels, for which it has to be started";
}

table! {
    /// The settings of `registry` beside those of the log.
    REGISTRY:
    Plain PORT "PORT" = "8080",
        "TCP port to listen on; 0: any free one";
    Plain LISTEN "IP" = "127.0.0.1",
        "address to listen on";
    Plain API_KEYS_FILE "FILE" = "",
        "JSON file of the keys that are let in: {\"keys\": {KEY: {\"peer_id\": ID, \"role\": ROLE}}}";
    FlagOnly OPEN "" = "",
        "let every key in; its text is the peer's id";
    Plain REGISTRY_DATA "DIRECTORY" = "",
        "where keys, paired devices, agents and tasks are kept; without it in memory only";
    Secret REGISTRY_STORE "URL" = "",
        "a Redis or Valkey for all that, which several registries share: redis://:PASSWORD@HOST, rediss://, redis-sentinel://";
    Plain REGISTRY_TLS_CERT "FILE" = "",
        "PEM file of the certificate and its chain, for https:// and wss://";
    Plain REGISTRY_TLS_KEY "FILE" = "",
        "PEM file of its private key";
    Plain TRUST_PROXY "LIST" = "",
        "addresses and networks of proxies that name their clients in X-Forwarded-For";
    Plain PATH_PREFIX "PREFIX" = "",
        "path before /ws and /api, as in /mesh, where a proxy leaves it there";
    FlagOnly RELAY "" = "",
        "answer STUN and relay (TURN), over UDP and over the registry's own port";
    Plain RELAY_LISTEN "[IP:]PORT" = "3478",
        "UDP port of the relay, at LISTEN if no address is given";
    Plain RELAY_HOST "HOST" = "",
        "name or address by which the relay is found; without it the registry's";
    Plain RELAY_PORTS "FIRST-LAST" = "49152-65535",
        "UDP ports that are lent to clients";
    Plain RELAY_RATE "MBIT" = "20",
        "megabits a second that are relayed for each peer, both ways together";
    Plain RELAY_ALLOW "LIST" = "",
        "networks that are relayed to although private, or our own, as in 10.0.0.0/8";
    FlagOnly SHOW_FRAMES "" = "",
        "print a line for each frame that is answered or relayed: its type, from whom and to whom";
    FlagOnly UNTIL_EOF "" = "",
        "end when standard input ends, so as not to outlive the program that started it";
}

/// `--registry` of `invite`, which is a flag only: `REGISTRY_URL` is the variable for it.
#[cfg(feature = "registry")]
pub const INVITED_TO: Setting = Setting {
    name: "REGISTRY",
    syntax: "URL",
    default: "",
    help: "the registry as the other machine reaches it; without it REGISTRY_URL",
    kind: Kind::FlagOnly,
};

table! {
    /// The settings of `pair` that are its own.
    PAIR:
    Plain DEVICE_TOKEN_FILE "FILE" = "device-token",
        "where the token goes, readable by its owner only";
    Plain AGENT_NAME "NAME" = "",
        "the name of the agent, as others will see it; without it this machine's";
}

table! {
    /// The settings of `demo`.
    DEMO:
    FlagOnly PEERS "N" = "2",
        "sidecars, 2 to 20";
    FlagOnly MESSAGES "N" = "1000",
        "round trips to measure";
    FlagOnly TIMEOUT "SECONDS" = "60",
        "until it is given up; give more under an emulator";
    FlagOnly BINARY "PATH" = "",
        "what to run as registry and sidecars, such as a script that calls an emulator";
}

#[cfg(feature = "registry")]
table! {
    /// The settings of `health` that are its own.
    HEALTH:
    FlagOnly OF_REGISTRY "" = "",
        "ask the registry on LISTEN and PORT, not the sidecar";
}

/// The flags that were given, each with its value. A switch has an empty one.
#[derive(Debug, Default)]
pub struct Flags(HashMap<&'static str, String>);

impl Flags {
    /// Adds a flag; if it is given several times, the last counts.
    pub fn set(&mut self, setting: &Setting, value: String) {
        self.0.insert(setting.name, value);
    }

    /// Returns the value that was given.
    pub(super) fn get(&self, setting: &Setting) -> Option<&str> {
        self.0.get(setting.name).map(String::as_str)
    }

    /// Returns whether it was given.
    pub fn has(&self, setting: &Setting) -> bool {
        self.0.contains_key(setting.name)
    }
}

/// A reader of settings: finds each setting's value, and gathers what is wrong with the values.
pub(crate) struct Reader<'a, E> {
    flags: &'a Flags,
    environment: E,
    errors: Vec<String>,
}

impl<'a, E: Fn(&str) -> Option<OsString>> Reader<'a, E> {
    /// Makes a reader. Flags win over `environment`, where an empty value counts as none.
    pub(crate) fn new(flags: &'a Flags, environment: E) -> Self {
        Reader {
            flags,
            environment,
            errors: Vec::new(),
        }
    }

    /// Returns the value of a setting, made by `parse`, whose error says what would be right.
    ///
    /// An error is kept for [`Reader::finish`]; the value returned is then a mere placeholder.
    pub(crate) fn read<T: Default>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let (origin, value) = match self.flags.0.get(setting.name) {
            Some(value) => (format!("--{} ", setting.flag()), value.clone()),
            None => (
                format!("{}=", setting.name),
                self.environment_or_default(setting),
            ),
        };
        parse(&value).unwrap_or_else(|problem| {
            let error = match setting.kind {
                Kind::Secret | Kind::Proxy => format!("{}: {problem}", setting.name),
                Kind::Plain | Kind::FlagOnly => format!("{origin}{}: {problem}", shown(&value)),
            };
            // Several values may follow from one setting.
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
            T::default()
        })
    }

    fn environment_or_default(&mut self, setting: &Setting) -> String {
        let value = match setting.kind {
            Kind::FlagOnly => None,
            Kind::Plain | Kind::Secret => (self.environment)(setting.name),
            Kind::Proxy => self.proxy(setting.name),
        };
        match value.map(OsString::into_string) {
            None => setting.default.to_owned(),
            Some(Ok(value)) if value.is_empty() => setting.default.to_owned(),
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.error(format!("{}: the value is not UTF-8", setting.name));
                setting.default.to_owned()
            }
        }
    }

    /// Returns a variable whose name may be in lower case. In a CGI program `HTTP_PROXY` is what a client has
    /// sent as its header `Proxy`.
    fn proxy(&self, name: &str) -> Option<OsString> {
        let find = |name: &str| (self.environment)(name).filter(|value| !value.is_empty());
        let is_header = name == HTTP_PROXY.name && find("REQUEST_METHOD").is_some();
        find(&name.to_ascii_lowercase()).or_else(|| find(name).filter(|_| !is_header))
    }

    /// Returns whether a setting was given, as a flag or in the environment.
    pub(crate) fn is_given(&self, setting: &Setting) -> bool {
        let in_environment = || (self.environment)(setting.name).is_some_and(|v| !v.is_empty());
        self.flags.has(setting) || in_environment()
    }

    /// Notes an error if a setting of protection is there, but empty. Taken as not given, it would silently protect
    /// nothing: Compose hands on a variable that is not set as an empty one.
    pub(crate) fn refuse_empty(&mut self, setting: &Setting) {
        let value = || (self.environment)(setting.name);
        if !self.flags.has(setting) && value().is_some_and(|value| value.is_empty()) {
            self.error(format!(
                "{}: it is empty, which protects nothing; give it a value, or unset it",
                setting.name
            ));
        }
    }

    /// Notes an error about the settings together.
    pub(crate) fn error(&mut self, problem: String) {
        self.errors.push(problem);
    }

    /// Returns whether nothing wrong has been found so far.
    pub(crate) fn all_right(&self) -> bool {
        self.errors.is_empty()
    }

    /// Returns the result, or the errors if there were any, one line each.
    pub(crate) fn finish<T>(self, result: T) -> Result<T, Vec<String>> {
        if self.errors.is_empty() {
            Ok(result)
        } else {
            Err(self.errors)
        }
    }
}

/// Returns a value as an error repeats it: on one line, not too long, without the password and the query
/// of a URL.
fn shown(value: &str) -> String {
    const LONGEST: usize = 100;
    if value.is_empty() {
        return "\"\"".to_owned();
    }
    // The URLs of TURN and STUN have no slashes.
    let scheme_end = value
        .find("://")
        .map(|at| at + 3)
        .or(value.find(':').map(|at| at + 1));
    if let (Some(end), Some((_, host))) = (scheme_end, value.rsplit_once('@')) {
        let scheme = value.get(..end).unwrap_or_default();
        return shown(&format!("{scheme}***{host}"));
    }
    if let (true, Some((public, _))) = (value.contains("://"), value.split_once(['?', '#'])) {
        return shown(public) + "?***";
    }
    let mut shown: String = value
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if value.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_the_variable_in_lower_case_with_dashes() {
        assert_eq!(SIGNALING_URL.flag(), "signaling-url");
    }

    #[test]
    fn no_name_occurs_twice() {
        let mut names: Vec<_> = [SIDECAR, DOCTOR, REGISTRY, PAIR, DEMO]
            .concat()
            .iter()
            .map(|setting| setting.name)
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_repeated_value_is_one_short_line() {
        assert_eq!(shown("a\nb"), "a\\nb");
        assert_eq!(shown("ws://user:pa@ss@host/"), "ws://***host/");
        assert_eq!(shown("turn:user:pass@host:1"), "turn:***host:1");
        assert_eq!(shown("turn:a:b@host,turns:c:d@other"), "turn:***other");
        assert_eq!(shown("ws://h /ws?key=s3cret"), "ws://h /ws?***");
        assert_eq!(shown("ws://a@h/?key=s3cret"), "ws://***h/?***");
        assert_eq!(shown(&"x".repeat(101)).chars().count(), 101);
    }
}
