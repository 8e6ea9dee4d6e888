//! Tests of the signals that a sidecar is sent: which end it, which have it read files again, and which have
//! no effect.

use base64::Engine as _;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Setup, Site};

/// As a child of a program that ignores these signals, as `nohup` does.
fn ignoring(site: &Site, signals: &str) -> Setup {
    let script = format!("trap '' {signals}; exec \"$0\"");
    site.setup("alice").by_shell(&script)
}

fn answers(agent: &mut Agent) -> bool {
    agent.ask("list_peers", &json!({})).kind() == "peer_list"
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let site = Site::new();
    let mut sidecar = ignoring(&site, "HUP INT").start();
    let mut agent = sidecar.agent();
    for signal in [Signal::HUP, Signal::INT] {
        sidecar.signal(signal);
        assert!(answers(&mut agent));
    }
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exit_code(), 0);
    let log = sidecar.log();
    assert!(log.contains("ending, as SIGTERM asks"), "{log}");
    assert!(!log.contains("SIGHUP: "), "{log}");
}

#[test]
fn sigterm_ends_it_even_if_it_was_ignored_at_the_start() {
    let site = Site::new();
    let mut sidecar = ignoring(&site, "TERM").start();
    sidecar.await_socket();
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exit_code(), 0);
}

#[test]
fn what_ended_it_is_said_by_name() {
    let site = Site::new();
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut sidecar = site.setup("alice").start();
        sidecar.await_socket();
        sidecar.signal(signal);
        assert_eq!(sidecar.exit_code(), 0);
        let log = sidecar.log();
        assert!(log.contains(&format!("ending, as {name} asks")), "{log}");
    }
}

#[test]
fn sighup_reads_the_certificates_again_and_ends_nothing() {
    let site = Site::new();
    let file = site.place.join("ca.pem");
    let certificate = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        base64::engine::general_purpose::STANDARD.encode(certificate.cert.der())
    );
    std::fs::write(&file, &pem).unwrap();
    let mut sidecar = site.setup("alice").set("CA_FILE", &file).start();
    let mut agent = sidecar.agent();
    sidecar.signal(Signal::HUP);
    sidecar.await_log("was read again");
    std::fs::write(&file, "no certificate").unwrap();
    sidecar.signal(Signal::HUP);
    sidecar.await_log("it holds no certificate");
    sidecar.await_log("what was read before still counts");
    assert!(answers(&mut agent) && sidecar.is_running());
}

#[test]
fn sighup_reads_the_system_s_certificates_again_and_ends_nothing() {
    let site = Site::new();
    let mut sidecar = site.setup("alice").start();
    let mut agent = sidecar.agent();
    sidecar.signal(Signal::HUP);
    sidecar.await_log("the system's certificates were read again");
    assert!(answers(&mut agent) && sidecar.is_running());
}
