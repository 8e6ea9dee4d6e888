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
}

impl Keepalive {
    /// Creates the keepalive of a connection that opened at `now`.
    pub(super) fn new(times: KeepaliveTimes, now: Instant) -> Self {
        Keepalive {
            times,
            heard: now,
            asked: now,
            heartbeat: now,
        }
    }

    /// Notes that something came in: any frame at all.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Returns what to do now. To be called again until it returns [`Due::Nothing`].
    pub(super) fn next(&mut self, now: Instant) -> Due {
        let dead_at = self.heard + self.times.dead;
        let ping_at = self.heard.max(self.asked) + self.times.ping;
        let heartbeat_at = self.heartbeat + self.times.heartbeat;
        if now >= dead_at {
            Due::Dead
        } else if now >= ping_at {
            self.asked = now;
            Due::Ping
        } else if now >= heartbeat_at {
            self.heartbeat = now;
            Due::Heartbeat
        } else {
            Due::Nothing(dead_at.min(ping_at).min(heartbeat_at))
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
    };

    /// Returns the actions, in seconds after the opening, until `end` or death. Something is heard at
    /// each second that `hears` says.
    fn run(end: u64, hears: impl Fn(u64) -> bool) -> Vec<(u64, Due)> {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(TIMES, start);
        let mut done = Vec::new();
        for second in 0..=end {
            let now = start + Duration::from_secs(second);
            if hears(second) {
                keepalive.heard(now);
            }
            loop {
                match keepalive.next(now) {
                    Due::Nothing(until) => {
                        assert!(until > now);
                        break;
                    }
                    due @ (Due::Ping | Due::Heartbeat) => done.push((second, due)),
                    Due::Dead => {
                        done.push((second, Due::Dead));
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
}
