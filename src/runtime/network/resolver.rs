//! Looks up the addresses of STUN and TURN servers that are named, so that nothing waits for it. Each
//! look-up has a thread of its own and takes as long as the system needs. It can't be ended; after a
//! while its answer is no longer waited for, and the number of running look-ups is limited.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::backoff::Backoff;
use crate::limits;
use crate::runtime::names;
use crate::runtime::wake::LoopWaker;

/// The function that looks up a name.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The number of a look-up.
type Number = u64;

struct Answer {
    number: Number,
    addresses: io::Result<Vec<IpAddr>>,
}

#[derive(Debug)]
struct Name {
    addresses: Vec<IpAddr>,
    /// The latest look-up, and until when its answer is waited for.
    asked: Option<(Number, Instant)>,
    /// When the name is looked up next.
    next: Instant,
    patience: Backoff,
}

impl Name {
    /// Notes that a look-up failed. The known addresses stay, since they may still be right.
    fn failed(&mut self, now: Instant, name: &str, why: &dyn fmt::Display) {
        if self.patience.is_fresh() {
            log::warn!("the address of {name} cannot be found: {why}");
        }
        self.asked = None;
        self.next = now + self.patience.next(fastrand::f64());
    }
}

/// Looks up the usable addresses of a name, and waits for them.
pub(crate) fn look_up(name: &str, ipv6: bool) -> io::Result<Vec<IpAddr>> {
    let mut addresses = names::look_up(name)?;
    addresses.retain(|address| ipv6 || address.is_ipv4());
    addresses.truncate(limits::ADDRESSES_PER_SERVER);
    Ok(addresses)
}

/// The names and their known addresses.
pub(crate) struct Resolver {
    names: BTreeMap<String, Name>,
    look_up: Arc<LookUp>,
    /// The look-ups that have not ended, whether they are waited for or not.
    running: BTreeMap<Number, String>,
    last_number: Number,
    /// Whether it was logged that there are too many look-ups.
    told_busy: bool,
    /// Holds one answer of each look-up at most.
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: LoopWaker,
}

impl Resolver {
    /// Creates a resolver without names. `waker` is woken after each answer.
    pub(crate) fn new(ipv6: bool, waker: LoopWaker) -> Self {
        Self::with(Arc::new(move |name: &str| look_up(name, ipv6)), waker)
    }

    fn with(look_up: Arc<LookUp>, waker: LoopWaker) -> Self {
        Resolver {
            names: BTreeMap::new(),
            look_up,
            running: BTreeMap::new(),
            last_number: 0,
            told_busy: false,
            answers: unbounded(),
            waker,
        }
    }

    /// Sets all names to look up.
    pub(crate) fn set_names(&mut self, now: Instant, names: impl IntoIterator<Item = String>) {
        let mut known = std::mem::take(&mut self.names);
        for name in names {
            let entry = known.remove(&name).unwrap_or_else(|| Name {
                addresses: Vec::new(),
                asked: None,
                next: now,
                patience: Backoff::new(limits::RESOLVE_BACKOFF),
            });
            self.names.insert(name, entry);
        }
    }

    /// Returns the addresses of a name, as far as they are known.
    pub(crate) fn addresses(&self, name: &str) -> &[IpAddr] {
        self.names
            .get(name)
            .map_or(&[], |name| name.addresses.as_slice())
    }

    /// Looks up names again at once that could not be found.
    pub(crate) fn try_now(&mut self, now: Instant) {
        for name in self.names.values_mut() {
            if name.addresses.is_empty() {
                name.next = now;
            }
        }
    }

