//! Wakes the event loop from other threads, with one system call until the loop has looked.

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
    /// Creates a waker that makes `token` ready in the poll of `registry`.
    pub fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(LoopWaker {
            waker: Arc::new(mio::Waker::new(registry, token)?),
            pending: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Wakes the loop unless a wake is already under way. To be called after the message is in its
    /// channel.
    pub fn wake(&self) {
        if !self.pending.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            log::error!("cannot wake the event loop: {error}");
        }
    }

    /// Allows the next wake. The loop calls it before it drains its channels, so that messages that
    /// come in while it drains wake it again.
    pub fn clear(&self) {
        self.pending.store(false, Ordering::SeqCst);
    }
}
