//! The report on the registry: whether it takes us in, and what its clock says.

use std::time::UNIX_EPOCH;

use serde_json::json;

use super::report::{Check, Finding, milliseconds};
use crate::config::Config;
use crate::http_date;
use crate::limits;
use crate::nat::credentials::{Credentials, LIFETIME};
use crate::runtime::signaling::{Refusal, Visit};

/// Returns the findings of a visit; `None` is one that did not end in time.
pub(super) fn report(config: &Config, visit: Option<Result<Visit, String>>) -> Vec<Finding> {
    let Some(visit) = visit else {
        let late = format!("no answer within {} s", limits::DOCTOR_TIME.as_secs());
        return vec![
            Finding::fail(Check::Registry, late)
                .about(&config.token_url)
                .advice("is its name right, and does the DNS answer?"),
        ];
    };
    let visit = match visit {
        Ok(visit) => visit,
        Err(why) => return vec![Finding::fail(Check::Registry, why)],
    };
    let mut findings = vec![match &visit.token {
        Ok((peer_id, time)) => {
            let ms = milliseconds(*time);
            Finding::ok(
                Check::Registry,
                format!("key accepted, we are {peer_id} ({ms} ms)"),
            )
            .about(&config.token_url)
            .details(json!({"peer_id": peer_id.as_str(), "ms": ms}))
        }
        Err(Refusal::Unreachable(why)) => advised(why, "is the registry up, and TOKEN_URL right?"),
        Err(Refusal::Refused(why)) => Finding::fail(Check::Registry, why),
    }];
    findings.extend(websocket(config, &visit));
    findings.extend(visit.date.map(|(date, at)| {
        let at = at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs());
        let is_shared = matches!(config.ice.credentials, Some(Credentials::Shared(_)));
        clock(&date, at, is_shared && !config.ice.turn.is_empty())
    }));
    findings
}

/// Returns a failure with advice, unless it brings its own, as those of TLS and of HTTP proxies do.
fn advised(why: &str, advice: &str) -> Finding {
    let finding = Finding::fail(Check::Registry, why);
    match why.contains("TLS: ") || why.contains("the HTTP proxy") {
        true => finding,
        false => finding.advice(advice),
    }
}

fn websocket(config: &Config, visit: &Visit) -> Option<Finding> {
    let finding = match (&visit.register, &visit.token) {
        (_, Err(_)) => return None,
        (None, Ok(_)) => Finding::ok(
            Check::Registry,
            "not tried, since it would take the place of the sidecar that runs",
        )
        .about(&config.signaling_url),
        (Some(Ok((peers, time))), Ok(_)) => {
            let ms = milliseconds(*time);
            let text = format!("registered, {peers} others online ({ms} ms)");
            Finding::ok(Check::Registry, text)
                .about(&config.signaling_url)
                .details(json!({"peers": peers, "ms": ms}))
        }
        (Some(Err(why)), Ok(_)) => advised(
            why,
            "is SIGNALING_URL right, and does every proxy on the way let WebSockets pass?",
        ),
    };
    Some(finding)
}

/// Compares the registry's date with ours, both of the same moment; `unix` is in seconds.
fn clock(date: &str, unix: u64, makes_logins: bool) -> Finding {
    let Some(registry) = http_date::unix_time(date) else {
        return Finding::warn(Check::Clock, "the registry tells no time that can be read");
    };
    let (behind, ahead) = (registry.saturating_sub(unix), unix.saturating_sub(registry));
    let seconds = behind.max(ahead);
    let details = json!({"behind_seconds": behind, "ahead_seconds": ahead});
    let finding = if seconds <= limits::DOCTOR_CLOCK_DIFFERENCE.as_secs() {
        Finding::ok(Check::Clock, format!("{seconds} s off the registry's"))
    } else {
        let side = if behind > 0 { "behind" } else { "ahead of" };
        let text = format!("{seconds} s {side} the registry's");
        let advice = "set this machine's clock, or the registry's";
        if behind >= LIFETIME && makes_logins {
            let text =
                format!("{text}: logins made of TURN_SECRET have expired when they are made");
            Finding::fail(Check::Clock, text).advice(advice)
        } else {
            Finding::warn(Check::Clock, text).advice(advice)
        }
    };
    finding.details(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const UNIX: u64 = 784_111_777;

    fn line(unix: u64, makes_logins: bool) -> String {
        clock(DATE, unix, makes_logins).to_string()
    }

    #[test]
    fn a_clock_that_is_a_few_seconds_off_is_right() {
        assert_eq!(line(UNIX, true), "ok    clock       0 s off the registry's");
        assert_eq!(
            line(UNIX + 5, true),
            "ok    clock       5 s off the registry's"
        );
    }

    #[test]
    fn a_clock_that_is_further_off_is_told_with_its_side() {
        assert_eq!(
            line(UNIX + 60, true),
            "warn  clock       60 s ahead of the registry's; set this machine's clock, or the \
             registry's"
        );
        assert!(line(UNIX - 6, true).starts_with("warn  clock       6 s behind the registry's"));
    }

    #[test]
    fn a_day_behind_fails_where_logins_are_made_of_a_secret() {
        assert!(line(UNIX - LIFETIME, true).starts_with("fail  clock       86400 s behind"));
        assert!(line(UNIX - LIFETIME, false).starts_with("warn"));
        assert!(line(UNIX + LIFETIME, true).starts_with("warn"));
    }

    #[test]
    fn a_date_that_is_none_is_a_warning() {
        let finding = clock("yesterday", UNIX, true).to_string();
        assert_eq!(
            finding,
            "warn  clock       the registry tells no time that can be read"
        );
    }
}
