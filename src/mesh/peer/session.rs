//! The session with one peer: numbers the messages accepted for it, and keeps them until they are known
//! to have arrived.
//!
//! A session outlives connections. Between two of ours (contract part 5) each message has a number, given
//! in the order in which messages are first written. The peer's `ack` and `hello` say how many of them
//! its agent has taken, and a new connection replays the rest. Towards other makes a session lasts no
//! longer than a connection: what was written is up to the transport, and only its receipt settles it.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use super::incoming_numbers::IncomingNumbers;
use super::session_names::SessionNames;
use crate::limits;
use crate::protocol::message::Message;

use crate::mesh::agent::origin::Origin;
use crate::mesh::base::queue_size::QueueSize;

/// How many bytes a peer of ours may be sent before its first `ack` has told its window.
pub(crate) const INITIAL_WINDOW_BYTES: u64 = limits::LEAST_WINDOW_BYTES as u64;

/// A message on its way to a peer.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The message itself.
    pub(crate) message: Message,
    /// When it was accepted from the agent.
    pub(crate) accepted: Instant,
    /// The command that is told what became of it.
    pub(crate) origin: Origin,
}

/// The meaning of a peer's `hello` for the session.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// The session goes on. `settled` has arrived; the rest is sent again.
    Resumed { settled: Vec<Outgoing> },
    /// The peer is a new process, or was never met: numbers start over. `lost` was written to the process
    /// before it and is not known to have arrived.
    New { lost: Vec<Outgoing> },
    /// The hello contradicts what is known of that process.
    Impossible(Contradiction),
}

/// Why the peer's count of our messages cannot be true. A peer that received what we sent would not count so.
/// Nothing that it says of this session can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// It claims to have messages that we never sent.
    TooMany,
    /// It no longer has messages that it acknowledged.
    TooFew,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contradiction::TooMany => "it counts messages that were never sent to it",
            Contradiction::TooFew => "it no longer counts messages that it had acknowledged",
        })
    }
}

/// A process of a peer. A session belongs to one: it goes on with no other, whatever id that tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// The id of its session.
    pub(crate) session: String,
    /// The fingerprint of its certificate. Without one it can't be recognised.
    pub(crate) certificate: Option<String>,
}

impl Process {
    /// Returns whether both are the same process for certain.
    pub(crate) fn is(&self, other: &Process) -> bool {
        self.certificate.is_some() && self == other
    }
}

/// A process that takes the place of another under the same name.
#[derive(Debug)]
struct Successor {
    theirs: Process,
    own: String,
}

/// Both directions of the conversation with one peer, whatever connections carry it.
#[derive(Debug)]
pub(crate) struct Session {
    /// Our side's id. It belongs to the process `theirs`: another one under the same name is told another
    /// id, because either may come back and count on where it was.
    own: String,
    /// Whether a hello has told it.
    is_told: bool,
    /// The peer's process, from its `hello`; `None` before the first one, and for peers that are not ours.
    theirs: Option<Process>,
    /// A process that has announced itself in place of `theirs`, and the id that was told to it. It may
    /// have begun to count under that id though its `hello` never came.
    successor: Option<Successor>,
    /// Changes when numbers start over, so that late reports about older messages are told apart.
    epoch: u64,

    /// Messages in the order of sending. The first `handed` are written to the current connection.
    outbox: VecDeque<Outgoing>,
    handed: usize,
    /// How many messages at the front of the outbox were ever written, and so have their numbers.
    numbered: usize,
    /// How many of our messages have left the outbox because the peer's agent has taken them.
    acknowledged: u64,
    /// How many of our messages the peer's agent has taken, as the peer last told. It may include
    /// messages that came over an older connection and are not repeated on this one yet. Those have to be
    /// repeated all the same, because the peer counts what comes after its hello.
    taken_by_peer: u64,
    /// How many bytes the peer allows under way beyond message `acknowledged`.
    window: u64,
    queued: QueueSize,
    handed_bytes: u64,

    /// Which messages of the peer have come in, and which of them the agent has taken.
    incoming: IncomingNumbers,
}

