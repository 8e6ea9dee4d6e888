//! What was asked, what was told and what arrived, held against the contract's promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::network::Place;
use crate::protocol::PeerId;
use crate::protocol::ipc::{ErrorCode, Event, Receipt, Success};

/// What became of a message at one peer.
#[derive(Debug, Default, Clone)]
pub(super) struct Fate {
    pub(super) delivered: bool,
    pub(super) receipt: Option<Receipt>,
    pub(super) failed: Option<ErrorCode>,
}

/// Who sends a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender {
    pub(super) place: Place,
    /// The first place of those that bear its name.
    pub(super) first_of_name: Place,
    /// Its process.
    pub(super) incarnation: u64,
    /// Its agent; one of another make has none, and promises nothing.
    pub(super) generation: Option<u64>,
    /// Whether it wants an answer.
    pub(super) wants_answer: bool,
}

#[derive(Debug)]
pub(super) struct Posted {
    pub(super) from: Sender,
    pub(super) accepted: Instant,
    /// The sender's process has ended: nobody is left to report anything.
    pub(super) is_orphan: bool,
    pub(super) fates: BTreeMap<PeerId, Fate>,
}

impl Posted {
    fn is_settled(&self) -> bool {
        let is_settled = |fate: &Fate| fate.is_settled(self.from.wants_answer);
        !self.expects_fate() || self.fates.values().all(is_settled)
    }

    /// Whether somebody is there who has to be told what became of it.
    fn expects_fate(&self) -> bool {
        !self.is_orphan && self.from.generation.is_some()
    }
}

impl Fate {
    /// Whether it is known to the one who has to be told: to whom wants no answer, silence is one.
    fn is_settled(&self, wants_answer: bool) -> bool {
        let has_arrived = self.receipt.is_some() || (self.delivered && !wants_answer);
        has_arrived || self.failed.is_some()
    }
}

#[derive(Debug)]
struct Excuse {
    since: Instant,
    until: Instant,
    is_open: bool,
}

/// What a process has sent may arrive so long after its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

fn pair(one: Place, other: Place) -> (Place, Place) {
    (one.min(other), one.max(other))
}

#[derive(Debug)]
struct Command {
    place: Place,
    /// A `connect`: its answer is due by then.
    due: Option<Instant>,
    answers: u32,
    /// Its agent has left before it was answered.
    is_moot: bool,
}

