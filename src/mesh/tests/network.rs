//! The network between the simulated sidecars: delay, loss, duplication, partitions, dead addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::mesh::link::Transmit;

/// Where a participant is: an index into the world's sidecars, ours first.
pub(super) type Place = usize;

/// How datagrams fare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) latency: Duration,
    /// Added at random, so that datagrams overtake each other.
    pub(super) jitter: Duration,
    /// Of 100.
    pub(super) lost: u32,
    /// Of 100.
    pub(super) doubled: u32,
}

impl Weather {
    /// A local network on a good day.
    pub(super) const FAIR: Weather = Weather {
        latency: Duration::from_micros(300),
        jitter: Duration::ZERO,
        lost: 0,
        doubled: 0,
    };
    /// A bad line.
    pub(super) const FOUL: Weather = Weather {
        latency: Duration::from_millis(40),
        jitter: Duration::from_millis(30),
        lost: 5,
        doubled: 2,
    };
}

/// The narrow line on which everything leaves a place, with a queue before it.
#[derive(Debug)]
pub(super) struct Line {
    from: Place,
    bytes_per_second: u32,
    /// In bytes. What finds it full is lost.
    queue: usize,
    /// When all that is queued will have left.
    free_at: Instant,
}

impl Line {
    /// What Ethernet, IPv4 and UDP add to a datagram.
    const OVERHEAD: usize = 14 + 20 + 8;

    pub(super) fn new(now: Instant, from: Place, bytes_per_second: u32, queue: usize) -> Self {
        Line {
            from,
            bytes_per_second,
            queue,
            free_at: now,
        }
    }

    fn time_for(&self, bytes: usize) -> Duration {
        Duration::from_secs(1) * u32::try_from(bytes).unwrap() / self.bytes_per_second
    }

    /// Returns how long a datagram takes through the queue and over the line; `None` when it is lost.
    fn delay(&mut self, now: Instant, from: Place, bytes: usize) -> Option<Duration> {
        if from != self.from {
            return Some(Duration::ZERO);
        }
        let begins = self.free_at.max(now);
        let bytes = bytes + Self::OVERHEAD;
        if begins - now > self.time_for(self.queue) {
            return None;
        }
        self.free_at = begins + self.time_for(bytes);
        Some(self.free_at - now)
    }
}

/// Connections that are to die young.
#[derive(Debug)]
struct Newcomers {
    /// Those that live on.
    older: BTreeSet<u64>,
    /// Datagrams that the others have left.
    left: u64,
}

#[derive(Debug)]
pub(super) struct Network {
    pub(super) weather: Weather,
    pub(super) line: Option<Line>,
    /// Larger datagrams vanish, in bytes.
    pub(super) largest: usize,
    /// What datagrams take longer from or to an address, by its index.
    pub(super) slow: BTreeMap<usize, Duration>,
    blocked: BTreeSet<(Place, Place)>,
    dead: BTreeSet<SocketAddr>,
    dead_pairs: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Connections that the network has swallowed, by the tags of the fake stack.
    dead_tags: BTreeSet<u64>,
    seen_tags: BTreeSet<u64>,
    newcomers: Option<Newcomers>,
    /// Datagrams until every connection there is by then dies.
    pub(super) deadly_after: Option<u64>,
    pub(super) carried: u64,
    /// The bytes of all datagrams, with the headers of UDP, IP and Ethernet.
    pub(super) carried_bytes: u64,
}

impl Network {
    pub(super) fn new(weather: Weather) -> Self {
        Network {
            weather,
            line: None,
            largest: usize::MAX,
            slow: BTreeMap::new(),
            blocked: BTreeSet::new(),
            dead: BTreeSet::new(),
            dead_pairs: BTreeSet::new(),
            dead_tags: BTreeSet::new(),
            seen_tags: BTreeSet::new(),
            newcomers: None,
            deadly_after: None,
            carried: 0,
            carried_bytes: 0,
        }
    }

    pub(super) fn block(&mut self, from: Place, to: Place) {
        self.blocked.insert((from, to));
    }

    pub(super) fn partition(&mut self, one: Place, other: Place) {
        self.block(one, other);
        self.block(other, one);
    }

    /// What was cut off by [`Network::partition`] is no longer.
    pub(super) fn unblock(&mut self, one: Place, other: Place) {
        self.blocked.remove(&(one, other));
        self.blocked.remove(&(other, one));
    }

    pub(super) fn kill_address(&mut self, address: SocketAddr) {
        self.dead.insert(address);
    }

    /// Nothing passes between these two addresses any more.
    pub(super) fn kill_pair(&mut self, one: SocketAddr, other: SocketAddr) {
        self.dead_pairs.extend([(one, other), (other, one)]);
    }

