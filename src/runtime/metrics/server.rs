//! Serves clients: a thread that accepts them, and one for each connection, which has a time for all that it
//! does. A connection too many ends the oldest, so clients that only hold connections keep nobody out.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Sender, bounded};

use crate::config::metrics::MetricsAddress;
use crate::http1::RequestBuffer;
use crate::limits;
use crate::mesh::statistics::Statistics;
use crate::runtime::wake::LoopWaker;

use super::answer::{Answer, Resource};
use super::listener::{Listener, Place, Stream};
use super::process::ProcessNumbers;

/// A client's question for the numbers of this moment. The answer goes into the channel, which has room for
/// it.
pub(crate) type Question = Sender<Statistics>;

/// Gets answers from the event loop.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) questions: Sender<Question>,
    pub(super) waker: LoopWaker,
    /// Whether only this machine can ask.
    pub(super) is_local: bool,
    /// Whether the names of peers are told in labels.
    pub(super) names_peers: bool,
    /// When the process started.
    pub(super) started: SystemTime,
}

impl Asker {
    /// Returns the numbers of this moment; `None` if the event loop does not answer in time.
    fn ask(&self) -> Option<Statistics> {
        let (question, answer) = bounded(1);
        self.questions.try_send(question).ok()?;
        self.waker.wake();
        answer.recv_timeout(limits::METRICS_ANSWER_TIME).ok()
    }

    /// Answers a request.
    fn answer(&self, resource: Resource) -> Answer {
        match (self.ask(), resource) {
            (None, _) => Answer::no_numbers(),
            (Some(numbers), Resource::Health) => Answer::health(&numbers),
            (Some(numbers), Resource::Stats) => Answer::stats(&numbers),
            (Some(numbers), Resource::Metrics(format)) => {
                let process = ProcessNumbers::read(self.started);
                Answer::metrics(format, &numbers, &process, self.names_peers)
            }
        }
    }
}

/// The thread that accepts clients.
pub(super) struct Server {
    address: MetricsAddress,
    asker: Asker,
    place: Arc<Place>,
    /// The connections and their threads, the oldest first. A connection is its thread's, and closed with it.
    connections: VecDeque<(Weak<Stream>, JoinHandle<()>)>,
}

impl Server {
    pub(super) fn new(address: MetricsAddress, asker: Asker, place: Arc<Place>) -> Self {
        Server {
            address,
            asker,
            place,
            connections: VecDeque::new(),
        }
    }

    /// Listens and serves, for as long as the process lives.
    pub(super) fn run(mut self) {
        let listener = self.listen();
        let address = listener.address(&self.address);
        log::info!("tells its numbers on {address}: /metrics, /stats, /health");
        loop {
            match listener.accept() {
                Ok(stream) => self.serve(stream),
                // Out of file descriptors, or the client is gone already. The first would come again at once.
                Err(error) => {
                    log::warn!("cannot take a client on {address}: {error}");
                    thread::sleep(limits::METRICS_BIND_INTERVAL);
                }
            }
        }
    }

    fn listen(&self) -> Listener {
        let mut is_told = false;
        loop {
            match Listener::bind(&self.address, &self.place) {
                Ok(listener) => return listener,
                Err(error) if !std::mem::replace(&mut is_told, true) => log::warn!(
                    "cannot tell the numbers on METRICS={}: {error}; it is tried again until it works",
                    self.address
                ),
                Err(_) => {}
            }
            thread::sleep(limits::METRICS_BIND_INTERVAL);
        }
    }

    fn serve(&mut self, stream: Stream) {
        self.connections.retain(|(_, thread)| !thread.is_finished());
        if self.connections.len() >= limits::METRICS_CONNECTIONS
            && let Some((oldest, thread)) = self.connections.pop_front()
        {
            if let Some(oldest) = oldest.upgrade() {
                oldest.shutdown(Shutdown::Both);
            }
            // It ends at once, unless it waits for the event loop. Without waiting for it there would be more
            // threads than connections. A panic has been logged.
            let _ = thread.join();
        }
        let stream = Arc::new(stream);
        let asker = self.asker.clone();
        let for_list = Arc::downgrade(&stream);
        let serve = move || {
            if let Err(error) = Connection(&stream).serve(&asker) {
                log::debug!("a client of the metrics: {error}");
            }
        };
        match thread::Builder::new()
            .name("metrics-client".to_owned())
            .stack_size(limits::METRICS_STACK_BYTES)
            .spawn(serve)
        {
            Ok(thread) => self.connections.push_back((for_list, thread)),
            Err(error) => log::warn!("no thread for a client of the metrics: {error}"),
        }
    }
}

struct Connection<'a>(&'a Stream);

impl Connection<'_> {
    /// Reads a request, answers it, and waits until the client has ended the connection.
    fn serve(&self, asker: &Asker) -> io::Result<()> {
        let deadline = Instant::now() + limits::METRICS_TIMEOUT;
        let Some((answer, has_body)) = self.request(asker, deadline)? else {
            return Ok(());
        };
        let deadline = Instant::now() + limits::METRICS_TIMEOUT;
        self.write(&answer.to_bytes(has_body), deadline)?;
        self.0.shutdown(Shutdown::Write);
        // What is unread when a connection is closed would take back the answer on its way.
        let deadline = deadline.min(Instant::now() + Duration::from_millis(500));
        let mut buffer = [0; 1024];
        while self.read(&mut buffer, deadline)? > 0 {}
        Ok(())
    }

    /// Returns the answer to the request, and whether its body is wanted; `None` if the client has gone.
    fn request(&self, asker: &Asker, deadline: Instant) -> io::Result<Option<(Answer, bool)>> {
        let mut request = RequestBuffer::default();
        let mut buffer = [0; 1024];
        loop {
            let length = match self.read(&mut buffer, deadline) {
                Ok(0) => return Ok(None),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    return Ok(Some((Answer::too_slow(), true)));
                }
                Err(error) => return Err(error),
            };
            match request.push(buffer.get(..length).unwrap_or_default()) {
                Ok(None) => {}
                Ok(Some(request)) => {
                    let answer = match Resource::asked_for(&request, asker.is_local) {
                        Ok(resource) => asker.answer(resource),
                        Err(refusal) => refusal,
                    };
                    return Ok(Some((answer, request.method != "HEAD")));
                }
                Err(refusal) => return Ok(Some((refusal.into(), true))),
            }
        }
    }

    fn read(&self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            self.until(deadline)?;
            match (&mut &*self.0).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(ErrorKind::TimedOut.into());
                }
                read => return read,
            }
        }
    }

    fn write(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.until(deadline)?;
            match (&mut &*self.0).write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets the next read or write take the time that is left.
    fn until(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.0.set_timeout(left)
    }
}
