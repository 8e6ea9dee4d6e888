//! Decides what follows a failed connection: whether it is logged and told, and when the next try is.

use std::time::{Duration, Instant};

use super::notice::Notice;
use crate::backoff::Backoff;
use crate::limits;

/// The reason why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection could not be made, or it was lost.
    Unreachable(String),
    /// The registry refused the API key or device token.
    Refused(String),
}

/// The consequence of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How long to wait before the next try; `None` if there is none.
    pub(super) retry_in: Option<Duration>,
    /// A notice for the event loop, when it does not know this failure yet.
    pub(super) notice: Option<Notice>,
    /// A line for the log, when one is due.
    pub(super) log: Option<String>,
}

/// The state of the connection and of the outage, and the backoff.
#[derive(Debug)]
pub(super) struct Reconnect {
    backoff: Backoff,
    settled_after: Duration,
    refusal_is_fatal: bool,
    connected_at: Option<Instant>,
    outage: Option<Outage>,
}

#[derive(Debug)]
struct Outage {
    failure: Failure,
    logged_at: Instant,
}

impl Reconnect {
    /// Creates the state. `refusal_is_fatal`: whether to give up when the registry's very first verdict
    /// on our credential is a refusal. A connection counts as a success, which resets the backoff, when
    /// it has lasted for `settled_after`. So a registry that accepts us and closes at once is not
    /// hammered.
    pub(super) fn new(
        backoff: (Duration, Duration),
        settled_after: Duration,
        refusal_is_fatal: bool,
    ) -> Self {
        Reconnect {
            backoff: Backoff::new(backoff),
            settled_after,
            refusal_is_fatal,
            connected_at: None,
            outage: None,
        }
    }

    /// Notes that the registry accepted our credential.
    pub(super) fn accepted(&mut self) {
        self.refusal_is_fatal = false;
    }

    /// Notes that the WebSocket is open.
    pub(super) fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
        self.outage = None;
    }

    /// Handles a failed try, or the loss of the connection. `jitter` is a fresh random number in
    /// `0.0..1.0`.
    pub(super) fn failed(&mut self, failure: Failure, now: Instant, jitter: f64) -> Verdict {
        if let Some(since) = self.connected_at.take()
            && now.saturating_duration_since(since) >= self.settled_after
        {
            self.backoff.reset();
        }
        let fatal = self.refusal_is_fatal && matches!(failure, Failure::Refused(_));
        let retry_in = (!fatal).then(|| self.backoff.next(jitter));
        let told_at = self
            .outage
            .as_ref()
            .filter(|outage| outage.failure == failure)
            .map(|outage| outage.logged_at);
        let is_news = told_at.is_none();
        let log_it = told_at
            .is_none_or(|at| now.saturating_duration_since(at) >= limits::SAME_FAILURE_LOGGED);

        let text = match (&failure, retry_in) {
            (Failure::Unreachable(why) | Failure::Refused(why), Some(wait)) => {
                let seconds = wait.as_secs_f64().max(0.1);
                format!("{why}; trying again in {seconds:.1} s")
            }
            (Failure::Unreachable(why) | Failure::Refused(why), None) => why.clone(),
        };
        // A fatal failure is printed when the process ends, so it is not logged here.
        let log = (log_it && !fatal).then(|| text.clone());
        let notice = is_news.then_some(match &failure {
            Failure::Unreachable(_) => Notice::Disconnected { reason: text },
            Failure::Refused(_) => Notice::Refused {
                reason: text,
                fatal,
            },
        });
        let logged_at = told_at.filter(|_| !log_it).unwrap_or(now);
        self.outage = Some(Outage { failure, logged_at });
        Verdict {
            retry_in,
            notice,
            log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn reconnect(refusal_is_fatal: bool) -> Reconnect {
        Reconnect::new((SECOND, 8 * SECOND), 5 * SECOND, refusal_is_fatal)
    }

    fn lost(why: &str) -> Failure {
        Failure::Unreachable(why.to_owned())
    }

    fn refused() -> Failure {
        Failure::Refused("no".to_owned())
    }

    #[test]
    fn an_outage_is_told_once_and_its_waits_grow() {
        let now = Instant::now();
        let mut reconnect = reconnect(true);
        let first = reconnect.failed(lost("down"), now, 1.0);
        assert_eq!(first.retry_in, Some(SECOND));
        let reason = "down; trying again in 1.0 s".to_owned();
        assert_eq!(first.log.as_ref(), Some(&reason));
        assert_eq!(first.notice, Some(Notice::Disconnected { reason }));

        for wait in [2, 4, 8, 8] {
            let again = reconnect.failed(lost("down"), now, 1.0);
            assert_eq!(again.retry_in, Some(wait * SECOND));
            assert_eq!((again.notice, again.log), (None, None));
        }
    }

    #[test]
    fn a_new_reason_is_told() {
        let now = Instant::now();
        let mut reconnect = reconnect(true);
        reconnect.failed(lost("refused"), now, 1.0);
        let other = reconnect.failed(lost("timed out"), now, 1.0);
        assert!(other.notice.is_some() && other.log.is_some());
    }

    #[test]
    fn a_long_outage_is_logged_now_and_then() {
        let start = Instant::now();
        let mut reconnect = reconnect(true);
        let lines = (0..180)
            .filter(|second| {
                let now = start + *second * SECOND;
                reconnect.failed(lost("down"), now, 1.0).log.is_some()
            })
            .count();
        assert_eq!(lines, 3);
    }

    #[test]
    fn the_backoff_starts_over_only_after_a_connection_that_lasted() {
        let start = Instant::now();
        let mut reconnect = reconnect(true);
        for wait in [1, 2, 4] {
            let verdict = reconnect.failed(lost("down"), start, 1.0);
            assert_eq!(verdict.retry_in, Some(wait * SECOND));
        }
        reconnect.connected(start);
        let short = reconnect.failed(lost("gone"), start + 4 * SECOND, 1.0);
        assert_eq!(short.retry_in, Some(8 * SECOND));
        reconnect.connected(start);
        let long = reconnect.failed(lost("gone"), start + 5 * SECOND, 1.0);
        assert_eq!(long.retry_in, Some(SECOND));
    }

    #[test]
    fn each_connection_lost_is_told_even_for_the_same_reason() {
        let now = Instant::now();
        let mut reconnect = reconnect(true);
        for _ in 0..3 {
            reconnect.connected(now);
            assert!(reconnect.failed(lost("gone"), now, 1.0).notice.is_some());
        }
    }

    #[test]
    fn a_refusal_ends_it_only_as_the_first_verdict() {
        let now = Instant::now();
        let mut fresh = reconnect(true);
        fresh.failed(lost("down"), now, 1.0);
        let verdict = fresh.failed(refused(), now, 1.0);
        assert_eq!(verdict.retry_in, None);
        assert_eq!(verdict.log, None);
        let reason = "no".to_owned();
        let fatal = true;
        assert_eq!(verdict.notice, Some(Notice::Refused { reason, fatal }));

        let mut accepted = reconnect(true);
        accepted.accepted();
        for mut reconnect in [accepted, reconnect(false)] {
            let verdict = reconnect.failed(refused(), now, 1.0);
            assert!(verdict.retry_in.is_some());
            assert!(matches!(
                verdict.notice,
                Some(Notice::Refused { fatal: false, .. })
            ));
            assert_eq!(reconnect.failed(refused(), now, 1.0).notice, None);
        }
    }
}
