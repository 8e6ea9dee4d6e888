//! The addresses of STUN and TURN servers that are named: looked up on threads of their own, a thread
//! for a name and as long as the system takes, so that nothing waits for it.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::wake::LoopWaker;
use crate::backoff::Backoff;
use crate::limits;

struct Answer {
    name: String,
    addresses: io::Result<Vec<IpAddr>>,
}

#[derive(Debug)]
struct Name {
    addresses: Vec<IpAddr>,
    is_asked: bool,
    /// When it is asked next.
    next: Instant,
    patience: Backoff,
}

/// The addresses of a name that are of use, on the calling thread and as long as the system takes.
pub(crate) fn look_up(name: &str, ipv6: bool) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?.map(|found| found.ip());
    let mut addresses: Vec<_> = found.filter(|a| ipv6 || a.is_ipv4()).collect();
    addresses.dedup();
    addresses.truncate(limits::ADDRESSES_PER_SERVER);
    Ok(addresses)
}

/// Names and what is known of them.
pub(super) struct Resolver {
    names: BTreeMap<String, Name>,
    ipv6: bool,
    /// Holds one answer of each name at most.
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: LoopWaker,
}

impl Resolver {
    /// Without names. `waker` is woken after each answer.
    pub(super) fn new(ipv6: bool, waker: LoopWaker) -> Self {
        Resolver {
            names: BTreeMap::new(),
            ipv6,
            answers: unbounded(),
            waker,
        }
    }

    /// The names to look up, the whole of them.
    pub(super) fn set_names(&mut self, now: Instant, names: impl IntoIterator<Item = String>) {
        let mut known = std::mem::take(&mut self.names);
        for name in names {
            let entry = known.remove(&name).unwrap_or_else(|| Name {
                addresses: Vec::new(),
                is_asked: false,
                next: now,
                patience: Backoff::new(limits::RESOLVE_BACKOFF),
            });
            self.names.insert(name, entry);
        }
    }

    /// The addresses of a name, as far as they are known.
    pub(super) fn addresses(&self, name: &str) -> &[IpAddr] {
        self.names
            .get(name)
            .map_or(&[], |name| name.addresses.as_slice())
    }

    /// Names that could not be found are looked up again at once.
    pub(super) fn try_now(&mut self, now: Instant) {
        for name in self.names.values_mut() {
            if name.addresses.is_empty() {
                name.next = now;
            }
        }
    }

    /// Begins the look-ups that are due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for (name, entry) in &mut self.names {
            if entry.is_asked || entry.next > now {
                continue;
            }
            let (name, sender) = (name.clone(), self.answers.0.clone());
            let (waker, ipv6) = (self.waker.clone(), self.ipv6);
            let work = move || {
                let addresses = look_up(&name, ipv6);
                // The receiver is gone when the process is about to end.
                if sender.send(Answer { name, addresses }).is_ok() {
                    waker.wake();
                }
            };
            let thread = std::thread::Builder::new().name("resolver".to_owned());
            match thread.spawn(work) {
                Ok(_) => entry.is_asked = true,
                Err(error) => {
                    log::warn!("no thread to look up the name of a server: {error}");
                    entry.next = now + entry.patience.next(fastrand::f64());
                }
            }
        }
    }

    /// Takes the answers that have come; says whether an address has changed.
    pub(super) fn hear(&mut self, now: Instant) -> bool {
        let mut has_changed = false;
        while let Ok(answer) = self.answers.1.try_recv() {
            let Some(entry) = self.names.get_mut(&answer.name) else {
                continue;
            };
            entry.is_asked = false;
            let name = &answer.name;
            match answer.addresses {
                Ok(addresses) => {
                    log::debug!("{name} is at {addresses:?}");
                    entry.patience.reset();
                    entry.next = now + limits::RESOLVE_INTERVAL;
                    has_changed |= entry.addresses != addresses;
                    entry.addresses = addresses;
                }
                // What was known may still be right.
                Err(error) => {
                    if entry.patience.is_fresh() {
                        log::warn!("the address of {name} cannot be found: {error}");
                    }
                    entry.next = now + entry.patience.next(fastrand::f64());
                }
            }
        }
        has_changed
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let waiting = self.names.values().filter(|name| !name.is_asked);
        waiting.map(|name| name.next).min()
    }
}
