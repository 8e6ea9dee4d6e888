//! The queue to the agent: keeps in order what waits for it, and tells what it has taken.
//!
//! Messages wait as long as it takes: their senders are slowed by windows and flow control. Answers are
//! bounded by not reading further requests. Changes of state (who is connected, how full a queue is) are
//! left out above a limit, and told in one go once the agent reads again.

pub(crate) mod broadcasts;
pub(crate) mod origin;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limits;
use crate::protocol::PeerId;
use crate::protocol::ipc::{CommandId, ErrorReport, Event, Success};

use super::base::queue_size::QueueSize;
use origin::{Generation, Origin};

/// A message that the agent has now taken: the peer it is from, and what it counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) peer: PeerId,
    /// The session epoch that the message belongs to.
    pub(super) epoch: u64,
    /// Its size on the wire.
    pub(super) bytes: usize,
}

/// The subject of an event, which decides what becomes of it when the agent leaves.
#[derive(Debug)]
enum Subject {
    /// A message of a peer. It waits for the next agent.
    Message(Taken),
    /// The failure of a message of ours. The next agent is told, too.
    MessageFailure,
    /// Something that concerns this agent alone.
    Other,
}

#[derive(Debug)]
struct Entry {
    event: Event,
    subject: Subject,
}

/// The queue of events for the agent.
#[derive(Debug, Default)]
pub(super) struct AgentQueue {
    generation: Option<Generation>,
    queue: VecDeque<Entry>,
    /// The subject of each event that the writer has.
    in_flight: VecDeque<Subject>,
    message_bytes: usize,
    /// The size of the events that are no messages and that no writer has yet.
    others: QueueSize,
    /// How many commands with an id are not answered yet.
    owed_answers: usize,
    /// Peers that the agent believes to be connected.
    told: BTreeSet<PeerId>,
    /// Whether changes of state were left out. No more are told before their summary.
    incomplete: bool,
    /// The last state that was left out: of each peer's queue, and under `None` of the registry.
    latest: BTreeMap<Option<PeerId>, Event>,
    /// How many events were left out because nobody was there to read them, or too many waited.
    left_out: u64,
}

impl AgentQueue {
    /// Returns the bytes of messages that the agent has not taken.
    pub(super) fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns the events that no writer has yet.
    #[cfg(any(test, fuzzing))]
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Event> {
        self.queue.iter().map(|entry| &entry.event)
    }

    /// Returns whether another request may be read.
    pub(super) fn has_room(&self) -> bool {
        self.others.cost() < limits::AGENT_EVENT_BYTES
    }

    /// Returns whether every command with an id of this agent was answered, and every answer written.
    pub(super) fn owes_nothing(&self) -> bool {
        self.owed_answers == 0 && self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Notes that an agent is connected: `greeting` (the `ready` and what belongs to it) goes first, then
    /// who is connected, then what waited.
    pub(super) fn connected<'a>(
        &mut self,
        generation: Generation,
        greeting: impl DoubleEndedIterator<Item = Event>,
        reachable: impl DoubleEndedIterator<Item = &'a PeerId>,
    ) {
        self.generation = Some(generation);
        self.owed_answers = 0;
        self.told.clear();
        self.incomplete = false;
        self.latest.clear();
        for peer_id in reachable.rev() {
            self.told.insert(peer_id.clone());
            self.push_first(Event::PeerConnected {
                peer_id: peer_id.clone(),
                resumed: false,
            });
        }
        greeting.rev().for_each(|event| self.push_first(event));
    }

    fn push_first(&mut self, event: Event) {
        self.others.add(event.size_hint());
        self.queue.push_front(Entry {
            event,
            subject: Subject::Other,
        });
    }

