//! The state that several registries share (`REGISTRY_STORE`). Each holds all of it, does what is asked of it on
//! that, and gives the changes to the store; they count if nothing else has come before. So whatever a single
//! registry decides is decided the same way, once, by all of them together.
//!
//! Without I/O: [`exchange`] and [`resp`] are what goes to the store and comes back. [`link`] and [`session`] carry it,
//! on threads of their own; `sharing` joins them to the registry's event loop.

mod built;
mod early;
mod exchange;
pub(super) mod limits;
mod link;
mod news;
mod resp;
mod session;
mod unsure;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use mio::Waker;

use super::actions::{Action, Effect};
use crate::protocol::PeerId;
use built::Built;
use early::Early;
use exchange::Names;
pub(super) use exchange::{Change, Exchange, Outcome, Rows, Version};
pub use link::StoreOptions;
use news::Listener;
pub(super) use news::News;
use session::{Courier, Frame};
pub(super) use unsure::Unsure;

/// The state that is shared, as the store has it.
pub(super) struct Known {
    pub(super) session: u64,
    pub(super) version: Version,
}

/// A registry's part in sharing its state with others.
pub(super) struct Shared {
    _built: Built,
    exchanges: Option<Sender<Exchange>>,
    frames: Option<Sender<Frame>>,
    news: Option<Listener>,
    has_ended: Receiver<()>,
    /// `None` while the store is away.
    pub(super) known: Option<Known>,
    /// Actions that are to be done.
    waiting: VecDeque<Action>,
    /// Actions that were done, and have effect once the store has taken their changes.
    under_way: Option<Vec<(Action, Effect)>>,
    /// Actions that were under way when the store was lost.
    unsure: Option<Unsure>,
    /// Bytes of the requests that wait, are under way or unsure.
    body_bytes: usize,
    pub(super) early: Early,
    /// When the next exchange is due at the latest.
    pub(super) next_exchange: Instant,
    /// When it is asked again which other registries are gone.
    pub(super) ask_at: Instant,
    /// From when on other registries may count as gone.
    pub(super) judged_from: Instant,
}

impl Shared {
    /// Begins to look for the store. `waker` is woken for news, and when the thread ends.
    pub(super) fn start(
        options: StoreOptions,
        own_name: String,
        tables: Vec<&'static str>,
        waker: Arc<Waker>,
        now: Instant,
    ) -> io::Result<Shared> {
        let built = options.built;
        let (exchanges, new_exchanges) = bounded(1);
        let (frames, new_frames) = bounded(limits::STORE_FRAMES);
        let (teller, news) = news::queue(Arc::clone(&waker));
        let (ending, has_ended) = unbounded();
        let courier = Courier {
            names: Names {
                own: own_name,
                database: options.url.database,
            },
            options,
            tables,
            exchanges: new_exchanges,
            frames: new_frames,
            teller,
        };
        let run = move || {
            // Whatever ends the thread, the registry hears of it: what is declared first is dropped last.
            let _wake = WakeAtEnd(waker);
            let (courier, _ending) = (courier, ending);
            courier.run();
        };
        thread::Builder::new().name("store".to_owned()).spawn(run)?;
        Ok(Shared {
            _built: built,
            exchanges: Some(exchanges),
            frames: Some(frames),
            news: Some(news),
            has_ended,
            known: None,
            waiting: VecDeque::new(),
            under_way: None,
            unsure: None,
            body_bytes: 0,
            early: Early::default(),
            next_exchange: now,
            ask_at: now,
            judged_from: now,
        })
    }

    /// Returns whether the store is there.
    pub(super) fn is_there(&self) -> bool {
        self.known.is_some()
    }

    /// Sends a frame to a peer at another registry. Dropped while the store is away.
    pub(super) fn pass_on(&self, registry: &str, target: &PeerId, text: &str) {
        let frame = Frame {
            registry: registry.to_owned(),
            content: format!("{target}\n{text}"),
        };
        let frames = self.frames.as_ref().filter(|_| self.is_there());
        if frames.is_none_or(|frames| frames.try_send(frame).is_err()) {
            log::debug!("a frame for {target} is lost: the store is away or too slow");
        }
    }

