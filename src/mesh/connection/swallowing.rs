//! Notices a path that swallows full packets: what is small passes and is answered, and of what fills packets
//! nothing is ever acknowledged. Tunnels do so whose routers do not say what they are too narrow for.

use std::time::{Duration, Instant};

use super::liveness::DEAD_AFTER;
use super::outstanding::Outstanding;
use crate::limits;
use crate::mesh::link::Packets;

/// Watches the mesh channel of one connection.
#[derive(Debug, Default)]
pub(crate) struct Swallowing {
    /// How large the packets of this connection are.
    packets: Packets,
    outstanding: Outstanding,
    /// The bytes that are not acknowledged.
    buffered: usize,
    /// Since when some are waited for in vain although the path answers.
    since: Option<Instant>,
    /// How often full packets were sent since then, and when last.
    sendings: u32,
    sent: Option<Instant>,
    /// When the path last answered a check.
    answered: Option<Instant>,
    /// If it is certain, how many bytes have to be acknowledged until it is not any more: all that waited then.
    refuted_by: Option<u64>,
}

impl Swallowing {
    pub(crate) fn new(packets: Packets) -> Self {
        Swallowing {
            packets,
            ..Swallowing::default()
        }
    }

    /// Notes that `bytes` were written.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.outstanding.written(bytes);
    }

    /// Notes that `buffered` bytes are not acknowledged by now.
    pub(crate) fn acknowledged_to(&mut self, now: Instant, buffered: usize) {
        let has_more = self.outstanding.acknowledged_to(buffered);
        self.buffered = buffered;
        self.since = match self.since {
            _ if buffered == 0 => None,
            Some(since) if !has_more => Some(since),
            _ => Some(now),
        };
        if has_more {
            self.sendings = 0;
            let acknowledged = self.outstanding.acknowledged();
            self.refuted_by.take_if(|bytes| acknowledged >= *bytes);
        }
    }

    /// Notes that a datagram of `bytes` was sent.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize) {
        let is_apart = self.sent.is_none_or(|before| {
            now.saturating_duration_since(before) >= limits::SWALLOWED_SENDINGS_APART
        });
        let is_full = match self.packets {
            Packets::Full => bytes > limits::SMALL_PACKET_BYTES,
            Packets::Small => bytes > limits::SMALL_PACKET_BYTES / 2,
        };
        if is_full && is_apart {
            self.sendings = self.sendings.saturating_add(1);
            self.sent = Some(now);
        }
    }

    /// Notes that the path has answered a check. Returns `true` once, when it has become certain that it
    /// swallows full packets.
    pub(crate) fn answered(&mut self, now: Instant, round_trip: Option<Duration>) -> bool {
        let patience = 4 * round_trip.unwrap_or_default();
        let before = self.answered.replace(now);
        let was_silent =
            before.is_none_or(|at| now.saturating_duration_since(at) > DEAD_AFTER + patience);
        if was_silent {
            // Nothing at all has passed meanwhile.
            self.since = self.since.map(|_| now);
            self.sendings = 0;
        }
        let waited = self.since.map(|since| now.saturating_duration_since(since));
        let is_long = waited.is_some_and(|waited| waited >= limits::SWALLOWED_AFTER + patience);
        let is_often = self.sendings >= limits::SWALLOWED_SENDINGS;
        let is_full = self.buffered >= limits::SMALL_PACKET_BYTES;
        let is_news = is_long && is_often && is_full && !self.is_certain();
        if is_news {
            let waiting = self.buffered as u64;
            self.refuted_by = Some(self.outstanding.acknowledged().saturating_add(waiting));
        }
        is_news
    }

    /// Returns whether a connection with smaller packets may carry what this one does not.
    pub(crate) fn wants_smaller(&self) -> bool {
        self.is_certain() && self.packets == Packets::Full
    }

    /// Returns whether it is certain, and what waited then has not been acknowledged since.
    pub(crate) fn is_certain(&self) -> bool {
        self.refuted_by.is_some()
    }

    pub(crate) fn packets(&self) -> Packets {
        self.packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns after how many seconds of answers each second it is certain, with the bytes that are not
    /// acknowledged in each, and a datagram of `sent` bytes that is sent in each.
    fn certain_after(seconds: u32, sent: usize, buffered: impl Fn(u32) -> usize) -> Option<u32> {
        let start = Instant::now();
        let mut swallowing = Swallowing::default();
        swallowing.written(100_000);
        (0..seconds).find(|second| {
            let now = start + *second * SECOND;
            swallowing.sent(now, sent);
            swallowing.acknowledged_to(now, buffered(*second));
            swallowing.answered(now, Some(SECOND / 10))
        })
    }

    #[test]
    fn it_is_certain_when_answers_come_and_nothing_is_acknowledged() {
        assert_eq!(certain_after(20, 1100, |_| 3000), Some(3));
        assert_eq!(certain_after(20, 500, |_| 3000), None, "all are small");
        assert_eq!(certain_after(20, 1100, |_| 100), None, "it fills no packet");
        let slow = |second| 100_000 - 1000 * second as usize;
        assert_eq!(certain_after(60, 1100, slow), None, "it is slow");
        assert_eq!(certain_after(20, 1100, |_| 0), None);
    }

    #[test]
    fn it_is_certain_until_as_much_is_acknowledged_as_waited_then() {
        let start = Instant::now();
        let mut swallowing = Swallowing::default();
        swallowing.written(3000);
        for second in 0..4 {
            let now = start + second * SECOND;
            swallowing.sent(now, 1100);
            swallowing.acknowledged_to(now, 3000);
            swallowing.answered(now, None);
        }
        assert!(swallowing.is_certain());
        // Small messages behind the full packets may pass.
        swallowing.written(100);
        swallowing.acknowledged_to(start + 4 * SECOND, 3000);
        assert!(swallowing.is_certain());
        swallowing.written(5000);
        swallowing.acknowledged_to(start + 5 * SECOND, 5000);
        assert!(!swallowing.is_certain());
    }

    #[test]
    fn what_was_sent_twice_may_have_been_lost_by_chance() {
        let start = Instant::now();
        let mut swallowing = Swallowing::default();
        swallowing.written(3000);
        swallowing.acknowledged_to(start, 3000);
        for second in [0, 1] {
            swallowing.sent(start + second * SECOND, 1100);
            swallowing.sent(start + second * SECOND, 1100);
        }
        assert!((0..8).all(|second| !swallowing.answered(start + second * SECOND, None)));
    }

    #[test]
    fn a_path_that_was_silent_has_its_time_afterwards() {
        let start = Instant::now();
        let mut swallowing = Swallowing::default();
        swallowing.written(3000);
        swallowing.answered(start, None);
        swallowing.acknowledged_to(start, 3000);
        let back = start + 10 * SECOND;
        assert!(!swallowing.answered(back, None));
        assert!(!swallowing.answered(back + SECOND, None));
        swallowing.acknowledged_to(back + SECOND, 0);
        assert!(!swallowing.answered(back + 2 * SECOND, None));
    }
}