    /// Notes that the agent has gone; `unsent` comes back from its writer. All messages that it did not
    /// get wait for the next agent, and so do failures of messages, up to a limit. The rest is dropped,
    /// since it concerned only the agent that left.
    pub(super) fn gone(&mut self, generation: Generation, unsent: Vec<Event>) {
        if self.generation != Some(generation) {
            return;
        }
        self.generation = None;
        self.owed_answers = 0;
        self.take_back(unsent);
        self.in_flight.clear();
        let mut failures = QueueSize::default();
        let mut left_out = 0;
        self.queue.retain_mut(|entry| {
            let is_kept = match entry.subject {
                Subject::Message(_) => return true,
                Subject::MessageFailure => failures.items() < limits::ORPHANED_FAILURES,
                Subject::Other => false,
            };
            if is_kept {
                forget_id(&mut entry.event);
                failures.add(entry.event.size_hint());
            } else {
                left_out += 1;
            }
            is_kept
        });
        self.others = failures;
        self.left_out += left_out;
    }

    /// Queues a message of a peer.
    pub(super) fn push_message(&mut self, event: Event, taken: Taken) {
        self.message_bytes += taken.bytes;
        self.queue.push_back(Entry {
            event,
            subject: Subject::Message(taken),
        });
    }

    /// Returns whether there are messages that the agent that is connected may still take.
    pub(super) fn is_taking_messages(&self) -> bool {
        self.generation.is_some() && self.message_bytes > 0
    }

    /// Drops the messages that no writer has yet, of those peers for which `is_dropped` says so.
    pub(super) fn drop_messages(&mut self, is_dropped: impl Fn(&PeerId) -> bool) {
        let mut count = 0;
        let mut bytes = 0;
        self.queue.retain(|entry| match &entry.subject {
            Subject::Message(taken) if is_dropped(&taken.peer) => {
                count += 1;
                bytes += taken.bytes;
                false
            }
            _ => true,
        });
        self.left_out += count;
        self.message_bytes -= bytes;
    }

    /// Notes that a command came in that is owed an answer.
    pub(super) fn owe_answer(&mut self, generation: Generation) {
        if self.generation == Some(generation) {
            self.owed_answers += 1;
        }
    }

    /// Tells the agent of a change of state. Leaves it out if no agent is connected, or if it has stopped
    /// reading.
    pub(super) fn push_state(&mut self, event: Event) {
        if self.generation.is_none() {
            return;
        }
        self.incomplete |= !self.has_room();
        if self.incomplete {
            return self.leave_out(event);
        }
        if let Event::PeerConnected { peer_id, .. } = &event {
            self.told.insert(peer_id.clone());
        }
        if let Event::PeerDisconnected { peer_id } = &event {
            self.told.remove(peer_id);
        }
        self.push(event, Subject::Other);
    }

    fn leave_out(&mut self, event: Event) {
        self.left_out += 1;
        match &event {
            Event::Registry { .. } => {
                self.latest.insert(None, event);
            }
            Event::Pressure { target_peer, .. } => {
                self.latest.insert(Some(target_peer.clone()), event);
            }
            // Who is connected is found out when the summary is made.
            _ => {}
        }
    }

    /// Answers a command that asked for information, whether it had an id or not.
    pub(super) fn inform(&mut self, generation: Generation, owed: bool, event: Event) {
        if self.generation != Some(generation) {
            self.left_out += 1;
        } else if owed {
            self.push_answer(event, Subject::Other);
        } else {
            self.push(event, Subject::Other);
        }
    }

    fn push_answer(&mut self, event: Event, subject: Subject) {
        self.owed_answers = self.owed_answers.saturating_sub(1);
        self.push(event, subject);
    }

    fn push(&mut self, event: Event, subject: Subject) {
        self.others.add(event.size_hint());
        self.queue.push_back(Entry { event, subject });
    }

    /// Answers that a command has succeeded, if it had an id and its agent is still there.
    pub(super) fn succeed(&mut self, origin: &Origin, payload: Success) {
        if let Some(id) = self.answerable(origin) {
            self.push_answer(Event::Ok { id, payload }, Subject::Other);
        }
    }

    /// Tells that a command has failed, whether it had an id or not, if its agent is still there.
    pub(super) fn fail(&mut self, origin: &Origin, error: ErrorReport) {
        if let Some(id) = self.answerable(origin) {
            let id = Some(id);
            self.push_answer(Event::Error { id, error }, Subject::Other);
        } else if self.is_of_agent(origin) {
            self.push(Event::Error { id: None, error }, Subject::Other);
        } else {
            self.left_out += 1;
        }
    }

