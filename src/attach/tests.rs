//! Tests of `attach` on a socket whose sidecar the test plays.

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Error, Style, run, shown};

const READY: &str = r#"{"type":"ready","payload":{"protocol":1,"version":"0.1.0","peer_id":"alice","max_message_bytes":1,"max_line_bytes":1,"registry":"connected"}}"#;

/// The sidecar's side of one connection.
struct Sidecar {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Sidecar {
    /// The next command; `None` at their end.
    fn command(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    fn say(&mut self, line: &str) {
        self.stream
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    fn answer(&mut self, kind: &str, id: &Value, payload: &Value) {
        self.say(&json!({"type": kind, "id": id, "payload": payload}).to_string());
    }
}

struct Outcome {
    result: Result<bool, Error>,
    output: String,
    notes: String,
}

/// Runs with the given input against a sidecar that does as `play` says.
fn attached(
    input: impl Read + Send + 'static,
    style: Style,
    play: impl FnOnce(Sidecar) + Send + 'static,
) -> Outcome {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let socket: PathBuf =
        std::env::temp_dir().join(format!("attach-{}-{count}.sock", std::process::id()));
    let listener = UnixListener::bind(&socket).unwrap();
    let sidecar = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut sidecar = Sidecar { stream, lines };
        sidecar.say(READY);
        play(sidecar);
    });
    let (notes, mut noted) = UnixStream::pair().unwrap();
    let mut output = Vec::new();
    let result = run(&socket, input, &mut output, notes, style);
    fs::remove_file(&socket).unwrap();
    sidecar.join().unwrap();
    noted.set_nonblocking(true).unwrap();
    let mut notes = Vec::new();
    let _ = noted.read_to_end(&mut notes);
    Outcome {
        result,
        output: String::from_utf8(output).unwrap(),
        notes: String::from_utf8(notes).unwrap(),
    }
}

#[test]
fn a_pipe_sends_its_lines_and_ends_when_all_are_answered() {
    let input = Cursor::new("@bob hello  there\n@* all\n/peers\n/connect carol\n/stats");
    let outcome = attached(input, Style::Json, |mut sidecar| {
        let commands: Vec<Value> = std::iter::from_fn(|| sidecar.command()).collect();
        assert_eq!(
            commands[0],
            json!({"type": "send", "id": "attach-1", "payload": {"target_peer": "bob", "message": {
                "type": "agent_prompt", "request_id": "attach-1", "source_agent": "alice",
                "target_agent": "bob", "payload": {"text": "hello  there"}}}})
        );
        assert_eq!(commands[1]["type"], "broadcast");
        assert_eq!(commands[1]["payload"]["message"]["payload"]["text"], "all");
        assert_eq!(commands[2]["type"], "list_peers");
        assert_eq!(commands[3]["payload"], json!({"target_peer_id": "carol"}));
        assert_eq!(commands[4]["type"], "stats");
        assert_eq!(commands.len(), 5);
        for command in &commands {
            sidecar.answer("ok", &command["id"], &json!({}));
        }
        // The connection stays open: that all is answered is enough.
        assert!(sidecar.command().is_none());
        let _ = sidecar.stream.read(&mut [0]);
    });
    assert!(outcome.result.unwrap());
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!(lines[0], READY, "events come as they are");
    assert_eq!(lines.len(), 6);
    assert_eq!(outcome.notes, "");
}

#[test]
fn a_command_that_fails_is_told_by_the_result() {
    let outcome = attached(Cursor::new("@nobody hi\n"), Style::Json, |mut sidecar| {
        let command = sidecar.command().unwrap();
        let payload = json!({"code": "unknown_peer", "message": "no such peer"});
        sidecar.answer("error", &command["id"], &payload);
        assert!(sidecar.command().is_none());
    });
    assert!(!outcome.result.unwrap());
}

#[test]
fn json_goes_as_it_is_and_without_id_the_sidecar_says_when_it_is_done() {
    let raw = r#"{"type":"list_peers",  "x":1.0}"#;
    let input = Cursor::new(format!("{raw}\n"));
    let outcome = attached(input, Style::Json, move |mut sidecar| {
        let mut line = String::new();
        sidecar.lines.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{raw}\n"));
        assert!(sidecar.command().is_none());
        sidecar.say(r#"{"type":"peer_list","payload":{"peers":["bob"]}}"#);
    });
    assert!(outcome.result.unwrap());
    assert!(outcome.output.ends_with("{\"peers\":[\"bob\"]}}\n"));

    let input = Cursor::new("{\"type\":\"nonsense\",\"id\":7}\n{nonsense\n");
    let outcome = attached(input, Style::Json, |mut sidecar| {
        sidecar.lines.read_to_end(&mut Vec::new()).unwrap();
        sidecar.answer("error", &json!(7), &json!({"code": "unknown_command"}));
        sidecar.say(r#"{"type":"error","payload":{"code":"bad_json","message":"no JSON"}}"#);
    });
    assert!(!outcome.result.unwrap());
}

#[test]
fn what_means_nothing_is_told_and_counts_as_failed() {
    let input = Cursor::new("hello\n@bob\n@ hi\n/nonsense\n/help\n");
    let outcome = attached(input, Style::Json, |mut sidecar| {
        assert!(sidecar.command().is_none());
    });
    assert!(!outcome.result.unwrap());
    let notes: Vec<&str> = outcome.notes.lines().collect();
    assert!(notes[0].contains("\"hello\"") && notes[0].contains("/help"));
    assert!(notes[1].contains("@bob TEXT"));
    assert!(notes[2].contains("@PEER TEXT"));
    assert!(notes[3].contains("\"/nonsense\""));
    assert!(notes[4].starts_with("@PEER TEXT"));
}

#[test]
fn a_sidecar_that_goes_early_is_an_error() {
    let outcome = attached(
        Cursor::new("@bob hi\n/peers\n"),
        Style::Json,
        |mut sidecar| {
            let id = sidecar.command().unwrap()["id"].clone();
            sidecar.answer("ok", &id, &json!({}));
            while sidecar.command().is_some() {}
        },
    );
    assert!(matches!(outcome.result, Err(Error::Closed(1))));

    // Nothing typed yet, and another agent is there.
    let (_keyboard, input) = UnixStream::pair().unwrap();
    let outcome = attached(input, Style::Readable, |mut sidecar| {
        sidecar.say(r#"{"type":"error","payload":{"code":"busy","message":"another agent"}}"#);
    });
    assert!(matches!(outcome.result, Err(Error::Closed(0))));
    assert!(outcome.output.contains("error busy: another agent"));
}

#[test]
fn a_person_leaves_with_quit() {
    let (mut keyboard, input) = UnixStream::pair().unwrap();
    let outcome = attached(input, Style::Readable, move |mut sidecar| {
        sidecar.say(r#"{"type":"peer_connected","payload":{"peer_id":"bob"}}"#);
        keyboard.write_all(b"@bob hi\n").unwrap();
        let id = sidecar.command().unwrap()["id"].clone();
        let payload = json!({"target_peer": "bob", "receipt": "agent"});
        sidecar.answer("ok", &id, &payload);
        keyboard.write_all(b"@bob again\n/quit\n").unwrap();
        // Without waiting for an answer.
        while sidecar.command().is_some() {}
        let _ = sidecar.stream.shutdown(Shutdown::Both);
    });
    assert!(outcome.result.unwrap());
    let shown: Vec<&str> = outcome
        .output
        .lines()
        .map(|line| &line["00:00:00.000 ".len()..])
        .collect();
    assert_eq!(
        shown,
        [
            "ready: alice (sidecar 0.1.0, registry connected)",
            "peer_connected bob",
            "ok: bob has it (agent)",
        ]
    );
}

#[test]
fn nobody_on_the_socket_is_an_error_that_names_it() {
    let socket = std::env::temp_dir().join("no-such-attach.sock");
    let error = run(
        &socket,
        std::io::empty(),
        Vec::new(),
        Vec::new(),
        Style::Json,
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no-such-attach.sock") && text.contains("IPC_SOCKET"));
}

#[test]
fn events_are_short_for_a_person() {
    let now = UNIX_EPOCH + Duration::from_millis(((14 * 60 + 2) * 60 + 7) * 1000 + 123);
    let shown = |event: Value| {
        let line = shown::readable(event.to_string().as_bytes(), now);
        line.strip_prefix("14:02:07.123 ").unwrap().to_owned()
    };
    let event = |kind: &str, payload: Value| json!({"type": kind, "payload": payload});
    let message = |payload: Value| {
        let message = json!({"type": "task_request", "payload": payload});
        event("message", json!({"from_peer": "bob", "message": message}))
    };
    assert_eq!(
        shown(message(json!({"text": "hi\nthere"}))),
        "bob: hi\\nthere"
    );
    assert_eq!(shown(message(json!("hi"))), "bob: hi");
    assert_eq!(
        shown(message(json!({"n": 1}))),
        "bob: task_request {\"n\":1}"
    );
    assert_eq!(
        shown(message(json!({"text": "\u{1b}[2Jgone"}))),
        "bob: \\u{1b}[2Jgone",
        "a peer does not control the terminal"
    );
    assert_eq!(
        shown(event(
            "peer_connected",
            json!({"peer_id": "bob", "resumed": true})
        )),
        "peer_connected bob (resumed)"
    );
    assert_eq!(
        shown(event("peer_list", json!({"peers": []}))),
        "peers: none"
    );
    assert_eq!(
        shown(event("peer_list", json!({"peers": ["bob", "carol"]}))),
        "peers: bob, carol"
    );
    let payload = json!({"delivered": ["bob"], "failed": [{"peer_id": "carol", "code": "x"}]});
    assert_eq!(
        shown(event("ok", payload)),
        "ok: delivered to bob; not to carol (x)"
    );
    assert_eq!(
        shown(event(
            "registry",
            json!({"state": "disconnected", "reason": "gone"})
        )),
        "registry disconnected: gone"
    );
    assert_eq!(
        shown(event(
            "pressure",
            json!({"target_peer": "bob", "state": "high", "queued_bytes": 5})
        )),
        "pressure bob: high, 5 bytes queued"
    );
    assert_eq!(
        shown(event("new", json!(1))),
        r#"{"payload":1,"type":"new"}"#
    );
}