    /// Looks up names again at once whose look-up failed, or is under way on a network that may be gone.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        let names = self.names.keys().filter(|name| self.may_ask(name));
        let names: Vec<_> = names.cloned().collect();
        for name in names {
            if let Some(entry) = self.names.get_mut(&name) {
                let is_pending = entry.asked.take().is_some();
                if is_pending || entry.addresses.is_empty() || !entry.patience.is_fresh() {
                    entry.patience.reset();
                    entry.next = now;
                }
            }
        }
    }

    /// Gives up the look-ups that take too long, and begins those that are due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let mut due = Vec::new();
        for (name, entry) in &mut self.names {
            if entry.asked.is_some_and(|(_, until)| until <= now) {
                let limit = limits::RESOLVE_TIMEOUT.as_secs();
                entry.failed(now, name, &format_args!("no answer within {limit} s"));
            }
            if entry.asked.is_none() && entry.next <= now {
                due.push(name.clone());
            }
        }
        for name in due {
            if self.may_ask(&name) {
                self.ask(now, name);
            } else if !std::mem::replace(&mut self.told_busy, true) {
                log::warn!("the address of {name} has to wait: too many look-ups do not end");
            }
        }
    }

    /// Returns whether one more look-up is within the limits, of this name and of all.
    fn may_ask(&self, name: &str) -> bool {
        let of_name = self.running.values().filter(|running| *running == name);
        self.running.len() < limits::RESOLVE_RUNNING
            && of_name.count() < limits::RESOLVE_RUNNING_OF_NAME
    }

    fn ask(&mut self, now: Instant, name: String) {
        self.last_number += 1;
        let number = self.last_number;
        let (look_up, wanted) = (Arc::clone(&self.look_up), name.clone());
        let work = move || {
            let addresses = look_up(&wanted);
            Answer { number, addresses }
        };
        let started = self.waker.answer("resolver", &self.answers.0, work);
        let Some(entry) = self.names.get_mut(&name) else {
            return;
        };
        match started {
            Ok(()) => {
                entry.asked = Some((number, now + limits::RESOLVE_TIMEOUT));
                self.running.insert(number, name);
            }
            Err(error) => entry.failed(now, &name, &format_args!("no thread for it: {error}")),
        }
    }

    /// Takes the answers that have come. Returns whether an address has changed.
    pub(crate) fn hear(&mut self, now: Instant) -> bool {
        let mut has_changed = false;
        while let Ok(Answer { number, addresses }) = self.answers.1.try_recv() {
            self.told_busy = false;
            let Some(name) = self.running.remove(&number) else {
                continue;
            };
            let Some(entry) = self.names.get_mut(&name) else {
                continue;
            };
            let is_latest = entry.asked.is_some_and(|(latest, _)| latest == number);
            match addresses {
                // An answer counts however late it comes.
                Ok(addresses) => {
                    log::debug!("{name} is at {addresses:?}");
                    entry.patience.reset();
                    entry.asked.take_if(|_| is_latest);
                    entry.next = now + limits::RESOLVE_INTERVAL;
                    has_changed |= entry.addresses != addresses;
                    entry.addresses = addresses;
                }
                Err(error) if is_latest => entry.failed(now, &name, &error),
                Err(_) => {}
            }
        }
        has_changed
    }

    /// Returns when [`Resolver::handle_timeout`] has something to do, unless an answer comes first.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let names = self.names.iter();
        let times = names.filter_map(|(name, entry)| match entry.asked {
            Some((_, until)) => Some(until),
            None => self.may_ask(name).then_some(entry.next),
        });
        times.min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const DEADLINE: Duration = Duration::from_secs(10);

    /// A resolver whose look-ups end when the test says so.
    struct Slow {
        poll: Poll,
        resolver: Resolver,
        /// The names that are being looked up.
        begun: Receiver<String>,
        /// Each result lets one look-up end.
        end: Sender<io::Result<Vec<IpAddr>>>,
        heard: usize,
    }

    impl Slow {
        fn new() -> Self {
            let poll = Poll::new().unwrap();
            let waker = LoopWaker::new(poll.registry(), Token(0)).unwrap();
            let (begin, begun) = unbounded();
            let (end, ended) = unbounded::<io::Result<Vec<IpAddr>>>();
            let look_up = move |name: &str| {
                // Both ends are gone when the test is over.
                let _ = begin.send(name.to_owned());
                let over = |_| Err(io::ErrorKind::NotFound.into());
                ended.recv().unwrap_or_else(over)
            };
            Slow {
                poll,
                resolver: Resolver::with(Arc::new(look_up), waker),
                begun,
                end,
                heard: 0,
            }
        }

        fn begun(&self) -> String {
            self.begun.recv_timeout(DEADLINE).unwrap()
        }

        /// Lets a look-up end, and takes its answer.
        fn end(&mut self, now: Instant, answer: io::Result<Vec<IpAddr>>) {
            let running = self.resolver.running.len();
            self.end.send(answer).unwrap();
            let mut events = Events::with_capacity(1);
            while self.resolver.running.len() == running {
                self.poll.poll(&mut events, Some(DEADLINE)).unwrap();
                assert!(!events.is_empty(), "nobody was woken");
                self.resolver.waker.clear();
                self.heard += usize::from(self.resolver.hear(now));
            }
        }
    }

    #[test]
    fn a_look_up_that_hangs_is_given_up_and_tried_again() {
        let mut slow = Slow::new();
        let start = Instant::now();
        slow.resolver.set_names(start, ["a".to_owned()]);
        slow.resolver.handle_timeout(start);
        assert_eq!(slow.begun(), "a");
        let given_up = start + limits::RESOLVE_TIMEOUT;
        assert_eq!(slow.resolver.next_timeout(), Some(given_up));
        slow.resolver.handle_timeout(given_up);
        let again = slow.resolver.next_timeout().unwrap();
        assert!(again > given_up && again <= given_up + limits::RESOLVE_BACKOFF.1);
        slow.resolver.handle_timeout(again);
        assert_eq!(slow.begun(), "a");

        // The first look-up comes late, but is right all the same.
        slow.end(again, Ok(vec![ADDRESS]));
        assert_eq!(
            (slow.resolver.addresses("a"), slow.heard),
            (&[ADDRESS][..], 1)
        );
        // The second look-up finds nothing, which changes nothing.
        slow.end(again, Err(io::ErrorKind::NotFound.into()));
        assert_eq!(slow.resolver.addresses("a"), [ADDRESS]);
    }

    #[test]
    fn when_the_network_changes_a_look_up_that_hangs_or_failed_holds_nothing_up() {
        let mut slow = Slow::new();
        let mut now = Instant::now();
        slow.resolver.set_names(now, ["a".to_owned()]);
        slow.resolver.handle_timeout(now);
        assert_eq!(slow.begun(), "a");
        now += Duration::from_secs(1);
        slow.resolver.network_changed(now);
        slow.resolver.handle_timeout(now);
        assert_eq!(slow.begun(), "a");
        // Two are as many as may run, so the one under way is waited for.
        slow.resolver.network_changed(now);
        slow.resolver.handle_timeout(now);
        assert_eq!(slow.resolver.running.len(), limits::RESOLVE_RUNNING_OF_NAME);
        let until = slow.resolver.next_timeout();
        assert_eq!(until, Some(now + limits::RESOLVE_TIMEOUT));
        for _ in 0..2 {
            slow.end(now, Err(io::ErrorKind::NotFound.into()));
        }
        assert!(slow.resolver.next_timeout() > Some(now));
        slow.resolver.network_changed(now);
        assert_eq!(slow.resolver.next_timeout(), Some(now));
        slow.resolver.handle_timeout(now);
        slow.end(now, Ok(vec![ADDRESS]));
        // A name that was found is not looked up again so soon.
        slow.resolver.network_changed(now);
        let next = now + limits::RESOLVE_INTERVAL;
        assert_eq!(slow.resolver.next_timeout(), Some(next));
    }

    #[test]
    fn names_that_come_and_go_begin_no_more_look_ups_than_the_limit() {
        let mut slow = Slow::new();
        let mut now = Instant::now();
        let mut begun = 0;
        for round in 0..20 {
            let names = (0..limits::ICE_SERVERS).map(|number| format!("{number}-{}", round % 10));
            slow.resolver.set_names(now, names);
            slow.resolver.handle_timeout(now);
            begun = slow.resolver.running.len();
            now += Duration::from_secs(10);
        }
        assert_eq!(begun, limits::RESOLVE_RUNNING);
        // The name that had to wait is looked up when another look-up has ended.
        let wanted = "wanted".to_owned();
        slow.resolver.set_names(now, [wanted.clone()]);
        slow.resolver.handle_timeout(now);
        assert_eq!(slow.resolver.next_timeout(), None);
        slow.end(now, Ok(vec![ADDRESS]));
        assert_eq!(slow.resolver.next_timeout(), Some(now));
        slow.resolver.handle_timeout(now);
        assert!((0..=limits::RESOLVE_RUNNING).any(|_| slow.begun() == wanted));
    }

    #[test]
    fn a_name_that_hangs_leaves_room_for_others() {
        let mut slow = Slow::new();
        let mut now = Instant::now();
        slow.resolver.set_names(now, ["a".to_owned()]);
        for _ in 0..100 {
            slow.resolver.handle_timeout(now);
            let Some(next) = slow.resolver.next_timeout() else {
                break;
            };
            now = next;
        }
        assert_eq!(slow.resolver.running.len(), limits::RESOLVE_RUNNING_OF_NAME);
    }
}
