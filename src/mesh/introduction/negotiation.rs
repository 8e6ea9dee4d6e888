//! Decides what becomes of an offer that comes in, and which of two crossing offers or hellos gives way
//! (contract parts 3 and 5).
//!
//! The decisions are pure functions; [`crate::mesh::signaling`] and [`crate::mesh::handshake`] carry them
//! out.

use crate::protocol::PeerId;

/// The facts that decide about an offer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    /// Our name.
    pub(crate) own: &'a PeerId,
    /// The offerer's name.
    pub(crate) theirs: &'a PeerId,
    /// Whether the offer carries our additions.
    pub(crate) speaks_sessions: bool,
    /// Whether an offer of our own to this peer is not answered yet.
    pub(crate) own_offer_outstanding: bool,
}

/// The decision about an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer it.
    Accept,
    /// Answer it, and drop our own offer.
    Yield,
    /// Hold it, because our own offer stands. If ours goes unanswered, this one is answered after all:
    /// its sender may have come too late to receive ours.
    Hold,
}

/// Decides what to do with an offer.
///
/// Between two of ours the connection offered by the lexicographically smaller name survives, on both
/// sides and in whatever order the offers arrive. A peer of another make answers the last offer that it
/// received and forgets its own, so against it our offer stands.
pub(crate) fn judge(situation: Situation<'_>) -> Verdict {
    if !situation.own_offer_outstanding {
        return Verdict::Accept;
    }
    if situation.speaks_sessions && situation.theirs < situation.own {
        Verdict::Yield
    } else {
        Verdict::Hold
    }
}

/// Returns whether our `hello` on a connection that we offered gives way to the peer's `hello` on one
/// that it offered, when the two have crossed. The rule is the same as for offers, so both sides agree.
pub(crate) fn hello_yields(own: &PeerId, theirs: &PeerId) -> bool {
    theirs < own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_of_two_crossing_offers_between_ours_survives() {
        let (a, b) = (PeerId::new("a").unwrap(), PeerId::new("b").unwrap());
        let at = |own, theirs| {
            judge(Situation {
                own,
                theirs,
                speaks_sessions: true,
                own_offer_outstanding: true,
            })
        };
        assert_eq!(at(&a, &b), Verdict::Hold);
        assert_eq!(at(&b, &a), Verdict::Yield);
        assert_ne!(hello_yields(&a, &b), hello_yields(&b, &a));
    }

    #[test]
    fn against_others_the_own_offer_stands() {
        let (a, b) = (PeerId::new("a").unwrap(), PeerId::new("b").unwrap());
        for (own, theirs) in [(&a, &b), (&b, &a)] {
            let verdict = judge(Situation {
                own,
                theirs,
                speaks_sessions: false,
                own_offer_outstanding: true,
            });
            assert_eq!(verdict, Verdict::Hold);
        }
    }

    #[test]
    fn without_an_own_offer_every_offer_is_answered() {
        let (a, b) = (PeerId::new("a").unwrap(), PeerId::new("b").unwrap());
        let verdict = judge(Situation {
            own: &a,
            theirs: &b,
            speaks_sessions: true,
            own_offer_outstanding: false,
        });
        assert_eq!(verdict, Verdict::Accept);
    }
}
