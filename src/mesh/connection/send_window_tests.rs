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

    start: Instant,
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
    /// Packets that have left.
    left_count: u32,
}

impl Path {
    fn new(packet_bytes: usize, round_trip: Duration, spacing: Duration) -> Self {
        let start = Instant::now();
        let mut flight = SendWindow::default();
        flight.measured(start, round_trip);
        Path {
            packet_bytes,
            round_trip,
            spacing,
            start,
            now: Duration::ZERO,
            flight,
            written: 0,
            left: Duration::ZERO,
            packets: VecDeque::new(),
            received: 0,
            due: None,
            acknowledgements: VecDeque::new(),
            stalls: 0,
            left_count: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + self.now
    }

    /// Writes as many of these messages as there is room for, in as few packets as they fit into.
    fn write(&mut self, messages: &mut VecDeque<usize>) {
        let (mut filled, mut bytes) = (0, 0);
        let now = self.now();
        while let Some(size) = messages.front().copied()
            && self.flight.has_room(now, size)
        {
            messages.pop_front();
            self.flight.written(now, size);
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
        self.left_count += 1;
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
            let now = self.now();
            self.flight.acknowledged_to(now, self.written - received);
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
                let now = self.now();
                self.flight.acknowledged_to(now, self.written - received);
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

fn full_of(size: usize, now: Instant) -> (SendWindow, usize) {
    let mut flight = SendWindow::default();
    let mut count = 0;
    while flight.has_room(now, size) {
        flight.written(now, size);
        count += 1;
    }
    (flight, count)
}

#[test]
fn a_short_path_is_kept_busy_with_little_and_a_long_one_with_much() {
    let (least, most) = limits::CHANNEL_BYTES;
    for (round_trip, useful) in [(0, least), (20, 20 * BYTES_PER_MILLISECOND), (1000, most)] {
        let round_trip = Duration::from_millis(round_trip);
        let mut path = Path::new(1200, round_trip, Duration::from_micros(10));
        let mut messages = VecDeque::from(vec![16 * 1024; 4000]);
        let mut under_way = 0;
        while !messages.is_empty() {
            path.write(&mut messages);
            under_way = under_way.max(path.flight.bytes);
            path.step();
        }
        assert!(
            under_way > useful - 16 * 1024 && under_way <= useful,
            "{under_way}"
        );
    }
}

#[test]
fn small_messages_are_bounded_by_their_number() {
    let now = Instant::now();
    let (least, _) = limits::CHANNEL_BYTES;
    assert_eq!(full_of(100, now).1, least / LEAST_COST_BYTES);
    assert_eq!(full_of(0, now).1, least / LEAST_COST_BYTES);
}

#[test]
fn a_message_of_any_size_may_follow_when_half_of_what_the_line_may_hold_is_left() {
    let now = Instant::now();
    for size in [UNKNOWN_LINE_BYTES - 1, 1_000_000] {
        let (mut flight, count) = full_of(size, now);
        assert_eq!(count, 1);
        flight.acknowledged_to(now, UNKNOWN_LINE_BYTES / 2);
        assert!(!flight.has_room(now, size));
        flight.acknowledged_to(now, UNKNOWN_LINE_BYTES / 2 - 1);
        assert!(flight.has_room(now, size));
        flight.written(now, size);
        assert!(!flight.has_room(now, size));
    }
}

#[test]
fn a_channel_that_is_gone_has_no_room_for_more() {
    let now = Instant::now();
    let mut flight = SendWindow::default();
    flight.written(now, 1_000_000);
    assert!(!flight.acknowledged_to(now, usize::MAX));
    assert!(!flight.has_room(now, 1_000_000));
}

#[test]
fn only_what_the_peer_has_acknowledged_is_progress() {
    let now = Instant::now();
    let mut flight = SendWindow::default();
    assert!(!flight.acknowledged_to(now, 0));
    flight.written(now, 100);
    assert!(!flight.acknowledged_to(now, 100));
    assert!(flight.acknowledged_to(now, 99), "a part is");
    flight.written(now, 100);
    assert!(!flight.acknowledged_to(now, 199));
    assert!(flight.acknowledged_to(now, 0));
    assert!(!flight.acknowledged_to(now, 0));
}

#[test]
fn what_is_acknowledged_of_a_small_message_makes_room_once_it_is_all_of_it() {
    let now = Instant::now();
    let (mut flight, count) = full_of(100, now);
    flight.acknowledged_to(now, count * 100 - 99);
    assert!(!flight.has_room(now, 100));
    flight.acknowledged_to(now, count * 100 - 100);
    assert!(flight.has_room(now, 100));
    flight.acknowledged_to(now, 0);
    let mut again = 0;
    while flight.has_room(now, 100) {
        flight.written(now, 100);
        again += 1;
    }
    assert_eq!(again, count);
}

#[test]
fn what_may_be_one_packet_left_at_once_and_is_small() {
    let now = Instant::now();
    let mut flight = SendWindow::default();
    flight.acknowledged_to(now, 0);
    (0..10).for_each(|_| flight.written(now, 100));
    assert!(flight.may_be_alone());
    flight.acknowledged_to(now, 1000);
    flight.written(now, 100);
    assert!(!flight.may_be_alone(), "two packets are under way");
    flight.acknowledged_to(now, 100);
    assert!(flight.may_be_alone());
    flight.acknowledged_to(now, 0);
    flight.written(now, PACKET_BYTES + 1);
    assert!(!flight.may_be_alone());
    flight.acknowledged_to(now, PACKET_BYTES);
    assert!(flight.may_be_alone());
}

/// The result of streaming over a slow line.
struct Streamed {
    /// The longest time that a packet took until it was acknowledged, once the line was known.
    longest: Duration,
    /// The part of the time in which the line carried something then.
    busy: f64,
}

const KNOWN_AFTER: Duration = Duration::from_secs(15);

/// Streams messages of `size` over a line that carries so many bytes a second and has a queue without end. As in
/// the real stack the round trip is also measured every three seconds, through that queue.
fn stream_over_slow_line(rate: u32, round_trip: Duration, size: usize) -> Streamed {
    const TIME: Duration = Duration::from_secs(130);
    const MEASURED_EVERY: Duration = Duration::from_secs(3);
    let mut path = Path::new(1200, round_trip, time_for(1200, rate));
    let (mut longest, mut measured) = (Duration::ZERO, Duration::ZERO);
    let mut known = None;
    while path.now < TIME {
        path.write(&mut VecDeque::from(vec![size; 1000]));
        let takes = path.left.saturating_sub(path.now) + round_trip;
        if path.now > KNOWN_AFTER {
            longest = longest.max(takes);
            known.get_or_insert((path.left, path.left_count));
        }
        path.step();
        if path.now > measured + MEASURED_EVERY {
            measured = path.now;
            let now = path.now();
            path.flight.measured(now, takes);
        }
    }
    let (left, left_count) = known.unwrap();
    let carried = path.spacing * (path.left_count - left_count);
    let busy = carried.as_secs_f64() / (path.left - left).as_secs_f64();
    Streamed { longest, busy }
}

fn time_for(bytes: usize, rate: u32) -> Duration {
    Duration::from_secs(1) * u32::try_from(bytes).unwrap() / rate
}

#[test]
fn a_slow_line_is_kept_full_with_little_queue_beside_one_message() {
    let rates = [8_000, 32_000, 125_000];
    let round_trips = [1, 20, 100, 1500].map(Duration::from_millis);
    let sizes = [100, 1_100, 10_000, 60_000];
    for (rate, round_trip) in rates
        .into_iter()
        .flat_map(|rate| round_trips.map(|time| (rate, time)))
    {
        for size in sizes {
            let Streamed { longest, busy } = stream_over_slow_line(rate, round_trip, size);
            let small = limits::LINE_QUEUE.max(time_for(4 * PACKET_BYTES, rate));
            let queue = small.max(time_for(size, rate) + small / 2);
            // A fifth for what goes into packets beside messages. What leaves at once after a pause waits for a
            // round trip more.
            let allowed = queue * 6 / 5 + 2 * time_for(1200, rate) + 2 * round_trip;
            let what = format!("{rate} bytes a second, {round_trip:?}, {size} bytes");
            assert!(longest < allowed, "{what}: {longest:?} of {allowed:?}");
            assert!(busy > 0.9, "{what}: {busy:.3}");
        }
    }
}

#[test]
fn a_line_that_becomes_slower_is_noticed() {
    let round_trip = Duration::from_millis(20);
    let mut path = Path::new(1200, round_trip, time_for(1200, 1_000_000));
    let mut takes = Duration::ZERO;
    for (until, rate) in [(5, 1_000_000), (40, 32_000)] {
        path.spacing = time_for(1200, rate);
        while path.now < Duration::from_secs(until) {
            path.write(&mut VecDeque::from(vec![10_000; 100]));
            takes = path.left.saturating_sub(path.now) + round_trip;
            path.step();
        }
    }
    assert!(takes < 2 * limits::LINE_QUEUE, "{takes:?}");
}

/// A round trip that grows by more than the queue that is allowed looks like that queue at first.
#[test]
fn a_path_that_becomes_longer_recovers() {
    let mut path = Path::new(1200, Duration::from_millis(20), time_for(1200, 125_000));
    let mut before = 0;
    for (until, round_trip) in [(10, 20), (170, 1500), (200, 1500)] {
        path.round_trip = Duration::from_millis(round_trip);
        before = path.received;
        while path.now < Duration::from_secs(until) {
            path.write(&mut VecDeque::from(vec![10_000; 100]));
            path.step();
        }
    }
    let rate = (path.received - before) / 30;
    assert!(rate > 100_000, "{rate} bytes a second");
}

/// The line back is full, say. Our own is not, and there is nothing to measure on it.
#[test]
fn what_does_not_fill_the_line_is_not_held_back_although_acknowledgements_are_late() {
    const EVERY: Duration = Duration::from_millis(300);
    const UNACKNOWLEDGED: u32 = 8;
    let start = Instant::now();
    let mut window = SendWindow::default();
    for count in 0..400 {
        let now = start + count * EVERY;
        window.acknowledged_to(now, 100 * count.min(UNACKNOWLEDGED) as usize);
        assert!(window.has_room(now, 100), "after {:?}", now - start);
        window.written(now, 100);
    }
}

#[test]
fn a_short_path_to_large_buffers_takes_more() {
    let (least, most) = limits::CHANNEL_BYTES;
    let useful = |milliseconds: Option<u64>, told: u64| {
        let mut window = SendWindow::default();
        window.peer_buffers(told);
        useful_bytes(milliseconds.map(Duration::from_millis), window.peer_buffer)
    };
    for (told, expected) in [
        (0, least),
        (100_000, least),
        (425_984, 212_992),
        (u64::MAX, limits::BUFFERED_CHANNEL_BYTES),
    ] {
        assert_eq!(useful(None, told), expected);
        assert_eq!(useful(Some(1), told), expected);
        assert_eq!(useful(Some(100), told), most);
    }
}