/// The account of one run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) messages: Vec<Posted>,
    commands: Vec<Command>,
    /// The last message delivered, by sender and process, and receiver.
    last_delivered: BTreeMap<(Place, u64, Place), usize>,
    /// Whose word about what has arrived is worth nothing.
    pub(super) liars: BTreeSet<PeerId>,
    /// All messages before this one are settled.
    first_unsettled: usize,
    /// Whom each place's agent believes to be connected.
    pub(super) told: BTreeMap<Place, BTreeSet<PeerId>>,
    /// What may cost messages between two places: one of them was started anew, or they could not
    /// reach each other for longer than they wait.
    excuses: BTreeMap<(Place, Place), Excuse>,
    pub(super) deliveries: u64,
    pub(super) failures: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// A message was accepted. Gives the number that it carries as its `request_id`.
    pub(super) fn posted(
        &mut self,
        now: Instant,
        from: Sender,
        targets: impl IntoIterator<Item = PeerId>,
    ) {
        self.messages.push(Posted {
            from,
            accepted: now,
            is_orphan: false,
            fates: targets
                .into_iter()
                .map(|target| (target, Fate::default()))
                .collect(),
        });
    }

    /// How many messages were reported to have failed.
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    pub(super) fn failures_of(&self, code: ErrorCode) -> u64 {
        self.failures.get(code.as_str()).copied().unwrap_or(0)
    }

    pub(super) fn next_message(&self) -> usize {
        self.messages.len()
    }

    /// A command with an id was given. Gives its id.
    pub(super) fn asked(&mut self, place: Place, due: Option<Instant>) -> usize {
        self.commands.push(Command {
            place,
            due,
            answers: 0,
            is_moot: false,
        });
        self.commands.len() - 1
    }

    pub(super) fn agent_left(&mut self, place: Place) {
        self.told.remove(&place);
        for command in &mut self.commands {
            command.is_moot |= command.place == place;
        }
    }

    pub(super) fn process_ended(&mut self, place: Place) {
        self.agent_left(place);
        for posted in &mut self.messages {
            posted.is_orphan |= posted.from.place == place;
        }
    }

    pub(super) fn excuse(&mut self, now: Instant, one: Place, other: Place) {
        self.excuses.insert(
            pair(one, other),
            Excuse {
                since: now,
                until: now,
                is_open: true,
            },
        );
    }

    /// An excuse lasts until both sides know of each other's new session.
    pub(super) fn extend_excuse(&mut self, now: Instant, one: Place, other: Place, agree: bool) {
        if let Some(excuse) = self.excuses.get_mut(&pair(one, other))
            && excuse.is_open
        {
            excuse.until = now;
            excuse.is_open = !agree || now < excuse.since + LAST_WORDS;
        }
    }

    fn is_excused(&self, one: Place, other: Place, since: Instant) -> bool {
        self.excuses
            .get(&pair(one, other))
            .is_some_and(|excuse| excuse.until >= since)
    }

    /// The agent of `name` at `place` has taken a message, or a peer of another make has.
    pub(super) fn delivered(
        &mut self,
        place: Place,
        name: &PeerId,
        from_peer: &PeerId,
        number: usize,
    ) {
        let posted = &mut self.messages[number];
        let Sender {
            place: from,
            incarnation,
            ..
        } = posted.from;
        let fate = posted
            .fates
            .get_mut(name)
            .unwrap_or_else(|| panic!("message {number} was not meant for {name}"));
        let is_honest = !self.liars.contains(name);
        assert!(
            !fate.delivered || !is_honest,
            "{name} got message {number} of {from_peer} twice"
        );
        fate.delivered = true;
        self.deliveries += 1;
        let last = self
            .last_delivered
            .insert((from, incarnation, place), number);
        assert!(
            last < Some(number) || !is_honest,
            "{name} got message {number} of {from_peer} after {last:?}"
        );
    }

    /// An agent was told something about a command or a message of its own.
    pub(super) fn told(&mut self, place: Place, event: &Event, places: &BTreeMap<PeerId, Place>) {
        match event {
            Event::Ok { id, payload } => {
                let command = self.answered(id.as_json());
                let message = message_of(id.as_json());
                match (payload, message) {
                    (
                        Success::Sent {
                            target_peer,
                            receipt,
                        },
                        Some(number),
                    ) => self.received(number, target_peer, *receipt),
                    (Success::Broadcast { delivered, failed }, Some(number)) => {
                        for peer in delivered {
                            self.received(number, peer, Receipt::Agent);
                        }
                        for (peer, code) in failed {
                            self.lost(number, peer, *code, places);
                        }
                        let fates = &self.messages[number].fates;
                        assert_eq!(fates.len(), delivered.len() + failed.len(), "{command}");
                    }
                    (Success::Connected { .. }, None) => {}
                    other => panic!("command {command} got the answer of another: {other:?}"),
                }
            }
            Event::Error { id, error } => {
                if let Some(id) = id {
                    self.answered(id.as_json());
                }
                if let (Some(peer), Some(number)) = (&error.target_peer, &error.request_id) {
                    self.lost(number.parse().unwrap(), peer, error.code, places);
                }
            }
            Event::PeerList { id: Some(id), .. } | Event::Stats { id: Some(id), .. } => {
                self.answered(id.as_json());
            }
            Event::PeerConnected { peer_id, .. } => {
                let is_new = self.told.entry(place).or_default().insert(peer_id.clone());
                assert!(is_new, "{place} was told twice that {peer_id} is connected");
            }
            Event::PeerDisconnected { peer_id } => {
                let was_there = self.told.entry(place).or_default().remove(peer_id);
                assert!(was_there, "{place} was told that {peer_id} is gone unasked");
            }
            Event::PeerList { id: None, .. }
            | Event::Stats { id: None, .. }
            | Event::Ready { .. }
            | Event::Message { .. }
            | Event::Registry { .. }
            | Event::Pressure { .. } => {}
        }
    }

    /// An agent left without reading the answer to its broadcast, which told what failed.
    pub(super) fn answer_left_behind(&mut self, event: &Event) {
        if let Event::Ok {
            id,
            payload: Success::Broadcast { failed, .. },
        } = event
            && let Some(number) = message_of(id.as_json())
        {
            for (peer, code) in failed {
                let fate = self.messages[number].fates.get_mut(peer).unwrap();
                fate.failed = Some(*code);
            }
        }
    }

    fn answered(&mut self, id: &str) -> usize {
        let number: usize = id
            .trim_matches('"')
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let command = &mut self.commands[number];
        command.answers += 1;
        assert_eq!(command.answers, 1, "command {id} was answered twice");
        number
    }

    fn received(&mut self, number: usize, peer: &PeerId, receipt: Receipt) {
        let fate = self.messages[number].fates.get_mut(peer).unwrap();
        assert!(
            fate.delivered || self.liars.contains(peer),
            "message {number} has a receipt ({receipt:?}) and {peer} has not got it"
        );
        assert_eq!(fate.failed, None, "message {number}");
        fate.receipt = Some(receipt);
    }

    fn lost(
        &mut self,
        number: usize,
        peer: &PeerId,
        code: ErrorCode,
        places: &BTreeMap<PeerId, Place>,
    ) {
        *self.failures.entry(code.as_str()).or_default() += 1;
        let posted = &self.messages[number];
        let fate = &posted.fates[peer];
        assert_eq!(fate.failed, None, "message {number} to {peer} failed twice");
        assert_eq!(fate.receipt, None, "message {number} to {peer}: {code:?}");
        let uncertain = code == ErrorCode::ConnectionLost;
        if fate.delivered {
            assert!(
                uncertain,
                "message {number} to {peer}: {code:?}, but it arrived"
            );
        }
        let is_honest = !self.liars.contains(peer);
        if uncertain
            && is_honest
            && let Some(place) = places.get(peer)
        {
            assert!(
                self.is_excused(posted.from.first_of_name, *place, posted.accepted),
                "message {number} to {peer} is lost though both processes live"
            );
        }
        let fate = self.messages[number].fates.get_mut(peer).unwrap();
        fate.failed = Some(code);
    }

    /// Whether the agent at `place` misses the answer to a `connect`.
    pub(super) fn misses_answer(&self, now: Instant, place: Place) -> bool {
        let mut commands = self
            .commands
            .iter()
            .filter(|command| command.place == place);
        commands.any(|command| {
            command.answers == 0 && !command.is_moot && command.due.is_some_and(|due| due < now)
        })
    }

    /// Passes over the messages at the front that are settled.
    pub(super) fn pass_settled(&mut self) {
        let messages = self.messages.get(self.first_unsettled..);
        let settled = messages.into_iter().flatten();
        self.first_unsettled += settled.take_while(|posted| posted.is_settled()).count();
    }

    /// Whether every message is settled, as far as it was not passed over.
    pub(super) fn is_settled(&self) -> bool {
        let left = self.messages.iter().skip(self.first_unsettled);
        left.into_iter().all(Posted::is_settled)
    }

    /// The messages that were accepted so long ago and that are not settled.
    pub(super) fn overdue(
        &self,
        now: Instant,
        patience: Duration,
    ) -> impl Iterator<Item = (usize, &Posted)> {
        self.messages
            .iter()
            .enumerate()
            .skip(self.first_unsettled)
            .take_while(move |(_, posted)| posted.accepted + patience < now)
            .filter(|(_, posted)| !posted.is_settled())
    }

    /// Everything that could happen has happened: each message has arrived or its sender knows, and
    /// each command was answered.
    pub(super) fn check_settled(&self) {
        for (number, posted) in self.messages.iter().enumerate() {
            for (peer, fate) in posted.fates.iter().filter(|_| posted.expects_fate()) {
                assert!(
                    fate.delivered || fate.failed.is_some(),
                    "message {number} from {} to {peer} has disappeared",
                    posted.from.place
                );
            }
        }
        for (number, command) in self.commands.iter().enumerate() {
            assert!(
                command.answers == 1 || command.is_moot,
                "command {number} of {} was not answered",
                command.place
            );
        }
    }
}

/// Commands that carry a message are numbered `"command message"`.
fn message_of(id: &str) -> Option<usize> {
    let (_, message) = id.trim_matches('"').split_once(' ')?;
    message.parse().ok()
}
