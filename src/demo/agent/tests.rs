use super::*;

/// A sidecar's side of a conversation with an agent that is one of `alice`, `bob`.
struct Sidecar {
    lines: std::io::Lines<BufReader<UnixStream>>,
    stream: UnixStream,
    agent: Agent,
    events: Receiver<Event>,
    ending: Arc<AtomicBool>,
    _directory: crate::demo::directory::PrivateDirectory,
}

impl Sidecar {
    fn of(name: &str, other: &str, rounds: usize) -> Sidecar {
        let directory = crate::demo::directory::PrivateDirectory::create().unwrap();
        let socket = directory.path().join("socket");
        let (sender, events) = mpsc::channel();
        let ending = Arc::new(AtomicBool::new(false));
        let part = Part {
            name: name.to_owned(),
            others: vec![other.to_owned()],
            socket: socket.clone(),
            rounds,
            deadline: Instant::now() + Duration::from_secs(20),
        };
        // The agent is there before its sidecar.
        let agent = Agent::start(part, sender, Arc::clone(&ending));
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).unwrap();
        Sidecar {
            lines: BufReader::new(stream.try_clone().unwrap()).lines(),
            stream,
            agent,
            events,
            ending,
            _directory: directory,
        }
    }

    fn says(&mut self, line: Value) {
        writeln!(self.stream, "{line}").unwrap();
    }

    fn hears(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// The next event that is no crossing, and the number of crossings before it.
    fn event(&self) -> (Event, usize) {
        let mut crossings = 0;
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(20)).unwrap();
            if !matches!(event, Event::Crossing(_)) {
                return (event, crossings);
            }
            crossings += 1;
        }
    }
}

fn message(from: &str, kind: &str, request_id: &str) -> Value {
    let message = json!({"type": kind, "request_id": request_id});
    json!({"type": "message", "payload": {"from_peer": from, "message": message}})
}

#[test]
fn every_agent_answers_pings_and_tasks() {
    let mut sidecar = Sidecar::of("bob", "alice", 0);
    sidecar.says(message("alice", "ping", "ping-7"));
    assert_eq!(
        sidecar.hears(),
        "{\"type\":\"send\",\"payload\":{\"target_peer\":\"alice\",\"message\":{\"type\":\"pong\",\
         \"request_id\":\"ping-7\",\"source_agent\":\"bob\",\"target_agent\":\"alice\",\
         \"payload\":{}}}}"
    );
    sidecar.says(message("alice", "task_request", "task-1"));
    assert!(
        sidecar
            .hears()
            .contains("\"type\":\"task_response\",\"request_id\":\"task-1\"")
    );
}

#[test]
fn the_first_agent_converses_and_then_measures() {
    let mut sidecar = Sidecar::of("alice", "bob", 5);
    sidecar.says(json!({"type": "peer_connected", "payload": {"peer_id": "bob"}}));
    assert!(matches!(sidecar.event(), (Event::AllConnected, 1)));
    sidecar.agent.open_conversation().unwrap();
    assert_eq!(
        sidecar.hears(),
        "{\"type\":\"list_peers\",\"id\":\"list\",\"payload\":{}}"
    );
    assert!(
        sidecar
            .hears()
            .starts_with("{\"type\":\"send\",\"id\":\"task\",")
    );
    assert!(
        sidecar
            .hears()
            .starts_with("{\"type\":\"broadcast\",\"id\":\"status\",")
    );
    for answer in [
        json!({"type": "ok", "id": "status", "payload": {}}),
        json!({"type": "peer_list", "id": "list", "payload": {"peers": ["bob"]}}),
        message("bob", "task_response", "task-1"),
        json!({"type": "ok", "id": "task", "payload": {}}),
    ] {
        sidecar.says(answer);
    }
    for round in 0..5 {
        let id = format!("ping-{round}");
        assert!(sidecar.hears().contains(&id));
        sidecar.says(message("bob", "pong", &id));
    }
    let (event, crossings) = sidecar.event();
    assert!(matches!(event, Event::RoundTrips(trips) if trips.len() == 5));
    assert_eq!(crossings, 3 + 4 + 2 * SHOWN_ROUNDS);
}

#[test]
fn an_error_or_the_end_of_the_sidecar_is_a_failure_until_the_end() {
    let mut sidecar = Sidecar::of("bob", "alice", 0);
    sidecar.says(json!({"type": "error", "payload": {"code": "busy"}}));
    let (Event::Failed(failure), _) = sidecar.event() else {
        panic!("no failure")
    };
    assert!(
        failure.starts_with("bob's agent: its sidecar reports: "),
        "{failure}"
    );

    let sidecar = Sidecar::of("bob", "alice", 0);
    sidecar.ending.store(true, Ordering::SeqCst);
    sidecar.stream.shutdown(std::net::Shutdown::Both).unwrap();
    drop(sidecar.agent);
    assert!(
        sidecar
            .events
            .recv_timeout(Duration::from_secs(20))
            .is_err()
    );
}
