use super::*;
use crate::config::settings::Kind;

fn parse_words(words: &[&str]) -> Result<Invocation, Vec<String>> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    parse(words, |_: &str| None)
}

fn printed(words: &[&str]) -> String {
    match parse_words(words) {
        Ok(Invocation::Print(text)) => text,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn errors(words: &[&str]) -> Vec<String> {
    parse_words(words).unwrap_err()
}

fn sidecar(words: &[&str]) -> Config {
    match parse_words(words) {
        Ok(Invocation::Sidecar(config)) => *config,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn no_arguments_are_the_sidecar() {
    assert_eq!(sidecar(&[]).max_peers, 256);
}

#[test]
fn a_flag_takes_its_value_after_a_space_or_an_equals_sign() {
    let url = "wss://r.example/ws?a=b";
    let with_equals = format!("--signaling-url={url}");
    for arguments in [&["--signaling-url", url][..], &[&with_equals]] {
        assert_eq!(*sidecar(arguments).signaling_url.uri(), url);
    }
    assert_eq!(
        sidecar(&["--interfaces", "-docker0"]).interfaces.deny,
        ["docker0"]
    );
    assert_eq!(
        sidecar(&["--max-peers", "3", "--max-peers", "4"]).max_peers,
        4
    );
}

#[test]
fn the_environment_is_asked_for_what_no_flag_gives() {
    let environment = |name: &str| (name == "MAX_PEERS").then(|| OsString::from("7"));
    let parsed = parse([OsString::from("--mesh=lazy")], environment);
    let Ok(Invocation::Sidecar(config)) = parsed else {
        panic!("{parsed:?}")
    };
    assert_eq!(config.max_peers, 7);
}

#[test]
fn the_help_has_every_setting_with_its_default_and_every_exit_code() {
    let help = printed(&["--help"]);
    for setting in settings::SIDECAR {
        let flag = format!("--{} {}", setting.flag(), setting.syntax);
        let variable = match setting.kind {
            Kind::FlagOnly => "",
            Kind::Plain | Kind::Secret | Kind::Proxy => setting.name,
        };
        for part in [flag.trim_end(), variable, setting.help, setting.default] {
            assert!(help.contains(part), "{part}");
        }
    }
    for (name, _) in Subcommand::NAMED {
        assert!(
            help.contains(&format!("chatixia-sidecar {name} ")),
            "{name}"
        );
    }
    for code in 0..=4 {
        assert!(help.contains(&format!("\n  {code}  ")), "{code}");
    }
    let widest = help.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?}");
}

#[test]
fn help_is_the_same_however_it_is_asked_for() {
    let help = printed(&["--help"]);
    assert_eq!(printed(&["-h"]), help);
    assert_eq!(printed(&["help"]), help);
    assert_eq!(printed(&["--nonsense", "--help"]), help);
    for (name, subcommand) in Subcommand::NAMED {
        let help = printed(&["help", name]);
        assert_eq!(printed(&[name, "--help"]), help);
        for setting in subcommand.settings() {
            assert!(help.contains(&format!("--{}", setting.flag())));
        }
    }
}

#[test]
fn the_version_is_one_line() {
    let version = format!("chatixia-sidecar {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"]), version);
    assert_eq!(printed(&["-V"]), version);
}

#[test]
fn unknown_names_are_told_with_the_nearest_known_one() {
    assert_eq!(
        errors(&["--signalling-url=ws://a", "--xyzzy"]),
        [
            "unknown flag --signalling-url; did you mean --signaling-url?",
            "unknown flag --xyzzy; see --help"
        ]
    );
    assert_eq!(
        errors(&["--apikey", "opensesame", "--ap-key=opensesame"]),
        [
            "unknown flag --apikey; did you mean --api-key?",
            "unknown flag --ap-key; did you mean --api-key?"
        ]
    );
    assert_eq!(
        errors(&["atach"]),
        ["unknown subcommand \"atach\"; did you mean attach?"]
    );
    assert_eq!(
        errors(&["help", "xyzzy"]),
        ["unknown subcommand \"xyzzy\"; see --help"]
    );
    assert_eq!(errors(&["-x"]), ["unknown flag -x; see --help"]);
}

#[test]
fn what_is_in_the_wrong_place_is_told() {
    assert_eq!(
        errors(&["--max-peers"]),
        ["--max-peers needs a value: --max-peers N"]
    );
    assert_eq!(
        errors(&["--mesh=lazy", "attach"]),
        ["unexpected argument attach: a subcommand comes first"]
    );
    assert_eq!(
        errors(&["--mesh=lazy", "x"]),
        ["unexpected argument \"x\"; see --help"]
    );
}

#[test]
fn arguments_that_are_not_utf8_are_told() {
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(vec![b'x', 0xff]);
    for (arguments, expected) in [
        (vec![bad()], "an argument is not UTF-8"),
        (
            vec!["--ipc-socket".into(), bad()],
            "--ipc-socket: the value is not UTF-8",
        ),
        (vec!["attach".into(), bad()], "an argument is not UTF-8"),
    ] {
        assert_eq!(parse(arguments, |_: &str| None).unwrap_err(), [expected]);
    }
}

#[test]
fn attach_takes_the_socket_as_argument_flag_or_variable() {
    let socket = |words: &[&str], variable: Option<&str>| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let variable = variable.map(OsString::from);
        let environment = move |name: &str| variable.clone().filter(|_| name == "IPC_SOCKET");
        match parse(words, environment) {
            Ok(Invocation::Attach { socket }) => socket,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        socket(&["attach"], None),
        PathBuf::from("/tmp/chatixia-sidecar.sock")
    );
    assert_eq!(socket(&["attach"], Some("/v")), PathBuf::from("/v"));
    assert_eq!(socket(&["attach", "/a"], Some("/v")), PathBuf::from("/a"));
    assert_eq!(
        socket(&["attach", "--ipc-socket", "/f"], Some("/v")),
        PathBuf::from("/f")
    );
}

#[cfg(feature = "registry")]
mod registry {
    use super::*;
    use crate::config::{DemoConfig, RegistryAccess, RegistryConfig};
    use std::time::Duration;

    fn registry(words: &[&str]) -> RegistryConfig {
        match parse_words(words) {
            Ok(Invocation::Registry(config)) => *config,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn a_registry_listens_here_unless_told_otherwise() {
        let config = registry(&["registry", "--open"]);
        assert_eq!(config.address.to_string(), "127.0.0.1:8080");
        assert_eq!(config.access, RegistryAccess::Open);
        assert!(!config.until_eof);
        let config = registry(&["registry", "--open", "--listen", "::", "--port=0"]);
        assert_eq!(config.address.to_string(), "[::]:0");
    }

    #[test]
    fn a_registry_without_keys_says_what_to_do() {
        assert_eq!(
            errors(&["registry"]),
            [
                "registry: give the keys that are let in with API_KEYS_FILE, or a directory for them \
                 with REGISTRY_DATA, or --open to let every key in"
            ]
        );
        let config = registry(&["registry", "--api-keys-file", "/keys"]);
        assert_eq!(config.access, RegistryAccess::Listed(Some("/keys".into())));
        assert_eq!(
            errors(&["registry", "--open=yes"]),
            ["--open takes no value"]
        );
        assert_eq!(
            errors(&["registry", "--open", "--port", "70000", "--listen", "x"]),
            [
                "--listen x: give an IP address without a port",
                "--port 70000: give a port from 0 to 65535"
            ]
        );
    }

    #[test]
    fn a_demo_has_limits() {
        match parse_words(&["demo", "--peers", "20"]) {
            Ok(Invocation::Demo(config)) => assert_eq!(
                config,
                DemoConfig {
                    peers: 20,
                    messages: 1000,
                    timeout: Duration::from_secs(60),
                    binary: None
                }
            ),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            errors(&["demo", "--peers", "21"]),
            ["--peers 21: give a whole number from 2 to 20"]
        );
    }
}
