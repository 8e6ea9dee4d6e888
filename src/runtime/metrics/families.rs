//! The metrics: each number of the statistics as a family of samples.
//!
//! Names begin with `chatixia_`, but for those of the process, which are the same in all programs. Units are
//! bytes and seconds. Peers are counted by what they have in common; their names are labels only where the
//! operator wants that, because a mesh may have many, and names may be nobody's business.

use crate::mesh::statistics::{Histogram, PeerStatistics, State, Statistics};
use crate::protocol::PathKind;
use crate::protocol::exposition::{Exposition, Family, Format, Kind, Labels};

use super::process::ProcessNumbers;

/// Defines families, one a row: name, unit, meaning.
macro_rules! families {
    ($($family:ident $kind:ident $name:literal $unit:literal $help:literal;)*) => {
        $(const $family: Family = Family {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            help: $help,
        };)*
    };
}

families! {
    BUILD Info "chatixia_build" "" "The version of the sidecar.";
    REGISTRY Gauge "chatixia_registry_connected" "" "Whether the registry is connected.";
    PEERS Gauge "chatixia_peers" "" "Known peers by state.";
    PATHS Gauge "chatixia_paths" "" "Connected peers by the kind of their path: host, direct or relay.";
    ROUND_TRIP_LEAST Gauge "chatixia_round_trip_least_seconds" "seconds" "Shortest round-trip time of the paths in use.";
    ROUND_TRIP_MEDIAN Gauge "chatixia_round_trip_median_seconds" "seconds" "Median round-trip time of the paths in use.";
    ROUND_TRIP_MOST Gauge "chatixia_round_trip_most_seconds" "seconds" "Longest round-trip time of the paths in use.";
    SENT_MESSAGES Counter "chatixia_sent_messages" "" "Messages written to connections, repetitions included.";
    SENT_BYTES Counter "chatixia_sent_bytes" "bytes" "Bytes of the messages written to connections.";
    RECEIVED_MESSAGES Counter "chatixia_received_messages" "" "Messages received from peers.";
    RECEIVED_BYTES Counter "chatixia_received_bytes" "bytes" "Bytes of the messages received from peers.";
    QUEUED_MESSAGES Gauge "chatixia_queued_messages" "" "Messages accepted from the agent and not known to have arrived.";
    QUEUED_BYTES Gauge "chatixia_queued_bytes" "bytes" "Bytes of the messages accepted from the agent and not known to have arrived.";
    OVERFLOW_BYTES Gauge "chatixia_overflow_bytes" "bytes" "The part of the queued bytes that is beyond the peers own queues, in the overflow.";
    INBOX_BYTES Gauge "chatixia_inbox_bytes" "bytes" "Bytes of messages that have arrived and that the agent has not taken.";
    RECONNECTS Counter "chatixia_reconnects" "" "Connections that took the place of an earlier one.";
    DROPS Counter "chatixia_drops" "" "What was lost or left out, by cause.";
    RECEIPTS Histogram "chatixia_receipt_seconds" "seconds" "Time from the acceptance of a message to its receipt, by who gave it: the peers agent, or the transport of a peer of another make.";
    PEER_CONNECTED Gauge "chatixia_peer_connected" "" "Whether the peer is connected.";
    PEER_ROUND_TRIP Gauge "chatixia_peer_round_trip_seconds" "seconds" "Round-trip time of the path in use.";
    PEER_SENT_MESSAGES Counter "chatixia_peer_sent_messages" "" "Messages written to connections with the peer.";
    PEER_SENT_BYTES Counter "chatixia_peer_sent_bytes" "bytes" "Bytes of those messages.";
    PEER_RECEIVED_MESSAGES Counter "chatixia_peer_received_messages" "" "Messages received from the peer.";
    PEER_RECEIVED_BYTES Counter "chatixia_peer_received_bytes" "bytes" "Bytes of those messages.";
    PEER_QUEUED_BYTES Gauge "chatixia_peer_queued_bytes" "bytes" "Bytes accepted for the peer and not known to have arrived.";
    PEER_RECONNECTS Counter "chatixia_peer_reconnects" "" "Connections with the peer that took the place of an earlier one.";
    START_TIME Gauge "process_start_time_seconds" "seconds" "When the process started, in seconds of Unix time.";
    CPU_TIME Counter "process_cpu_seconds" "seconds" "Processor time that the process has used.";
    RESIDENT_MEMORY Gauge "process_resident_memory_bytes" "bytes" "Memory that the process has.";
    THREADS Gauge "process_threads" "" "Threads of the process.";
    OPEN_FILES Gauge "process_open_fds" "" "Files and sockets that the process has open.";
    MOST_OPEN_FILES Gauge "process_max_fds" "" "How many files and sockets the process may have open.";
}

/// Returns the text of all metrics. With `names_peers` the families of single peers are among them.
pub(super) fn text(
    format: Format,
    numbers: &Statistics,
    process: &ProcessNumbers,
    names_peers: bool,
) -> String {
    let mut text = Exposition::new(format);
    push_mesh(&mut text, numbers);
    push_messages(&mut text, numbers);
    if names_peers {
        push_peers(&mut text, &numbers.peers);
    }
    push_process(&mut text, process);
    text.finish()
}

fn push_mesh(text: &mut Exposition, numbers: &Statistics) {
    let process = &numbers.process;
    text.family(&BUILD);
    text.count(&[("version", process.version)], 1);
    single(text, &REGISTRY, u64::from(process.registry == "connected"));
    text.family(&PEERS);
    let peers = &process.peers;
    for (state, count) in [
        ("connected", peers.connected),
        ("connecting", peers.connecting),
        ("disconnected", peers.disconnected),
    ] {
        text.count(&[("state", state)], count as u64);
    }
    push_paths(text, &numbers.peers);
}

