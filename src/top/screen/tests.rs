use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn peer(name: &str, sent: u64, path: Value) -> Value {
    json!({
        "peer_id": name, "state": "connected", "since_seconds": 75.0, "role": "offerer", "session": true,
        "path": path, "round_trip_ms": 0.238,
        "sent": {"messages": sent / 100, "bytes": sent}, "received": {"messages": 0, "bytes": 0},
        "queued_bytes": 2048, "inbox_bytes": 0, "restarts": 1,
    })
}

fn numbers(peers: Vec<Value>) -> Numbers {
    let sent: u64 = peers
        .iter()
        .map(|peer| peer["sent"]["bytes"].as_u64().unwrap())
        .sum();
    let text = json!({
        "process": {
            "version": "1.2.3", "uptime_seconds": 3700.0, "peer_id": "alice", "registry": "connected",
            "peers": {"connected": peers.len(), "connecting": 1, "disconnected": 0},
            "queued_bytes": 2048, "inbox_bytes": 0,
            "sent": {"messages": sent / 100, "bytes": sent}, "received": {"messages": 7, "bytes": 700},
            "restarts": 1, "drops": {"stray_datagrams": 2, "ignored_frames": 3},
        },
        "peers": peers,
    });
    Numbers::read(&text.to_string()).unwrap()
}

/// Two looks, a second apart, of which the first is from before the peers have sent anything.
fn screen(peers: Vec<Value>) -> Screen {
    let mut before = peers.clone();
    for peer in &mut before {
        peer["sent"]["bytes"] = json!(0);
    }
    let at = Instant::now();
    let mut screen = Screen::new(Look {
        at,
        numbers: numbers(before),
    });
    screen.saw(Look {
        at: at + Duration::from_secs(1),
        numbers: numbers(peers),
    });
    screen
}

fn relayed() -> Value {
    json!({"kind": "relay", "local": {}, "remote": {}})
}

#[test]
fn a_wide_terminal_shows_all() {
    let screen = screen(vec![
        peer("bob", 123_456, relayed()),
        peer("carol", 0, Value::Null),
    ]);
    let size = Size {
        columns: 110,
        rows: 24,
    };
    assert_eq!(
        screen.lines(size, false),
        [
            "alice   registry connected   up 1h 1m   chatixia-sidecar 1.2.3",
            "peers: 2 connected, 1 connecting, 0 disconnected   reconnects 1   drops 5",
            "out: 1.2k msg/s, 123 KB/s   in: 0 msg/s, 0 B/s   queued 2.0 KB   not taken 0 B",
            "",
            "PEER                   STATE           SINCE  PATH         RTT        OUT         IN   QUEUED  UNTAKEN  RECONN",
            "bob                    connected      1m 15s  relay    0.24 ms   123 KB/s      0 B/s   2.0 KB      0 B       1",
            "carol                  connected      1m 15s  -        0.24 ms      0 B/s      0 B/s   2.0 KB      0 B       1",
        ]
    );
}

#[test]
fn a_narrow_terminal_shows_what_matters_most_and_no_line_is_too_long() {
    let screen = screen(vec![peer(&"n".repeat(200), 123_456, relayed())]);
    for columns in [0, 1, 9, 10, 17, 18, 30, 40, 79, 80, 81, 200] {
        for rows in [0, 1, 3, 5, 6, 24] {
            let lines = screen.lines(Size { columns, rows }, false);
            assert!(lines.len() <= rows, "{rows}: {lines:#?}");
            for line in &lines {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
    }
    let size = Size {
        columns: 30,
        rows: 24,
    };
    let lines = screen.lines(size, false);
    assert_eq!(lines[4], "PEER          PATH         RTT");
    assert_eq!(lines[5], "nnnnnnnnnnn~  relay    0.24 ms");
}

#[test]
fn peers_without_a_row_are_counted() {
    let peers = (0..10).map(|n| peer(&format!("p{n}"), 0, Value::Null));
    let screen = screen(peers.collect());
    let shown = |rows| {
        let lines = screen.lines(Size { columns: 80, rows }, false);
        lines.last().unwrap().clone()
    };
    assert_eq!(shown(8), "and 8 more");
    assert!(shown(15).starts_with("p9 "), "{}", shown(15));
    assert_eq!(shown(14), "and 2 more");
}

#[test]
fn names_cannot_write_to_the_terminal_and_colours_are_only_ours() {
    let screen = screen(vec![peer("x\x1b[31m\n\u{9b}", 0, relayed())]);
    let lines = screen.lines(Size::USUAL, false);
    assert!(lines[5].starts_with("x?[31m?? "), "{:?}", lines[5]);
    assert!(lines.iter().all(|line| !line.contains('\x1b')));
    let coloured = screen.lines(Size::USUAL, true);
    assert!(
        coloured[5].contains("\x1b[33m  relay "),
        "{:?}",
        coloured[5]
    );
}

#[test]
fn a_look_that_fails_is_told_beside_what_was_seen_last() {
    let mut screen = screen(vec![peer("bob", 0, relayed())]);
    screen.failed("no numbers on /x: Connection refused".to_owned());
    let lines = screen.lines(Size::USUAL, false);
    assert_eq!(lines[3], "no numbers on /x: Connection refused");
    assert!(lines[6].starts_with("bob "));
}

#[test]
fn printed_once_it_tells_totals() {
    let text = plain(&numbers(vec![peer("bob", 123_456, relayed())]));
    assert_eq!(
        text.lines().skip(2).collect::<Vec<_>>(),
        [
            "out: 1.2k messages, 123 KB   in: 7 messages, 700 B   queued 2.0 KB   not taken 0 B",
            "",
            "PEER        STATE           SINCE  PATH         RTT       SENT   RECEIVED   QUEUED  UNTAKEN  RECONN",
            "bob         connected      1m 15s  relay    0.24 ms     123 KB        0 B   2.0 KB      0 B       1",
        ]
    );
}
