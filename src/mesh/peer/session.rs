//! The session with one peer: what was accepted for it, numbered, until it is known to have arrived.
//!
//! A session outlives connections. Between two of ours (contract part 5) each message has a number,
//! the order of its first writing; the peer's `ack` and `hello` say how many its agent has taken, and
//! a new connection replays the rest. Towards others a session degrades to the life of a connection:
//! what was written is out of our hands, and only a receipt of the transport settles it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeInclusive;

use crate::limits;
use crate::protocol::message::Message;

use crate::mesh::agent::origin::Origin;
use crate::mesh::base::queue_size::QueueSize;

/// Bytes that a peer of ours may be sent before its first `ack` has told its window.
pub(crate) const INITIAL_WINDOW_BYTES: u64 = limits::LEAST_WINDOW_BYTES as u64;

/// A message on its way to a peer.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// What is sent.
    pub(crate) message: Message,
    /// Whom to tell what became of it.
    pub(crate) origin: Origin,
}

/// What a `hello` of the peer means for the session.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// The session goes on. `settled` has arrived, the rest is sent again.
    Resumed { settled: Vec<Outgoing> },
    /// The peer is a new process, or was never met: numbers start over. `lost` was written to the
    /// process before it and is not known to have arrived.
    New { lost: Vec<Outgoing> },
    /// It contradicts what is known of that process.
    Impossible(Contradiction),
}

/// A number of the peer's that cannot be true: it counts messages of ours as it would not if it had received
/// what we sent. Nothing that it says of this session can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contradiction {
    /// It claims to have what we never sent.
    TooMany,
    /// It no longer has what it acknowledged.
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

/// The ids under which our sessions are told to peers.
///
/// The id is that of the process, drawn once. A session that is given up goes on under another one, because
/// its numbers can't be sent again: the id of the process with a count. Entries made later begin with that id.
/// So no peer meets an id again after it was given up, and of several processes under one name each is told
/// an id of its own.
#[derive(Debug)]
pub(crate) struct SessionNames {
    process: String,
    given_up: u64,
}

impl SessionNames {
    pub(crate) fn new(process: String) -> Self {
        SessionNames {
            process,
            given_up: 0,
        }
    }

    /// Where a session without a past begins.
    pub(crate) fn current(&self) -> String {
        match self.given_up {
            0 => self.process.clone(),
            count => format!("{}-{count}", self.process),
        }
    }

    /// In place of one that is given up.
    pub(crate) fn next(&mut self) -> String {
        self.given_up += 1;
        self.current()
    }
}

/// A process that takes the place of another under the same name.
#[derive(Debug)]
struct Successor {
    theirs: String,
    own: String,
}

/// Both directions of the conversation with one peer, whatever connections carry it.
#[derive(Debug)]
pub(crate) struct Session {
    /// Our side's id. It belongs to the process `theirs`: another one under the same name is told another
    /// id, because either may come back and count on where it was.
    own: String,
    /// A hello has told it.
    is_told: bool,
    /// The peer's id of its `hello`; `None` before the first, and for peers that are not ours.
    theirs: Option<String>,
    /// A process that has announced itself in place of `theirs`, and the id that was told to it. It may
    /// have begun to count under that id though its `hello` never came.
    successor: Option<Successor>,
    /// Changes when numbers start over, so that late reports about older messages are told apart.
    epoch: u64,

    /// In the order of sending; the first `handed` are written to the connection of the day.
    outbox: VecDeque<Outgoing>,
    handed: usize,
    /// How many at the front of the outbox were ever written, and so have their numbers.
    numbered: usize,
    /// Messages of ours that have left the outbox, because the peer's agent has taken them.
    acknowledged: u64,
    /// Messages of ours that the peer's agent has taken, as it last told. What it took of an older
    /// connection may be told before it was repeated on this one; but the peer counts what comes from
    /// its hello on, so it has to be repeated all the same.
    taken_by_peer: u64,
    /// Bytes beyond message `acknowledged` that the peer allows under way.
    window: u64,
    queued: QueueSize,
    handed_bytes: u64,

