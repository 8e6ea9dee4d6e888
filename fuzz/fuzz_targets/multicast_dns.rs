//! Fuzzes multicast DNS: any packet on the group is read to its end, and gives only names that could have
//! been asked for.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::protocol::multicast_dns;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let found = multicast_dns::addresses(data);
    assert!(found.len() <= limits::MULTICAST_DNS_RECORDS);
    for (name, _) in found {
        if multicast_dns::is_local_name(&name) {
            let question = multicast_dns::question(&name);
            assert!(multicast_dns::addresses(&question).is_empty());
        }
    }
});
