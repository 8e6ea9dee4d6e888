//! Strangers on the network, who know the addresses of a sidecar and nothing else.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::figures::{Load, RoundTrips, mib};
use crate::support::Site;

/// Datagrams a second at each port.
const RATE: u64 = 10_000;

/// How long is measured, before and during the flood.
const TIME: Duration = Duration::from_secs(4);

/// Longest round trip at one time in two during a flood, whatever it was before: the machine that runs the tests may
/// have nothing to spare, and the binary is not optimised. Of 99 in a hundred it is printed, and held only where there
/// are processors to spare.
const SLACK: Duration = Duration::from_millis(100);

/// Whether less waits for processors than there are.
fn has_processors_to_spare() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    load < std::thread::available_parallelism().unwrap().get() as f64
}

/// A STUN Binding request (RFC 8489) with a user name, and a message integrity that no password gives.
fn wrong_check() -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut attribute = |kind: u16, value: &[u8]| {
        attributes.extend(kind.to_be_bytes());
        attributes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        attributes.extend(value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    };
    attribute(0x0006, b"aaaaaaaa:bbbbbbbb");
    attribute(0x0024, &[0x6e, 0, 0, 0xff]);
    attribute(0x0008, &fastrand::u128(..).to_be_bytes().repeat(2)[..20]);
    let mut check = vec![0, 1];
    check.extend(u16::try_from(attributes.len()).unwrap().to_be_bytes());
    check.extend([0x21, 0x12, 0xa4, 0x42]);
    check.extend(&fastrand::u128(..).to_be_bytes()[..12]);
    check.extend(attributes);
    check
}

/// Garbage that may be taken for anything, by its first byte (RFC 7983).
fn garbage() -> Vec<u8> {
    let mut garbage: Vec<u8> = (0..fastrand::usize(1..1200))
        .map(|_| fastrand::u8(..))
        .collect();
    garbage[0] = fastrand::u8(..80);
    garbage
}

/// Sends to each address, at the rate, until told to end. Returns how many were sent.
fn flood(ports: &[SocketAddr], datagrams: &[Vec<u8>], ends: &AtomicBool) -> u64 {
    const PAUSE: Duration = Duration::from_millis(2);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let mut sent = 0;
    while !ends.load(Ordering::Relaxed) {
        let due = u64::try_from(began.elapsed().as_micros()).unwrap() * RATE / 1_000_000;
        for number in sent..due {
            let datagram = &datagrams[usize::try_from(number).unwrap() % datagrams.len()];
            for port in ports {
                // A full buffer of the receiver is no failure of the sender.
                let _ = socket.send_to(datagram, port);
            }
        }
        sent = due;
        std::thread::sleep(PAUSE);
    }
    sent
}

#[test]
fn floods_of_strangers_hardly_slow_two_peers_that_talk() {
    let site = Site::new();
    let setups =
        ["alice", "bob"].map(|name| site.setup(name).set("IPV6", "off").set("RUST_LOG", "info"));
    let [mut alice, mut bob] = crate::support::Node::meet(setups);
    let ports = alice.sidecar.udp_ports();
    assert!(!ports.is_empty());
    let load = Load::of(&alice.sidecar);
    let quiet = RoundTrips::measure(&mut alice, &mut bob, TIME);
    let quiet_load = load.percent(&alice.sidecar);
    let memory = alice.sidecar.resident_bytes();
    let floods = [
        ("garbage", (0..500).map(|_| garbage()).collect::<Vec<_>>()),
        (
            "STUN with wrong passwords",
            (0..500).map(|_| wrong_check()).collect(),
        ),
    ];
    for (what, datagrams) in floods {
        let (ends, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let (flooded, load) = std::thread::scope(|scope| {
            scope.spawn(|| sent.store(flood(&ports, &datagrams, &ends), Ordering::Relaxed));
            let load = Load::of(&alice.sidecar);
            let flooded = RoundTrips::measure(&mut alice, &mut bob, TIME);
            ends.store(true, Ordering::Relaxed);
            (flooded, load.percent(&alice.sidecar))
        });
        let rate = sent.into_inner() / TIME.as_secs();
        eprintln!(
            "{what}, {rate} datagrams/s at each of {} ports: round trip p50 {:?} (quiet {:?}), p99 {:?} (quiet {:?}), \
             {} of {}; CPU {load} % (quiet {quiet_load} %); memory {:+.1} MiB",
            ports.len(),
            flooded.within(50),
            quiet.within(50),
            flooded.within(99),
            quiet.within(99),
            flooded.count(),
            quiet.count(),
            mib(alice.sidecar.resident_bytes()) - mib(memory),
        );
        let percents = [50, if has_processors_to_spare() { 99 } else { 50 }];
        for percent in percents {
            let (found, most) = (flooded.within(percent), quiet.within(percent) * 2);
            assert!(
                found <= most.max(SLACK),
                "{what}: {percent} % within {found:?}"
            );
        }
        assert!(alice.sidecar.resident_bytes() < memory + 16 * 1024 * 1024);
    }
    // What was dropped of the log is counted, not written.
    let lines = alice.sidecar.log().lines().count();
    assert!(lines < 1_000, "{lines} lines in the log");
}
