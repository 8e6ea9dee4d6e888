//! Tests of taking the socket's path: stale sockets, other sidecars, other programs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use chatixia_sidecar::runtime::ipc::{self, BindError, Notice, Settings};

use crate::support::{Agent, DEADLINE, Directory, Served, error_event};

fn settings(socket: PathBuf) -> Settings {
    Settings::new(socket)
}

/// Binds, and gives what it says when it fails.
fn refusal(socket: PathBuf) -> (BindError, String) {
    let error = ipc::bind(settings(socket)).expect_err("bound");
    let text = error.to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    (error, text)
}

#[test]
fn the_socket_is_private_and_its_directory_untouched() {
    let directory = Directory::new();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let _bound = ipc::bind(settings(directory.socket())).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(directory.socket()), 0o600);
    assert_eq!(mode(directory.path().to_owned()), 0o1777);
    assert_eq!(directory.names(), ["s.sock"], "nothing else is left there");
}

#[test]
fn the_socket_goes_with_its_owner() {
    let directory = Directory::new();
    drop(ipc::bind(settings(directory.socket())).unwrap());
    assert!(directory.names().is_empty());

    let served = Served::new(&directory.socket());
    served.handle.shutdown();
    assert!(directory.names().is_empty());
    served.handle.shutdown();
    drop(served);

    drop(Served::new(&directory.socket()));
    assert!(directory.names().is_empty());
}

#[test]
fn a_file_that_replaced_the_socket_is_left_alone() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    fs::remove_file(directory.socket()).unwrap();
    fs::write(directory.socket(), "mine").unwrap();
    served.handle.shutdown();
    assert_eq!(fs::read_to_string(directory.socket()).unwrap(), "mine");
}

#[test]
fn a_stale_socket_is_replaced() {
    let directory = Directory::new();
    drop(UnixListener::bind(directory.socket()).unwrap());
    let served = Served::new(&directory.socket());
    let _agent = Agent::connect(&directory.socket());
    served.connected();
    assert_eq!(directory.names(), ["s.sock"]);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let directory = Directory::new();
    fs::write(directory.socket(), "precious").unwrap();
    let (error, text) = refusal(directory.socket());
    assert!(matches!(error, BindError::NotASocket(_)));
    assert!(
        text.contains("s.sock") && text.contains("no socket"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(directory.socket()).unwrap(), "precious");

    // A symbolic link is no socket, wherever it leads.
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &link).unwrap();
    assert!(matches!(refusal(link).0, BindError::NotASocket(_)));
    assert_eq!(directory.names().len(), 2);
}

#[test]
fn a_path_that_cannot_be_is_an_error_that_says_so() {
    let directory = Directory::new();
    let (error, text) = refusal(directory.path().join("no/such/s.sock"));
    assert!(matches!(error, BindError::NoDirectory(_)), "{text}");
    assert!(text.contains("no/such"), "{text}");
    assert!(!directory.path().join("no").exists());

    let (error, text) = refusal(directory.path().join("x".repeat(120)));
    assert!(matches!(error, BindError::BadPath(_)), "{text}");
    assert!(matches!(refusal(PathBuf::new()).0, BindError::BadPath(_)));

    fs::write(directory.path().join("file"), "").unwrap();
    let (error, text) = refusal(directory.path().join("file/s.sock"));
    assert!(matches!(error, BindError::NoDirectory(_)), "{text}");
}

#[test]
fn a_path_of_the_greatest_length_will_do() {
    let directory = Directory::new();
    let mut path = directory.path().join("d");
    while std::os::unix::net::SocketAddr::from_pathname(path.join("xx")).is_ok() {
        path.as_mut_os_string().push("d");
    }
    fs::create_dir(&path).unwrap();
    let socket = path.join("x");
    let _served = Served::new(&socket);
    let _agent = Agent::connect(&socket);
    // Replacing one there works as well.
    assert!(matches!(refusal(socket).0, BindError::AgentConnected(_)));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[test]
fn a_sidecar_without_an_agent_is_replaced_and_notices() {
    let directory = Directory::new();
    let old = Served::new(&directory.socket());
    let new = Served::new(&directory.socket());
    // It was asked what it is, but not by an agent.
    assert!(matches!(old.notice(), Notice::SocketLost));
    let mut agent = Agent::connect(&directory.socket());
    let (_, mut outlet) = new.connected();
    // The end of the old one does not take the new one's file.
    drop(old);
    assert_eq!(directory.names(), ["s.sock"]);
    outlet.hand_on(vec![error_event("welcome")]);
    assert!(agent.line().unwrap().contains("welcome"));
}

#[test]
fn a_sidecar_with_an_agent_is_left_alone() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    let mut agent = Agent::connect(&directory.socket());
    let (_, mut outlet) = served.connected();
    let (error, text) = refusal(directory.socket());
    assert!(matches!(error, BindError::AgentConnected(_)), "{text}");
    assert!(text.contains("another sidecar with an agent"), "{text}");
    assert_eq!(directory.names(), ["s.sock"]);
    outlet.hand_on(vec![error_event("still here")]);
    assert!(agent.line().unwrap().contains("still here"));
    drop(agent);
    served.gone();
    assert_eq!(directory.names(), ["s.sock"]);
}

