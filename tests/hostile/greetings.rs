//! A peer that claims to be one of ours, and says on `mesh` and `mesh-control` what none of ours says.

use std::time::Duration;

use serde_json::{Value, json};
use str0m::channel::{ChannelConfig, Reliability};

use crate::raw_peer::{RawPeer, frame, labelled};
use crate::registry::Client;
use crate::support::{Node, Site};

/// For what was said to arrive.
const MOMENT: Duration = Duration::from_millis(300);

const HELLO: &str = r#"{"hello":{"session":"of mallory","received":0}}"#;

/// What is said on a connection: on which channel, whether as binary, and what.
type Said = (&'static str, bool, Vec<u8>);

fn control(text: &str) -> Said {
    ("mesh-control", false, text.as_bytes().to_vec())
}

fn mesh(text: &str) -> Said {
    ("mesh", false, text.as_bytes().to_vec())
}

/// Connects to alice, as one of ours, and says all of it.
fn say(client: &mut Client, number: usize, channels: Vec<ChannelConfig>, said: &[Said]) -> RawPeer {
    let mut peer = RawPeer::new();
    let conn = format!("conn-{number}");
    let sdp = peer.offer_channels(channels);
    let offer = json!({"sdp": sdp, "v": 1, "conn": conn, "session": "of mallory"});
    client.send(&frame("offer", "mallory", "alice", offer));
    let answer = loop {
        let frame: Value = serde_json::from_str(&client.receive()).unwrap();
        if frame["type"] == "answer" && frame["payload"]["conn"] == conn.as_str() {
            break frame["payload"]["sdp"].as_str().unwrap().to_owned();
        }
    };
    peer.accept(&answer);
    peer.await_that("the channels are open", |peer| {
        let is_open = |label| peer.channel(label).is_some();
        is_open("mesh") && is_open("mesh-control")
    });
    for (label, is_binary, bytes) in said {
        let channel = peer.channel(label).unwrap();
        peer.write_as(*is_binary, channel, bytes);
        peer.run_for(Duration::from_millis(5));
    }
    peer.run_for(MOMENT);
    peer
}

fn both() -> Vec<ChannelConfig> {
    vec![labelled("mesh"), labelled("mesh-control")]
}

/// Holds that alice has not stumbled, and that she and bob still talk.
fn check(what: &str, alice: &mut Node, bob: &mut Node) {
    let log = alice.sidecar.log();
    assert!(!log.contains("panic"), "{what}: {log}");
    bob.agent
        .send("alice", &json!({"type": "x", "request_id": what}));
    let is_it = |event: &crate::support::Event| event.is("message", "bob");
    let got = alice.agent.until(is_it);
    assert_eq!(got.message()["request_id"], what);
}

#[test]
fn nothing_that_a_peer_says_harms_more_than_its_own_connection() {
    let site = Site::new();
    let [mut alice, mut bob] =
        Node::meet(["alice", "bob"].map(|name| site.setup(name).set("RUST_LOG", "info")));
    let mut client = site.registry.registered("mallory");
    let deep = format!("{{\"ping\":{}1{}}}", "[".repeat(4000), "]".repeat(4000));
    let long = |length| {
        format!(
            r#"{{"hello":{{"session":"{}","received":0}}}}"#,
            "s".repeat(length)
        )
    };
    let hello = |received: &str| format!(r#"{{"hello":{{"session":"s","received":{received}}}}}"#);
    let after = |frames: &[&str]| -> Vec<Said> {
        let frames = frames.iter().map(|text| control(text));
        std::iter::once(control(HELLO)).chain(frames).collect()
    };
    let number = |text: &str| control(&hello(text));
    let huge = "9223372036854775808";
    let cases: Vec<(&str, Vec<Said>)> = vec![
        (
            "hellos of wrong types",
            [
                "5",
                "[]",
                "null",
                r#""""#,
                "{}",
                r#"{"session":5,"received":0}"#,
            ]
            .map(|hello| control(&format!(r#"{{"hello":{hello}}}"#)))
            .to_vec(),
        ),
        (
            "counts of wrong types",
            ["-1", "1.5", "1e400", r#""1""#, "null", "[]"]
                .map(number)
                .to_vec(),
        ),
        ("a count of 2^63", vec![number(huge)]),
        ("a count of 2^64 - 1", vec![number("18446744073709551615")]),
        ("a count of 2^64", vec![number("18446744073709551616")]),
        ("an empty session", vec![control(&long(0))]),
        ("a session of 65 bytes", vec![control(&long(65))]),
        ("a session of 100,000 bytes", vec![control(&long(100_000))]),
        (
            "hello twice",
            vec![control(HELLO), control(HELLO), number("7")],
        ),
        (
            "ack before hello",
            vec![
                control(r#"{"ack":1,"window":1}"#),
                mesh(r#"{"type":"early"}"#),
            ],
        ),
        (
            "an ack of 2^63",
            after(&[&format!(r#"{{"ack":{huge},"window":{huge}}}"#)]),
        ),
        (
            "windows of 2^63",
            after(&[
                &format!(r#"{{"ack":0,"window":{huge}}}"#),
                r#"{"ack":0,"window":18446744073709551615}"#,
            ]),
        ),
        (
            "negative acks",
            after(&[
                r#"{"ack":-1,"window":1}"#,
                r#"{"ack":0,"window":-1}"#,
                r#"{"ack":0}"#,
                r#"{"window":5}"#,
            ]),
        ),
        (
            "a deep ping",
            after(&[&deep, r#"{"ping":null}"#, r#"{"pong":{}}"#]),
        ),
        (
            "frames of all kinds",
            after(&[
                r#"{"frame":5}"#,
                r#"{"frame":{}}"#,
                r#"{"frame":{"type":"offer","peer_id":"alice","target_id":"alice","payload":{}}}"#,
                r#"{"frame":{"type":"offer","peer_id":"bob","target_id":"bob","payload":{"sdp":"v=0\r\n"}}}"#,
                r#"{"frame":{"type":"peer_list","peer_id":"registry","payload":{"peers":["z"]}}}"#,
                r#"{"frame":{"frame":{}}}"#,
                r#"{"rest":1,"hello":{},"ack":"x"}"#,
            ]),
        ),
        (
            "binary control frames",
            vec![
                ("mesh-control", true, HELLO.into()),
                ("mesh-control", true, vec![0xff; 70_000]),
            ],
        ),
        (
            "empty messages",
            vec![
                control(HELLO),
                control(""),
                mesh(""),
                ("mesh", true, vec![]),
            ],
        ),
        (
            "messages of nonsense",
            vec![
                control(HELLO),
                mesh("5"),
                mesh(r#"{"type":5}"#),
                ("mesh", true, vec![0xff; 9]),
                mesh(&"[".repeat(100_000)),
            ],
        ),
        ("rest", after(&[r#"{"rest":{}}"#])),
    ];
    for (at, (what, said)) in cases.iter().enumerate() {
        let _peer = say(&mut client, at, both(), said);
        check(what, &mut alice, &mut bob);
    }
    let odd = |label: &str, ordered, reliability| ChannelConfig {
        ordered,
        reliability,
        ..labelled(label)
    };
    let lossy = Reliability::MaxRetransmits { retransmits: 0 };
    let channels: Vec<(&str, Vec<ChannelConfig>)> = vec![
        (
            "labels of all kinds",
            vec![
                labelled(""),
                labelled("mesh"),
                labelled("mesh-control"),
                labelled("\0mesh"),
                labelled(&"m".repeat(1400)),
            ],
        ),
        ("each channel twice", [both(), both()].concat()),
        (
            "control before mesh",
            vec![labelled("mesh-control"), labelled("mesh")],
        ),
        (
            "unordered and lossy",
            vec![odd("mesh", false, lossy), odd("mesh-control", false, lossy)],
        ),
    ];
    for (at, (what, channels)) in channels.into_iter().enumerate() {
        let said = [control(HELLO), mesh(r#"{"type":"x"}"#)];
        let _peer = say(&mut client, cases.len() + at, channels, &said);
        check(what, &mut alice, &mut bob);
    }
    // An honest hello is taken still.
    let message = mesh(r#"{"type":"at last","request_id":"honest"}"#);
    let _peer = say(&mut client, 1000, both(), &[control(HELLO), message]);
    let is_it = |event: &crate::support::Event| {
        event.is("message", "mallory") && event.message()["request_id"] == "honest"
    };
    alice.agent.until(is_it);
    let stats = alice.agent.ask("stats", &json!({}));
    eprintln!(
        "{} kinds of nonsense: {}",
        cases.len() + 4,
        stats.payload()["process"]["drops"]
    );
}
