//! The time that a busy registry asks us to wait: the header `Retry-After` (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::http::{HeaderMap, StatusCode};

use super::failure::{Failure, Kind};
use crate::http_date;
use crate::limits;

/// Returns what an answer means that is not the one that was wanted; `why` is for a person.
pub(super) fn lost(status: StatusCode, headers: &HeaderMap, why: String) -> Failure {
    let is_busy = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let text = |name: &str| headers.get(name)?.to_str().ok();
    match text("retry-after").and_then(|told| wait(told, text("date"), now)) {
        Some(wait) if is_busy.contains(&status) => Failure::new(Kind::Busy(wait), why),
        _ => why.into(),
    }
}

/// Returns how long to wait, up to [`limits::RETRY_AFTER`]; `None` if `told` is neither seconds nor a date. A
/// date is compared with that of the answer, or else with our clock, in Unix seconds.
fn wait(told: &str, answered: Option<&str>, now: u64) -> Option<Duration> {
    let told = told.trim();
    let is_number = !told.is_empty() && told.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = if is_number {
        // Beyond the range is beyond the limit.
        told.parse().unwrap_or(u64::MAX)
    } else {
        let answered = answered.and_then(http_date::unix_time).unwrap_or(now);
        http_date::unix_time(told)?.saturating_sub(answered)
    };
    Some(Duration::from_secs(seconds).min(limits::RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const UNIX: u64 = 784_111_777;

    #[test]
    fn seconds_and_dates_are_kept_to_up_to_a_limit() {
        let seconds = |told, answered| Some(wait(told, answered, UNIX)?.as_secs());
        assert_eq!(seconds(" 120 ", None), Some(120));
        assert_eq!(seconds("0", None), Some(0));
        let longest = limits::RETRY_AFTER.as_secs();
        assert_eq!(seconds("99999999999999999999999", None), Some(longest));
        assert_eq!(seconds(DATE, None), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT", None), Some(60));
        // Our clock is wrong, or theirs.
        let answered = Some("Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:37 GMT", answered), Some(30));
        for none in ["", "-1", "1.5", "soon"] {
            assert_eq!(seconds(none, None), None, "{none}");
        }
    }

    #[test]
    fn only_a_busy_registry_s_header_counts() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        let busy = lost(StatusCode::SERVICE_UNAVAILABLE, &headers, String::new());
        assert_eq!(busy, Failure::new(Kind::Busy(Duration::from_secs(7)), ""));
        let other = lost(StatusCode::FORBIDDEN, &headers, String::new());
        assert_eq!(other, Failure::new(Kind::Unreachable, ""));
        let silent = lost(
            StatusCode::TOO_MANY_REQUESTS,
            &HeaderMap::new(),
            String::new(),
        );
        assert_eq!(silent, Failure::new(Kind::Unreachable, ""));
    }
}
