//! Decides what follows a failed connection: whether it is logged and told, and when the next try is.

use std::time::{Duration, Instant};

use super::contest::Contest;
use super::failure::{Failure, Kind};
use super::notice::Notice;
use super::outage::{Outage, Telling};
use super::settings::Times;
use super::waits::Waits;

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

/// The state of the connection and of the outage.
#[derive(Debug)]
pub(super) struct Reconnect {
    waits: Waits,
    contest: Contest,
    refusal_is_fatal: bool,
    connected_at: Option<Instant>,
    /// Whether the registry has answered on the connection, so that it serves us.
    is_served: bool,
    /// The kind of the last failure, if there is no connection.
    last: Option<Kind>,
    outage: Outage,
}

impl Reconnect {
    /// Creates the state. `refusal_is_fatal`: whether to give up when the registry's very first verdict
    /// on our credential is a refusal.
    pub(super) fn new(times: &Times, refusal_is_fatal: bool, now: Instant) -> Self {
        Reconnect {
            waits: Waits::new(times, now),
            contest: Contest::default(),
            refusal_is_fatal,
            connected_at: None,
            is_served: false,
            last: None,
            outage: Outage::default(),
        }
    }

    /// Notes that the registry accepted our credential.
    pub(super) fn accepted(&mut self) {
        self.refusal_is_fatal = false;
        self.waits.accepted();
    }

    /// Returns whether the present wait is to end, because the network has changed. The registry's answer
    /// to a wrong key would be the same, another sidecar uses our name all the same, and who is busy stays so.
    pub(super) fn network_changed(&mut self, now: Instant) -> bool {
        let stays = matches!(
            self.last,
            Some(Kind::Refused | Kind::NameTaken | Kind::Busy(_))
        );
        !stays && self.waits.take_at_once(now)
    }

