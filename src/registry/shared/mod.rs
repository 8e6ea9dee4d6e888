//! The state that several registries share (`REGISTRY_STORE`). Each holds all of it, does what is asked of it on
//! that, and gives the changes to the store; they count if nothing else has come before. So whatever a single
//! registry decides is decided the same way, once, by all of them together.
//!
//! Without I/O: [`exchange`] and [`resp`] are what goes to the store and comes back. [`link`] and [`session`] carry it,
//! on threads of their own; [`together`] joins them to the registry's event loop.

mod exchange;
mod limits;
mod link;
mod resp;
mod session;
mod together;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mio::Waker;

use super::actions::{Action, Effect};
use crate::protocol::PeerId;
use exchange::{Change, Exchange, Names, Outcome, Version};
pub use link::StoreOptions;
use session::{Courier, Rows};
pub(super) use together::ONLINE;

/// A frame for a peer at another registry.
struct Frame {
    registry: String,
    /// The peer, the end of a line, and the frame.
    content: String,
}

/// What the store tells.
enum News {
    /// It is there, with this state.
    Back {
        /// The number of the connection to it; exchanges are for one of them.
        session: u64,
        version: Version,
        rows: Rows,
    },
    /// What has come of the exchange, and which registries are gone.
    Exchanged(Outcome, Vec<String>),
    /// Somebody has made changes, which led to the version of this number.
    Changed(u64, Vec<Change>),
    /// Another registry has a frame for a peer of ours.
    Frame(PeerId, String),
    /// It can't be reached.
    Away,
}

/// The state that is shared, as the store has it.
struct Known {
    session: u64,
    version: Version,
}

/// A registry's part in sharing its state with others.
pub(super) struct Shared {
    exchanges: Option<Sender<Exchange>>,
    frames: Option<Sender<Frame>>,
    news: Option<Receiver<News>>,
    has_ended: Receiver<()>,
    /// `None` while the store is away.
    known: Option<Known>,
    /// Actions that are to be done.
    waiting: Vec<Action>,
    /// Actions that were done, and have effect once the store has taken their changes.
    under_way: Option<Vec<(Action, Effect)>>,
    /// Changes that were heard before those that precede them, or while an exchange is under way.
    early: BTreeMap<u64, Vec<Change>>,
    /// When the next exchange is due at the latest.
    next_exchange: Instant,
    /// From when on other registries may count as gone.
    judged_from: Instant,
}

impl Shared {
    /// Begins to look for the store. `waker` is woken for news.
    pub(super) fn start(
        options: StoreOptions,
        own_name: String,
        tables: Vec<&'static str>,
        waker: Arc<Waker>,
        now: Instant,
    ) -> io::Result<Shared> {
        let (exchanges, new_exchanges) = bounded(1);
        let (frames, new_frames) = bounded(limits::FRAMES);
        let (told, news) = bounded(limits::NEWS);
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
            news: told,
            waker,
        };
        let run = move || {
            courier.run();
            drop(ending);
        };
        thread::Builder::new().name("store".to_owned()).spawn(run)?;
        Ok(Shared {
            exchanges: Some(exchanges),
            frames: Some(frames),
            news: Some(news),
            has_ended,
            known: None,
            waiting: Vec::new(),
            under_way: None,
            early: BTreeMap::new(),
            next_exchange: now,
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

    /// Returns when there is something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let is_free = self.is_there() && self.under_way.is_none();
        is_free.then_some(self.next_exchange)
    }

    /// Returns the bytes of the requests that wait.
    fn waiting_bytes(&self) -> usize {
        let under_way = self.under_way.iter().flatten().map(|(action, _)| action);
        let bodies = self
            .waiting
            .iter()
            .chain(under_way)
            .map(|action| match action {
                Action::Answer { request, .. } => request.body.len(),
                _ => 0,
            });
        bodies.sum()
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
