//! The fake stack's transport: two reliable, ordered streams over datagrams that may get lost, one
//! for each channel, with acknowledgements like SCTP's: cumulative, with what came out of order, of
//! every second packet at once and of an odd last one late; and a retransmission timer that doubles to a
//! minute.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::mesh::link::Channel;

/// Bytes of a message in one datagram.
const CHUNK_BYTES: usize = 1100;
/// Packets that are acknowledged at once; if something is missing before one, that one is.
const AT_ONCE: u32 = 2;
/// Chunks under way at most.
const FLIGHT: u64 = 512;
/// Later chunks that have to arrive before one counts as lost.
const DUPLICATES: u32 = 3;

/// How late a packet is acknowledged that no other follows.
const LATE: Duration = Duration::from_millis(200);

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What a chunk carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open = 0,
    OpenAck = 1,
    Part = 2,
    End = 3,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [Kind::Open, Kind::OpenAck, Kind::Part, Kind::End]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What a stream hands up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Opened,
    Message(Vec<u8>),
}

#[derive(Debug)]
struct Chunk {
    number: u64,
    kind: Kind,
    bytes: Vec<u8>,
    /// Under way; otherwise it is to be sent (again).
    sent: bool,
    acknowledged: bool,
    overtaken: u32,
}

/// One direction each way of one channel.
#[derive(Debug, Default)]
struct Stream {
    next: u64,
    outstanding: VecDeque<Chunk>,
    expected: u64,
    early: BTreeMap<u64, (Kind, Vec<u8>)>,
    partial: Vec<u8>,
    is_open: bool,
}

impl Stream {
    fn push(&mut self, kind: Kind, bytes: &[u8]) {
        self.outstanding.push_back(Chunk {
            number: self.next,
            kind,
            bytes: bytes.to_vec(),
            sent: false,
            acknowledged: false,
            overtaken: 0,
        });
        self.next += 1;
    }

    fn buffered(&self) -> usize {
        let unacknowledged = self.outstanding.iter().filter(|chunk| !chunk.acknowledged);
        // As in the real one there is no chunk without a byte, opening a channel included.
        unacknowledged.map(|chunk| chunk.bytes.len().max(1)).sum()
    }

    /// Bit `n` says that chunk `expected + 1 + n` is there.
    fn early_bits(&self) -> u64 {
        let in_reach = self.early.range(self.expected + 1..self.expected + 65);
        in_reach.fold(0, |bits, (number, _)| {
            bits | 1 << (number - self.expected - 1)
        })
    }

    /// The other side expects `expected` next and has what `bits` say. Says whether that is news.
    fn acknowledged(&mut self, expected: u64, bits: u64) -> bool {
        let before = self.outstanding.len();
        while self
            .outstanding
            .front()
            .is_some_and(|chunk| chunk.number < expected)
        {
            self.outstanding.pop_front();
        }
        let highest = expected + 64 - u64::from(bits.leading_zeros());
        for chunk in &mut self.outstanding {
            let offset = chunk.number.wrapping_sub(expected + 1);
            if offset < 64 && bits & (1 << offset) != 0 {
                chunk.acknowledged = true;
            } else if chunk.sent && !chunk.acknowledged && chunk.number < highest {
                // Once; should it get lost again the timer is left to find out.
                chunk.overtaken = chunk.overtaken.saturating_add(1);
                if chunk.overtaken == DUPLICATES {
                    chunk.sent = false;
                }
            }
        }
        self.outstanding.len() < before
    }

    fn received(
        &mut self,
        number: u64,
        kind: Kind,
        bytes: Vec<u8>,
        delivered: &mut Vec<Delivered>,
    ) {
        if number < self.expected || number > self.expected + FLIGHT {
            return;
        }
        self.early.insert(number, (kind, bytes));
        while let Some((kind, bytes)) = self.early.remove(&self.expected) {
            self.expected += 1;
            match kind {
                Kind::Open if !self.is_open => {
                    self.is_open = true;
                    self.push(Kind::OpenAck, &[]);
                    delivered.push(Delivered::Opened);
                }
                Kind::OpenAck if !self.is_open => {
                    self.is_open = true;
                    delivered.push(Delivered::Opened);
                }
                Kind::Open | Kind::OpenAck => {}
                Kind::Part => self.partial.extend(bytes),
                Kind::End => {
                    self.partial.extend(bytes);
                    delivered.push(Delivered::Message(std::mem::take(&mut self.partial)));
                }
            }
        }
    }
}

/// Both streams, their acknowledgements and their timer.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: [Stream; 2],
    /// Packets that came and are not acknowledged.
    unacknowledged: u32,
    /// When one that no other follows will be.
    acknowledges: Option<Instant>,
    wait: Option<Duration>,
    expires: Option<Instant>,
}

const CHANNELS: [Channel; 2] = [Channel::Mesh, Channel::Control];

impl Streams {
    fn of(&mut self, channel: Channel) -> &mut Stream {
        &mut self.streams[channel as usize]
    }

    pub(super) fn open(&mut self, channel: Channel) {
        self.of(channel).push(Kind::Open, &[]);
    }

