//! The time that the event loop lives by.
//!
//! When the process is stopped, or its virtual machine, the monotonic clock goes on, and after that every
//! deadline would seem to have passed although nobody was given the time to keep it. When the machine
//! sleeps, Linux lets this clock stand still, and nothing shows that peers and servers have waited in
//! vain. So the time that was not lived is left out here, and both are noticed.

use std::time::{Duration, Instant};

use crate::limits;

/// The monotonic clock without the time in which this process could not run.
#[derive(Debug)]
pub(super) struct LivedTime {
    /// The time that is left out.
    unlived: Duration,
    /// The latest reading of the monotonic clock.
    read: Instant,
    /// The latest reading of the monotonic clock and of one that goes on while the machine sleeps.
    compared: (Instant, Duration),
    /// The unlived time that was not told yet.
    untold: Duration,
}

impl LivedTime {
    /// Creates it; up to now all time was lived.
    pub(super) fn new() -> Self {
        Self::starting(Instant::now(), unstopped())
    }

    fn starting(now: Instant, unstopped: Duration) -> Self {
        LivedTime {
            unlived: Duration::ZERO,
            read: now,
            compared: (now, unstopped),
            untold: Duration::ZERO,
        }
    }

    /// Returns the time. To be read often: what lies between two readings was meant to be short.
    pub(super) fn now(&mut self) -> Instant {
        self.read(Instant::now(), Duration::ZERO)
    }

    /// Notes that a wait is over that was meant to take `meant` at most; `None` means any time. Returns
    /// for how long the machine has slept or the process was stopped since the last wait, if it was.
    pub(super) fn waited(&mut self, meant: Option<Duration>) -> Option<Duration> {
        self.woke(Instant::now(), unstopped(), meant)
    }

    fn woke(
        &mut self,
        now: Instant,
        unstopped: Duration,
        meant: Option<Duration>,
    ) -> Option<Duration> {
        self.read(now, meant.unwrap_or(Duration::MAX));
        let (before, unstopped_before) = std::mem::replace(&mut self.compared, (now, unstopped));
        let passed = now.saturating_duration_since(before);
        let asleep = unstopped.saturating_sub(unstopped_before);
        let asleep = asleep.saturating_sub(passed);
        if asleep > limits::UNLIVED_AFTER {
            self.untold += asleep;
        }
        let untold = std::mem::take(&mut self.untold);
        (!untold.is_zero()).then_some(untold)
    }

    /// Returns the time of this reading, before which `meant` was to pass at most.
    fn read(&mut self, now: Instant, meant: Duration) -> Instant {
        let passed = now.saturating_duration_since(self.read);
        self.read = now;
        let excess = passed.saturating_sub(meant);
        if excess > limits::UNLIVED_AFTER {
            self.unlived += excess;
            self.untold += excess;
        }
        // It cannot be more than has passed since the first reading.
        now.checked_sub(self.unlived).unwrap_or(now)
    }
}

/// Returns a reading of a clock that goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn unstopped() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Returns a reading of a clock that goes on while the machine sleeps. It is the wall clock: if that is
/// set, it looks like a sleep, which does no harm.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn unstopped() -> Duration {
    use std::time::{SystemTime, UNIX_EPOCH};
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A machine whose clocks go on as the test says.
    struct Machine {
        start: Instant,
        monotonic: Duration,
        unstopped: Duration,
        time: LivedTime,
    }

    impl Machine {
        fn new() -> Self {
            let start = Instant::now();
            Machine {
                start,
                monotonic: Duration::ZERO,
                unstopped: 100 * SECOND,
                time: LivedTime::starting(start, 100 * SECOND),
            }
        }

        /// Lets both clocks go on.
        fn pass(&mut self, time: Duration) {
            self.monotonic += time;
            self.unstopped += time;
        }

        /// Ends a wait. Returns what was slept.
        fn wake(&mut self, meant: Option<Duration>) -> Option<Duration> {
            let now = self.start + self.monotonic;
            self.time.woke(now, self.unstopped, meant)
        }

        /// Returns how much time was lived.
        fn lived(&mut self) -> Duration {
            let now = self.time.read(self.start + self.monotonic, Duration::ZERO);
            now.duration_since(self.start)
        }
    }

    #[test]
    fn waits_of_any_length_are_lived_when_they_were_meant() {
        let mut machine = Machine::new();
        for meant in [Some(SECOND), Some(60 * SECOND), None] {
            machine.pass(meant.unwrap_or(3600 * SECOND));
            assert_eq!(machine.wake(meant), None);
        }
        assert_eq!(machine.lived(), 3661 * SECOND);
        // A busy machine may be a little late.
        machine.pass(SECOND + limits::UNLIVED_AFTER);
        assert_eq!(machine.wake(Some(SECOND)), None);
        assert_eq!(machine.lived(), 3662 * SECOND + limits::UNLIVED_AFTER);
    }

    #[test]
    fn when_the_process_was_stopped_its_time_stood_still() {
        let mut machine = Machine::new();
        machine.pass(SECOND);
        assert_eq!(machine.wake(Some(SECOND)), None);
        machine.pass(13 * SECOND);
        assert_eq!(machine.wake(Some(SECOND)), Some(12 * SECOND));
        assert_eq!(machine.lived(), 2 * SECOND);
        machine.pass(SECOND);
        assert_eq!(machine.wake(Some(SECOND)), None, "told once");
        assert_eq!(machine.lived(), 3 * SECOND);
    }

    #[test]
    fn a_stop_between_two_waits_counts_too() {
        let mut machine = Machine::new();
        machine.pass(10 * SECOND);
        assert_eq!(machine.lived(), Duration::ZERO);
        machine.pass(SECOND);
        assert_eq!(machine.wake(Some(SECOND)), Some(10 * SECOND));
        assert_eq!(machine.lived(), SECOND);
    }

    #[test]
    fn when_the_monotonic_clock_stands_still_the_sleep_is_noticed_and_no_time_left_out() {
        let mut machine = Machine::new();
        machine.pass(SECOND);
        machine.unstopped += 3600 * SECOND;
        assert_eq!(machine.wake(Some(SECOND)), Some(3600 * SECOND));
        assert_eq!(machine.lived(), SECOND);
        assert_eq!(machine.wake(Some(SECOND)), None, "told once");
    }

    #[test]
    fn a_clock_that_is_corrected_a_little_or_goes_back_is_no_sleep() {
        let mut machine = Machine::new();
        for unstopped in [101, 102, 104, 50, 52] {
            machine.unstopped = unstopped * SECOND;
            assert_eq!(machine.wake(Some(SECOND)), None);
        }
    }

    #[test]
    fn the_clocks_of_this_machine_go_on() {
        let mut time = LivedTime::new();
        let before = time.now();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(time.waited(Some(SECOND)), None);
        assert!(time.now() > before);
    }
}
