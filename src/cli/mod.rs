//! The command line: turns arguments and environment into an [`Invocation`], without doing anything yet.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

use crate::config::settings::{self, Flags, Setting};
use crate::config::{self, Config, Sources, Surroundings};

pub mod help;
pub mod limits;
mod nearest;

use help::Topic;
use nearest::nearest;

/// A request of the command line to the program.
#[derive(Debug)]
pub enum Invocation {
    /// Run the sidecar.
    Sidecar(Box<Config>),
    /// Check what can be reached with the sidecar's settings.
    Doctor {
        /// The sidecar's settings.
        config: Box<Config>,
        /// Whether to report in JSON.
        json: bool,
        /// Whether a sidecar with the same settings runs.
        beside_sidecar: bool,
    },
    /// Run the sidecar, and be an MCP server in its agent's place.
    Mcp(Box<config::McpConfig>),
    /// Put a person in the agent's place.
    Attach {
        /// The sidecar's socket.
        socket: PathBuf,
    },
    /// Show the numbers of a sidecar.
    Top {
        /// Where the sidecar tells them.
        address: config::metrics::MetricsAddress,
    },
    /// Say whether a sidecar, or a registry, is well.
    Health(config::HealthConfig),
    /// Tell by what certificate peers know us.
    Identity(config::IdentityConfig),
    /// Write what a ticket holds to a file.
    Join(config::JoinConfig),
    /// Redeem an invitation.
    Pair(Box<config::PairConfig>),
    /// Run a registry.
    #[cfg(feature = "registry")]
    Registry(Box<config::RegistryConfig>),
    /// Tell a registry that runs something.
    #[cfg(feature = "registry")]
    Order(config::OrderConfig),
    /// Show registry, sidecars and agents at work.
    #[cfg(feature = "registry")]
    Demo(config::DemoConfig),
    /// Print this and end.
    Print(String),
}

/// Everything there is to say about one way to use the program. `--help`, the manual page and the shells'
/// completions are made of it.
#[derive(Debug)]
pub struct Manual {
    /// The first argument; `None` for the sidecar itself.
    pub subcommand: Option<&'static str>,
    /// The parts of its help text beside the settings.
    pub topic: Topic,
    /// The settings that it takes, each a flag and a variable.
    pub settings: Vec<&'static Setting>,
}

/// Returns the manual of every use of the program, the sidecar itself first.
pub fn manuals() -> Vec<Manual> {
    let named = Subcommand::NAMED.iter().map(|(_, subcommand)| *subcommand);
    let all = std::iter::once(Subcommand::Sidecar).chain(named);
    all.map(Subcommand::manual).collect()
}

/// The subcommand that the first argument names; without one the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subcommand {
    Sidecar,
    Mcp,
    Doctor,
    Attach,
    Top,
    Health,
    Identity,
    Join,
    Pair,
    Limits,
    #[cfg(feature = "registry")]
    Registry,
    #[cfg(feature = "registry")]
    Invite,
    #[cfg(feature = "registry")]
    Demo,
}

impl Subcommand {
    const NAMED: &[(&str, Subcommand)] = &[
        ("mcp", Subcommand::Mcp),
        ("doctor", Subcommand::Doctor),
        ("attach", Subcommand::Attach),
        ("top", Subcommand::Top),
        ("health", Subcommand::Health),
        ("identity", Subcommand::Identity),
        ("join", Subcommand::Join),
        ("pair", Subcommand::Pair),
        ("limits", Subcommand::Limits),
        #[cfg(feature = "registry")]
        ("registry", Subcommand::Registry),
        #[cfg(feature = "registry")]
        ("invite", Subcommand::Invite),
        #[cfg(feature = "registry")]
        ("demo", Subcommand::Demo),
    ];

