//! Tests of the send window, against a receiver that acknowledges as SCTP does.

use super::*;

const NO_SECOND_PACKET_WITHIN: Duration = Duration::from_millis(200);

/// A path to a receiver and back. The receiver acknowledges every second packet at once, and an odd last
/// one late.
struct Path {
    /// Bytes of chunks in a packet, headers included.
    packet_bytes: usize,
    round_trip: Duration,
    /// The time from one packet to the next.
    spacing: Duration,

    now: Duration,
    flight: SendWindow,
    written: usize,
    /// When the last packet left.
    left: Duration,
    /// Packets on their way: when they arrive, and the bytes in them.
    packets: VecDeque<(Duration, usize)>,
    received: usize,
    /// When a packet that came alone is acknowledged.
    due: Option<Duration>,
    /// Acknowledgements on their way: when they arrive, and all bytes received by then.
    acknowledgements: VecDeque<(Duration, usize)>,
    /// How often nothing went on until a packet that came alone was acknowledged.
    stalls: usize,
}

impl Path {
    fn new(packet_bytes: usize, round_trip: Duration, spacing: Duration) -> Self {
        Path {
            packet_bytes,
            round_trip,
            spacing,
            now: Duration::ZERO,
            flight: SendWindow::default(),
            written: 0,
            left: Duration::ZERO,
            packets: VecDeque::new(),
            received: 0,
            due: None,
            acknowledgements: VecDeque::new(),
            stalls: 0,
        }
    }

    /// Writes as many of these messages as there is room for, in as few packets as they fit into.
    fn write(&mut self, messages: &mut VecDeque<usize>) {
        let (mut filled, mut bytes) = (0, 0);
        while let Some(size) = messages.front().copied()
            && self.flight.has_room(size, Some(self.round_trip))
        {
            messages.pop_front();
            self.flight.written(size);
            self.written += size;
            let mut rest = size;
            while rest > 0 {
                let chunk = rest.min(self.packet_bytes - 16);
                let padded = (16 + chunk).next_multiple_of(4);
                if filled + padded > self.packet_bytes.next_multiple_of(4) {
                    self.leave(std::mem::take(&mut bytes));
                    filled = 0;
                }
                filled += padded;
                bytes += chunk;
                rest -= chunk;
            }
        }
        if bytes > 0 {
            self.leave(bytes);
        }
    }

    fn leave(&mut self, bytes: usize) {
        self.left = self.now.max(self.left + self.spacing);
        let arrival = self.left + self.round_trip / 2;
        self.packets.push_back((arrival, bytes));
    }

    fn acknowledge(&mut self) {
        self.due = None;
        let arrival = self.now + self.round_trip / 2;
        self.acknowledgements.push_back((arrival, self.received));
    }

    /// Goes to the next event, if there is any, and handles it.
    fn step(&mut self) {
        let packet = self.packets.front().map(|(at, _)| *at);
        let acknowledgement = self.acknowledgements.front().map(|(at, _)| *at);
        let next = [packet, acknowledgement, self.due];
        let Some(next) = next.into_iter().flatten().min() else {
            return;
        };
        self.now = next;
        if let Some((_, received)) = self.acknowledgements.pop_front_if(|(at, _)| *at == next) {
            self.flight.acknowledged_to(self.written - received);
        } else if let Some((_, bytes)) = self.packets.pop_front_if(|(at, _)| *at == next) {
            self.received += bytes;
            match self.due {
                Some(_) => self.acknowledge(),
                None => self.due = Some(next + NO_SECOND_PACKET_WITHIN),
            }
        } else {
            self.stalls += 1;
            self.acknowledge();
        }
    }

    /// Sends the messages as fast as possible, until the last one is written.
    fn stream(mut self, messages: impl IntoIterator<Item = usize>) -> usize {
        let mut messages: VecDeque<_> = messages.into_iter().collect();
        self.write(&mut messages);
        while !messages.is_empty() {
            self.step();
            self.write(&mut messages);
        }
        self.stalls
    }

    /// Sends each message once the one before it has arrived and its answer, which acknowledges nothing,
    /// has come.
    fn converse(mut self, messages: impl IntoIterator<Item = usize>) -> usize {
        for size in messages {
            let mut message = VecDeque::from([size]);
            self.write(&mut message);
            while !message.is_empty() {
                self.step();
                self.write(&mut message);
            }
            let stalls = self.stalls;
            while self.received < self.written {
                self.step();
            }
            assert_eq!(self.stalls, stalls, "all is on its way");
            let answered = self.now + self.round_trip / 2;
            while let Some((at, received)) = self
                .acknowledgements
                .pop_front_if(|(at, _)| *at <= answered)
            {
                self.now = at;
                self.flight.acknowledged_to(self.written - received);
            }
            self.now = answered;
        }
        self.stalls
    }
}

/// Returns paths with packets, round trips and spacings of every kind.
fn paths() -> impl Iterator<Item = (usize, Duration, Duration)> {
    let packets = [500, 1143, 1144, 1172, 1200, PACKET_BYTES];
    let round_trips = [0, 100, 3_000, 150_000].map(Duration::from_micros);
    let spacings = [0, 10].map(Duration::from_micros);
    packets.into_iter().flat_map(move |packet| {
        round_trips.into_iter().flat_map(move |round_trip| {
            spacings
                .into_iter()
                .map(move |spacing| (packet, round_trip, spacing))
        })
    })
}

