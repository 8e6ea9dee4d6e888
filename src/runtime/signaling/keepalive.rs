//! Decides when a silent WebSocket is pinged, and when it is given up.

use std::time::{Duration, Instant};

/// The times of the keepalive.
#[derive(Debug, Clone, Copy)]
pub struct KeepaliveTimes {
    /// A WebSocket ping is sent after this long without hearing anything, and again each time this
    /// passes.
    pub ping: Duration,
    /// A `heartbeat` frame is sent this often: some registries forget clients that send none.
    pub heartbeat: Duration,
    /// The connection is dead after this long without hearing anything.
    pub dead: Duration,
    /// A ping that is sent because the way is in doubt may go unanswered this long; then the way is lost.
    /// It is also the least time between two such pings.
    pub answer: Duration,
}

impl KeepaliveTimes {
    /// Returns the times for a path with this round trip: on a slow one an answer may take longer.
    pub(super) fn on_path(self, round_trip: Duration) -> Self {
        let answer = self.answer.max(2 * round_trip);
        KeepaliveTimes { answer, ..self }
    }
}

/// The action that is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Send a WebSocket ping.
    Ping,
    /// Send a `heartbeat` frame.
    Heartbeat,
    /// Give the connection up.
    Dead,
    /// Give it up, because nothing was heard although the way was in doubt and was asked about.
    Unanswered,
    /// Nothing is due before this instant.
    Nothing(Instant),
}

/// The keepalive of one connection.
#[derive(Debug)]
pub(super) struct Keepalive {
    times: KeepaliveTimes,
    heard: Instant,
    asked: Instant,
    heartbeat: Instant,
    /// Whether the way is in doubt and has not been asked about.
    is_in_doubt: bool,
    /// When a ping was last sent in doubt.
    asked_in_doubt: Option<Instant>,
    /// Whether nothing was heard since.
    is_unanswered: bool,
}

impl Keepalive {
    /// Creates the keepalive of a connection that opened at `now`.
    pub(super) fn new(times: KeepaliveTimes, now: Instant) -> Self {
        Keepalive {
            times,
            heard: now,
            asked: now,
            heartbeat: now,
            is_in_doubt: false,
            asked_in_doubt: None,
            is_unanswered: false,
        }
    }

    /// Returns how long a ping that was sent in doubt may go unanswered.
    pub(super) fn answer_time(&self) -> Duration {
        self.times.answer
    }

    /// Notes that the way may no longer be there: it is asked about as soon as it may be.
    pub(super) fn doubt(&mut self) {
        self.is_in_doubt = true;
    }

