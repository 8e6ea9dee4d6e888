//! Handles on a registry that runs, for other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use mio::Waker;
use rustls::ServerConfig;

use super::store::keys::Keys;

/// A handle that ends a [`Registry::run`](super::Registry::run) from another thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopHandle {
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) waker: Arc<Waker>,
}

impl StopHandle {
    /// Ends the registry soon; does nothing when it has ended already.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Err(error) = self.waker.wake() {
            log::error!("the registry cannot be woken to end: {error}");
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// A file that was read again while the registry runs.
pub(super) enum Change {
    Keys(Keys),
    Tls(Arc<ServerConfig>),
}

/// A handle that gives a registry other keys and another certificate while it runs.
#[derive(Debug)]
pub struct ReloadHandle {
    pub(super) changes: Sender<Change>,
    pub(super) waker: Arc<Waker>,
}

impl ReloadHandle {
    /// Has requests from now on judged by these keys. Tokens that were given out and peers that are connected
    /// stay. Does nothing when the registry has ended.
    pub fn replace_keys(&self, keys: Keys) {
        self.send(Change::Keys(keys));
    }

    /// Shows this certificate on connections from now on. Does nothing when the registry has ended.
    pub fn replace_tls(&self, tls: Arc<ServerConfig>) {
        self.send(Change::Tls(tls));
    }

    fn send(&self, change: Change) {
        if self.changes.send(change).is_ok()
            && let Err(error) = self.waker.wake()
        {
            log::error!("the registry cannot be woken to take a change: {error}");
        }
    }
}
