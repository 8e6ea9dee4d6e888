//! Tail loss: finds out when the last of what was sent seems to be lost, and when to ask for it.
//!
//! SCTP sends again at once what three acknowledgements report missing. Behind the last packet nothing comes that
//! would make the peer report it, so it waits for a timer of a second and more. So a few tiny frames are sent behind
//! it. Their answers do the same for what the peer has sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many frames are sent in a round, and the time from one to the next: each has to be acknowledged by itself.
const FRAMES: u32 = 3;
const SPACING: Duration = Duration::from_millis(3);

/// How many rounds there are until something is known to have arrived. Each time the wait is doubled. Where nothing at
/// all comes in after the first one the path is dead, and more would only take the room that messages need once it works.
const ROUNDS: u32 = 5;

/// How long something may go unacknowledged beside one and a half round trips.
const MARGIN: Duration = Duration::from_millis(10);

/// How many moments of writing are told apart; more are taken together.
const MOMENTS: usize = 32;

/// Messages that were written at about the same time.
#[derive(Debug)]
struct Moment {
    at: Instant,
    /// The number of the last of them.
    last: u64,
}

/// What waits to be acknowledged by the session, and the frames that were sent because of it.
#[derive(Debug, Default)]
pub(crate) struct TailProbe {
    written: VecDeque<Moment>,
    rounds: u32,
    /// Frames sent in the round under way.
    sent: u32,
    /// When the next frame of that round, or the next round, is due.
    next: Option<Instant>,
    /// When the last round began.
    asked: Option<Instant>,
}

impl TailProbe {
    /// Notes that the message with this number was written.
    pub(crate) fn written(&mut self, now: Instant, number: u64) {
        let is_full = self.written.len() == MOMENTS;
        match self.written.back_mut() {
            Some(moment) if is_full || now < moment.at + SPACING => moment.last = number,
            _ => self.written.push_back(Moment {
                at: now,
                last: number,
            }),
        }
    }

    /// Notes that the peer's agent has taken all messages up to this number.
    pub(crate) fn taken(&mut self, number: u64) {
        while self
            .written
            .front()
            .is_some_and(|moment| moment.last <= number)
        {
            self.written.pop_front();
            (self.rounds, self.sent) = (0, 0);
            (self.next, self.asked) = (None, None);
        }
    }

    /// Returns when the next frame is due. `progress` is when the peer's transport last acknowledged something;
    /// `None` if it has nothing to acknowledge, and so only its agent is slow. `seen` is when a record last
    /// came in, and `under_way` how long the line takes for what is under way.
    pub(crate) fn due(
        &self,
        progress: Option<Instant>,
        seen: Instant,
        round_trip: Duration,
        under_way: Duration,
    ) -> Option<Instant> {
        if self.sent > 0 {
            return self.next;
        }
        let oldest = self.written.front()?.at;
        let since = progress?.max(oldest);
        let patience = round_trip * 3 / 2 + MARGIN + under_way;
        let at = since + patience;
        let is_silent = self.asked.is_some_and(|asked| seen < asked);
        (self.rounds < ROUNDS && !is_silent).then(|| self.next.map_or(at, |next| at.max(next)))
    }

    /// Notes that a frame is sent.
    pub(crate) fn sends(&mut self, now: Instant, round_trip: Duration) {
        let mut wait = SPACING;
        if self.sent == 0 {
            self.asked = Some(now);
        }
        self.sent += 1;
        if self.sent == FRAMES {
            self.sent = 0;
            self.rounds += 1;
            wait = (round_trip * 3 / 2 + MARGIN) * (1 << self.rounds);
        }
        self.next = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(40);
    const PATIENCE: Duration = Duration::from_millis(70);

    /// Sends all frames that are due, which are answered at once or never; returns when, from `start`.
    fn frames(
        probe: &mut TailProbe,
        start: Instant,
        progress: Option<Instant>,
        is_answered: bool,
    ) -> Vec<u128> {
        let mut sent = Vec::new();
        let mut seen = start;
        while let Some(at) = probe.due(progress, seen, ROUND_TRIP, Duration::ZERO)
            && sent.len() < 100
        {
            sent.push((at - start).as_millis());
            probe.sends(at, ROUND_TRIP);
            if is_answered {
                seen = at;
            }
        }
        sent
    }

    #[test]
    fn rounds_of_three_frames_come_later_each_time_and_end() {
        let start = Instant::now();
        let mut probe = TailProbe::default();
        assert_eq!(
            frames(&mut probe, start, Some(start), true),
            Vec::<u128>::new()
        );
        probe.written(start, 1);
        let sent = frames(&mut probe, start, Some(start), true);
        assert_eq!(sent.len(), 15);
        assert_eq!(sent[..7], [70, 73, 76, 216, 219, 222, 502]);
        probe.taken(1);
        probe.written(start, 2);
        assert_eq!(frames(&mut probe, start, Some(start), true).len(), 15);
    }

    #[test]
    fn a_path_that_is_silent_is_asked_once() {
        let start = Instant::now();
        let mut probe = TailProbe::default();
        probe.written(start, 1);
        let sent = frames(&mut probe, start, Some(start), false);
        assert_eq!(sent, [70, 73, 76]);
    }

    #[test]
    fn the_oldest_message_counts_and_what_the_transport_acknowledges() {
        let start = Instant::now();
        let later = start + PATIENCE / 2;
        let mut probe = TailProbe::default();
        probe.written(start, 1);
        probe.written(later, 2);
        let due =
            |probe: &TailProbe, progress| probe.due(progress, start, ROUND_TRIP, Duration::ZERO);
        assert_eq!(due(&probe, Some(start)), Some(start + PATIENCE));
        assert_eq!(due(&probe, Some(later)), Some(later + PATIENCE));
        probe.taken(1);
        assert_eq!(due(&probe, Some(start)), Some(later + PATIENCE));
        assert_eq!(due(&probe, None), None, "only the agent is slow");
        probe.taken(2);
        assert_eq!(due(&probe, Some(start)), None);
    }

    #[test]
    fn a_round_is_ended_once_it_has_begun() {
        let start = Instant::now();
        let mut probe = TailProbe::default();
        probe.written(start, 1);
        probe.sends(start, ROUND_TRIP);
        assert_eq!(frames(&mut probe, start, None, true).len(), 2);
    }

    #[test]
    fn a_slow_line_has_time_for_what_is_under_way() {
        let start = Instant::now();
        let mut probe = TailProbe::default();
        probe.written(start, 1);
        let second = Duration::from_secs(1);
        let due = probe.due(Some(start), start, ROUND_TRIP, second);
        assert_eq!(due, Some(start + PATIENCE + second));
    }

    #[test]
    fn many_moments_are_taken_together() {
        let start = Instant::now();
        let mut probe = TailProbe::default();
        for number in 0..1000 {
            probe.written(start + SPACING * number, u64::from(number));
        }
        assert!(probe.written.len() <= MOMENTS);
        probe.taken(998);
        assert!(
            probe
                .due(Some(start), start, ROUND_TRIP, Duration::ZERO)
                .is_some()
        );
        probe.taken(999);
        assert!(
            probe
                .due(Some(start), start, ROUND_TRIP, Duration::ZERO)
                .is_none()
        );
    }
}