    /// Returns when there is something to do; news are there to be heard now.
    pub(super) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        if self.news.as_ref().is_some_and(|news| !news.is_empty()) {
            return Some(now);
        }
        let is_free = self.is_there() && self.under_way.is_none();
        let unsure = self.unsure.as_ref().map(|unsure| unsure.until);
        is_free
            .then_some(self.next_exchange)
            .into_iter()
            .chain(unsure)
            .min()
    }

    /// Has an action done with the next exchange.
    pub(super) fn push(&mut self, action: Action) {
        self.body_bytes += action.body_bytes();
        self.waiting.push_back(action);
    }

    /// Returns the bytes of the requests that wait, are under way or unsure.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Returns whether an exchange may begin `now`, and is due: something waits, or the last one is long ago.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let is_due = !self.waiting.is_empty() || now >= self.next_exchange;
        is_due && !self.is_under_way()
    }

    /// Returns whether an exchange is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes the next action that waits, to be done and set under way.
    pub(super) fn next_waiting(&mut self) -> Option<Action> {
        self.waiting.pop_front()
    }

    /// Notes what was done, and has effect once the store has taken its changes.
    pub(super) fn set_under_way(&mut self, done: Vec<(Action, Effect)>) {
        self.under_way = Some(done);
    }

    /// Takes the actions that are under way, which are over.
    pub(super) fn take_under_way(&mut self) -> Vec<(Action, Effect)> {
        let done = self.under_way.take().unwrap_or_default();
        self.count_out(done.iter().map(|(action, _)| action));
        done
    }

    /// Forgets the store, which is lost, and returns the actions that are to be done without it, the oldest first.
    /// Requests under way stay as unsure if their changes `may_count`.
    pub(super) fn lose(&mut self, may_count: bool, now: Instant) -> Vec<Action> {
        let Some(Known { version, .. }) = self.known.take() else {
            return Vec::new();
        };
        self.early.clear();
        let is_unsure =
            |(action, _): &(Action, Effect)| may_count && matches!(action, Action::Answer { .. });
        let done = self.under_way.take().unwrap_or_default();
        let (unsure, done): (Vec<_>, Vec<_>) = done.into_iter().partition(is_unsure);
        self.unsure = Unsure::new(unsure, version, now);
        let again = done.into_iter().map(|(action, _)| action);
        let lost: Vec<Action> = again.chain(mem::take(&mut self.waiting)).collect();
        self.count_out(lost.iter());
        lost
    }

    /// Takes the requests that are unsure, to be answered.
    pub(super) fn take_unsure(&mut self) -> Option<Unsure> {
        let unsure = self.unsure.take()?;
        self.count_out(unsure.done.iter().map(|(action, _)| action));
        Some(unsure)
    }

    /// Takes the requests that have been unsure for long enough.
    pub(super) fn take_overdue(&mut self, now: Instant) -> Option<Unsure> {
        let is_overdue = self.unsure.as_ref()?.until <= now;
        is_overdue.then(|| self.take_unsure()).flatten()
    }

    /// Counts the bodies of requests no longer.
    fn count_out<'a>(&mut self, over: impl Iterator<Item = &'a Action>) {
        let bytes: usize = over.map(Action::body_bytes).sum();
        self.body_bytes = self.body_bytes.saturating_sub(bytes);
    }

    /// Has the actions that are under way wait again, before all others.
    pub(super) fn put_back(&mut self) {
        let again = self.under_way.take().unwrap_or_default();
        let again = again.into_iter().map(|(action, _)| action);
        let later = mem::take(&mut self.waiting);
        self.waiting = again.chain(later).collect();
    }

    /// Gives an exchange to the thread that talks to the store. Returns whether it has taken it: it may not have looked
    /// yet at one that was for an earlier connection.
    ///
    /// # Errors
    /// The thread has ended.
    pub(super) fn give(&self, exchange: Exchange) -> io::Result<bool> {
        match self.exchanges.as_ref().map(|to| to.try_send(exchange)) {
            Some(Ok(())) => Ok(true),
            Some(Err(TrySendError::Full(_))) => Ok(false),
            Some(Err(TrySendError::Disconnected(_))) | None => Err(thread_has_ended()),
        }
    }

    /// Returns the next news, if there are any.
    ///
    /// # Errors
    /// The thread that talks to the store has ended.
    pub(super) fn next_news(&self) -> io::Result<Option<News>> {
        let next = self.news.as_ref().map(Listener::next).transpose();
        next.map(Option::flatten).map_err(|_| thread_has_ended())
    }
}

