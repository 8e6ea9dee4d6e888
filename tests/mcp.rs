//! Tests of `chatixia-sidecar mcp` by the lines that a host writes (`tests/mcp`). Those with the SDKs of others are
//! `make test-mcp`.

#![cfg(feature = "registry")]
#![allow(clippy::expect_used)]

use std::process::Command;

#[test]
fn hosts_that_write_lines_have_what_is_promised() {
    let played = Command::new("python3")
        .args(["-B", "-m", "unittest", "test_black_box"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mcp"))
        .env("SIDECAR_BINARY", env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .output()
        .expect("python3 is not installed, and plays the hosts in this test");
    let said = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success(), "{said}");
}