impl Session {
    /// Creates a session that has exchanged nothing yet.
    pub(crate) fn new(own: String) -> Self {
        Session {
            own,
            is_told: false,
            theirs: None,
            successor: None,
            epoch: 0,
            outbox: VecDeque::new(),
            handed: 0,
            numbered: 0,
            acknowledged: 0,
            taken_by_peer: 0,
            window: INITIAL_WINDOW_BYTES,
            queued: QueueSize::default(),
            handed_bytes: 0,
            incoming: IncomingNumbers::default(),
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn own(&self) -> &str {
        &self.own
    }

    /// Returns whether the peer may know our side's id, and count its numbers.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    pub(crate) fn theirs(&self) -> Option<&Process> {
        self.theirs.as_ref()
    }

    /// Returns whether a process is known to which our numbers belong, or anything has a number.
    pub(crate) fn has_begun(&self) -> bool {
        self.theirs.is_some() || self.numbered > 0
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the size of what was accepted and is not settled.
    pub(crate) fn queued(&self) -> QueueSize {
        self.queued
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Returns how many messages of the peer's session our agent has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.incoming.taken()
    }

    /// Returns the id of our side for a description to the process `theirs`, or, when that is not known, to
    /// the one that announced itself last.
    pub(crate) fn announced_to(&self, theirs: Option<&Process>) -> &str {
        match &self.successor {
            Some(successor) if theirs.is_none() || self.is_replaced_by(theirs) => &successor.own,
            Some(_) | None => &self.own,
        }
    }

    /// Returns the id of our side for a `hello` to the process `theirs`, which is about to be sent. A process
    /// in the place of the one that is known gets an id of its own.
    pub(crate) fn tell(&mut self, theirs: Option<&Process>, names: &mut SessionNames) -> String {
        let Some(theirs) = theirs.filter(|theirs| self.is_replaced_by(Some(theirs))) else {
            self.is_told = true;
            return self.own.clone();
        };
        match &self.successor {
            Some(successor) if successor.theirs.is(theirs) => successor.own.clone(),
            Some(_) | None => {
                let own = names.next();
                self.successor = Some(Successor {
                    theirs: theirs.clone(),
                    own: own.clone(),
                });
                own
            }
        }
    }

    /// Returns how many messages our `hello` says we have received, to this process of the peer: 0 if it was
    /// not met before.
    pub(crate) fn received_of(&self, theirs: Option<&Process>) -> u64 {
        match (&self.theirs, theirs) {
            (Some(known), Some(theirs)) if known.is(theirs) => self.taken(),
            (_, Some(_)) => 0,
            (_, None) => self.taken(),
        }
    }

    /// Returns whether this is another process of the peer than the one that is known.
    pub(crate) fn is_replaced_by(&self, theirs: Option<&Process>) -> bool {
        let known = self.theirs.as_ref();
        known.is_some_and(|known| theirs.is_some_and(|theirs| !known.is(theirs)))
    }

    /// Returns the process that a peer is which announces `session` and bears this certificate, as far as either is
    /// known. One that announces none is the known one, unless it bears another certificate.
    pub(crate) fn process_of(
        &self,
        session: Option<&str>,
        certificate: Option<&str>,
    ) -> Option<Process> {
        let known = self.theirs.as_ref();
        let known = known.and_then(|known| known.certificate.as_deref());
        let is_another = self.theirs.is_some() && certificate.is_some() && known != certificate;
        let session = session.or(is_another.then_some(""))?;
        Some(Process {
            session: session.to_owned(),
            certificate: certificate.map(str::to_owned),
        })
    }

    /// Accepts a message for the peer.
    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.queued.add(outgoing.message.size());
        self.outbox.push_back(outgoing);
    }

    /// Returns the next message to write to the connection, if the peer's window has room for it and no more than
    /// `capacity` is under way then, in what it costs in memory: what is written can't be refused any more.
    ///
    /// A message larger than the whole window may go when nothing else is under way.
    pub(crate) fn next_to_write(&self, capacity: usize) -> Option<&Message> {
        let next = &self.outbox.get(self.handed)?.message;
        let under_way = self.handed_bytes + next.size() as u64;
        let cost = under_way + ((self.handed + 1) * limits::ITEM_COST_BYTES) as u64;
        let fits = under_way <= self.window && cost <= capacity as u64;
        (fits || (self.handed_bytes == 0 && self.window > 0)).then_some(next)
    }

    /// Notes that the message of [`Session::next_to_write`] was written to a connection between two of
    /// ours.
    pub(crate) fn written(&mut self) {
        if let Some(next) = self.outbox.get(self.handed) {
            self.handed_bytes += next.message.size() as u64;
            self.handed += 1;
            self.numbered = self.numbered.max(self.handed);
        }
    }

    /// Returns how many of our messages the peer's agent has taken, and how many were written.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.acknowledged, self.acknowledged + self.handed as u64)
    }

