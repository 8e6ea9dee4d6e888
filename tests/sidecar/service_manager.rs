//! Tests of the sidecar as a service: what it tells a service manager such as systemd, and when.

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Agent, DEADLINE, Place, Setup, Site};

/// The service manager's end.
struct Manager(UnixDatagram);

impl Manager {
    fn on_path(place: &Place) -> Self {
        Manager::of(UnixDatagram::bind(place.join("notify")).unwrap())
    }

    fn of(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Manager(socket)
    }

    fn next(&self) -> String {
        let mut state = [0; 256];
        let length = self.0.recv(&mut state).unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    }

    fn has_more(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        match self.0.recv(&mut [0; 256]) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}

/// A sidecar whose registry is not there: on this port nothing listens.
fn alone(place: &Place) -> Setup {
    Setup::new("alice", place.join("alice")).registry(([127, 0, 0, 1], 9).into())
}

#[test]
fn it_is_ready_when_agents_can_connect_and_tells_when_it_stops() {
    let place = Place::new();
    let manager = Manager::on_path(&place);
    let setup = alone(&place).set("NOTIFY_SOCKET", place.join("notify"));
    let mut sidecar = setup.start();
    assert_eq!(manager.next(), "READY=1");
    Agent::greeted(&sidecar.socket);
    sidecar.signal(Signal::TERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert_eq!(sidecar.exit_code(), 0);
    assert!(!manager.has_more());
}

#[test]
fn the_manager_may_listen_on_an_abstract_name() {
    let place = Place::new();
    let name = format!("sidecar-test-{:016x}", fastrand::u64(..));
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::of(UnixDatagram::bind_addr(&address).unwrap());
    let setup = alone(&place).set("NOTIFY_SOCKET", format!("@{name}"));
    let _sidecar = setup.start();
    assert_eq!(manager.next(), "READY=1");
}

#[test]
fn the_watchdog_hears_of_it_at_half_its_time() {
    let place = Place::new();
    let manager = Manager::on_path(&place);
    let timeout = Duration::from_millis(400);
    let setup = alone(&place)
        .set("NOTIFY_SOCKET", place.join("notify"))
        .set("WATCHDOG_USEC", timeout.as_micros().to_string());
    let sidecar = setup.start();
    assert_eq!(manager.next(), "READY=1");
    let started = Instant::now();
    for _ in 0..5 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    // The first of them may have been due since before.
    assert!(started.elapsed() >= 4 * (timeout / 2) - timeout / 4);
    sidecar.signal(Signal::TERM);
    while manager.next() != "STOPPING=1" {}
}

#[test]
fn a_process_that_the_manager_does_not_mean_says_nothing() {
    let place = Place::new();
    let manager = Manager::on_path(&place);
    // As an agent that is a service passes it on to the sidecar that it spawns.
    let setup = alone(&place)
        .set("NOTIFY_SOCKET", place.join("notify"))
        .set("WATCHDOG_USEC", "20000")
        .set("SYSTEMD_EXEC_PID", std::process::id().to_string());
    let mut sidecar = setup.start();
    drop(sidecar.agent());
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.exit_code(), 0);
    assert!(!manager.has_more());
}

#[test]
fn a_manager_that_cannot_be_told_stops_nothing() {
    let site = Site::new();
    for socket in ["/no/such/socket", "vsock:2:1234"] {
        let setup = site.setup("alice").set("NOTIFY_SOCKET", socket);
        let sidecar = setup.set("WATCHDOG_USEC", "20000").start();
        sidecar.await_log("cannot tell the service manager");
        let mut agent = sidecar.agent();
        let list = agent.ask("list_peers", &serde_json::json!({}));
        assert_eq!(list.kind(), "peer_list");
    }
}
