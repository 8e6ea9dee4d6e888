//! The state of one peer, which outlives its connections.

pub(crate) mod acknowledgement;
pub(crate) mod early_candidates;
pub(crate) mod incoming_numbers;
pub(crate) mod overflow;
pub(crate) mod session;
pub(crate) mod session_names;
pub(crate) mod watermarks;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::backoff::Backoff;
use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::signaling::Extension;

use super::agent::origin::Origin;
use super::base::queue_size::QueueSize;
use super::base::totals::Count;
use super::connection::{ConnectionId, Role};
use super::introduction::token_bucket::TokenBucket;
use super::link::Packets;
use acknowledgement::Acknowledgement;
use early_candidates::EarlyCandidates;
use overflow::Excess;
use session::Session;
use watermarks::Watermarks;

/// An offer of the peer.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) sdp: String,
    pub(super) extension: Extension,
    /// The peer that passed it on, if it did not come from the registry.
    pub(super) introducer: Option<PeerId>,
}

/// An offer of the peer that is not answered yet: it waits until our own offer was answered or not, or
/// until its sender may offer again.
#[derive(Debug)]
pub(super) struct HeldOffer {
    pub(super) offer: Offer,
    /// When it is looked at again.
    pub(super) until: Instant,
    /// Whether it came too soon after others, and has not been looked at yet.
    pub(super) is_early: bool,
}

/// When to offer a connection next.
#[derive(Debug)]
pub(super) struct Retry {
    pub(super) backoff: Backoff,
    /// When the last connection began to carry messages. Only a connection that lasts ends the backoff.
    pub(super) adopted: Option<Instant>,
    /// When to look next at whether to offer; `None` when no time is planned.
    pub(super) at: Option<Instant>,
    /// Whether this waits for the registry to tell if the peer is online at all.
    pub(super) awaits_list: bool,
}

impl Retry {
    /// Returns whether another look is planned, at a time or with the registry's answer.
    pub(super) fn is_planned(&self) -> bool {
        self.at.is_some() || self.awaits_list
    }

    /// Cancels what was planned.
    pub(super) fn cancel(&mut self) {
        self.at = None;
        self.awaits_list = false;
    }
}

/// A `connect` command that is not answered yet.
#[derive(Debug)]
pub(super) struct WaitingConnect {
    pub(super) origin: Origin,
    /// When it was given. It fails after a time, whatever else is still hoped for.
    pub(super) since: Instant,
}

/// Somebody was not trusted.
#[derive(Debug)]
pub(super) struct Distrusted {
    pub(super) at: Instant,
    /// Why, for a person.
    pub(super) why: String,
}

/// The state of a peer, as `stats` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Connected,
    Connecting,
    Disconnected,
}

/// One peer: its session, its connections, and what is waited for.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) session: Session,
    /// Whether the last connection that carried messages was between two of ours.
    pub(super) speaks_sessions: bool,
    pub(super) connections: Vec<ConnectionId>,
    /// The connection that messages go over.
    pub(super) current: Option<ConnectionId>,
    /// Whether the agent believes the peer to be connected: `peer_connected` was the last that it was
    /// told.
    pub(super) reachable: bool,
    /// Its state as of the last [`Peer::note_state`].
    pub(super) state: State,
    /// Since when it has been in `state`.
    pub(super) since: Instant,
    /// Whether the session has been connected before, so that it can be resumed.
    pub(super) met: bool,
    /// Our role in the last connection that carried messages. Its offerer offers again when it is lost.
    pub(super) last_role: Role,
    pub(super) retry: Retry,
    /// When its process was last heard, on the connection that messages go over.
    pub(super) heard: Instant,
    /// When the last message went to it or came from it; until the first, when we first heard of it.
    pub(super) last_message: Instant,
    /// Whether it has ended the last connection itself.
    pub(super) said_goodbye: bool,
    /// Since when we want to reach it and can't: something waits for it, or its session is to go on.
    pub(super) wanted: Option<Instant>,
    /// Whether it has contradicted its session and acknowledged nothing since.
    pub(super) has_contradicted: bool,
    /// The last time since it was heard that somebody who is not trusted came under its name.
    pub(super) distrusted: Option<Distrusted>,
    /// Unanswered `connect` commands, in the order of their deadlines.
    pub(super) waiting: VecDeque<WaitingConnect>,
    /// Its messages that the agent has not taken, with their bytes on the wire.
    pub(super) inbox: QueueSize,
    pub(super) watermarks: Watermarks,
    /// The part of its queue that is in the overflow, as of the last look.
    pub(super) excess: Excess,
    pub(super) acknowledgement: Acknowledgement,
    pub(super) held: Option<HeldOffer>,
    pub(super) early: EarlyCandidates,
    pub(super) offers: TokenBucket,
    /// Limits its offers that others than the registry bring.
    pub(super) introduced_offers: TokenBucket,
    /// The ids of the attempts that it has offered and that were answered.
    pub(super) offered: VecDeque<String>,
    /// Limits the signals that it brings, its own and those of others.
    pub(super) passes: TokenBucket,
    /// Limits the signals that are passed on for it.
    pub(super) asks_to_pass: TokenBucket,
    pub(super) sent: Count,
    pub(super) received: Count,
    /// How many connections carried messages before the current one.
    pub(super) restarts: u64,
    /// How large the packets of the next connection are.
    pub(super) packets: Packets,
}

