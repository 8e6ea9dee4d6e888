use super::trust::SystemStore;
use super::*;
use crate::nat::credentials::Credentials;
use crate::nat::reach::TransportPolicy;

/// A configuration from `NAME=value` words, flags first after their `--`.
fn config(words: &[&str]) -> Result<Config, Vec<String>> {
    let split = |word: &str| {
        let (name, value) = word.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    let mut flags = Flags::default();
    for (name, value) in words
        .iter()
        .filter_map(|word| word.strip_prefix("--"))
        .map(split)
    {
        let setting = settings::SIDECAR
            .iter()
            .find(|setting| setting.flag() == name)
            .unwrap();
        flags.set(setting, value);
    }
    let environment: Vec<_> = words
        .iter()
        .filter(|word| !word.starts_with("--"))
        .map(|word| split(word))
        .collect();
    Config::from(&flags, |name| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

/// The one error of a configuration.
fn error(words: &[&str]) -> String {
    let errors = config(words).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].clone()
}

#[test]
fn on_standard_input_and_output_there_is_no_socket_and_no_linger_unless_set() {
    let of = |words: &[&str]| {
        let config = config(words).unwrap();
        assert!(config.stdio);
        (config.ipc_socket, config.agent_linger, config.doubts.len())
    };
    let zero = Some(Duration::ZERO);
    assert_eq!(of(&["--stdio="]), (None, zero, 0));
    // An empty variable counts as none.
    assert_eq!(of(&["--stdio=", "IPC_SOCKET="]), (None, zero, 0));
    let socket = || Some(PathBuf::from("/s"));
    assert_eq!(of(&["--stdio=", "IPC_SOCKET=/s"]), (socket(), zero, 0));
    let linger = Some(Duration::from_secs(3));
    assert_eq!(of(&["--stdio=", "AGENT_LINGER=3"]), (None, linger, 0));
    // Nobody could come back to it.
    assert_eq!(of(&["--stdio=", "AGENT_LINGER=inf"]), (None, None, 1));
    let both = ["--stdio=", "AGENT_LINGER=inf", "--ipc-socket=/s"];
    assert_eq!(of(&both), (socket(), None, 0));
    assert!(!config(&["STDIO=1"]).unwrap().stdio);
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = config(&[]).unwrap();
    assert_eq!(config.signaling_url.to_string(), "ws://localhost:8080/ws");
    assert_eq!(
        config.token_url.to_string(),
        "http://localhost:8080/api/token"
    );
    assert_eq!(
        config.credential,
        Credential::ApiKey(Secret::new("ak_dev_001".to_owned()))
    );
    assert_eq!(
        config.ipc_socket,
        Some(PathBuf::from("/tmp/chatixia-sidecar.sock"))
    );
    assert_eq!(
        config.trust,
        Trust {
            ca_file: None,
            system: SystemStore::Usual,
        }
    );
    assert_eq!(config.udp_ports, None);
    assert_eq!(config.bind_address, None);
    assert_eq!(config.interfaces, InterfaceFilter::default());
    assert!(config.ipv6);
    assert_eq!(config.mesh, MeshMode::Full);
    assert_eq!(config.max_peers, 256);
    assert_eq!(config.max_message_bytes, 256 * 1024);
    assert_eq!(config.queue_bytes, 1024 * 1024);
    assert_eq!(config.overflow_bytes, 8 * 1024 * 1024);
    assert_eq!(config.connect_timeout, Duration::from_secs(15));
    assert_eq!(config.recovery_timeout, Duration::from_secs(60));
    assert_eq!(config.send_stall, Duration::from_secs(10));
    assert_eq!(config.agent_linger, Some(Duration::from_secs(30)));
    assert_eq!(config.log_filter, "info");
    assert_eq!(config.log_format, LogFormat::Text);
}

#[test]
fn flags_win_over_environment_over_defaults() {
    let config = config(&["--max-peers=3", "MAX_PEERS=4", "CONNECT_TIMEOUT=0.5"]).unwrap();
    assert_eq!(config.max_peers, 3);
    assert_eq!(config.connect_timeout, Duration::from_millis(500));
    assert_eq!(config.recovery_timeout, Duration::from_secs(60));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let config = config(&["SIGNALING_URL=", "MAX_PEERS=", "DEVICE_TOKEN=", "TURN_URL="]).unwrap();
    assert_eq!(config.signaling_url.to_string(), "ws://localhost:8080/ws");
    assert_eq!(config.max_peers, 256);
    assert!(matches!(config.credential, Credential::ApiKey(_)));
}

#[test]
fn a_device_token_takes_the_place_of_the_key() {
    let config = config(&["API_KEY=k", "DEVICE_TOKEN=t"]).unwrap();
    let token = Secret::new("t".to_owned());
    assert_eq!(config.credential, Credential::DeviceToken(token));
}

#[test]
fn words_are_taken_in_any_case() {
    let config = config(&["MESH=Lazy", "IPV6=OFF", "LOG_FORMAT=JSON"]).unwrap();
    assert_eq!(config.mesh, MeshMode::Lazy);
    assert!(!config.ipv6);
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn the_agent_may_be_waited_for_for_ever() {
    assert_eq!(config(&["AGENT_LINGER=inf"]).unwrap().agent_linger, None);
    let none = config(&["AGENT_LINGER=0"]).unwrap().agent_linger;
    assert_eq!(none, Some(Duration::ZERO));
}

#[test]
fn each_bad_value_is_told_with_what_would_be_right() {
    for (words, expected) in [
        (
            "SIGNALING_URL=http://localhost",
            "SIGNALING_URL=http://localhost: give a URL as in wss://host:port/path or ws://...",
        ),
        (
            "TOKEN_URL=localhost:8080",
            "TOKEN_URL=localhost:8080: give a URL as in https://host:port/path or http://...",
        ),
        (
            "--max-peers=0",
            "--max-peers 0: give a whole number from 1 to 10000",
        ),
        (
            "MAX_MESSAGE_BYTES=99999999999999999999",
            "MAX_MESSAGE_BYTES=99999999999999999999: give a whole number from 1024 to 1048576",
        ),
        (
            "QUEUE_BYTES=1 MiB",
            "QUEUE_BYTES=1 MiB: give a whole number from 1024 to 1073741824",
        ),
        (
            "OVERFLOW_BYTES=8 MiB",
            "OVERFLOW_BYTES=8 MiB: give a whole number from 0 to 1073741824",
        ),
        (
            "QUEUE_BYTES=262143",
            "QUEUE_BYTES=262143 is less than MAX_MESSAGE_BYTES=262144: a queue must hold a message",
        ),
        (
            "CONNECT_TIMEOUT=-1",
            "CONNECT_TIMEOUT=-1: give seconds from 0.1 to 600, as in 0.5",
        ),
        (
            "RECOVERY_TIMEOUT=1e9",
            "RECOVERY_TIMEOUT=1e9: give seconds from 0 to 86400, as in 0.5",
        ),
        (
            "SEND_STALL_SECONDS=0",
            "SEND_STALL_SECONDS=0: give seconds from 0.1 to 3600, as in 0.5",
        ),
        (
            "AGENT_LINGER=forever",
            "AGENT_LINGER=forever: give seconds from 0 to 2592000, as in 0.5, or inf",
        ),
        (
            "UDP_PORT=5100-5000",
            "UDP_PORT=5100-5000: give a port from 1 to 65535 or a range as in 5000-5100",
        ),
        (
            "BIND_ADDRESS=localhost",
            "BIND_ADDRESS=localhost: give an IP address without a port",
        ),
        (
            "BIND_ADDRESS=0.0.0.0",
            "BIND_ADDRESS=0.0.0.0: leave it unset to use every address of this machine",
        ),
        (
            "INTERFACES=*eth",
            "INTERFACES=*eth: \"*eth\" is no interface; give names as in eth0,wlan*,-docker0 (a * \
             at the end stands for any rest)",
        ),
        ("IPV6=maybe", "IPV6=maybe: give on or off"),
        ("MESH=half", "MESH=half: give full or lazy"),
        ("LOG_FORMAT=xml", "LOG_FORMAT=xml: give text or json"),
        (
            "ICE_TRANSPORT_POLICY=public",
            "ICE_TRANSPORT_POLICY=public: give all or relay",
        ),
        (
            "STUN_URL=host",
            "STUN_URL=host: give stun:host or stun:host:port",
        ),
        (
            "TURN_URL=turns:host?transport=udp",
            "TURN_URL=turns:host?transport=udp: TURN over DTLS is not supported",
        ),
        (
            "--api-key=",
            "API_KEY: give a key, or leave it unset for the default",
        ),
        ("--ipc-socket=", "--ipc-socket \"\": give a path"),
        (
            "IPC_SOCKET=/tmp/s.sock ",
            "IPC_SOCKET=/tmp/s.sock : a socket's path does not end with a blank",
        ),
        (
            "IPC_SOCKET=/tmp/s\n.sock",
            "IPC_SOCKET=/tmp/s\\n.sock: a socket's path holds no control characters, such as an end of line",
        ),
    ] {
        assert_eq!(error(&[words]), expected);
    }
}

#[test]
fn an_ipv6_address_needs_ipv6() {
    assert_eq!(
        error(&["BIND_ADDRESS=::1", "IPV6=off"]),
        "BIND_ADDRESS=::1 needs IPV6=on"
    );
}

#[test]
fn every_bad_value_has_a_line() {
    let errors = config(&["MESH=x", "IPV6=x", "QUEUE_BYTES=x", "BIND_ADDRESS=::1"]).unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:?}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_an_error() {
    use std::os::unix::ffi::OsStringExt;
    let environment =
        |name: &str| (name == "IPC_SOCKET").then(|| OsString::from_vec(vec![b'/', 0xff]));
    let errors = Config::from(&Flags::default(), environment).unwrap_err();
    assert_eq!(errors, ["IPC_SOCKET: the value is not UTF-8"]);
}

#[test]
fn secrets_are_neither_in_debug_output_nor_in_errors() {
    let config = config(&["API_KEY=opensesame"]).unwrap();
    assert!(!format!("{config:?}").contains("opensesame"));
    let config = self::config(&["DEVICE_TOKEN=opensesame"]).unwrap();
    assert!(!format!("{config:?}").contains("opensesame"));
    for bad in ["API_KEY=open sesame", "--device-token=open sesame"] {
        assert!(!error(&[bad]).contains("sesame"));
    }
}

#[test]
fn without_servers_named_only_the_registrys_are_used() {
    let ice = config(&[]).unwrap().ice;
    assert!(ice.stun.is_empty() && ice.turn.is_empty() && ice.credentials.is_none());
    assert_eq!(ice.policy, TransportPolicy::All);
    assert!(ice.from_registry);
}

#[test]
fn relays_are_named_with_what_they_know_us_by() {
    let servers = ["TURN_URL=turn:t:3478,turns:t:443", "STUN_URL=stun:s"];
    let ice = |more: &[&str]| config(&[&servers[..], more].concat()).unwrap().ice;
    let shared = ice(&[
        "TURN_SECRET=opensesame",
        "TURN_USERNAME=u",
        "TURN_PASSWORD=p",
    ]);
    let secret = Secret::new("opensesame".to_owned());
    assert_eq!(shared.credentials, Some(Credentials::Shared(secret)));
    assert_eq!((shared.stun.len(), shared.turn.len()), (1, 2));
    let given = ice(&[
        "TURN_USERNAME=u",
        "TURN_PASSWORD=p",
        "ICE_TRANSPORT_POLICY=relay",
    ]);
    let (username, password) = ("u".to_owned(), Secret::new("p".to_owned()));
    assert_eq!(
        given.credentials,
        Some(Credentials::Given { username, password })
    );
    assert_eq!(given.policy, TransportPolicy::Relay);
}

#[test]
fn relays_that_cannot_work_are_refused() {
    for words in [
        &["TURN_URL=turn:t"][..],
        &["TURN_URL=turn:t", "TURN_USERNAME=u"],
    ] {
        assert_eq!(
            error(words),
            "TURN_URL needs TURN_SECRET, or both of TURN_USERNAME and TURN_PASSWORD"
        );
    }
    let words = [
        "ICE_TRANSPORT_POLICY=relay",
        "ICE_SERVERS_FROM_REGISTRY=off",
    ];
    assert_eq!(
        error(&words),
        "ICE_TRANSPORT_POLICY=relay needs a TURN server: set TURN_URL"
    );
    assert!(!error(&["TURN_SECRET=open\nsesame"]).contains("sesame"));
}

#[test]
fn a_pattern_of_interfaces_permits_what_it_says() {
    let filter = |list: &str| config(&[&format!("INTERFACES={list}")]).unwrap().interfaces;
    let permitted = |list: &str| {
        let filter = filter(list);
        let all = ["lo", "eth0", "eth1", "docker0"];
        all.into_iter()
            .filter(|name| filter.permits(name))
            .collect::<Vec<_>>()
    };
    assert_eq!(permitted(""), ["lo", "eth0", "eth1", "docker0"]);
    assert_eq!(permitted("eth*"), ["eth0", "eth1"]);
    assert_eq!(permitted("eth*,-eth1"), ["eth0"]);
    assert_eq!(permitted("!docker*,-lo"), ["eth0", "eth1"]);
    assert_eq!(permitted("eth"), [""; 0]);
}

#[test]
fn ports_outside_need_as_many_of_our_own() {
    let given = [
        "EXTERNAL_ADDRESS=203.0.113.7:50000-50002",
        "UDP_PORT=5000-5002",
    ];
    assert_eq!(config(&given).unwrap().external_addresses.len(), 1);
    assert!(config(&["EXTERNAL_ADDRESS=203.0.113.7"]).is_ok());
    for own in ["UDP_PORT=", "UDP_PORT=5000-5003"] {
        let told = error(&[given[0], own]);
        assert!(told.contains("UDP_PORT to a range of as many"), "{told}");
    }
}

#[test]
fn both_urls_follow_from_that_of_the_registry_unless_they_are_set() {
    for (registry, signaling, token) in [
        ("https://host", "wss://host/ws", "https://host/api/token"),
        ("https://host/", "wss://host/ws", "https://host/api/token"),
        (
            "http://host:8080/a/mesh/",
            "ws://host:8080/a/mesh/ws",
            "http://host:8080/a/mesh/api/token",
        ),
        (
            "HTTPS://[2001:db8::1]:8443/mesh",
            "wss://[2001:db8::1]:8443/mesh/ws",
            "https://[2001:db8::1]:8443/mesh/api/token",
        ),
    ] {
        let config = config(&[&format!("REGISTRY_URL={registry}")]).unwrap();
        assert_eq!(config.signaling_url.to_string(), signaling);
        assert_eq!(config.token_url.to_string(), token);
        assert_eq!(config.doubts, [""; 0]);
    }
    let config = config(&["--registry-url=https://host", "TOKEN_URL=https://other/t"]).unwrap();
    assert_eq!(config.signaling_url.to_string(), "wss://host/ws");
    assert_eq!(config.token_url.to_string(), "https://other/t");
    assert_eq!(config.doubts, [""; 0]);
}

#[test]
fn a_registry_url_that_cannot_be_meant_is_one_error() {
    assert_eq!(
        error(&["REGISTRY_URL=wss://host/ws"]),
        "REGISTRY_URL=wss://host/ws: give a URL as in https://host:port/path or http://..."
    );
    let told = error(&["REGISTRY_URL=https://host/?key=s3cret"]);
    assert!(
        told.contains("without a query") && !told.contains("s3cret"),
        "{told}"
    );
}