    /// No connection is to die any more.
    pub(super) fn spare(&mut self) {
        self.newcomers = None;
        self.deadly_after = None;
    }

    /// Everything works again; connections that were swallowed stay so.
    pub(super) fn heal(&mut self, weather: Weather) {
        self.blocked.clear();
        self.dead.clear();
        self.dead_pairs.clear();
        self.weather = weather;
    }

    /// Every connection that has sent anything so far is dead for good.
    pub(super) fn kill_connections(&mut self) {
        self.dead_tags.extend(&self.seen_tags);
    }

    /// The next connections die when they have sent so many datagrams; those there are live on.
    pub(super) fn doom_newcomers(&mut self, left: u64) {
        let older = self.seen_tags.clone();
        self.newcomers = Some(Newcomers { older, left });
    }

    /// Counts a datagram against what is to die.
    fn count(&mut self, tag: Option<u64>) {
        self.carried += 1;
        self.seen_tags.extend(tag);
        if let Some(left) = &mut self.deadly_after {
            if *left == 0 {
                self.deadly_after = None;
                self.kill_connections();
            } else {
                *left -= 1;
            }
        }
        if let Some(newcomers) = &mut self.newcomers
            && tag.is_some_and(|tag| !newcomers.older.contains(&tag))
        {
            if newcomers.left == 0 {
                let young = self.seen_tags.difference(&newcomers.older);
                self.dead_tags.extend(young);
                self.newcomers = None;
            } else {
                newcomers.left -= 1;
            }
        }
    }

    /// The delays after which a datagram arrives: none when it is lost, two when it is doubled.
    pub(super) fn delays(
        &mut self,
        now: Instant,
        random: &mut fastrand::Rng,
        datagram: &Transmit,
    ) -> Vec<Duration> {
        let tag = tag_of(datagram);
        self.count(tag);
        self.carried_bytes += bytes_on_the_wire(datagram);
        let (from, to) = (place(datagram.source), place(datagram.destination));
        let is_cut = datagram.bytes.len() > self.largest
            || self.blocked.contains(&(from, to))
            || self.dead.contains(&datagram.source)
            || self.dead.contains(&datagram.destination)
            || self
                .dead_pairs
                .contains(&(datagram.source, datagram.destination))
            || tag.is_some_and(|tag| self.dead_tags.contains(&tag));
        let ends = [datagram.source, datagram.destination].map(index);
        let further: Duration = ends.iter().filter_map(|index| self.slow.get(index)).sum();
        let weather = self.weather;
        if is_cut || random.u32(..100) < weather.lost {
            return Vec::new();
        }
        let line = self.line.as_mut();
        let on_line = line.map(|line| line.delay(now, from, datagram.bytes.len()));
        let Some(on_line) = on_line.unwrap_or(Some(Duration::ZERO)) else {
            return Vec::new();
        };
        let copies = 1 + usize::from(random.u32(..100) < weather.doubled);
        let jitter = u64::try_from(weather.jitter.as_nanos()).unwrap();
        (0..copies)
            .map(|_| {
                on_line + weather.latency + further + Duration::from_nanos(random.u64(..=jitter))
            })
            .collect()
    }
}

/// The fake stack's datagrams name the connection that they are for.
fn tag_of(datagram: &Transmit) -> Option<u64> {
    let tag = datagram.bytes.get(1..9)?;
    Some(u64::from_be_bytes(tag.try_into().unwrap()))
}

fn bytes_on_the_wire(datagram: &Transmit) -> u64 {
    const UDP: usize = 8;
    const ETHERNET: usize = 14;
    let ip = if datagram.source.is_ipv4() { 20 } else { 40 };
    (datagram.bytes.len() + UDP + ip + ETHERNET) as u64
}

/// The address of a participant; its lanes and processes have addresses of their own.
pub(super) fn address(place: Place, lane: usize, index: usize, port: u16) -> SocketAddr {
    let byte = |number| u8::try_from(number).unwrap();
    SocketAddr::from(([10, byte(place), byte(lane), byte(index)], port))
}

/// The same for IPv6.
pub(super) fn ipv6_address(place: Place, lane: usize, index: usize, port: u16) -> SocketAddr {
    let part = |number| u16::try_from(number).unwrap();
    let parts = [0x2001, 0xdb8, part(place), part(lane), 0, 0, 0, part(index)];
    SocketAddr::from((parts, port))
}

pub(super) fn place(address: SocketAddr) -> Place {
    match address {
        SocketAddr::V4(address) => usize::from(address.ip().octets()[1]),
        SocketAddr::V6(address) => usize::from(address.ip().segments()[2]),
    }
}

/// Which of its participant's addresses it is.
pub(super) fn index(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => usize::from(address.ip().octets()[3]),
        SocketAddr::V6(address) => usize::from(address.ip().segments()[7]),
    }
}
