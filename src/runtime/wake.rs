//! Waking the event loop from other threads, at most once until it has looked.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes the event loop. Many wakes between two looks cost one system call.
#[derive(Debug, Clone)]
pub struct LoopWaker {
    waker: Arc<mio::Waker>,
    pending: Arc<AtomicBool>,
}

impl LoopWaker {
    /// A waker that makes `token` ready in the poll of `registry`.
    pub fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(LoopWaker {
            waker: Arc::new(mio::Waker::new(registry, token)?),
            pending: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Wakes the loop unless a wake is already under way. Call it after the message is in its
    /// channel.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            log::error!("cannot wake the event loop: {error}");
        }
    }

    /// The loop is about to drain its channels. To be called before draining, so that what comes in
    /// while it drains wakes it again.
    pub fn clear(&self) {
        self.pending.store(false, Ordering::SeqCst);
    }
}
