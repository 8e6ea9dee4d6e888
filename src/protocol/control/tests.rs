use super::*;

fn parse(text: &str) -> Option<Control> {
    Control::parse(text.as_bytes())
}

/// Checks the text of a frame, and that it is read as the same frame.
fn assert_text(frame: &Control, text: &str) {
    assert_eq!(frame.to_text(), text);
    assert_eq!(parse(text).as_ref(), Some(frame));
}

#[test]
fn hello() {
    assert_text(
        &Control::Hello(Hello {
            session: "s\"1".into(),
            received: u64::MAX,
            metered: false,
            udp_buffer: None,
            peer_id: None,
            proof: None,
        }),
        r#"{"hello":{"session":"s\"1","received":18446744073709551615}}"#,
    );
    assert_text(
        &Control::Hello(Hello {
            session: "s".into(),
            received: 0,
            metered: true,
            udp_buffer: Some(425_984),
            peer_id: PeerId::new("a b"),
            proof: Some("0123".into()),
        }),
        r#"{"hello":{"session":"s","received":0,"metered":true,"udp_buffer":425984,"peer_id":"a b","proof":"0123"}}"#,
    );
    assert_eq!(
        parse(
            r#" {"x":1, "hello": {"received": 3, "more": {}, "metered": "yes", "session": "s",
               "udp_buffer": -1, "proof": 7, "peer_id": ""}} "#
        ),
        Some(Control::Hello(Hello {
            session: "s".into(),
            received: 3,
            metered: false,
            udp_buffer: None,
            peer_id: None,
            proof: None,
        }))
    );
}

#[test]
fn ack() {
    let ack = Control::Ack {
        taken: 12,
        window: 65536,
    };
    assert_text(&ack, r#"{"ack":12,"window":65536}"#);
    assert_eq!(
        parse(r#"{"window": 65536, "later": [], "ack": 12}"#),
        Some(ack)
    );
}

#[test]
fn ping_and_pong_repeat_any_mark_as_it_was_written() {
    for mark in ["1", "null", "1e999", r#""\ud800""#, r#"{"a":[1,2]}"#] {
        let t = mark.to_owned();
        assert_text(
            &Control::Ping { t: t.clone() },
            &format!(r#"{{"ping":{mark}}}"#),
        );
        assert_text(&Control::Pong { t }, &format!(r#"{{"pong":{mark}}}"#));
    }
}

#[test]
fn unknown_and_unusable_frames_are_none() {
    let long = "s".repeat(limits::WIRE_ID_BYTES + 1);
    for text in [
        "",
        "{}",
        "[]",
        "1",
        "{",
        r#"{"later":1}"#,
        r#"{"hello":1}"#,
        r#"{"hello":{}}"#,
        r#"{"hello":{"session":"s"}}"#,
        r#"{"hello":{"received":1}}"#,
        r#"{"hello":{"session":"","received":1}}"#,
        r#"{"hello":{"session":"s","received":-1}}"#,
        r#"{"hello":{"session":"s","received":1.0}}"#,
        r#"{"hello":{"session":"s","received":18446744073709551616}}"#,
        &format!(r#"{{"hello":{{"session":"{long}","received":1}}}}"#),
        r#"{"ack":1}"#,
        r#"{"window":1}"#,
        r#"{"ack":"1","window":1}"#,
        r#"{"ack":1,"window":null}"#,
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(Control::parse(b"{\"ping\":\"\xff\"}"), None);
}

#[test]
fn rest() {
    assert_text(&Control::Rest, r#"{"rest":{}}"#);
    assert_eq!(parse(r#"{"rest":true}"#), Some(Control::Rest));
}

#[test]
fn of_several_the_first_usable_counts() {
    assert_eq!(
        parse(r#"{"pong":1,"ping":2,"ack":3,"window":4}"#),
        Some(Control::Ack {
            taken: 3,
            window: 4
        })
    );
    assert_eq!(
        parse(r#"{"hello":{},"ping":2}"#),
        Some(Control::Ping { t: "2".into() })
    );
}

#[test]
fn a_frame_has_a_limit() {
    let frame = |size: usize| format!(r#"{{"ping":"{}"}}"#, "x".repeat(size - 11));
    assert!(parse(&frame(limits::CONTROL_FRAME_BYTES)).is_some());
    assert!(parse(&frame(limits::CONTROL_FRAME_BYTES + 1)).is_none());
}

#[test]
fn deep_nesting_needs_no_stack() {
    let half = (limits::CONTROL_FRAME_BYTES - 9) / 2;
    let t = "[".repeat(half) + &"]".repeat(half);
    assert_text(
        &Control::Ping { t: t.clone() },
        &format!(r#"{{"ping":{t}}}"#),
    );
}