    /// Notes that something came in: any frame at all.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.is_unanswered = false;
    }

    /// Returns what to do now. To be called again until it returns [`Due::Nothing`].
    pub(super) fn next(&mut self, now: Instant) -> Due {
        let dead_at = self.heard + self.times.dead;
        let ping_at = self.heard.max(self.asked) + self.times.ping;
        let heartbeat_at = self.heartbeat + self.times.heartbeat;
        // One question at a time, and no other for as long as an answer may take.
        let rested_at = self.asked_in_doubt.map_or(now, |at| at + self.times.answer);
        let silent_at = self.is_unanswered.then_some(rested_at);
        let doubt_at = (self.is_in_doubt && !self.is_unanswered).then_some(rested_at);
        let is_due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if now >= dead_at {
            Due::Dead
        } else if is_due(silent_at) {
            Due::Unanswered
        } else if is_due(doubt_at) {
            self.is_in_doubt = false;
            self.is_unanswered = true;
            self.asked_in_doubt = Some(now);
            self.asked = now;
            Due::Ping
        } else if now >= ping_at {
            self.asked = now;
            Due::Ping
        } else if now >= heartbeat_at {
            self.heartbeat = now;
            Due::Heartbeat
        } else {
            let times = [Some(dead_at), Some(ping_at), silent_at, doubt_at];
            let earliest = times.into_iter().flatten().fold(heartbeat_at, Instant::min);
            Due::Nothing(earliest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: KeepaliveTimes = KeepaliveTimes {
        ping: Duration::from_secs(15),
        heartbeat: Duration::from_secs(30),
        dead: Duration::from_secs(40),
        answer: Duration::from_secs(2),
    };

    /// Returns the actions, in seconds after the opening, until `end` or death. Something is heard at
    /// each second that `hears` says.
    fn run(end: u64, hears: impl Fn(u64) -> bool) -> Vec<(u64, Due)> {
        run_in_doubt(end, hears, |_| false)
    }

    /// Does the same, with doubt at each second that `doubts` says.
    fn run_in_doubt(
        end: u64,
        hears: impl Fn(u64) -> bool,
        doubts: impl Fn(u64) -> bool,
    ) -> Vec<(u64, Due)> {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(TIMES, start);
        let mut done = Vec::new();
        for second in 0..=end {
            let now = start + Duration::from_secs(second);
            if hears(second) {
                keepalive.heard(now);
            }
            if doubts(second) {
                keepalive.doubt();
            }
            loop {
                match keepalive.next(now) {
                    Due::Nothing(until) => {
                        assert!(until > now);
                        break;
                    }
                    due @ (Due::Ping | Due::Heartbeat) => done.push((second, due)),
                    due @ (Due::Dead | Due::Unanswered) => {
                        done.push((second, due));
                        return done;
                    }
                }
            }
        }
        done
    }

    #[test]
    fn a_silent_connection_is_asked_and_then_given_up() {
        let expected = [
            (15, Due::Ping),
            (30, Due::Ping),
            (30, Due::Heartbeat),
            (40, Due::Dead),
        ];
        assert_eq!(run(100, |_| false), expected);
    }

    #[test]
    fn a_busy_connection_is_not_asked_but_sends_heartbeats() {
        let expected = [
            (30, Due::Heartbeat),
            (60, Due::Heartbeat),
            (90, Due::Heartbeat),
        ];
        assert_eq!(run(100, |second| second % 10 == 0), expected);
    }

    #[test]
    fn an_answer_to_each_ping_keeps_it_alive() {
        let done = run(600, |second| second % 16 == 0);
        assert!(!done.iter().any(|(_, due)| *due == Due::Dead));
        assert!(done.iter().filter(|(_, due)| *due == Due::Ping).count() > 30);
    }

    #[test]
    fn next_names_the_earliest_time() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(TIMES, start);
        assert_eq!(keepalive.next(start), Due::Nothing(start + TIMES.ping));
    }

    #[test]
    fn a_way_in_doubt_is_asked_about_at_once_and_lost_when_nothing_answers() {
        let expected = [(5, Due::Ping), (7, Due::Unanswered)];
        assert_eq!(run_in_doubt(100, |_| false, |second| second == 5), expected);
        // Further doubt asks no more often, and waits no longer.
        assert_eq!(run_in_doubt(100, |_| false, |second| second >= 5), expected);
    }

    #[test]
    fn a_slow_path_may_take_longer_to_answer() {
        let second = Duration::from_secs(1);
        assert_eq!(TIMES.on_path(second / 10).answer, 2 * second);
        assert_eq!(TIMES.on_path(3 * second).answer, 6 * second);
    }

    #[test]
    fn an_answer_ends_the_doubt() {
        let done = run_in_doubt(29, |second| second == 6, |second| second == 5);
        assert_eq!(done, [(5, Due::Ping), (21, Due::Ping)]);
    }

    #[test]
    fn doubt_without_end_is_asked_about_every_two_seconds() {
        let done = run_in_doubt(20, |_| true, |_| true);
        let pings: Vec<_> = (0..=20)
            .step_by(2)
            .map(|second| (second, Due::Ping))
            .collect();
        assert_eq!(done, pings);
    }

    #[test]
    fn doubt_that_comes_before_the_answer_is_asked_about_after_it() {
        let doubts = |second| second == 5 || second == 6;
        let hears = |second| second == 6 || second == 8;
        let done = run_in_doubt(10, hears, doubts);
        assert_eq!(done, [(5, Due::Ping), (7, Due::Ping)]);
    }
}
