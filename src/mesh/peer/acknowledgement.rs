//! Decides when to tell a peer how much of what it sent our agent has taken (contract part 5, `ack`).
//!
//! An acknowledgement by itself costs both sides as much as a message. So one that is not urgent travels
//! with a message to the same peer, if our agent usually answers what it takes. TCP's delayed
//! acknowledgements work the same way (RFC 9293 section 3.8.6.3).

use std::time::Instant;

use crate::limits;

/// The acknowledgement that a peer is owed, and when it is due.
#[derive(Debug, Default)]
pub(crate) struct Acknowledgement {
    /// Bytes that our agent has taken and that the peer was not told of.
    pub(crate) untold_bytes: usize,
    /// When the peer was told last.
    pub(crate) last_told: Option<Instant>,
    /// When our agent took a message last.
    last_taken: Option<Instant>,
    /// Whether our agent has answered at once what it took last.
    pub(crate) is_conversation: bool,
}

impl Acknowledgement {
    /// Notes that our agent has taken a message of `bytes`.
    pub(crate) fn taken(&mut self, now: Instant, bytes: usize) {
        self.untold_bytes += bytes;
        self.last_taken = Some(now);
    }

    /// Returns when to tell the peer: at once if much is untold, or if nothing was told lately and no
    /// message to it is to be expected. Otherwise a moment later, together with what is taken until then.
    pub(crate) fn due(&self, now: Instant, window: usize) -> Instant {
        let last = if self.is_conversation {
            self.last_told.max(self.last_taken)
        } else {
            self.last_told
        };
        match last {
            Some(last) if self.untold_bytes < window / 4 => {
                now.max(last + limits::ACKNOWLEDGEMENT_INTERVAL)
            }
            Some(_) | None => now,
        }
    }

    /// Notes that a message to the peer was written. Returns whether there is anything to tell it along
    /// with that.
    pub(crate) fn spoken(&mut self, now: Instant) -> bool {
        self.is_conversation = self
            .last_taken
            .is_some_and(|taken| now <= taken + limits::ACKNOWLEDGEMENT_INTERVAL);
        self.untold_bytes > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WINDOW: usize = 1000;
    const MOMENT: Duration = Duration::from_micros(100);

    #[test]
    fn the_first_message_after_a_while_is_acknowledged_at_once() {
        let now = Instant::now();
        let mut acknowledgement = Acknowledgement::default();
        acknowledgement.taken(now, 10);
        assert_eq!(acknowledgement.due(now, WINDOW), now);
    }

    #[test]
    fn many_that_are_not_answered_share_one_acknowledgement() {
        let now = Instant::now();
        let mut acknowledgement = Acknowledgement {
            last_told: Some(now),
            ..Acknowledgement::default()
        };
        acknowledgement.taken(now + MOMENT, 10);
        let due = now + limits::ACKNOWLEDGEMENT_INTERVAL;
        assert_eq!(acknowledgement.due(now + MOMENT, WINDOW), due);
        acknowledgement.taken(now + 2 * MOMENT, WINDOW / 4);
        assert_eq!(
            acknowledgement.due(now + 2 * MOMENT, WINDOW),
            now + 2 * MOMENT
        );
    }

    #[test]
    fn what_is_usually_answered_at_once_is_acknowledged_with_the_answer() {
        let start = Instant::now();
        let mut acknowledgement = Acknowledgement::default();
        acknowledgement.taken(start, 10);
        assert!(acknowledgement.spoken(start + MOMENT));
        let later = start + 100 * limits::ACKNOWLEDGEMENT_INTERVAL;
        acknowledgement.taken(later, 10);
        let due = later + limits::ACKNOWLEDGEMENT_INTERVAL;
        assert_eq!(acknowledgement.due(later, WINDOW), due);
    }

    #[test]
    fn what_was_answered_late_is_not_waited_for_again() {
        let start = Instant::now();
        let mut acknowledgement = Acknowledgement::default();
        acknowledgement.taken(start, 10);
        let late = start + 2 * limits::ACKNOWLEDGEMENT_INTERVAL;
        acknowledgement.spoken(late);
        acknowledgement.taken(late, 10);
        assert_eq!(acknowledgement.due(late, WINDOW), late);
    }
}
