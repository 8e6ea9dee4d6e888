//! Decides when the sidecar ends because it has no agent.

use std::time::{Duration, Instant};

use crate::limits;

/// Counts `AGENT_LINGER` from when the agent left. Before the first agent, the time begins when the process
/// that started us ends, because then its agent may never come. As long as that process is there, the first
/// agent may take as long as it likes.
#[derive(Debug)]
pub(crate) struct Linger {
    /// `None` for ever.
    time: Option<Duration>,
    ends: Option<Instant>,
    /// When to look whether the process that started us is still there; `None` when that does not matter.
    next_look: Option<Instant>,
}

impl Linger {
    /// Begins before the first agent.
    pub(crate) fn new(now: Instant, time: Option<Duration>) -> Self {
        Linger {
            time,
            ends: None,
            next_look: time.map(|_| now + limits::PARENT_CHECK),
        }
    }

    /// Returns whether the sidecar ends with its agent.
    pub(crate) fn is_none(&self) -> bool {
        self.time == Some(Duration::ZERO)
    }

    /// Notes that an agent is connected.
    pub(crate) fn agent_came(&mut self) {
        self.ends = None;
        self.next_look = None;
    }

    /// Notes that the agent has left.
    pub(crate) fn agent_left(&mut self, now: Instant) {
        self.ends = self.time.map(|time| now + time);
    }

    /// Returns when [`Linger::is_over`] is to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.ends.or(self.next_look)
    }

    /// Returns whether the time is over. Calls `parent_has_ended` when it is time to look.
    pub(crate) fn is_over(
        &mut self,
        now: Instant,
        parent_has_ended: impl FnOnce() -> bool,
    ) -> bool {
        if self.next_look.is_some_and(|at| at <= now) {
            self.next_look = Some(now + limits::PARENT_CHECK);
            if parent_has_ended() {
                self.next_look = None;
                self.ends = self.time.map(|time| now + time);
                let seconds = self.time.unwrap_or_default().as_secs_f64();
                log::info!(
                    "the process that started this one has ended and no agent has come; ending in {seconds} s \
                     unless one comes (AGENT_LINGER=inf: never)"
                );
            }
        }
        self.ends.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(5);

    /// Steps from one timeout to the next, up to `until`. Returns when it was over, and how often the
    /// parent was looked at.
    fn run(
        linger: &mut Linger,
        until: Instant,
        parent_ends: Option<Instant>,
    ) -> (Option<Instant>, u32) {
        let mut looks = 0;
        while let Some(now) = linger.next_timeout().filter(|at| *at <= until) {
            let has_ended = || {
                looks += 1;
                parent_ends.is_some_and(|at| at <= now)
            };
            if linger.is_over(now, has_ended) {
                return (Some(now), looks);
            }
        }
        (None, looks)
    }

    #[test]
    fn an_orphan_that_no_agent_ever_came_to_ends() {
        let start = Instant::now();
        let mut linger = Linger::new(start, Some(TIME));
        let gone = start + Duration::from_millis(2500);
        let (over, _) = run(&mut linger, start + 10 * TIME, Some(gone));
        let over = over.unwrap();
        assert!((gone + TIME..=gone + TIME + limits::PARENT_CHECK).contains(&over));
    }

    #[test]
    fn while_the_parent_is_there_the_first_agent_may_take_its_time() {
        let start = Instant::now();
        let mut linger = Linger::new(start, Some(TIME));
        let (over, looks) = run(&mut linger, start + Duration::from_secs(600), None);
        assert_eq!(over, None);
        assert!(looks <= 600, "more than one look a second: {looks}");
    }

    #[test]
    fn after_the_first_agent_only_the_agents_count() {
        let start = Instant::now();
        let mut linger = Linger::new(start, Some(TIME));
        linger.agent_came();
        assert_eq!(linger.next_timeout(), None);
        linger.agent_left(start);
        assert_eq!(
            run(&mut linger, start + TIME, Some(start)),
            (Some(start + TIME), 0)
        );
        // One that comes to an orphan in time keeps it.
        let mut linger = Linger::new(start, Some(TIME));
        assert_eq!(run(&mut linger, start + TIME / 2, Some(start)), (None, 1));
        linger.agent_came();
        assert_eq!(linger.next_timeout(), None);
    }

    #[test]
    fn for_ever_is_for_ever_and_costs_nothing() {
        let start = Instant::now();
        let mut linger = Linger::new(start, None);
        assert_eq!(linger.next_timeout(), None);
        linger.agent_came();
        linger.agent_left(start);
        assert_eq!(linger.next_timeout(), None);
        assert!(!linger.is_over(start + 100 * TIME, || true));
    }
}
