//! Waits for the next event, staying awake for a moment when events come in quick succession.
//!
//! An idle processor goes to sleep, and in a virtual machine it takes tens of microseconds to wake it.
//! A message and its answer pass through a dozen such waits, which take most of the time of the
//! exchange. So while events come in quick succession, the loop does not sleep but polls again and
//! again, and yields to every other thread in between. An idle sidecar sleeps.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::runtime::wake::{LoopWaker, poll_once};

/// The time for which the loop stays awake for an event that it expects.
const WAKE_TIME: Duration = Duration::from_micros(200);

/// The number of waits in succession that must be shorter than [`WAKE_TIME`] before the next is expected to be.
/// Random events, such as the checks of many idle connections, hardly ever come so close.
const QUICK_SUCCESSION: u32 = 4;

/// The recent waits of the loop.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// How many waits in succession were short.
    short_waits: u32,
}

impl Waiting {
    /// Waits until something comes in or the loop is woken, for no longer than `timeout`.
    pub(crate) fn wait(
        &mut self,
        waker: &LoopWaker,
        poll: &mut Poll,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return poll_once(poll, events, timeout);
        }
        let started = Instant::now();
        if self.expects_something() {
            let awake = timeout.map_or(WAKE_TIME, |timeout| timeout.min(WAKE_TIME));
            while started.elapsed() < awake {
                poll_once(poll, events, Some(Duration::ZERO))?;
                if !events.is_empty() || waker.is_pending() {
                    return Ok(());
                }
                std::thread::yield_now();
            }
        }
        let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
        waker.sleep(poll, events, left)?;
        let something_came = !events.is_empty() || waker.is_pending();
        self.waited(started.elapsed(), something_came);
        Ok(())
    }

    /// Notes that something useless came in, at least in part: garbage alone does not keep the loop
    /// awake.
    pub(crate) fn disturbed(&mut self) {
        self.short_waits = 0;
    }

    fn expects_something(&self) -> bool {
        self.short_waits >= QUICK_SUCCESSION
    }

    /// Notes the end of a wait, because something came in or because its time was over.
    fn waited(&mut self, time: Duration, something_came: bool) {
        self.short_waits = if something_came && time < WAKE_TIME {
            self.short_waits.saturating_add(1)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_comes_in_quick_succession_is_expected() {
        let mut waiting = Waiting::default();
        let (short, long) = (WAKE_TIME / 2, WAKE_TIME);
        for _ in 0..QUICK_SUCCESSION {
            assert!(!waiting.expects_something());
            waiting.waited(short, true);
        }
        assert!(waiting.expects_something());
        waiting.waited(long, true);
        assert!(!waiting.expects_something());
        waiting.waited(short, true);
        assert!(!waiting.expects_something());
        for _ in 0..QUICK_SUCCESSION {
            waiting.waited(short, true);
        }
        waiting.disturbed();
        assert!(!waiting.expects_something());
    }

    #[test]
    fn timers_that_follow_each_other_closely_are_nothing_that_comes_in() {
        let mut waiting = Waiting::default();
        for _ in 0..2 * QUICK_SUCCESSION {
            waiting.waited(WAKE_TIME / 2, false);
            assert!(!waiting.expects_something());
        }
    }

    #[test]
    fn what_is_expected_and_does_not_come_is_not_expected_again() {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(1);
        let waker = LoopWaker::new(poll.registry(), mio::Token(0)).unwrap();
        let mut waiting = Waiting {
            short_waits: QUICK_SUCCESSION,
        };
        let started = Instant::now();
        let timeout = 2 * WAKE_TIME;
        waiting
            .wait(&waker, &mut poll, &mut events, Some(timeout))
            .unwrap();
        assert!(started.elapsed() >= timeout);
        assert!(events.is_empty() && !waiting.expects_something());
    }
}
