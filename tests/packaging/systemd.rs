//! Tests of the units for systemd.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tools;

/// The worst exposure that `systemd-analyze security` may find, of 100.
const EXPOSURE: &str = "20";

/// A unit as it is installed, but that it names the program that was built.
struct Unit {
    directory: PathBuf,
    path: PathBuf,
}

impl Unit {
    fn new(of: &str, packaged: &str) -> Self {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
        let text = fs::read_to_string(packaging.join(packaged)).unwrap();
        let installed = "\nExecStart=/usr/local/bin/chatixia-sidecar";
        assert!(text.contains(installed), "{text}");
        let built = format!("\nExecStart={}", env!("CARGO_BIN_EXE_chatixia-sidecar"));
        let directory = std::env::temp_dir().join(format!("unit-{of}-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let path = directory.join("chatixia-sidecar.service");
        fs::write(&path, text.replace(installed, &built)).unwrap();
        Unit { directory, path }
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The lines of `systemd-analyze verify` about our unit. It loads all that the unit refers to, and not
/// every machine's other units are faultless.
fn faults(unit: &Unit, manager: &str) -> Option<Vec<String>> {
    let arguments = [
        manager,
        "verify",
        "--man=no",
        "--recursive-errors=no",
        unit.path(),
    ];
    let output = tools::run("systemd-analyze", &arguments, "")?;
    let said = tools::said(&output);
    let about_ours = said
        .lines()
        .filter(|line| line.contains("chatixia-sidecar"));
    Some(about_ours.map(str::to_owned).collect())
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    for (of, packaged, manager) in [
        ("system", "chatixia-sidecar.service", "--system"),
        ("user", "user/chatixia-sidecar.service", "--user"),
        ("registry", "chatixia-registry.service", "--system"),
    ] {
        let unit = Unit::new(of, packaged);
        if let Some(faults) = faults(&unit, manager) {
            assert_eq!(faults, [""; 0]);
        }
    }
}

#[test]
fn a_fault_would_be_found() {
    let unit = Unit::new("fault", "chatixia-sidecar.service");
    let text = fs::read_to_string(&unit.path).unwrap();
    fs::write(&unit.path, text.replace("Type=notify", "Type=notifi")).unwrap();
    if let Some(faults) = faults(&unit, "--system") {
        assert!(
            faults.iter().any(|line| line.contains("notifi")),
            "{faults:?}"
        );
    }
}

#[test]
fn the_services_are_exposed_to_little() {
    for packaged in ["chatixia-sidecar.service", "chatixia-registry.service"] {
        is_exposed_to_little(packaged);
    }
}

fn is_exposed_to_little(packaged: &str) {
    let unit = Unit::new(&format!("security-{packaged}"), packaged);
    let threshold = format!("--threshold={EXPOSURE}");
    let arguments = [
        "--no-pager",
        "--offline=yes",
        &threshold,
        "security",
        unit.path(),
    ];
    if let Some(output) = tools::run("systemd-analyze", &arguments, "") {
        assert!(output.status.success(), "{}", tools::said(&output));
    }
}
