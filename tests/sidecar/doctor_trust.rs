//! Tests of what `chatixia-sidecar doctor` says of `IDENTITY_FILE` and `KNOWN_PEERS`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::registry::RunningRegistry;
use crate::support::Place;

/// The lines about trust, and the exit code.
fn findings(
    registry: &RunningRegistry,
    place: &Place,
    settings: &[(&str, &Path)],
) -> (Vec<String>, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .arg("doctor")
        .env_clear()
        .env("IPC_SOCKET", place.join("socket"))
        .env("API_KEY", "alice")
        .env("INTERFACES", "lo")
        .env("RUST_LOG", "warn")
        .env("REGISTRY_URL", format!("http://{}", registry.address))
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(str::to_owned);
    let lines = lines.filter(|line| line.get(6..12) == Some("trust "));
    (lines.collect(), output.status.code().unwrap())
}

#[test]
fn files_that_a_sidecar_would_make_are_told_and_not_made() {
    let (registry, place) = (RunningRegistry::open(), Place::new());
    assert_eq!(findings(&registry, &place, &[]), (vec![], 0));
    let files = ["below/identity", "known"].map(|name| place.join(name));
    let settings = [
        ("IDENTITY_FILE", files[0].as_path()),
        ("KNOWN_PEERS", files[1].as_path()),
        ("PEER_TRUST", Path::new("first-use")),
    ];
    let (lines, code) = findings(&registry, &place, &settings);
    assert_eq!((lines.len(), code), (2, 0), "{lines:#?}");
    assert!(lines[0].starts_with("ok    trust       IDENTITY_FILE="));
    assert!(lines[0].ends_with("below/identity: it is not there; the sidecar makes it"));
    assert!(lines[1].ends_with("known: 0 peers"), "{lines:#?}");
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn each_fault_of_a_file_is_one_line_that_says_what_to_do() {
    let (registry, place) = (RunningRegistry::open(), Place::new());
    let file = |name: &str, text: &str, mode: u32| -> PathBuf {
        let path = place.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    };
    let directory = place.join("directory");
    fs::create_dir(&directory).unwrap();
    let link = place.join("link");
    symlink(place.join("nothing"), &link).unwrap();
    let open = file("open", "", 0o644);
    let cases = [
        ("IDENTITY_FILE", open.clone(), "make it 0600"),
        (
            "IDENTITY_FILE",
            file("damaged", "x", 0o600),
            "no certificate in PEM form; mend it",
        ),
        ("IDENTITY_FILE", directory, "no regular file"),
        ("IDENTITY_FILE", link, "a link to a file that is not there"),
        ("IDENTITY_FILE", open.join("below"), "Not a directory"),
        (
            "KNOWN_PEERS",
            file("lines", "# x\ny\n", 0o644),
            "line 2 is not of the form",
        ),
        (
            "KNOWN_PEERS",
            file("all", "", 0o666),
            "make it 0644 or 0600",
        ),
    ];
    for (setting, path, says) in cases {
        let settings = [
            (setting, path.as_path()),
            ("PEER_TRUST", Path::new("first-use")),
        ];
        let home = place.join("home");
        let settings = [settings[0], settings[1], ("HOME", home.as_path())];
        let (lines, code) = findings(&registry, &place, &settings);
        let failed: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("fail"))
            .collect();
        assert_eq!(
            (failed.len(), code),
            (1, 1),
            "{setting}={path:?}: {lines:#?}"
        );
        assert!(
            failed[0].contains(says),
            "{setting}={path:?}: {}",
            failed[0]
        );
        assert!(failed[0].contains(path.to_str().unwrap()), "{}", failed[0]);
    }
    let settings = [
        ("KNOWN_PEERS", open.as_path()),
        ("PEER_TRUST", Path::new("known")),
        ("IDENTITY_FILE", Path::new("none")),
    ];
    let (lines, code) = findings(&registry, &place, &settings);
    assert_eq!((lines.len(), code), (1, 0), "{lines:#?}");
    assert!(lines[0].contains("it names nobody; with PEER_TRUST=known it needs a line"));
}
