//! News of the store on their way from its threads to the registry, as many as [`STORE_NEWS`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, RecvError, Sender, TryRecvError, bounded};
use mio::Waker;

use super::exchange::{Change, Outcome, Rows, Version};
use super::limits::{STORE_NEWS, STORE_NEWS_BYTES};
use crate::protocol::PeerId;

/// What the store tells.
#[derive(Debug)]
pub(in crate::registry) enum News {
    /// It is there, with this state.
    Back {
        /// The number of the connection to it; exchanges are for one of them.
        session: u64,
        version: Version,
        /// The number of the version that the last changes of this registry have led to, as far as that is known.
        taken: Option<u64>,
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

impl News {
    /// Returns the bytes that others have published, of which any number may follow each other.
    fn published_bytes(&self) -> usize {
        match self {
            News::Changed(_, changes) => changes.iter().map(Change::bytes).sum(),
            News::Frame(_, frame) => frame.len(),
            News::Back { .. } | News::Exchanged(..) | News::Away => 0,
        }
    }
}

/// The registry has ended, or can't be woken.
#[derive(Debug)]
pub(super) struct Ended;

/// The end of the store's threads.
pub(super) struct Teller {
    news: Sender<News>,
    bytes: Arc<AtomicUsize>,
    waker: Arc<Waker>,
}

/// The end of the registry.
pub(super) struct Listener {
    news: Receiver<News>,
    bytes: Arc<AtomicUsize>,
}

/// Makes both ends. `waker` is woken for news, and when the first end is dropped.
pub(super) fn queue(waker: Arc<Waker>) -> (Teller, Listener) {
    let (told, news) = bounded(STORE_NEWS);
    let bytes = Arc::new(AtomicUsize::new(0));
    let teller = Teller {
        news: told,
        bytes: Arc::clone(&bytes),
        waker,
    };
    (teller, Listener { news, bytes })
}

impl Teller {
    /// Tells news, waiting for room. What was published is dropped while [`STORE_NEWS_BYTES`] wait.
    pub(super) fn tell(&self, news: News) -> Result<(), Ended> {
        let bytes = news.published_bytes();
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 && waiting + bytes > STORE_NEWS_BYTES {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            log::debug!("{bytes} bytes of the store are dropped: {waiting} wait already");
            return Ok(());
        }
        self.news.send(news).map_err(|_| Ended)?;
        self.waker.wake().map_err(|_| Ended)
    }
}

impl Listener {
    /// Returns the next news, if there are any.
    ///
    /// # Errors
    /// The threads have ended, and all is heard.
    pub(super) fn next(&self) -> Result<Option<News>, RecvError> {
        match self.news.try_recv() {
            Ok(news) => {
                let bytes = news.published_bytes();
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                Ok(Some(news))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(RecvError),
        }
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.news.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Poll, Token};

    #[test]
    fn what_is_published_is_bounded_in_bytes() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let (teller, listener) = queue(waker);
        let frame = |length| News::Frame(PeerId::new("a").unwrap(), "x".repeat(length));
        teller.tell(frame(STORE_NEWS_BYTES)).unwrap();
        teller.tell(frame(1)).unwrap();
        teller.tell(News::Away).unwrap();
        assert!(matches!(listener.next(), Ok(Some(News::Frame(..)))));
        assert!(matches!(listener.next(), Ok(Some(News::Away))));
        assert!(matches!(listener.next(), Ok(None)) && listener.is_empty());
        teller.tell(frame(1)).unwrap();
        assert!(matches!(listener.next(), Ok(Some(News::Frame(..)))));
        drop(teller);
        assert!(listener.next().is_err(), "nobody tells any more");
    }
}