    fn named(name: &str) -> Option<Subcommand> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, subcommand)| *subcommand)
    }

    fn settings(self) -> Vec<&'static Setting> {
        let files = &[&settings::ENV_FILE, &settings::CONFIG_FILE][..];
        match self {
            Subcommand::Sidecar => settings::SIDECAR.to_vec(),
            Subcommand::Mcp => {
                let of_sidecar = settings::SIDECAR.iter().copied();
                let of_sidecar = of_sidecar.filter(|setting| **setting != settings::STDIO);
                settings::MCP.iter().copied().chain(of_sidecar).collect()
            }
            Subcommand::Doctor => [settings::DOCTOR, settings::SIDECAR].concat(),
            Subcommand::Attach => [&[&settings::IPC_SOCKET], files].concat(),
            Subcommand::Top => [&[&settings::METRICS], files].concat(),
            #[cfg(not(feature = "registry"))]
            Subcommand::Health => [&[&settings::IPC_SOCKET], files].concat(),
            #[cfg(feature = "registry")]
            Subcommand::Health => {
                let of_registry = [
                    &settings::LISTEN,
                    &settings::PORT,
                    &settings::REGISTRY_TLS_CERT,
                    &settings::REGISTRY_TLS_KEY,
                ];
                [
                    &[&settings::IPC_SOCKET],
                    files,
                    settings::HEALTH,
                    &of_registry,
                ]
                .concat()
            }
            Subcommand::Identity => [&[&settings::IDENTITY_FILE], files].concat(),
            Subcommand::Join => vec![&settings::CONFIG_FILE],
            Subcommand::Limits => Vec::new(),
            Subcommand::Pair => {
                let of_sidecar = [
                    &settings::REGISTRY_URL,
                    &settings::TOKEN_URL,
                    &settings::CA_FILE,
                    &settings::SSL_CERT_FILE,
                    &settings::SSL_CERT_DIR,
                    &settings::HTTPS_PROXY,
                    &settings::HTTP_PROXY,
                    &settings::ALL_PROXY,
                    &settings::NO_PROXY,
                    &settings::RUST_LOG,
                    &settings::LOG_FORMAT,
                ];
                [settings::PAIR, &of_sidecar, files].concat()
            }
            #[cfg(feature = "registry")]
            Subcommand::Registry => {
                let shared = [
                    &settings::CA_FILE,
                    &settings::SSL_CERT_FILE,
                    &settings::SSL_CERT_DIR,
                    &settings::EXTERNAL_ADDRESS,
                    &settings::STUN_URL,
                    &settings::TURN_URL,
                    &settings::TURN_SECRET,
                    &settings::RUST_LOG,
                    &settings::LOG_FORMAT,
                ];
                [settings::REGISTRY, &shared].concat()
            }
            #[cfg(feature = "registry")]
            Subcommand::Invite => {
                let own = [
                    &settings::INVITED_TO,
                    &settings::REGISTRY_URL,
                    &settings::REGISTRY_DATA,
                    &settings::MESH_SECRET,
                    &settings::MESH_SECRET_FILE,
                ];
                [&own, files].concat()
            }
            #[cfg(feature = "registry")]
            Subcommand::Demo => settings::DEMO.to_vec(),
        }
    }

    fn topic(self) -> Topic {
        match self {
            Subcommand::Sidecar => help::SIDECAR,
            Subcommand::Mcp => help::MCP,
            Subcommand::Doctor => help::DOCTOR,
            Subcommand::Attach => help::ATTACH,
            Subcommand::Top => help::TOP,
            Subcommand::Health => help::HEALTH,
            Subcommand::Identity => help::IDENTITY,
            Subcommand::Join => help::JOIN,
            Subcommand::Pair => help::PAIR,
            Subcommand::Limits => help::LIMITS,
            #[cfg(feature = "registry")]
            Subcommand::Registry => help::REGISTRY,
            #[cfg(feature = "registry")]
            Subcommand::Invite => help::INVITE,
            #[cfg(feature = "registry")]
            Subcommand::Demo => help::DEMO,
        }
    }

    fn manual(self) -> Manual {
        let mut names = Self::NAMED.iter();
        let named = names.find(|(_, subcommand)| *subcommand == self);
        Manual {
            subcommand: named.map(|(name, _)| *name),
            topic: self.topic(),
            settings: self.settings(),
        }
    }

    fn help(self) -> Invocation {
        Invocation::Print(help::text(self.topic(), &self.settings()))
    }
}

