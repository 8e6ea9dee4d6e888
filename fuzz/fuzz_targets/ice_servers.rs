//! Fuzzes the registry's list of ICE servers: any answer names few servers or none, and an error shows
//! nothing of it.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::protocol::ice_servers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match ice_servers::parse(data) {
    Ok(servers) => {
        assert!(servers.len() <= limits::ICE_SERVERS);
        assert!(servers.iter().all(|server| server.urls.len() <= limits::ICE_SERVERS));
    }
    Err(why) => assert!(why.len() < 100),
});
