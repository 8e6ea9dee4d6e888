//! The numbers of a running sidecar over HTTP: `/metrics`, `/stats` and `/health` at the address of
//! `METRICS`.
//!
//! A thread of its own listens; each connection has another one for as long as it lasts, and there are
//! [`limits::METRICS_CONNECTIONS`] at most. The event loop is only asked for a copy of the core's numbers;
//! the text is made of it on the connection's thread. Without a client all of them sleep.

mod answer;
mod families;
mod listener;
mod process;
mod server;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use crossbeam_channel::{Receiver, bounded, never};

use crate::config::metrics::MetricsAddress;
use crate::limits;
use crate::runtime::wake::LoopWaker;

use listener::Place;
use server::{Asker, Question, Server};

/// Keeps the numbers served. Dropping it removes the socket file.
#[derive(Debug)]
pub(crate) struct Handle {
    questions: Receiver<Question>,
    place: Arc<Place>,
}

impl Handle {
    /// Serves nothing.
    pub(crate) fn none() -> Self {
        Handle {
            questions: never(),
            place: Arc::default(),
        }
    }

    /// Returns the next question; the waker was woken for it.
    pub(crate) fn next_question(&self) -> Option<Question> {
        self.questions.try_recv().ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.place.leave();
    }
}

/// Serves the numbers at an address, with or without the names of peers. If another has the address it is
/// tried again and again: the sidecar that had it may be ending.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(
    address: MetricsAddress,
    names_peers: bool,
    waker: LoopWaker,
) -> io::Result<Handle> {
    let (sender, questions) = bounded(limits::METRICS_CONNECTIONS);
    let place = Arc::<Place>::default();
    let asker = Asker {
        questions: sender,
        waker,
        is_local: address.is_local_port(),
        names_peers,
        started: SystemTime::now(),
    };
    let server = Server::new(address, asker, Arc::clone(&place));
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || server.run())?;
    Ok(Handle { questions, place })
}