#[test]
fn another_program_is_left_alone() {
    let directory = Directory::new();
    let silent = UnixListener::bind(directory.socket()).unwrap();
    let quickly = |socket: PathBuf| Settings {
        probe_timeout: Duration::from_millis(100),
        ..settings(socket)
    };
    let error = ipc::bind(quickly(directory.socket())).unwrap_err();
    assert!(matches!(error, BindError::OtherProgram(..)), "{error}");

    // One whose queue of connections is full is not waited for either.
    let socket = directory.socket();
    let mut queued = Vec::new();
    set_backlog(&silent, 0);
    for _ in 0..2 {
        let connection = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let connection = connection.unwrap();
        connection.set_nonblocking(true).unwrap();
        let _ = connection.connect(&socket2::SockAddr::unix(&socket).unwrap());
        queued.push(connection);
    }
    let error = ipc::bind(quickly(socket)).unwrap_err();
    assert!(matches!(error, BindError::OtherProgram(..)), "{error}");
    drop((silent, queued));

    for greeting in [
        "220 mail ready\r\n",
        "{\"type\":\"ready\",\"payload\":{}}\n",
        "{}\n",
        "",
    ] {
        let directory = Directory::new();
        let listener = UnixListener::bind(directory.socket()).unwrap();
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(greeting.as_bytes()).unwrap();
            listener
        });
        let (error, text) = refusal(directory.socket());
        assert!(matches!(error, BindError::OtherProgram(..)), "{text}");
        other.join().unwrap();
        assert_eq!(directory.names(), ["s.sock"]);
    }
}

/// Sets the length of the queue of a socket that listens already.
fn set_backlog(listener: &UnixListener, backlog: i32) {
    rustix::net::listen(listener, backlog).unwrap();
}

#[test]
fn a_socket_without_agent_whose_file_is_removed_is_lost() {
    let directory = Directory::new();
    let served = Served::new(&directory.socket());
    fs::remove_file(directory.socket()).unwrap();
    assert!(matches!(served.notice(), Notice::SocketLost));
    assert!(
        served
            .notices
            .recv_timeout(Duration::from_millis(600))
            .is_err(),
        "said once"
    );
}

#[test]
fn a_file_that_vanishes_while_an_agent_is_connected_is_made_anew() {
    let directory = Directory::new();
    let served = Served::with(Settings {
        served_file_check: Duration::from_millis(20),
        ..settings(directory.socket())
    });
    let agent = Agent::connect(&directory.socket());
    let (_, _events) = served.connected();
    for _ in 0..2 {
        fs::remove_file(directory.socket()).unwrap();
        let deadline = Instant::now() + DEADLINE;
        while !directory.socket().exists() {
            assert!(Instant::now() < deadline, "it was not made anew");
            thread::yield_now();
        }
    }
    let mode = fs::metadata(directory.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(agent);
    served.gone();
    let _agent = Agent::connect(&directory.socket());
    served.connected();
    // It is as much ours as the first.
    served.handle.shutdown();
    assert!(directory.names().is_empty());
}

#[test]
fn the_file_matters_only_when_no_agent_is_connected() {
    let directory = Directory::new();
    let served = Served::with(Settings {
        file_check: Duration::from_millis(20),
        served_file_check: Duration::from_millis(20),
        ..settings(directory.socket())
    });
    let agent = Agent::connect(&directory.socket());
    let (generation, _events) = served.connected();
    fs::remove_file(directory.socket()).unwrap();
    fs::write(directory.socket(), "another's").unwrap();
    assert!(
        served
            .notices
            .recv_timeout(Duration::from_millis(200))
            .is_err()
    );
    drop(agent);
    assert_eq!(served.gone().0, generation);
    assert!(matches!(served.notice(), Notice::SocketLost));
}

#[test]
fn of_many_that_start_at_once_one_has_the_socket_and_the_others_know() {
    let directory = Directory::new();
    let count = 8;
    let barrier = Arc::new(Barrier::new(count));
    let starters: Vec<_> = (0..count)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            let socket = directory.socket();
            thread::spawn(move || {
                barrier.wait();
                Served::new(&socket)
            })
        })
        .collect();
    let mut all: Vec<Served> = starters.into_iter().map(|s| s.join().unwrap()).collect();
    // Those who lost it are told; the one that is left serves.
    let mut select = crossbeam_channel::Select::new();
    for served in &all {
        select.recv(&served.notices);
    }
    let mut lost = Vec::new();
    while lost.len() < count - 1 {
        let ready = select.ready_timeout(DEADLINE).expect("a notice");
        assert!(matches!(
            all[ready].notices.try_recv(),
            Ok(Notice::SocketLost)
        ));
        lost.push(ready);
    }
    drop(select);
    let winner = (0..count).find(|index| !lost.contains(index)).unwrap();
    let winner = all.swap_remove(winner);
    drop(all);
    let _agent = Agent::connect(&directory.socket());
    winner.connected();
    assert_eq!(directory.names(), ["s.sock"]);
}