/// A place in a sorted list, by the place of its last element.
type Place = fn(usize) -> usize;

/// The round-trip times that are told of each kind of path.
const ROUND_TRIPS: [(&Family, Place); 3] = [
    (&ROUND_TRIP_LEAST, |_| 0),
    (&ROUND_TRIP_MEDIAN, |last| last / 2),
    (&ROUND_TRIP_MOST, |last| last),
];

fn push_paths(text: &mut Exposition, peers: &[PeerStatistics]) {
    let mut paths = PathKind::ALL.map(|kind| (kind, 0, Vec::new()));
    let is_connected = |peer: &&PeerStatistics| peer.state == State::Connected;
    for peer in peers.iter().filter(is_connected) {
        let kind = peer.path.as_ref().map(|path| path.kind);
        if let Some((_, count, times)) = paths.iter_mut().find(|path| Some(path.0) == kind) {
            *count += 1;
            times.extend(peer.round_trip_ms.map(|time| time / 1000.0));
        }
    }
    text.family(&PATHS);
    for (kind, count, times) in &mut paths {
        times.sort_by(f64::total_cmp);
        text.count(&[("path", kind.name())], *count);
    }
    for (family, place) in ROUND_TRIPS {
        text.family(family);
        for (kind, _, times) in &paths {
            let last = times.len().checked_sub(1);
            if let Some(time) = last.and_then(|last| times.get(place(last))) {
                text.value(&[("path", kind.name())], *time);
            }
        }
    }
}

fn push_messages(text: &mut Exposition, numbers: &Statistics) {
    let process = &numbers.process;
    single(text, &SENT_MESSAGES, process.sent.messages);
    single(text, &SENT_BYTES, process.sent.bytes);
    single(text, &RECEIVED_MESSAGES, process.received.messages);
    single(text, &RECEIVED_BYTES, process.received.bytes);
    single(text, &QUEUED_MESSAGES, process.queued_messages as u64);
    single(text, &QUEUED_BYTES, process.queued_bytes as u64);
    single(text, &OVERFLOW_BYTES, process.overflow_bytes as u64);
    single(text, &INBOX_BYTES, process.inbox_bytes as u64);
    single(text, &RECONNECTS, process.restarts);
    text.family(&DROPS);
    let drops = &process.drops;
    for (cause, count) in [
        ("failed_messages", drops.failed_messages),
        ("unusable_messages", drops.unusable_messages),
        ("stray_datagrams", drops.stray_datagrams),
        ("ignored_offers", drops.ignored_offers),
        ("ignored_candidates", drops.ignored_candidates),
        ("ignored_frames", drops.ignored_frames),
        ("untrusted_peers", drops.untrusted_peers),
        ("events_left_out", drops.events_left_out),
    ] {
        text.count(&[("cause", cause)], count);
    }
    text.family(&RECEIPTS);
    let receipts = &numbers.receipts;
    push_histogram(text, &[("receipt", "agent")], &receipts.agent);
    push_histogram(text, &[("receipt", "transport")], &receipts.transport);
}

fn push_histogram(text: &mut Exposition, labels: Labels<'_>, histogram: &Histogram) {
    let buckets = histogram.cumulative();
    let buckets = buckets.map(|(bound, count)| (bound.as_secs_f64(), count));
    let sum = histogram.sum().as_secs_f64();
    text.histogram(labels, buckets, histogram.count(), sum);
}

/// A number of a single peer.
type PeerNumber = fn(&PeerStatistics) -> u64;

const PEER_NUMBERS: [(&Family, PeerNumber); 7] = [
    (&PEER_CONNECTED, |peer| {
        u64::from(peer.state == State::Connected)
    }),
    (&PEER_SENT_MESSAGES, |peer| peer.sent.messages),
    (&PEER_SENT_BYTES, |peer| peer.sent.bytes),
    (&PEER_RECEIVED_MESSAGES, |peer| peer.received.messages),
    (&PEER_RECEIVED_BYTES, |peer| peer.received.bytes),
    (&PEER_QUEUED_BYTES, |peer| peer.queued_bytes as u64),
    (&PEER_RECONNECTS, |peer| peer.restarts),
];

fn push_peers(text: &mut Exposition, peers: &[PeerStatistics]) {
    for (family, number) in PEER_NUMBERS {
        text.family(family);
        for peer in peers {
            text.count(&[("peer", peer.peer_id.as_str())], number(peer));
        }
    }
    text.family(&PEER_ROUND_TRIP);
    for peer in peers {
        if let (Some(time), Some(path)) = (peer.round_trip_ms, &peer.path) {
            let labels = [("peer", peer.peer_id.as_str()), ("path", path.kind.name())];
            text.value(&labels, time / 1000.0);
        }
    }
}

fn push_process(text: &mut Exposition, process: &ProcessNumbers) {
    text.family(&START_TIME);
    text.value(&[], process.start_seconds);
    text.family(&CPU_TIME);
    text.value(&[], process.cpu_seconds);
    for (family, number) in [
        (&RESIDENT_MEMORY, process.resident_bytes),
        (&THREADS, process.threads),
        (&OPEN_FILES, process.open_files),
        (&MOST_OPEN_FILES, process.most_open_files),
    ] {
        if let Some(number) = number {
            single(text, family, number);
        }
    }
}

fn single(text: &mut Exposition, family: &Family, number: u64) {
    text.family(family);
    text.count(&[], number);
}

#[cfg(test)]
mod tests;