fn thread_has_ended() -> io::Error {
    io::Error::other(
        "the thread that talks to the store (REGISTRY_STORE) has ended; start the registry again",
    )
}

/// Wakes the registry when it is dropped.
struct WakeAtEnd(Arc<Waker>);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        // Without the waker the registry sees it at its next exchange.
        let _ = self.0.wake();
    }
}

impl Drop for Shared {
    /// Tells the store that this registry ends, unless that takes long.
    fn drop(&mut self) {
        (self.exchanges, self.frames, self.news) = (None, None, None);
        // It ends with an error: nothing is ever sent.
        let _ = self.has_ended.recv_timeout(limits::TICK);
    }
}

#[cfg(feature = "redis")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::api::Origin;
    use crate::registry::connection::AfterAnswer;
    use crate::registry::directory::ConnectionId;
    use crate::registry::http::RequestBuffer;
    use crate::registry::response::Response;

    /// A part without threads; the store is there.
    fn new(now: Instant) -> Shared {
        let version = Version {
            life: "a".to_owned(),
            number: 1,
        };
        let (_, has_ended) = unbounded();
        Shared {
            _built: built::BUILT.unwrap(),
            exchanges: None,
            frames: None,
            news: None,
            has_ended,
            known: Some(Known {
                session: 1,
                version,
            }),
            waiting: VecDeque::new(),
            under_way: None,
            unsure: None,
            body_bytes: 0,
            early: Early::default(),
            next_exchange: now,
            ask_at: now,
            judged_from: now,
        }
    }

    /// A request with a body of so many bytes.
    fn request(length: usize) -> Action {
        let body = "x".repeat(length);
        let text = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
        let request = RequestBuffer::default().push(text.as_bytes());
        Action::Answer {
            id: ConnectionId(length),
            request: Box::new(request.unwrap().unwrap()),
            origin: Origin::Owner,
        }
    }

    fn has_begun(shared: &mut Shared) {
        let action = shared.next_waiting().unwrap();
        let effect = Effect::Answer(Response::not_modified(), AfterAnswer::End);
        shared.set_under_way(vec![(action, effect)]);
    }

    #[test]
    fn bodies_count_until_they_are_given_back() {
        let now = Instant::now();
        let mut shared = new(now);
        for length in [1, 10, 100] {
            shared.push(request(length));
        }
        has_begun(&mut shared);
        assert_eq!(shared.body_bytes(), 111);
        shared.put_back();
        has_begun(&mut shared);
        assert_eq!(shared.body_bytes(), 111);
        assert_eq!(shared.take_under_way().len(), 1);
        assert_eq!(shared.body_bytes(), 110);
        has_begun(&mut shared);
        assert_eq!(shared.lose(true, now).len(), 1);
        assert_eq!(shared.body_bytes(), 10, "one is unsure");
        assert!(shared.lose(true, now).is_empty(), "it is lost already");
        assert!(shared.take_overdue(now).is_none());
        assert!(shared.take_overdue(now + limits::UNSURE).is_some());
        assert_eq!(shared.body_bytes(), 0);
    }

    #[test]
    fn what_has_changed_nothing_is_done_again_before_what_waits() {
        let now = Instant::now();
        let mut shared = new(now);
        for length in [1, 10] {
            shared.push(request(length));
        }
        has_begun(&mut shared);
        let lost = shared.lose(false, now);
        let lengths: Vec<usize> = lost.iter().map(Action::body_bytes).collect();
        assert_eq!(lengths, [1, 10]);
        assert_eq!(shared.body_bytes(), 0);
    }
}