    /// Notes that the WebSocket is open.
    pub(super) fn connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
        self.is_served = false;
        self.last = None;
        self.outage = Outage::default();
    }

    /// Notes that the registry has told who is online.
    pub(super) fn served(&mut self) {
        self.is_served = true;
    }

    /// Handles a failed try, or the loss of the connection. `jitter` is a fresh random number in
    /// `0.0..1.0`.
    pub(super) fn failed(&mut self, mut failure: Failure, now: Instant, jitter: f64) -> Verdict {
        let since = self.connected_at.take();
        let lasted = since.map(|since| now.saturating_duration_since(since));
        if let Some(lasted) = lasted {
            self.waits.lasted(lasted);
        }
        let served_for = lasted.filter(|_| self.is_served);
        let rival = self.contest.rival(failure.kind, now, served_for);
        if rival.is_some() {
            failure.kind = Kind::NameTaken;
        }
        let kind = failure.kind;
        let fatal = self.refusal_is_fatal && kind == Kind::Refused;
        let wait = self.waits.after(kind, rival, now, jitter);
        let retry_in = (!fatal).then_some(wait);
        let Telling { is_news, is_logged } = self.outage.note(&failure, now);
        let why = match rival {
            None => failure.why,
            Some(_) => format!(
                "another sidecar uses our name, and has taken our place; give each one a key of its own \
                 ({})",
                failure.why
            ),
        };
        let text = match retry_in {
            None => why,
            Some(Duration::ZERO) => format!("{why}; trying again at once"),
            Some(wait) => {
                let seconds = wait.as_secs_f64().max(0.1);
                format!("{why}; trying again in {seconds:.1} s")
            }
        };
        // A fatal failure is printed when the process ends, so it is not logged here.
        let log = (is_logged && !fatal).then(|| text.clone());
        let notice = is_news.then_some(match kind {
            Kind::Unreachable | Kind::PathLost | Kind::Silent | Kind::Busy(_) | Kind::Closed => {
                Notice::Disconnected { reason: text }
            }
            Kind::NameTaken => Notice::NameTaken { reason: text },
            Kind::Refused => Notice::Refused {
                reason: text,
                fatal,
            },
        });
        self.last = Some(kind);
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
    use crate::limits;

    const SECOND: Duration = Duration::from_secs(1);

    fn reconnect(refusal_is_fatal: bool) -> Reconnect {
        let times = Times {
            backoff: (SECOND, 8 * SECOND),
            refused_backoff: (16 * SECOND, 32 * SECOND),
            settled: 5 * SECOND,
            ..Times::default()
        };
        Reconnect::new(&times, refusal_is_fatal, Instant::now())
    }

    fn lost(why: &str) -> Failure {
        Failure::new(Kind::Unreachable, why)
    }

    fn refused() -> Failure {
        Failure::new(Kind::Refused, "no")
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
    fn a_busy_registry_is_left_alone_as_long_as_it_asks_and_a_little_longer() {
        let now = Instant::now();
        let mut reconnect = reconnect(true);
        let busy = |seconds| Failure::new(Kind::Busy(seconds * SECOND), "busy");
        assert_eq!(
            reconnect.failed(busy(60), now, 0.0).retry_in,
            Some(60 * SECOND)
        );
        assert_eq!(
            reconnect.failed(busy(60), now, 1.0).retry_in,
            Some(75 * SECOND)
        );
        assert!(!reconnect.network_changed(now));
        // Less than what we would wait anyhow.
        assert_eq!(
            reconnect.failed(busy(0), now, 1.0).retry_in,
            Some(4 * SECOND)
        );
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

    #[test]
    fn a_refusal_is_repeated_slowly_whatever_the_network_does() {
        let now = Instant::now();
        let mut reconnect = reconnect(false);
        reconnect.failed(lost("down"), now, 1.0);
        for wait in [16, 32, 32] {
            let verdict = reconnect.failed(refused(), now, 1.0);
            assert_eq!(verdict.retry_in, Some(wait * SECOND));
            assert!(!reconnect.network_changed(now));
        }
        reconnect.accepted();
        reconnect.connected(now);
        let verdict = reconnect.failed(refused(), now, 1.0);
        assert_eq!(verdict.retry_in, Some(16 * SECOND));
    }

    #[test]
    fn a_lost_way_is_replaced_at_once_but_not_without_end() {
        let now = Instant::now();
        let mut reconnect = reconnect(true);
        for _ in 0..5 {
            reconnect.failed(lost("down"), now, 1.0);
        }
        let gone = || Failure::new(Kind::PathLost, "gone");
        let (tries, interval) = limits::REGISTRY_TRIES_AT_ONCE;
        for _ in 0..tries {
            let verdict = reconnect.failed(gone(), now, 1.0);
            assert_eq!(verdict.retry_in, Some(Duration::ZERO));
            assert!(
                verdict
                    .log
                    .is_none_or(|log| log == "gone; trying again at once")
            );
        }
        // The network has changed, so the waits begin with the first again.
        let next = reconnect.failed(gone(), now, 1.0);
        assert_eq!(next.retry_in, Some(SECOND));
        assert!(!reconnect.network_changed(now));
        assert!(reconnect.network_changed(now + 2 * interval));
    }

    /// A thousand sidecars lose their registry at the same moment. It is back after `outage`.
    /// Returns how many of them connect in each tenth of a second after it.
    fn herd(outage: Duration) -> Vec<usize> {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut tenths = vec![0; 20];
        for _ in 0..1000 {
            let start = Instant::now();
            let mut reconnect = Reconnect::new(&Times::default(), true, start);
            reconnect.connected(start);
            let mut now = start + Duration::from_secs(3600);
            let back = now + outage;
            while now < back {
                let verdict = reconnect.failed(lost("connection refused"), now, rng.f64());
                now += verdict.retry_in.unwrap();
            }
            let tenth = (now - back).as_millis() / 100;
            tenths[usize::try_from(tenth).unwrap()] += 1;
        }
        tenths
    }

    #[test]
    fn a_thousand_sidecars_come_back_within_two_seconds_and_not_all_at_once() {
        let tenths = herd(Duration::from_secs(600));
        assert_eq!(tenths.iter().sum::<usize>(), 1000, "{tenths:?}");
        // Spread evenly over 1.75 s, there would be 57 in each tenth of a second.
        assert!(tenths.iter().all(|tenth| *tenth < 115), "{tenths:?}");
        // A restart that takes only a moment.
        for outage in [100, 500, 1000, 3000] {
            let tenths = herd(Duration::from_millis(outage));
            assert_eq!(
                tenths.iter().sum::<usize>(),
                1000,
                "{outage} ms: {tenths:?}"
            );
        }
    }

    #[test]
    fn a_name_that_another_uses_is_left_to_it_for_minutes_whatever_changes() {
        let mut reconnect = reconnect(false);
        let now = Instant::now();
        reconnect.connected(now);
        let taken = || Failure::new(Kind::NameTaken, "closed");
        // The first time it may be `doctor`, which goes again.
        let once = reconnect.failed(taken(), now, 0.0).retry_in.unwrap();
        assert!(once > SECOND && once < 5 * SECOND, "{once:?}");
        let now = now + once;
        reconnect.connected(now);
        let verdict = reconnect.failed(taken(), now + SECOND, 0.0);
        assert!(verdict.retry_in >= Some(limits::NAME_TAKEN_BACKOFF.0 / 2));
        assert!(
            verdict
                .log
                .unwrap()
                .contains("another sidecar uses our name")
        );
        assert!(matches!(verdict.notice, Some(Notice::NameTaken { .. })));
        assert!(!reconnect.network_changed(now));
    }

    #[test]
    fn those_who_find_the_registry_silent_at_the_same_moment_do_not_come_back_at_the_same_moment() {
        let now = Instant::now();
        let waits = [0.0, 0.5, 1.0].map(|jitter| {
            let mut reconnect = reconnect(false);
            reconnect.connected(now);
            let silent = Failure::new(Kind::Silent, "silent");
            reconnect.failed(silent, now, jitter).retry_in
        });
        let longest = limits::REGISTRY_SILENT_WAIT;
        assert_eq!(
            waits,
            [Some(Duration::ZERO), Some(longest / 2), Some(longest)]
        );
    }

    #[test]
    fn a_registry_that_closes_soon_and_often_has_let_another_take_our_name() {
        let mut reconnect = reconnect(false);
        let start = Instant::now();
        let (times, ..) = limits::NAME_CONTEST;
        let mut waits = Vec::new();
        for n in 0..times as u32 {
            let now = start + 2 * SECOND * n;
            reconnect.connected(now);
            reconnect.served();
            let closed = Failure::new(Kind::Closed, "closed");
            let verdict = reconnect.failed(closed, now + SECOND, 0.0);
            waits.push(verdict.retry_in.unwrap());
        }
        let last = waits.pop().unwrap();
        assert!(last >= limits::NAME_GUESSED_BACKOFF.0 / 2, "{last:?}");
        assert!(waits.iter().all(|wait| *wait <= 8 * SECOND), "{waits:?}");
    }
}