/// Reads the command line. `arguments` are those after the program's name. What no flag gives comes from
/// `surroundings`.
///
/// # Errors
/// One line for each thing that is wrong; the process then ends with code 2.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString, IntoIter: 'static>,
    surroundings: impl Surroundings,
) -> Result<Invocation, Vec<String>> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = arguments.first().and_then(|first| first.to_str());
    let subcommand = match first {
        Some("help") => {
            let asked_for = arguments.get(1).and_then(|name| name.to_str());
            return match asked_for {
                None => Ok(Subcommand::Sidecar.help()),
                Some(name) => Subcommand::named(name)
                    .map(Subcommand::help)
                    .ok_or_else(|| vec![unknown_subcommand(name)]),
            };
        }
        Some(name) if !name.starts_with('-') => {
            let subcommand = Subcommand::named(name);
            let subcommand = subcommand.ok_or_else(|| vec![unknown_subcommand(name)])?;
            arguments.remove(0);
            subcommand
        }
        _ => Subcommand::Sidecar,
    };
    let (mut flags, words) = match read_flags(arguments, subcommand)? {
        Asked::For(flags, words) => (flags, words),
        Asked::Help => return Ok(subcommand.help()),
        Asked::Version => return Ok(Invocation::Print(help::version())),
    };
    if subcommand == Subcommand::Mcp {
        config::McpConfig::complete(&mut flags, |name| surroundings.variable(name));
    }
    let known = match subcommand {
        // The file that it writes need not be there yet.
        Subcommand::Join => Vec::new(),
        _ => subcommand.settings(),
    };
    let sources = Sources::read(&flags, &known, &surroundings)?;
    let environment = |name: &str| sources.variable(name);
    match subcommand {
        Subcommand::Sidecar => {
            sidecar_config(&flags, &sources).map(|config| Invocation::Sidecar(Box::new(config)))
        }
        Subcommand::Doctor => sidecar_config(&flags, &sources).map(|config| Invocation::Doctor {
            config: Box::new(config),
            json: flags.has(&settings::JSON),
            beside_sidecar: flags.has(&settings::BESIDE_SIDECAR),
        }),
        Subcommand::Mcp => {
            let sidecar = sidecar_config(&flags, &sources)?;
            config::McpConfig::from(&sidecar, &flags, environment)
                .map(|config| Invocation::Mcp(Box::new(config)))
        }
        Subcommand::Attach => {
            config::attach_socket(&flags, environment).map(|socket| Invocation::Attach { socket })
        }
        Subcommand::Top => {
            config::top_address(&flags, environment).map(|address| Invocation::Top { address })
        }
        Subcommand::Health => {
            config::HealthConfig::from(&flags, environment).map(Invocation::Health)
        }
        Subcommand::Pair => {
            let code = words.first().map(String::as_str);
            config::PairConfig::from(code, &flags, environment)
                .map(|config| Invocation::Pair(Box::new(config)))
        }
        #[cfg(feature = "registry")]
        Subcommand::Registry => {
            match config::RegistryOrder::from(&words).map_err(|error| vec![error])? {
                Some(order) => {
                    config::OrderConfig::from(order, &flags, environment).map(Invocation::Order)
                }
                None => config::RegistryConfig::from(&flags, environment)
                    .map(|config| Invocation::Registry(Box::new(config))),
            }
        }
        Subcommand::Identity => {
            config::IdentityConfig::from(&flags, environment).map(Invocation::Identity)
        }
        Subcommand::Join => {
            let ticket = words.first().map(String::as_str);
            config::JoinConfig::from(ticket, &flags, environment).map(Invocation::Join)
        }
        Subcommand::Limits => Ok(Invocation::Print(limits::text())),
        #[cfg(feature = "registry")]
        Subcommand::Invite => {
            let name = words.first().map(String::as_str);
            config::OrderConfig::invite(name, &flags, environment).map(Invocation::Order)
        }
        #[cfg(feature = "registry")]
        Subcommand::Demo => config::DemoConfig::from(&flags).map(Invocation::Demo),
    }
}

/// Reads the sidecar's settings, with what there is to say about the files that they come from.
fn sidecar_config(
    flags: &Flags,
    sources: &Sources<'_, impl Surroundings>,
) -> Result<Config, Vec<String>> {
    let mut config = Config::from(flags, |name| sources.variable(name))?;
    config.notes.clone_from(&sources.notes);
    config.doubts.extend(sources.doubts.iter().cloned());
    Ok(config)
}

