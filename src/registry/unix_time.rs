//! The time that the registry's state lives by: it has to mean the same after a restart, and to other
//! processes, so it is Unix time.

use std::ops::Add;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::calendar::civil_date;

const SECONDS_PER_DAY: u64 = 86_400;

/// A point in time, in milliseconds since 1970.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(super) struct UnixTime(u64);

impl UnixTime {
    /// Returns the time that the system's clock shows.
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = since.map_or(0, |since| since.as_millis());
        UnixTime(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }

    /// Returns the whole seconds since 1970.
    pub(super) fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Returns how long ago `earlier` was; zero when it lies ahead, because the clock was set back.
    pub(super) fn since(self, earlier: UnixTime) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time as RFC 3339 has it: `1994-11-06T08:49:37.000Z`.
    pub(super) fn rfc3339(self) -> String {
        let seconds = self.seconds();
        let (year, month, day) = civil_date(seconds / SECONDS_PER_DAY);
        let second = seconds % SECONDS_PER_DAY;
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.0 % 1000,
        )
    }
}

impl Add<Duration> for UnixTime {
    type Output = UnixTime;

    fn add(self, duration: Duration) -> UnixTime {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        UnixTime(self.0.saturating_add(milliseconds))
    }
}

#[cfg(test)]
impl std::ops::Sub<Duration> for UnixTime {
    type Output = UnixTime;

    fn sub(self, duration: Duration) -> UnixTime {
        UnixTime(self.0 - duration.as_millis() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_seconds_and_as_a_date() {
        let time = UnixTime(784_111_777_050);
        assert_eq!(time.seconds(), 784_111_777);
        assert_eq!(time.rfc3339(), "1994-11-06T08:49:37.050Z");
        assert_eq!(
            (time + Duration::from_millis(1)).since(time),
            Duration::from_millis(1)
        );
        assert_eq!(time.since(time + Duration::from_secs(1)), Duration::ZERO);
    }
}
