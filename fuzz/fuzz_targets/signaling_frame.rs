//! Fuzzes signaling frames: any frame is accepted or refused, and an accepted one is the same when it is
//! sent on.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::protocol::PeerId;
use chatixia_sidecar_fuzz::protocol::signaling::{Incoming, Outgoing, Signal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Incoming::parse(text) {
        Ok(Incoming::Relay {
            sender,
            signal,
            extension,
            target: _,
        }) => {
            if let Signal::Candidate { candidate } = &signal {
                assert!(candidate.len() <= limits::CANDIDATE_BYTES);
            }
            for id in extension.conn.iter().chain(&extension.session) {
                assert!((1..=limits::WIRE_ID_BYTES).contains(&id.len()));
            }
            let target = PeerId::new("target").expect("a name");
            let sent = Outgoing::Relay {
                target: target.clone(),
                signal: signal.clone(),
                extension: extension.clone(),
            };
            let taken = Incoming::Relay {
                sender: sender.clone(),
                target: Some(target),
                signal,
                extension,
            };
            assert_eq!(Incoming::parse(&sent.to_text(&sender)), Ok(taken));
        }
        Ok(Incoming::PeerList { peers, left_out }) => {
            assert!(peers.len() <= limits::LISTED_PEERS && peers.len() + left_out < text.len());
        }
        Ok(Incoming::Unknown { kind }) => assert!(!kind.contains(char::is_control)),
        Err(error) => assert!(!error.0.is_empty()),
    }
});
