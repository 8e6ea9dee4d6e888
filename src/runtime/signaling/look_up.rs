//! Looks up the registry's names, each time on a thread of its own: while the network is away the system
//! may take tens of seconds. Nothing can end a look-up, so the number of those that run is limited.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Sender;

use crate::limits;
use crate::runtime::names;
use crate::runtime::wake::LoopWaker;

/// The addresses of a host and port, or the reason why there are none.
pub(super) type Answer = io::Result<Vec<SocketAddr>>;

type LookUp = dyn Fn(&str, u16) -> Answer + Send + Sync;

/// The addresses that last worked, for each host and port, and the running look-ups. Clones share both.
#[derive(Clone)]
pub(super) struct Names(Arc<Shared>);

struct Shared {
    look_up: Box<LookUp>,
    running: AtomicUsize,
    worked: Mutex<BTreeMap<(String, u16), Vec<SocketAddr>>>,
}

impl Names {
    /// Creates it with the resolver that all use.
    pub(super) fn new() -> Self {
        Names::with(|host, port| {
            let found = names::look_up(host)?.into_iter();
            let found = found.map(|address| SocketAddr::new(address, port));
            Ok(found.take(limits::HOST_ADDRESSES).collect())
        })
    }

    /// Creates it with another resolver.
    pub(super) fn with(look_up: impl Fn(&str, u16) -> Answer + Send + Sync + 'static) -> Self {
        Names(Arc::new(Shared {
            look_up: Box::new(look_up),
            running: AtomicUsize::new(0),
            worked: Mutex::default(),
        }))
    }

    /// Begins a look-up. Its answer is sent to `answers`, and `waker` is woken. Returns an error when there
    /// are too many, or the system gives no thread.
    pub(super) fn begin(
        &self,
        host: &str,
        port: u16,
        answers: &Sender<Answer>,
        waker: &LoopWaker,
    ) -> io::Result<()> {
        let running = &self.0.running;
        if running.fetch_add(1, Ordering::AcqRel) >= limits::REGISTRY_LOOK_UPS {
            running.fetch_sub(1, Ordering::AcqRel);
            return Err(io::Error::other(
                "too many look-ups of its name do not end; is the name server reachable?",
            ));
        }
        let (names, name) = (self.clone(), host.to_owned());
        let work = move || {
            let answer = (names.0.look_up)(&name, port);
            names.0.running.fetch_sub(1, Ordering::AcqRel);
            answer
        };
        let begun = waker.answer("resolver", answers, work);
        begun.inspect_err(|_| {
            running.fetch_sub(1, Ordering::AcqRel);
        })
    }

    /// Returns the addresses with which a connection was last made, if there were any.
    pub(super) fn worked(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        let worked = self.0.worked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = worked.get(&(host.to_owned(), port));
        known.cloned().unwrap_or_default()
    }

    /// Notes that a connection was made with the first of these addresses.
    pub(super) fn keep(&self, host: &str, port: u16, addresses: Vec<SocketAddr>) {
        let mut worked = self.0.worked.lock().unwrap_or_else(PoisonError::into_inner);
        worked.insert((host.to_owned(), port), addresses);
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names")
    }
}