impl Peer {
    pub(super) fn new(id: PeerId, session: String, now: Instant) -> Self {
        Peer {
            id,
            session: Session::new(session),
            speaks_sessions: false,
            connections: Vec::new(),
            current: None,
            reachable: false,
            state: State::Disconnected,
            since: now,
            met: false,
            last_role: Role::Offerer,
            retry: Retry {
                backoff: Backoff::new(limits::OFFER_BACKOFF),
                adopted: None,
                at: None,
                awaits_list: false,
            },
            heard: now,
            last_message: now,
            said_goodbye: false,
            wanted: None,
            has_contradicted: false,
            distrusted: None,
            waiting: VecDeque::new(),
            inbox: QueueSize::default(),
            watermarks: Watermarks::new(now),
            excess: Excess::none(),
            acknowledgement: Acknowledgement::default(),
            held: None,
            early: EarlyCandidates::default(),
            offers: TokenBucket::new((limits::OFFER_BURST, limits::OFFER_INTERVAL), now),
            introduced_offers: TokenBucket::new(limits::INTRODUCED_OFFERS, now),
            offered: VecDeque::new(),
            passes: TokenBucket::new(limits::PASSED_SIGNALS, now),
            asks_to_pass: TokenBucket::new(limits::SIGNALS_TO_PASS, now),
            sent: Count::default(),
            received: Count::default(),
            restarts: 0,
            packets: Packets::Full,
        }
    }

    /// Brings `state` up to date. To be called when a connection was added or is gone, or the peer became
    /// reachable or unreachable.
    pub(super) fn note_state(&mut self, now: Instant) {
        let state = if self.reachable {
            State::Connected
        } else if self.connections.is_empty() {
            State::Disconnected
        } else {
            State::Connecting
        };
        if state != self.state {
            self.state = state;
            self.since = now;
        }
    }

    /// Notes that an offer is answered. It may come again on another way.
    pub(super) fn remember_offer(&mut self, attempt: &str) {
        if self.offered.len() == limits::REMEMBERED_OFFERS {
            self.offered.pop_front();
        }
        self.offered.push_back(attempt.to_owned());
    }

    /// Returns whether an offer was answered before.
    pub(super) fn knows_offer(&self, attempt: &str) -> bool {
        self.offered.iter().any(|known| known == attempt)
    }

    /// Returns whether anything is kept for the peer until it can be reached.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.session.is_idle() || !self.waiting.is_empty()
    }

    /// Returns whether nobody is to wait for it: it is out of reach, or stalled.
    pub(super) fn is_out_of_the_way(&self) -> bool {
        !self.reachable || self.watermarks.is_stalled()
    }

    /// Takes out a `connect` command that has waited for so long, and returns its origin.
    pub(super) fn next_overdue(&mut self, now: Instant, longest: Duration) -> Option<Origin> {
        let overdue = self
            .waiting
            .pop_front_if(|first| first.since + longest <= now)?;
        Some(overdue.origin)
    }

    /// Returns whether its session can go on over another connection: it is one of ours, and was connected.
    pub(super) fn can_resume(&self) -> bool {
        self.met && self.speaks_sessions
    }

    /// Returns whether a connection beside the current one is under way.
    pub(super) fn has_attempt(&self) -> bool {
        self.connections.len() > usize::from(self.current.is_some())
    }

    /// Returns how many attempts in a row have led to no connection that lasts.
    pub(super) fn failures(&self) -> u32 {
        self.retry.backoff.failures()
    }

    /// Plans the next question whether the peer is online, since it was not. It grows rare, because the
    /// peer offers by itself when it comes.
    pub(super) fn back_off_unlisted(&mut self, now: Instant, jitter: f64) {
        self.retry.at = Some(now + self.retry.backoff.next(jitter));
    }

    /// Plans the next look at whether to offer, after a failure.
    pub(super) fn back_off(&mut self, now: Instant, jitter: f64, extra: Duration) {
        let lasted = |adopted: &mut Instant| *adopted + limits::CONNECTION_TRUSTED_AFTER <= now;
        if self.retry.adopted.take_if(lasted).is_some() {
            self.retry.backoff.reset();
        }
        let wait = self.retry.backoff.next(jitter);
        // A session that is to go on is worth more tries, unless each connection ends as soon as it is made.
        let is_recovering = self.can_resume() && self.retry.adopted.is_none();
        let longest = if is_recovering {
            limits::RECOVERY_BACKOFF
        } else {
            wait
        };
        self.retry.at = Some(now + wait.min(longest) + extra);
        self.retry.awaits_list = false;
    }
}
