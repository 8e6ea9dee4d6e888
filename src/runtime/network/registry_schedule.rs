//! Decides when to ask the registry for ICE servers: well before a login that it gave expires, soon
//! again when that fails, and at once when a server no longer accepts a login.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::limits;

/// The times of the registry's last answer.
#[derive(Debug, Clone, Copy)]
struct Answered {
    /// When the first of the logins expires, in Unix seconds; `None` when that is not known.
    until: Option<u64>,
    /// The instant at which the clock showed `unix`: that of the answer, or of the last step of the
    /// clock.
    at: Instant,
    unix: u64,
}

#[derive(Debug)]
pub(crate) struct Schedule {
    next: Instant,
    asked: Option<Instant>,
    /// Whether the last question was answered.
    is_answered: bool,
    last_answer: Option<Answered>,
    patience: Backoff,
}

impl Schedule {
    /// Creates a schedule whose first question is due at once.
    pub(crate) fn new(now: Instant) -> Self {
        let (first, _) = limits::ICE_SERVERS_REFRESH;
        Schedule {
            next: now,
            asked: None,
            is_answered: false,
            last_answer: None,
            patience: Backoff::new((first, limits::ICE_SERVERS_RETRY)),
        }
    }

    /// Returns when the next question is due.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Notes that the question was sent.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Notes an answer at this Unix time in seconds, with logins of which the first expires at `until`.
    pub(crate) fn answered(&mut self, now: Instant, unix: u64, until: Option<u64>) {
        self.is_answered = true;
        self.patience.reset();
        self.last_answer = Some(Answered {
            until,
            at: now,
            unix,
        });
        self.next = now + wait(until, unix);
    }

    /// Notes that the question failed. Returns whether it is the first failure after an answer, so that
    /// servers may soon be lost. Many registries never answer, and are asked seldom.
    pub(crate) fn failed(&mut self, now: Instant, jitter: f64) -> bool {
        let was_answered = std::mem::replace(&mut self.is_answered, false);
        self.next = now
            + match self.last_answer {
                Some(_) => self.patience.next(jitter),
                None => limits::ICE_SERVERS_RETRY,
            };
        was_answered
    }

    /// Asks again at once what was not answered, because the registry can be reached.
    pub(crate) fn registry_connected(&mut self, now: Instant) {
        if !self.is_answered {
            self.next = now;
        }
    }

    /// Asks again soon, because a server no longer accepts a login of the last answer.
    pub(crate) fn login_refused(&mut self, now: Instant) {
        let (least, _) = limits::ICE_SERVERS_REFRESH;
        let soonest = self.asked.map_or(now, |asked| asked + least);
        self.next = self.next.min(soonest.max(now));
    }

    /// Plans again if the clock, which shows this Unix time in seconds, was set since the last answer,
    /// or has gone on while the machine slept.
    pub(crate) fn look_at_clock(&mut self, now: Instant, unix: u64) {
        let Some(answer) = self.last_answer.as_mut().filter(|_| self.is_answered) else {
            return;
        };
        let passed = now.saturating_duration_since(answer.at).as_secs();
        let expected = answer.unix.saturating_add(passed);
        if unix.abs_diff(expected) >= limits::CLOCK_STEP.as_secs() {
            (answer.at, answer.unix) = (now, unix);
            self.next = now + wait(answer.until, unix);
        }
    }
}

/// Returns the time until the next question: half the time that the first login has left.
fn wait(until: Option<u64>, unix: u64) -> Duration {
    let (least, most) = limits::ICE_SERVERS_REFRESH;
    let half = until.map(|until| Duration::from_secs(until.saturating_sub(unix) / 2));
    half.unwrap_or(most).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_question_is_put_again_well_before_a_login_expires() {
        let (least, most) = limits::ICE_SERVERS_REFRESH;
        assert_eq!(wait(Some(1060), 1000), Duration::from_secs(30));
        assert_eq!(wait(Some(900), 1000), least);
        assert_eq!(wait(None, 1000), most);
        assert_eq!(wait(Some(u64::MAX), 1000), most);
    }

    #[test]
    fn a_question_that_fails_is_put_again_before_a_login_of_a_minute_expires() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        schedule.asked(start);
        schedule.answered(start, 1000, Some(1060));
        let first = schedule.next();
        assert!(schedule.failed(first, 1.0), "worth a warning");
        let second = schedule.next();
        assert!(!schedule.failed(second, 1.0), "said already");
        assert!(schedule.next() <= start + 60 * SECOND);
        // The tries get rare while the registry stays away.
        let tries = (0..100).take_while(|_| {
            schedule.failed(schedule.next(), 0.0);
            schedule.next() < start + 24 * 3600 * SECOND
        });
        assert!(tries.count() == 100);
        assert!(schedule.next() > start + 3 * 3600 * SECOND);
    }

    #[test]
    fn a_registry_that_never_answers_is_asked_seldom_and_when_it_is_reached() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        assert!(!schedule.failed(start, 0.5));
        assert_eq!(schedule.next(), start + limits::ICE_SERVERS_RETRY);
        schedule.registry_connected(start + SECOND);
        assert_eq!(schedule.next(), start + SECOND);
    }

    #[test]
    fn a_refused_login_is_asked_for_at_once_but_not_again_and_again() {
        let (least, most) = limits::ICE_SERVERS_REFRESH;
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        schedule.asked(start);
        schedule.answered(start, 1000, None);
        assert_eq!(schedule.next(), start + most);
        let refused = start + 600 * SECOND;
        schedule.login_refused(refused);
        assert_eq!(schedule.next(), refused);
        schedule.asked(refused);
        schedule.answered(refused, 1600, None);
        schedule.login_refused(refused + SECOND);
        assert_eq!(schedule.next(), refused + least);
    }

    #[test]
    fn a_clock_that_is_set_changes_the_plan_and_one_that_runs_does_not() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        // The clock shows 1970: a login of ten minutes seems to last for half a century.
        schedule.asked(start);
        schedule.answered(start, 30, Some(1_700_000_600));
        let planned = schedule.next();
        for seconds in 0..60 {
            schedule.look_at_clock(start + seconds * SECOND, 30 + u64::from(seconds));
        }
        assert_eq!(schedule.next(), planned);
        let set = start + 60 * SECOND;
        schedule.look_at_clock(set, 1_700_000_060);
        assert_eq!(schedule.next(), set + 270 * SECOND);
        schedule.look_at_clock(set + 100 * SECOND, 1_700_000_160);
        assert_eq!(schedule.next(), set + 270 * SECOND);
    }
}
