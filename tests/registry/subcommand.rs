//! Tests of `chatixia-sidecar registry` as a process: what signals do to it.

use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;

use super::process::Process;

/// A file of keys that is removed at the end.
struct KeysFile(PathBuf);

impl KeysFile {
    fn new(key: &str) -> Self {
        let name = format!("chatixia-keys-again-{}.json", std::process::id());
        let file = KeysFile(std::env::temp_dir().join(name));
        file.write(key);
        file
    }

    fn write(&self, key: &str) {
        let file = json!({"keys": {key: {"peer_id": "a"}}});
        std::fs::write(&self.0, file.to_string()).unwrap();
    }
}

impl Drop for KeysFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let mut registry = Process::start("trap '' HUP INT; exec \"$0\" \"$@\"", &["--open"]);
    for signal in [Signal::HUP, Signal::INT] {
        registry.signal(signal);
        assert_eq!(registry.token("a"), 200);
    }
    let (code, log) = registry.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ending, as SIGTERM asks"), "{log}");
}

#[test]
fn sighup_reads_the_keys_again() {
    let file = KeysFile::new("old");
    let path = file.0.to_str().unwrap();
    let mut registry = Process::start("exec \"$0\" \"$@\"", &["--api-keys-file", path]);
    assert_eq!((registry.token("old"), registry.token("new")), (200, 401));
    file.write("new");
    registry.signal(Signal::HUP);
    registry.await_log("was read again");
    assert_eq!((registry.token("old"), registry.token("new")), (401, 200));

    std::fs::write(&file.0, "{").unwrap();
    registry.signal(Signal::HUP);
    registry.await_log("still count");
    assert_eq!(registry.token("new"), 200);
    assert_eq!(registry.end().0, Some(0));
}