    pub(super) fn is_open(&self, channel: Channel) -> bool {
        self.streams[channel as usize].is_open
    }

    pub(super) fn buffered(&self, channel: Channel) -> usize {
        self.streams[channel as usize].buffered()
    }

    pub(super) fn write(&mut self, channel: Channel, message: &[u8]) {
        let stream = self.of(channel);
        let mut rest = message;
        while rest.len() > CHUNK_BYTES {
            let (part, left) = rest.split_at(CHUNK_BYTES);
            stream.push(Kind::Part, part);
            rest = left;
        }
        stream.push(Kind::End, rest);
    }

    pub(super) fn handle(&mut self, packet: &[u8]) -> Vec<(Channel, Delivered)> {
        let mut delivered = Vec::new();
        match packet {
            [0, channel, rest @ ..] if rest.len() >= 9 && *channel < 2 => {
                self.unacknowledged += 1;
                let channel = CHANNELS[usize::from(*channel)];
                if let Some(kind) = Kind::of(rest[8]) {
                    let mut of_channel = Vec::new();
                    self.of(channel).received(
                        number(&rest[..8]),
                        kind,
                        rest[9..].to_vec(),
                        &mut of_channel,
                    );
                    delivered.extend(of_channel.into_iter().map(|what| (channel, what)));
                }
                if self.streams.iter().any(|stream| !stream.early.is_empty()) {
                    self.unacknowledged = self.unacknowledged.max(AT_ONCE);
                }
            }
            [1, rest @ ..] if rest.len() == 32 => {
                let mut news = false;
                for (stream, told) in self.streams.iter_mut().zip(rest.chunks(16)) {
                    news |= stream.acknowledged(number(&told[..8]), number(&told[8..]));
                }
                if news {
                    self.wait = None;
                    self.expires = None;
                }
            }
            _ => {}
        }
        delivered
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.acknowledges.take_if(|at| now >= *at).is_some() {
            self.unacknowledged = AT_ONCE;
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            self.retransmit();
        }
    }

    /// The retransmission timer has expired.
    pub(super) fn retransmit(&mut self) {
        self.expires = None;
        let wait = self.wait.map_or(FIRST_WAIT, |wait| wait);
        self.wait = Some((wait * 2).min(LONGEST_WAIT));
        for stream in &mut self.streams {
            for chunk in &mut stream.outstanding {
                chunk.sent = chunk.acknowledged;
            }
        }
    }

    /// The next packet to send.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.unacknowledged >= AT_ONCE {
            self.unacknowledged = 0;
            self.acknowledges = None;
            let mut packet = vec![1];
            for stream in &self.streams {
                packet.extend(stream.expected.to_be_bytes());
                packet.extend(stream.early_bits().to_be_bytes());
            }
            return Some(packet);
        }
        if self.unacknowledged > 0 {
            self.acknowledges.get_or_insert(now + LATE);
        }
        for (channel, stream) in self.streams.iter_mut().enumerate() {
            let first = stream.outstanding.front().map_or(0, |chunk| chunk.number);
            let next = stream
                .outstanding
                .iter_mut()
                .take_while(|chunk| chunk.number < first + FLIGHT)
                .find(|chunk| !chunk.sent && !chunk.acknowledged);
            if let Some(chunk) = next {
                chunk.sent = true;
                let mut packet = vec![0, u8::try_from(channel).unwrap()];
                packet.extend(chunk.number.to_be_bytes());
                packet.push(chunk.kind as u8);
                packet.extend(&chunk.bytes);
                return Some(packet);
            }
        }
        let is_idle = self
            .streams
            .iter()
            .all(|stream| stream.outstanding.is_empty());
        if is_idle {
            self.expires = None;
        } else {
            let wait = self.wait.unwrap_or(FIRST_WAIT);
            self.expires.get_or_insert(now + wait);
        }
        None
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.expires, self.acknowledges]
            .into_iter()
            .flatten()
            .min()
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps two ends with so many of 100 datagrams lost; gives what the second was delivered.
    fn carry(messages: &[Vec<u8>], lost: u32) -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut now = Instant::now();
        let mut ends = [Streams::default(), Streams::default()];
        ends[0].open(Channel::Mesh);
        for message in messages {
            ends[0].write(Channel::Mesh, message);
        }
        let mut got = Vec::new();
        for _ in 0..2000 {
            for from in [0, 1] {
                while let Some(packet) = ends[from].poll(now) {
                    if random.u32(..100) >= lost {
                        for (_, delivered) in ends[1 - from].handle(&packet) {
                            if let Delivered::Message(message) = delivered {
                                got.push(message);
                            }
                        }
                    }
                }
            }
            now += Duration::from_millis(500);
            ends.iter_mut().for_each(|end| end.handle_timeout(now));
        }
        assert_eq!(ends[0].buffered(Channel::Mesh), 0);
        got
    }

    #[test]
    fn messages_arrive_whole_once_and_in_order_whatever_is_lost() {
        let messages: Vec<_> = (0..50u8).map(|n| vec![n; usize::from(n) * 97]).collect();
        for lost in [0, 1, 10, 25] {
            assert_eq!(carry(&messages, lost), messages, "{lost} of 100 lost");
        }
    }
}
