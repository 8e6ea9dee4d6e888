//! The date of an HTTP answer, as an IMF-fixdate (RFC 9110, 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.

#[cfg(feature = "registry")]
use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(feature = "registry")]
use crate::calendar::civil_date;
use crate::calendar::days_since_epoch;

#[cfg(feature = "registry")]
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const SECONDS_PER_DAY: u64 = 86_400;

/// The Unix time in seconds of such a date; `None` when it is none, or before 1970.
pub(crate) fn unix_time(date: &str) -> Option<u64> {
    let (_, date) = date.split_once(", ")?;
    let mut fields = date.split(' ');
    let mut field = || fields.next();
    let (day, month, year, time, zone) = (field()?, field()?, field()?, field()?, field()?);
    if zone != "GMT" || field().is_some() {
        return None;
    }
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let days = days_since_epoch(number(year)?, month, number(day)?)?;
    let mut seconds = 0;
    for part in time.splitn(3, ':') {
        seconds = seconds * 60 + number(part).filter(|part| *part <= 60)?;
    }
    Some(days * SECONDS_PER_DAY + seconds)
}

/// Reads a number of up to four digits.
fn number(digits: &str) -> Option<u64> {
    let is_number = digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `time` as such a date. A time before 1970 becomes the first second of 1970.
#[cfg(feature = "registry")]
pub(crate) fn imf_fixdate(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let (year, month, day) = civil_date(days);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month - 1),
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(feature = "registry")]
fn name(names: &[&'static str], index: u64) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| names.get(index))
        .copied()
        .unwrap_or_default()
}

#[cfg(all(test, feature = "registry"))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_seconds_have_their_known_dates() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(imf_fixdate(UNIX_EPOCH + Duration::from_secs(seconds)), date);
            assert_eq!(unix_time(date), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_such_date_is_none() {
        for text in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:99 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
        ] {
            assert_eq!(unix_time(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_before_1970_does_no_harm() {
        let early = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(imf_fixdate(early), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