    /// Takes out the next unwritten message: once it was written to a peer of another make, or when it
    /// cannot be written at all.
    pub(crate) fn take_next(&mut self) -> Option<Outgoing> {
        let next = self.outbox.remove(self.handed)?;
        self.queued.remove(next.message.size());
        Some(next)
    }

    /// Takes out the newest message, if it was never written and the rest still costs `least` bytes.
    pub(crate) fn take_newest(&mut self, least: usize) -> Option<Outgoing> {
        let newest = self.outbox.back()?.message.size();
        let mut rest = self.queued;
        rest.remove(newest);
        if self.outbox.len() <= self.numbered || rest.cost() < least {
            return None;
        }
        self.queued = rest;
        self.outbox.pop_back()
    }

    /// Returns the next unwritten message, whatever the window.
    pub(crate) fn peek_next(&self) -> Option<&Message> {
        self.outbox.get(self.handed).map(|next| &next.message)
    }

    /// Returns whether the next unwritten message was never written on an earlier connection either, so
    /// that it has no number yet.
    pub(crate) fn next_is_unnumbered(&self) -> bool {
        self.handed >= self.numbered
    }

    /// Notes that the peer's agent has taken `taken` messages and that it allows `window` bytes beyond.
    /// Returns the messages that this settles.
    ///
    /// # Errors
    ///
    /// If that contradicts what was sent, or what the peer has told before.
    pub(crate) fn acknowledge(
        &mut self,
        taken: u64,
        window: u64,
    ) -> Result<Vec<Outgoing>, Contradiction> {
        self.news(taken)?;
        if taken < self.taken_by_peer {
            return Err(Contradiction::TooFew);
        }
        self.taken_by_peer = taken;
        self.window = window;
        Ok(self.settle_taken())
    }

    /// Takes out the messages that the peer's agent has taken and that this connection has carried.
    pub(crate) fn settle_taken(&mut self) -> Vec<Outgoing> {
        // What the connection before has carried may be acknowledged before it is repeated here.
        let news = self.news(self.taken_by_peer).unwrap_or(0);
        self.settle(news.min(self.handed))
    }

    /// Returns how many messages `taken` settles.
    fn news(&self, taken: u64) -> Result<usize, Contradiction> {
        let news = taken.checked_sub(self.acknowledged);
        let news = news.ok_or(Contradiction::TooFew)?;
        usize::try_from(news)
            .ok()
            .filter(|news| *news <= self.numbered)
            .ok_or(Contradiction::TooMany)
    }

    fn settle(&mut self, count: usize) -> Vec<Outgoing> {
        let settled: Vec<_> = self.outbox.drain(..count.min(self.outbox.len())).collect();
        for done in &settled {
            self.queued.remove(done.message.size());
        }
        let handed = settled
            .get(..self.handed.min(settled.len()))
            .unwrap_or_default();
        let handed_bytes: usize = handed.iter().map(|done| done.message.size()).sum();
        self.acknowledged += settled.len() as u64;
        self.handed_bytes -= handed_bytes as u64;
        self.handed -= self.handed.min(settled.len());
        self.numbered -= self.numbered.min(settled.len());
        settled
    }