    /// Tells that a message will not arrive. If the agent that sent it has gone, the one that is
    /// connected, or comes next, is told: no message disappears silently.
    pub(super) fn fail_message(&mut self, origin: &Origin, error: ErrorReport) {
        if let Some(id) = self.answerable(origin) {
            let id = Some(id);
            self.push_answer(Event::Error { id, error }, Subject::MessageFailure);
        } else if self.generation.is_some() || self.others.items() < limits::ORPHANED_FAILURES {
            self.push(Event::Error { id: None, error }, Subject::MessageFailure);
        } else {
            self.left_out += 1;
        }
    }

    /// Returns whether the agent that gave the command is still there and wants an answer.
    pub(super) fn awaits_answer(&self, origin: &Origin) -> bool {
        self.answerable(origin).is_some()
    }

    fn answerable(&self, origin: &Origin) -> Option<CommandId> {
        match origin {
            Origin::Command { id, .. } if self.is_of_agent(origin) => id.clone(),
            Origin::Command { .. } | Origin::Broadcast(_) => None,
        }
    }

    /// Returns whether it is a command of the agent that is connected now.
    fn is_of_agent(&self, origin: &Origin) -> bool {
        match origin {
            Origin::Command { generation, .. } => self.generation == Some(*generation),
            Origin::Broadcast(_) => false,
        }
    }

    /// Takes out events for the agent's writer, about `bytes` at most.
    pub(super) fn take_events(&mut self, bytes: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let mut size = 0;
        while size < bytes
            && self.generation.is_some()
            && let Some(entry) = self.queue.pop_front()
        {
            let hint = entry.event.size_hint();
            size += hint;
            if !matches!(entry.subject, Subject::Message(_)) {
                self.others.remove(hint);
            }
            self.in_flight.push_back(entry.subject);
            events.push(entry.event);
        }
        events
    }

    /// Puts back the last events that the writer was given, in order.
    pub(super) fn take_back(&mut self, events: Vec<Event>) {
        for event in events.into_iter().rev() {
            // The newest subjects belong to these events: what was written came before them.
            let subject = self.in_flight.pop_back().unwrap_or(Subject::Other);
            if !matches!(subject, Subject::Message(_)) {
                self.others.add(event.size_hint());
            }
            self.queue.push_front(Entry { event, subject });
        }
    }

    /// Notes that the agent's socket has taken `count` further events. Returns the messages among them.
    pub(super) fn written(&mut self, generation: Generation, count: usize) -> Vec<Taken> {
        if self.generation != Some(generation) {
            return Vec::new();
        }
        let count = count.min(self.in_flight.len());
        let written = self.in_flight.drain(..count);
        let taken: Vec<_> = written
            .filter_map(|subject| match subject {
                Subject::Message(taken) => Some(taken),
                Subject::MessageFailure | Subject::Other => None,
            })
            .collect();
        self.message_bytes -= taken.iter().map(|message| message.bytes).sum::<usize>();
        taken
    }

    /// Returns whether changes of state were left out and there is room again to tell them.
    pub(super) fn wants_summary(&self) -> bool {
        self.incomplete && self.others.cost() < limits::AGENT_EVENT_BYTES / 2
    }

    /// Tells the agent in one go what was left out: how `reachable` differs from what it believes, and
    /// the state of queues and registry.
    pub(super) fn summarize(&mut self, reachable: &BTreeSet<PeerId>) {
        self.incomplete = false;
        let gone = self.told.difference(reachable).cloned();
        let gone = gone.map(|peer_id| Event::PeerDisconnected { peer_id });
        let new = reachable.difference(&self.told).cloned();
        let new = new.map(|peer_id| Event::PeerConnected {
            peer_id,
            resumed: false,
        });
        let changes: Vec<_> = gone.chain(new).collect();
        let latest = std::mem::take(&mut self.latest);
        for event in changes.into_iter().chain(latest.into_values()) {
            self.push_state(event);
        }
    }
}

/// Takes the id out of an error that the next agent is told: only the agent before it knows the id.
fn forget_id(event: &mut Event) {
    if let Event::Error { id, .. } = event {
        *id = None;
    }
}

#[cfg(test)]
mod tests;
