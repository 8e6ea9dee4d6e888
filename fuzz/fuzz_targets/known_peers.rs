//! Fuzzes the file `KNOWN_PEERS`: each line that counts is known and comes back as it was written, and an error names
//! the line.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::mesh::trust::known_peers::{Familiarity, KnownPeer, KnownPeers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines: Vec<_> = text.lines().filter_map(KnownPeer::parse).collect();
    for line in &lines {
        assert_eq!(KnownPeer::parse(&line.to_string()).as_ref(), Some(line));
        assert!(!line.to_string().contains('\n'));
    }
    match KnownPeers::parse("file".to_owned(), text) {
        Ok(known) => {
            assert!(known.count() == lines.len() && lines.len() <= limits::KNOWN_PEERS);
            for KnownPeer { peer, certificate } in &lines {
                assert_eq!(known.familiarity(peer, certificate), Familiarity::Known);
                let other = known.familiarity(peer, "another");
                assert!(matches!(other, Familiarity::Other { line, .. } if line <= text.lines().count()));
            }
        }
        Err(why) => assert!(why.starts_with("file: line ") || why.starts_with("file has more")),
    }
});
