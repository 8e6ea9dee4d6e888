//! Fuzzes the answers of name servers: any packet is read to its end, and gives only addresses of the family
//! that was asked for.
#![no_main]

use chatixia_sidecar_fuzz::limits;
use chatixia_sidecar_fuzz::protocol::dns::{Family, Reply, question, reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for family in [Family::V4, Family::V6] {
        // So that the question need not be guessed.
        let mut packet = question(7, "reg.test", family).expect("a name");
        packet[2] |= 0x80;
        if let [code, count, records @ ..] = data {
            packet[3] = *code;
            packet[7] = *count;
            packet.extend(records);
        }
        for packet in [&packet, data] {
            if let Some(Reply::Addresses(found)) = reply(packet, 7, "reg.test", family) {
                assert!(found.len() <= limits::DNS_RECORDS);
                assert!(found.iter().all(|a| a.is_ipv4() == (family == Family::V4)));
            }
        }
    }
});
