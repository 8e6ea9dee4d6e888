//! Tests of the files below the environment that settings come from, and of `REGISTRY_URL`.

use std::fs;

use serde_json::json;

use crate::support::{Place, Setup, Site};

/// A sidecar that knows the registry from nothing but what its test adds, in a directory of the site.
fn bare(site: &Site, name: &str) -> Setup {
    site.setup(name)
        .unset("SIGNALING_URL")
        .unset("TOKEN_URL")
        .within(&site.place)
}

#[test]
fn the_registrys_urls_follow_from_registry_url() {
    let site = Site::new();
    let url = format!("http://{}/", site.address());
    let sidecar = bare(&site, "alice").set("REGISTRY_URL", url).start();
    let mut agent = sidecar.connect();
    agent.until_registered();
}

#[test]
fn settings_come_from_the_env_file_of_the_directory_and_only_their_names_are_logged() {
    let site = Site::new();
    let text = format!(
        "# of the whole directory\nexport REGISTRY_URL=\"http://{}\"\nAPI_KEY='of-env' # secret\n\
         TURN_SECRET=hush\nSTUN_URL=nonsense\nPATH=/nowhere\n",
        site.address()
    );
    fs::write(site.place.join(".env"), text).unwrap();
    let sidecar = bare(&site, "alice")
        .unset("API_KEY")
        .set("STUN_URL", "none")
        .start();
    let mut agent = sidecar.connect();
    agent.until_registered();
    let stats = agent.ask("stats", &json!({}));
    assert!(stats.payload()["process"].is_object(), "{stats:?}");
    let log = sidecar.log();
    assert!(
        log.contains(".env: REGISTRY_URL, API_KEY, TURN_SECRET\n"),
        "{log}"
    );
    assert!(!log.contains("hush"), "{log}");
    assert!(log.contains("as of-env"), "{log}");
    assert!(log.contains("INFO"), "{log}");
}

#[test]
fn env_file_names_another_or_none() {
    let site = Site::new();
    fs::write(site.place.join(".env"), "MESH=nonsense\n").unwrap();
    let address = site.address();
    fs::write(
        site.place.join("other"),
        format!("REGISTRY_URL=http://{address}\n"),
    )
    .unwrap();
    let sidecar = bare(&site, "alice").set("ENV_FILE", "other").start();
    sidecar.connect().until_registered();

    let none = bare(&site, "bob").set("ENV_FILE", "none").start();
    none.await_socket();
    let mut refused = bare(&site, "carol").start();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.log().contains("MESH=nonsense"), "{}", refused.log());
    let mut missing = bare(&site, "dave").set("ENV_FILE", "missing").start();
    assert_eq!(missing.exit_code(), 2);
    assert!(
        missing.log().contains("ENV_FILE=missing: "),
        "{}",
        missing.log()
    );
}

#[test]
fn a_line_that_cannot_be_read_is_told_without_what_is_in_it() {
    let place = Place::new();
    fs::write(place.join(".env"), "MESH=lazy\nAPI_KEY=two words\n").unwrap();
    let sidecar = Setup::new("alice", place.join("s")).within(&place).start();
    sidecar.await_log(".env: line 2 is no NAME=value; it is ignored, and so is what follows");
    assert!(!sidecar.log().contains("two words"));
}