    /// Messages of the peer that are in the agent's queue or beyond.
    accepted: u64,
    /// Messages of the peer that the agent has taken.
    taken: u64,
    /// Numbers between the two whose messages no agent can be given, each run of them as one: so
    /// there are no more of these than messages that wait for the agent.
    unusable: VecDeque<RangeInclusive<u64>>,
}

impl Session {
    /// A session without a past.
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
            accepted: 0,
            taken: 0,
            unusable: VecDeque::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn own(&self) -> &str {
        &self.own
    }

    /// Whether the peer may know our side's id, and count its numbers.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    pub(crate) fn theirs(&self) -> Option<&str> {
        self.theirs.as_deref()
    }

    /// Returns whether a process is known to which our numbers belong, or anything has a number.
    pub(crate) fn has_begun(&self) -> bool {
        self.theirs.is_some() || self.numbered > 0
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was accepted and is not settled.
    pub(crate) fn queued(&self) -> QueueSize {
        self.queued
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Messages of the peer's session that our agent has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns the id of our side for a description to the process `theirs`, or, when that is not known, to
    /// the one that announced itself last.
    pub(crate) fn announced_to(&self, theirs: Option<&str>) -> &str {
        match &self.successor {
            Some(successor) if theirs.is_none() || theirs != self.theirs() => &successor.own,
            Some(_) | None => &self.own,
        }
    }

    /// Returns the id of our side for a `hello` to the process `theirs`, which is about to be sent. A process
    /// in the place of the one that is known gets an id of its own.
    pub(crate) fn tell(&mut self, theirs: Option<&str>, names: &mut SessionNames) -> String {
        let Some(theirs) = theirs.filter(|theirs| self.is_replaced_by(Some(theirs))) else {
            self.is_told = true;
            return self.own.clone();
        };
        match &self.successor {
            Some(successor) if successor.theirs == theirs => successor.own.clone(),
            Some(_) | None => {
                let own = names.next();
                self.successor = Some(Successor {
                    theirs: theirs.to_owned(),
                    own: own.clone(),
                });
                own
            }
        }
    }

    /// What our `hello` says to a peer that has announced `session`: 0 to one not met before.
    pub(crate) fn received_of(&self, session: Option<&str>) -> u64 {
        let known = session.is_none() || session == self.theirs();
        if known { self.taken } else { 0 }
    }

    /// Whether a peer that announces `session` is another process than the one that is known.
    pub(crate) fn is_replaced_by(&self, session: Option<&str>) -> bool {
        self.theirs().is_some() && session.is_some() && session != self.theirs()
    }

    /// Accepts a message for the peer.
    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        self.queued.add(outgoing.message.size());
        self.outbox.push_back(outgoing);
    }

    /// The next message to write to the connection, if the peer's window has room for it.
    ///
    /// A message larger than the whole window goes when nothing else is under way.
    pub(crate) fn next_to_write(&self) -> Option<&Message> {
        let next = &self.outbox.get(self.handed)?.message;
        let size = next.size() as u64;
        let fits = self.handed_bytes + size <= self.window;
        (fits || (self.handed_bytes == 0 && self.window > 0)).then_some(next)
    }

    /// The message of [`Session::next_to_write`] was written to a connection between two of ours.
    pub(crate) fn written(&mut self) {
        if let Some(next) = self.outbox.get(self.handed) {
            self.handed_bytes += next.message.size() as u64;
            self.handed += 1;
            self.numbered = self.numbered.max(self.handed);
        }
    }

    /// Takes the next unwritten message out: towards others once written, or when it cannot be
    /// written at all.
    pub(crate) fn take_next(&mut self) -> Option<Outgoing> {
        let next = self.outbox.remove(self.handed)?;
        self.queued.remove(next.message.size());
        Some(next)
    }

    /// The next unwritten message, whatever the window.
    pub(crate) fn peek_next(&self) -> Option<&Message> {
        self.outbox.get(self.handed).map(|next| &next.message)
    }

    /// Whether the next unwritten message has never been written, so that it has no number yet.
    pub(crate) fn next_is_unnumbered(&self) -> bool {
        self.handed >= self.numbered
    }

    /// The peer's agent has taken `taken` messages and allows `window` bytes beyond. Gives the
    /// messages that this settles.
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

    /// Gives the messages that the peer's agent has taken and that this connection has carried.
    pub(crate) fn settle_taken(&mut self) -> Vec<Outgoing> {
        // What the connection before has carried may be acknowledged before it is repeated here.
        let news = self.news(self.taken_by_peer).unwrap_or(0);
        self.settle(news.min(self.handed))
    }

    /// How many messages `taken` settles.
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

    /// The connection of the day is gone or replaced: nothing counts as written any more.
    pub(crate) fn suspend(&mut self) {
        self.handed = 0;
        self.handed_bytes = 0;
    }

    /// Takes the peer's first frame on a new connection: the id of its session, and how many messages it has
    /// received of ours. `told` is the id in our own hello on this connection, if that is out; otherwise a
    /// new id may be drawn from `names`. A hello that cannot be true changes nothing.
    pub(crate) fn greet(
        &mut self,
        theirs: &str,
        received: u64,
        told: Option<&str>,
        names: &mut SessionNames,
    ) -> Greeting {
        let is_known = self.theirs() == Some(theirs);
        let greeting = if is_known && told.is_none_or(|told| told == self.own) {
            self.go_on(received)
        } else {
            self.begin(theirs, received, told, names)
        };
        greeting.unwrap_or_else(Greeting::Impossible)
    }

    /// The process that is known is there again, and was told the id that it knows.
    fn go_on(&mut self, received: u64) -> Result<Greeting, Contradiction> {
        let news = self.news(received)?;
        self.suspend();
        self.window = INITIAL_WINDOW_BYTES;
        self.successor = None;
        self.taken_by_peer = received;
        let settled = self.settle(news);
        Ok(Greeting::Resumed { settled })
    }

    /// Numbers start over with another process than the one that is known, or with the first.
    ///
    /// It may be one that was known before another took its place, and count on where it was. So it must
    /// not count under an id that the other has. Of an id that it has just been told it has received nothing.
    fn begin(
        &mut self,
        theirs: &str,
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
        self.theirs = Some(theirs.to_owned());
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
        self.accepted = 0;
        self.taken = 0;
        self.unusable.clear();
        self.suspend();
        lost
    }

    /// Takes out what was never written.
    pub(crate) fn take_unwritten(&mut self) -> Vec<Outgoing> {
        let unwritten: Vec<_> = self.outbox.drain(self.numbered..).collect();
        for out in &unwritten {
            self.queued.remove(out.message.size());
        }
        unwritten
    }

    /// Message `number` of the peer's session came in. `true`: it is the next one and goes to the
    /// agent. `false`: it is there already.
    pub(crate) fn accept(&mut self, number: u64) -> bool {
        let is_next = number == self.accepted + 1;
        if is_next {
            self.accepted += 1;
        }
        is_next
    }

    /// Message `number` came in and is none that an agent can be given: it has its number all the
    /// same, and counts as taken once those before it are.
    pub(crate) fn accept_unusable(&mut self, number: u64) -> bool {
        let is_next = self.accept(number);
        if is_next {
            match self.unusable.back_mut() {
                Some(run) if *run.end() + 1 == number => *run = *run.start()..=number,
                Some(_) | None => self.unusable.push_back(number..=number),
            }
            self.pass_unusable();
        }
        is_next
    }

    fn pass_unusable(&mut self) {
        let is_due = |run: &mut RangeInclusive<u64>| *run.start() == self.taken + 1;
        if let Some(run) = self.unusable.pop_front_if(is_due) {
            self.taken = *run.end();
        }
    }

    /// Runs of numbers that are kept because their messages are unusable.
    #[cfg(test)]
    pub(crate) fn unusable_runs(&self) -> usize {
        self.unusable.len()
    }

    /// The agent has taken one more message of the epoch `epoch`. Says whether it counts.
    pub(crate) fn take(&mut self, epoch: u64) -> bool {
        let counts = epoch == self.epoch && self.taken < self.accepted;
        if counts {
            self.taken += 1;
            self.pass_unusable();
        }
        counts
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