/// Returns sizes of messages that take every number of packets, and more and less than is useful.
fn sizes() -> impl Iterator<Item = usize> {
    let to_packets = (1..=120).map(|packets| packets * 565);
    let known = [11, 12, 100, 40_000, 41_000, 59_500, 61_440, 100_000];
    to_packets.chain(known).chain([200_000, 262_144, 1_048_576])
}

#[test]
fn no_size_of_messages_waits_for_a_late_acknowledgement() {
    for (packet, round_trip, spacing) in paths() {
        for size in sizes() {
            let count = (1_048_576 / size).clamp(5, 700);
            let path = || Path::new(packet, round_trip, spacing);
            let what = format!("{size} bytes, {packet} a packet, {round_trip:?}, {spacing:?}");
            assert_eq!(path().stream(vec![size; count]), 0, "{what}");
            assert_eq!(path().converse(vec![size; 5]), 0, "{what}, in turn");
        }
    }
}

#[test]
fn no_mix_of_sizes_waits_for_a_late_acknowledgement() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut mixes = Vec::new();
    for large in [1_172, 41_000, 60_000, 262_144] {
        for tiny in [1, 20, 130] {
            let mut mix = vec![11; tiny];
            mix.push(large);
            mixes.push(mix);
        }
    }
    mixes.extend((0..20).map(|_| {
        let sizes = (0..40).map(|_| 11 + (random.f64().powi(4) * 100_000.0) as usize);
        sizes.collect()
    }));
    for (packet, round_trip, spacing) in paths() {
        for mix in &mixes {
            let messages = || mix.iter().copied().cycle().take(6 * mix.len());
            let path = || Path::new(packet, round_trip, spacing);
            let what = format!("{mix:?}, {packet} a packet, {round_trip:?}, {spacing:?}");
            assert_eq!(path().stream(messages()), 0, "{what}");
            assert_eq!(path().converse(messages().take(60)), 0, "{what}, in turn");
        }
    }
}

fn full_of(size: usize, round_trip: Option<Duration>) -> (SendWindow, usize) {
    let mut flight = SendWindow::default();
    let mut count = 0;
    while flight.has_room(size, round_trip) {
        flight.written(size);
        count += 1;
    }
    (flight, count)
}

#[test]
fn a_short_path_is_kept_busy_with_little_and_a_long_one_with_much() {
    let second = Some(Duration::from_secs(1));
    let (least, most) = limits::CHANNEL_BYTES;
    assert_eq!(full_of(16 * 1024, None).1, least / (16 * 1024));
    assert_eq!(full_of(16 * 1024, second).1, most / (16 * 1024));
}

#[test]
fn small_messages_are_bounded_by_their_number() {
    let (least, _) = limits::CHANNEL_BYTES;
    assert_eq!(full_of(100, None).1, least / LEAST_COST_BYTES);
    assert_eq!(full_of(0, None).1, least / LEAST_COST_BYTES);
}

#[test]
fn a_message_of_any_size_may_follow_what_is_less_than_half_of_the_useful() {
    let (least, _) = limits::CHANNEL_BYTES;
    for size in [least - 1, 1_000_000] {
        let (mut flight, count) = full_of(size, None);
        assert_eq!(count, 1);
        flight.acknowledged_to(least / 2);
        assert!(!flight.has_room(size, None));
        flight.acknowledged_to(least / 2 - 1);
        assert!(flight.has_room(size, None));
        flight.written(size);
        assert!(!flight.has_room(size, None));
    }
}

#[test]
fn a_channel_that_is_gone_has_no_room_for_more() {
    let mut flight = SendWindow::default();
    flight.written(1_000_000);
    assert!(!flight.acknowledged_to(usize::MAX));
    assert!(!flight.has_room(1_000_000, None));
}

#[test]
fn only_what_the_peer_has_acknowledged_is_progress() {
    let mut flight = SendWindow::default();
    assert!(!flight.acknowledged_to(0));
    flight.written(100);
    assert!(!flight.acknowledged_to(100));
    assert!(flight.acknowledged_to(99), "a part is");
    flight.written(100);
    assert!(!flight.acknowledged_to(199));
    assert!(flight.acknowledged_to(0));
    assert!(!flight.acknowledged_to(0));
}

#[test]
fn what_is_acknowledged_of_a_small_message_makes_room_once_it_is_all_of_it() {
    let (mut flight, count) = full_of(100, None);
    flight.acknowledged_to(count * 100 - 99);
    assert!(!flight.has_room(100, None));
    flight.acknowledged_to(count * 100 - 100);
    assert!(flight.has_room(100, None));
    flight.acknowledged_to(0);
    let mut again = 0;
    while flight.has_room(100, None) {
        flight.written(100);
        again += 1;
    }
    assert_eq!(again, count);
}

#[test]
fn what_may_be_one_packet_left_at_once_and_is_small() {
    let mut flight = SendWindow::default();
    flight.acknowledged_to(0);
    (0..10).for_each(|_| flight.written(100));
    assert!(flight.may_be_alone());
    flight.acknowledged_to(1000);
    flight.written(100);
    assert!(!flight.may_be_alone(), "two packets are under way");
    flight.acknowledged_to(100);
    assert!(flight.may_be_alone());
    flight.acknowledged_to(0);
    flight.written(PACKET_BYTES + 1);
    assert!(!flight.may_be_alone());
    flight.acknowledged_to(PACKET_BYTES);
    assert!(flight.may_be_alone());
}
