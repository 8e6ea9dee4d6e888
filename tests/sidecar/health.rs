//! Tests of `health`, which tells programs that supervise processes whether a sidecar, or a registry, is
//! well.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::support::{Place, Site};

fn health(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_chatixia-sidecar"))
        .env_clear()
        .envs(environment.iter().copied())
        .arg("health")
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().unwrap();
    (code, String::from_utf8(said).unwrap())
}

fn of(socket: &Path) -> (i32, String) {
    health(&[socket.to_str().unwrap()], &[])
}

fn of_registry(address: SocketAddr) -> (i32, String) {
    let port = address.port().to_string();
    health(
        &["--of-registry"],
        &[("PORT", &port), ("LISTEN", "0.0.0.0")],
    )
}

#[test]
fn a_sidecar_is_well_with_and_without_an_agent_and_keeps_the_agent_it_has() {
    let site = Site::new();
    let alice = site.setup("alice").start();
    alice.await_socket();
    let socket = alice.socket.to_str().unwrap();
    let without = format!("a sidecar waits for its agent on {socket:?}\n");
    assert_eq!(of(&alice.socket), (0, without.clone()));
    let mut agent = alice.agent();
    let with = format!("a sidecar serves its agent on {socket:?}\n");
    assert_eq!(of(&alice.socket), (0, with));
    assert_eq!(agent.ask("list_peers", &json!({})).kind(), "peer_list");
    drop(agent);
    alice.await_log("the agent has gone");
    assert_eq!(health(&[], &[("IPC_SOCKET", socket)]), (0, without));
}

#[test]
fn who_asks_does_not_get_what_waits_for_the_agent() {
    let site = Site::new();
    let [mut alice, bob] = site.meet(["alice", "bob"]);
    drop(bob.agent);
    bob.sidecar.await_log("the agent has gone");
    alice.agent.send("bob", &json!({"type": "kept"}));
    assert_eq!(of(&bob.sidecar.socket).0, 0);
    let mut agent = bob.sidecar.agent();
    let message = agent.until_peer("message", "alice");
    assert_eq!(message.message()["type"], "kept");
}

#[test]
fn what_is_no_sidecar_is_told() {
    let place = Place::new();
    let socket = place.join("s");
    let told = |what| format!("chatixia-sidecar: no sidecar on {socket:?}: {what}\n");
    let (code, said) = of(&socket);
    assert_eq!(code, 1);
    assert!(said.contains("No such file"), "{said}");
    let listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(of(&socket), (1, told("it did not say what it is")));
    drop(listener);
    assert_eq!(of(&socket), (1, told("nobody listens on it")));
}

#[test]
fn a_registry_is_well_when_it_answers() {
    let site = Site::new();
    let address = site.address();
    let well = format!("the registry on {address} answers\n");
    assert_eq!(of_registry(address), (0, well));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let (code, said) = of_registry(nobody);
    assert_eq!(code, 1);
    let told = format!("chatixia-sidecar: no registry on {nobody}: Connection refused");
    assert!(said.starts_with(&told), "{said}");
}
