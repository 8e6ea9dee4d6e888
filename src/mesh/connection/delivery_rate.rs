//! The delivery rate: how many bytes the peer's transport acknowledges in a second, at best, of late.
//!
//! It is measured from one acknowledgement to another. Only what is measured while the window was full all the
//! time can show how slow the line is; when less was sent than the line carries, the rate is only known to be no
//! lower than that.

use std::time::{Duration, Instant};

/// The least time that is measured at once. Where the round trip is longer, one round trip is.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// For how long a rate counts, at least, in time in which the window was full. It is forgotten after twice that.
const COUNTS_FOR: Duration = Duration::from_secs(2);

/// The measurement under way.
#[derive(Debug)]
struct Interval {
    began: Instant,
    bytes: usize,
    is_full: bool,
}

/// The best rates of the present and of the former period, in bytes a second.
#[derive(Debug, Default)]
pub(crate) struct DeliveryRate {
    interval: Option<Interval>,
    present: f64,
    former: f64,
    /// For how long the window was full in the present period.
    full_for: Duration,
    is_growing: bool,
}

impl DeliveryRate {
    /// Notes that `bytes` more are acknowledged. `was_full` tells whether the window has held back a message since
    /// the acknowledgement before.
    pub(crate) fn acknowledged(
        &mut self,
        now: Instant,
        bytes: usize,
        was_full: bool,
        round_trip: Duration,
    ) {
        let next = Interval {
            began: now,
            bytes: 0,
            is_full: true,
        };
        let Some(interval) = &mut self.interval else {
            self.interval = Some(next);
            return;
        };
        interval.bytes += bytes;
        interval.is_full &= was_full;
        let took = now.saturating_duration_since(interval.began);
        if took < LEAST_INTERVAL.max(round_trip) {
            return;
        }
        let rate = interval.bytes as f64 / took.as_secs_f64();
        let is_full = interval.is_full;
        self.interval = Some(next);
        self.measured(rate, is_full.then_some(took));
    }

    /// Gives up the measurement under way, because nothing more is to be acknowledged.
    pub(crate) fn pause(&mut self) {
        self.interval = None;
    }

    /// Returns the best rate of late, in bytes a second; `None` before the first measurement.
    pub(crate) fn best(&self) -> Option<f64> {
        let best = self.present.max(self.former);
        (best > 0.0).then_some(best)
    }

    /// Returns whether the last measurement was better than all before by an eighth or more: the transport is
    /// still finding out how much the line carries.
    pub(crate) fn is_growing(&self) -> bool {
        self.is_growing
    }

    /// Takes a rate. `full_for` is the time that it was measured in, if the window was full all that time.
    fn measured(&mut self, rate: f64, full_for: Option<Duration>) {
        let best = self.best().unwrap_or(0.0);
        self.is_growing = rate >= best * 1.125;
        if let Some(full_for) = full_for {
            if self.full_for >= COUNTS_FOR {
                self.former = std::mem::take(&mut self.present);
                self.full_for = Duration::ZERO;
            }
            self.full_for += full_for;
        }
        let is_known = best > 0.0;
        if full_for.is_some() || (is_known && rate > best) {
            self.present = self.present.max(rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(20);
    const STEP: Duration = Duration::from_millis(50);

    /// Lets `bytes` be acknowledged in each of `steps`.
    fn acknowledge(
        rate: &mut DeliveryRate,
        now: &mut Instant,
        bytes: usize,
        steps: u32,
        full: bool,
    ) {
        for _ in 0..steps {
            *now += STEP;
            rate.acknowledged(*now, bytes, full, ROUND_TRIP);
        }
    }

    #[test]
    fn the_rate_is_what_is_acknowledged_after_the_first_acknowledgement() {
        let (mut rate, mut now) = (DeliveryRate::default(), Instant::now());
        acknowledge(&mut rate, &mut now, 90_000, 1, true);
        assert_eq!(rate.best(), None);
        acknowledge(&mut rate, &mut now, 1000, 10, true);
        assert_eq!(rate.best(), Some(20_000.0));
        assert!(!rate.is_growing());
        acknowledge(&mut rate, &mut now, 2000, 4, true);
        assert_eq!(rate.best(), Some(40_000.0));
    }

    #[test]
    fn a_lower_rate_counts_only_where_the_window_is_full() {
        let (mut rate, mut now) = (DeliveryRate::default(), Instant::now());
        acknowledge(&mut rate, &mut now, 10_000, 20, true);
        acknowledge(&mut rate, &mut now, 100, 1000, false);
        assert_eq!(rate.best(), Some(200_000.0));
        acknowledge(&mut rate, &mut now, 1000, 20, true);
        assert_eq!(rate.best(), Some(200_000.0), "for a while");
        acknowledge(&mut rate, &mut now, 1000, 80, true);
        assert_eq!(rate.best(), Some(20_000.0));
    }

    #[test]
    fn a_pause_belongs_to_no_measurement() {
        let (mut rate, mut now) = (DeliveryRate::default(), Instant::now());
        acknowledge(&mut rate, &mut now, 1000, 2, true);
        rate.pause();
        now += Duration::from_secs(100);
        acknowledge(&mut rate, &mut now, 1000, 4, true);
        assert_eq!(rate.best(), Some(20_000.0));
    }

    #[test]
    fn an_outage_is_forgotten_as_fast_as_it_came() {
        let (mut rate, mut now) = (DeliveryRate::default(), Instant::now());
        acknowledge(&mut rate, &mut now, 1000, 100, true);
        now += Duration::from_secs(30);
        acknowledge(&mut rate, &mut now, 1000, 1, true);
        assert_eq!(rate.best(), Some(20_000.0));
        acknowledge(&mut rate, &mut now, 1000, 4, true);
        assert_eq!(rate.best(), Some(20_000.0));
    }
}