/// The result of reading the arguments after a subcommand.
enum Asked {
    /// The flags, and the words that are none.
    For(Flags, Vec<String>),
    Help,
    Version,
}

/// Reads flags. A flag that asks for help or the version wins over anything wrong before it.
fn read_flags(arguments: Vec<OsString>, subcommand: Subcommand) -> Result<Asked, Vec<String>> {
    let known = subcommand.settings();
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut flags = Flags::default();
    let mut words = Vec::new();
    let mut errors = Vec::new();
    // The argument after an unknown flag is probably its value, and may be a secret: it is not repeated.
    let mut after_unknown = false;
    loop {
        // A flag's name borrows from the parser, which is needed again for its value.
        let setting = match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Long("help") | Arg::Short('h'))) => return Ok(Asked::Help),
            Ok(Some(Arg::Long("version") | Arg::Short('V'))) => return Ok(Asked::Version),
            Ok(Some(Arg::Long(name))) => {
                let setting = known.iter().find(|setting| setting.flag() == name);
                let setting = setting.copied().ok_or_else(|| unknown_flag(name, &known));
                after_unknown = setting.is_err() && parser.optional_value().is_none();
                setting
            }
            Ok(Some(Arg::Short(letter))) => Err(format!("unknown flag -{letter}; see --help")),
            Ok(Some(Arg::Value(_))) if std::mem::take(&mut after_unknown) => continue,
            Ok(Some(Arg::Value(value))) => match (subcommand, value.into_string()) {
                (Subcommand::Attach | Subcommand::Health, Ok(value)) => {
                    flags.set(&settings::IPC_SOCKET, value);
                    continue;
                }
                (Subcommand::Top, Ok(value)) => {
                    flags.set(&settings::METRICS, value);
                    continue;
                }
                (Subcommand::Pair | Subcommand::Join, Ok(word)) if words.is_empty() => {
                    words.push(word);
                    continue;
                }
                #[cfg(feature = "registry")]
                (Subcommand::Invite, Ok(word)) if words.is_empty() => {
                    words.push(word);
                    continue;
                }
                #[cfg(feature = "registry")]
                (Subcommand::Registry, Ok(word)) => {
                    words.push(word);
                    continue;
                }
                (_, value) => Err(unexpected(value)),
            },
            Err(error) => Err(error.to_string()),
        };
        let read = setting.and_then(|setting| {
            if setting.syntax.is_empty() {
                return match parser.optional_value() {
                    None => Ok((setting, String::new())),
                    Some(_) => Err(format!("--{} takes no value", setting.flag())),
                };
            }
            let value = parser.value().map_err(|_| {
                format!(
                    "--{flag} needs a value: --{flag} {}",
                    setting.syntax,
                    flag = setting.flag()
                )
            })?;
            let value = value
                .into_string()
                .map_err(|_| format!("--{}: the value is not UTF-8", setting.flag()))?;
            Ok((setting, value))
        });
        match read {
            Ok((setting, value)) => flags.set(setting, value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(Asked::For(flags, words))
    } else {
        Err(errors)
    }
}

fn unexpected(argument: Result<String, OsString>) -> String {
    match argument {
        Ok(argument) if Subcommand::named(&argument).is_some() => {
            format!("unexpected argument {argument}: a subcommand comes first")
        }
        Ok(argument) => format!("unexpected argument {argument:?}; see --help"),
        Err(_) => "an argument is not UTF-8".to_owned(),
    }
}

fn unknown_subcommand(name: &str) -> String {
    let known = Subcommand::NAMED.iter().map(|(name, _)| (*name).to_owned());
    let hint = match nearest(name, known) {
        Some(known) => format!("did you mean {known}?"),
        None => "see --help".to_owned(),
    };
    format!("unknown subcommand {name:?}; {hint}")
}

fn unknown_flag(name: &str, known: &[&Setting]) -> String {
    let known = known.iter().map(|setting| setting.flag());
    let hint = match nearest(name, known.chain(["help".to_owned(), "version".to_owned()])) {
        Some(known) => format!("did you mean --{known}?"),
        None => "see --help".to_owned(),
    };
    format!("unknown flag --{}; {hint}", name.escape_debug())
}

#[cfg(test)]
mod tests;