    /// Counts nothing as written any more, because the current connection is gone or replaced.
    pub(crate) fn suspend(&mut self) {
        self.handed = 0;
        self.handed_bytes = 0;
    }

    /// Takes the peer's first frame on a new connection: its process, and how many messages that has received of
    /// ours. `told` is the id in our own hello on this connection, if that is out; otherwise a new id may be
    /// drawn from `names`. A hello that cannot be true changes nothing.
    pub(crate) fn greet(
        &mut self,
        theirs: &Process,
        received: u64,
        told: Option<&str>,
        names: &mut SessionNames,
    ) -> Greeting {
        let is_known = self.theirs().is_some_and(|known| known.is(theirs));
        let greeting = if is_known && told.is_none_or(|told| told == self.own) {
            self.go_on(received)
        } else {
            self.begin(theirs, received, told, names)
        };
        greeting.unwrap_or_else(Greeting::Impossible)
    }

    /// Goes on with the process that is known, which was told the id that it knows.
    fn go_on(&mut self, received: u64) -> Result<Greeting, Contradiction> {
        let news = self.news(received)?;
        self.suspend();
        self.window = INITIAL_WINDOW_BYTES;
        self.successor = None;
        self.taken_by_peer = received;
        let settled = self.settle(news);
        Ok(Greeting::Resumed { settled })
    }

    /// Begins anew with another process than the one that is known, or with the first.
    ///
    /// The process may have been known before another took its place, and may count on where it was. So it
    /// must not count under an id that the other was told. It can have received nothing under an id that
    /// it is told only now.
    fn begin(
        &mut self,
        theirs: &Process,
        received: u64,
        told: Option<&str>,
        names: &mut SessionNames,
    ) -> Result<Greeting, Contradiction> {
        let own = match told {
            Some(_) if received > 0 => return Err(Contradiction::TooMany),
            Some(told) => told.to_owned(),
            // Nobody has counted under an id of which no hello was answered.
            None if self.theirs.is_none() && received == 0 => self.own.clone(),
            None => names.next(),
        };
        let lost = self.restart(Some(own));
        self.theirs = Some(theirs.clone());
        self.is_told = told.is_some();
        Ok(Greeting::New { lost })
    }

    /// Makes numbers start over, in both directions. Returns the messages that were written and are not
    /// known to have arrived; those never written stay. `own` is a new id for our side. By it a peer that
    /// was told the present one sees that numbers start over; `None` keeps it.
    pub(crate) fn restart(&mut self, own: Option<String>) -> Vec<Outgoing> {
        let lost = self.settle(self.numbered);
        if let Some(own) = own {
            self.own = own;
            self.is_told = false;
        }
        self.theirs = None;
        self.successor = None;
        self.epoch += 1;
        self.acknowledged = 0;
        self.taken_by_peer = 0;
        self.window = INITIAL_WINDOW_BYTES;
        self.incoming = IncomingNumbers::default();
        self.suspend();
        lost
    }

    /// Takes out the messages that were never written.
    pub(crate) fn take_unwritten(&mut self) -> Vec<Outgoing> {
        let unwritten: Vec<_> = self.outbox.drain(self.numbered..).collect();
        for out in &unwritten {
            self.queued.remove(out.message.size());
        }
        unwritten
    }

    /// Notes that message `number` of the peer's session came in. Returns `true` if it is the next one
    /// and goes to the agent, `false` if it was received before.
    pub(crate) fn accept(&mut self, number: u64) -> bool {
        self.incoming.accept(number)
    }

    /// Notes that message `number` came in and cannot be given to an agent. Returns whether it is the
    /// next one.
    pub(crate) fn accept_unusable(&mut self, number: u64) -> bool {
        self.incoming.accept_unusable(number)
    }

    /// Returns how many runs of numbers are kept because their messages are unusable.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn unusable_runs(&self) -> usize {
        self.incoming.unusable_runs()
    }

    /// Notes that the agent has taken one more message of the epoch `epoch`. Returns whether it counts.
    pub(crate) fn take(&mut self, epoch: u64) -> bool {
        epoch == self.epoch && self.incoming.take()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
