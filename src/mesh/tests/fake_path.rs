//! The fake stack's ICE: connectivity checks between addresses, until one pair works. From then on only the
//! pair in use is checked, when that is asked for, until all are to be checked anew.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::mesh::link::{Datagram, Transmit};

const FIRST_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_millis(1600);
/// After so many checks without an answer none is sent any more.
const ATTEMPTS: u32 = 11;
const REMOTES: usize = 32;

const REQUEST: u8 = 0;
const RESPONSE: u8 = 1;

/// Who is meant, who asks, which check.
struct Check {
    to: u64,
    from: u64,
    count: u64,
}

impl Check {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes
            .get(1..25)?
            .chunks(8)
            .map(|number| u64::from_be_bytes(number.try_into().unwrap()));
        Some(Check {
            to: numbers.next()?,
            from: numbers.next()?,
            count: numbers.next()?,
        })
    }

    fn write(&self, kind: u8) -> Vec<u8> {
        let mut bytes = vec![kind];
        for number in [self.to, self.from, self.count] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }
}

/// The addresses of both sides and the pair in use.
#[derive(Debug)]
pub(super) struct Paths {
    own: u64,
    theirs: Option<u64>,
    locals: Vec<SocketAddr>,
    remotes: Vec<SocketAddr>,
    /// The pair on which our checks are answered.
    working: Option<(SocketAddr, SocketAddr)>,
    is_offerer: bool,
    /// The other side has checked too, so it knows our description.
    was_asked: bool,
    /// Whether a check was answered since all were last to be tried.
    is_answered: bool,
    interval: Duration,
    /// Checks of all pairs since the last answer.
    unanswered: u32,
    next_check: Option<Instant>,
    last_check: Option<(u64, Instant)>,
    count: u64,
}

impl Paths {
    pub(super) fn new(own: u64, locals: Vec<SocketAddr>, is_offerer: bool) -> Self {
        Paths {
            own,
            theirs: None,
            locals,
            remotes: Vec::new(),
            working: None,
            is_offerer,
            was_asked: false,
            is_answered: false,
            interval: FIRST_INTERVAL,
            unanswered: 0,
            next_check: None,
            last_check: None,
            count: 0,
        }
    }

    pub(super) fn theirs(&self) -> Option<u64> {
        self.theirs
    }

    /// The pair in use. As with ICE the offerer decides on it, so the answerer waits for its check.
    pub(super) fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.working.filter(|_| self.is_offerer || self.was_asked)
    }

    pub(super) fn knows(&self, remote: SocketAddr) -> bool {
        self.remotes.contains(&remote)
    }

    pub(super) fn describe(&mut self, now: Instant, theirs: u64) {
        self.theirs = Some(theirs);
        self.next_check = Some(now);
    }

    pub(super) fn add_local(&mut self, now: Instant, address: SocketAddr) {
        self.locals.push(address);
        self.search(now);
    }

    pub(super) fn remove_local(&mut self, now: Instant, address: SocketAddr) {
        self.locals.retain(|local| *local != address);
        self.working.take_if(|(local, _)| *local == address);
        self.search(now);
    }

    /// Tries all pairs, unless one works.
    fn search(&mut self, now: Instant) {
        if self.working.is_none() {
            self.check_again(now);
        }
    }

    /// Tries all pairs until one works.
    pub(super) fn check_again(&mut self, now: Instant) {
        if self.theirs.is_some() {
            self.is_answered = false;
            self.unanswered = 0;
            self.interval = FIRST_INTERVAL;
            self.next_check = Some(now);
        }
    }

    pub(super) fn add_remote(&mut self, now: Instant, address: SocketAddr) {
        if !self.remotes.contains(&address) && self.remotes.len() < REMOTES {
            self.remotes.push(address);
            self.search(now);
        }
    }

    pub(super) fn accepts(&self, bytes: &[u8]) -> bool {
        Check::read(bytes).is_some_and(|check| check.to == self.own)
    }

    /// Takes a check or its answer. Gives what to send, and the round-trip time if it was measured.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
    ) -> (Option<Transmit>, Option<Duration>) {
        let Some(check) = Check::read(datagram.bytes) else {
            return (None, None);
        };
        let is_strange = self.theirs.is_some_and(|theirs| theirs != check.from);
        if check.to != self.own || is_strange {
            return (None, None);
        }
        if datagram.bytes[0] == REQUEST {
            self.add_remote(now, datagram.source);
            self.was_asked = true;
            if !self.is_answered && self.next_check.is_none() {
                self.check_again(now);
            }
            let answer = Check {
                to: check.from,
                from: self.own,
                count: check.count,
            };
            let transmit = Transmit {
                source: datagram.destination,
                destination: datagram.source,
                bytes: answer.write(RESPONSE),
            };
            return (Some(transmit), None);
        }
        if self.working.is_none() || !self.is_answered {
            self.working = Some((datagram.destination, datagram.source));
            self.next_check = None;
        }
        self.is_answered = true;
        let round_trip = self
            .last_check
            .filter(|(count, _)| *count == check.count)
            .map(|(_, sent)| now - sent);
        (None, round_trip)
    }

    /// A check of this pair.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<Transmit> {
        let bytes = self.check(now)?;
        Some(Transmit {
            source,
            destination,
            bytes,
        })
    }

    fn check(&mut self, now: Instant) -> Option<Vec<u8>> {
        let to = self.theirs?;
        self.count += 1;
        self.last_check = Some((self.count, now));
        let (from, count) = (self.own, self.count);
        Some(Check { to, from, count }.write(REQUEST))
    }

    /// The checks of all pairs, if they are due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Transmit> {
        if self.next_check.is_none_or(|next| next > now) {
            return Vec::new();
        }
        let Some(bytes) = self.check(now) else {
            return Vec::new();
        };
        self.unanswered += 1;
        let goes_on = self.unanswered < ATTEMPTS;
        self.next_check = goes_on.then_some(now + self.interval);
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        let with_all = |local: &SocketAddr| {
            let source = *local;
            let bytes = &bytes;
            self.remotes.iter().map(move |remote| Transmit {
                source,
                destination: *remote,
                bytes: bytes.clone(),
            })
        };
        self.locals.iter().flat_map(with_all).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next_check
    }
}
