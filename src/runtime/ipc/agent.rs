//! The connected agent: starts its threads and ends them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::mem;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::messages::{Ended, LoopLink, Notice, RequestBatch, Unsent};
use super::outlet::{Batch, Outlet};
use super::reader::Reader;
use super::transport::{Output, Transport, is_hung_up};
use super::writer::Writer;
use crate::mesh::Generation;
use crate::protocol::ipc::{Event, Limits};

/// An agent and its writer thread.
#[derive(Debug)]
pub(super) struct Agent {
    output: Arc<Output>,
    /// Hangs up when the writer has ended.
    served: PipeReader,
    hangup: Sender<Infallible>,
    /// Tells the reader to stop; `None` once it was told.
    stop: Option<PipeWriter>,
    writer: JoinHandle<()>,
}

impl Agent {
    /// Starts the agent's threads. Its reader begins when that of the agent before has ended, so that
    /// commands reach the event loop in the order in which they were written. The second value
    /// disconnects when this reader has ended.
    pub(super) fn start(
        transport: Transport,
        generation: Generation,
        limits: Limits,
        link: LoopLink,
        reader_before: Option<Ended>,
    ) -> io::Result<(Self, Ended)> {
        let Transport { input, output } = transport;
        let (hangup, hung_up) = bounded(0);
        let (reading, reader_ended) = bounded(0);
        let (stopped, stop) = io::pipe()?;
        let (served, serving) = io::pipe()?;
        let reader = Reader {
            input,
            generation,
            limits,
            link: link.clone(),
            before: reader_before,
            stopped,
            _reading: reading,
        };
        let of_writer = Arc::clone(&output);
        let end_of_reader = reader_ended.clone();
        let writer = thread::Builder::new()
            .name("ipc-write".to_owned())
            .spawn(move || {
                let _serving = serving;
                serve(&of_writer, reader, end_of_reader, &hung_up, &link);
            })?;
        Ok((
            Agent {
                output,
                served,
                hangup,
                stop: Some(stop),
                writer,
            },
            reader_ended,
        ))
    }

    /// Returns what to poll, for hangups and errors, to learn when it may have gone.
    pub(super) fn signs_of_its_end(&self) -> [BorrowedFd<'_>; 2] {
        [self.output.as_fd(), self.served.as_fd()]
    }

    /// Returns whether the agent has hung up, or its writer has ended.
    pub(super) fn has_gone(&self) -> bool {
        self.signs_of_its_end().into_iter().any(is_hung_up)
    }

    /// Makes its reader end after it has read the bytes that are there now.
    pub(super) fn stop_reading(&mut self) {
        // A socket is not shut down for reading: an agent whose writes fail may not read its last
        // events any more.
        if let Some(mut stop) = self.stop.take()
            && let Err(error) = stop.write_all(&[0])
        {
            log::debug!("ending the agent's requests: {error}");
        }
    }

    /// Ends the agent's threads after it has hung up. Returns when the event loop has been told.
    pub(super) fn retire(mut self) {
        // Standard input may stay open when nobody reads standard output any more.
        self.stop_reading();
        drop(self.hangup);
        if self.writer.join().is_err() {
            log::error!("an IPC writer thread panicked");
        }
    }
}

/// Closes an agent's connection and tells the event loop that it has gone, when dropped. That happens even
/// if its writer panics: nobody else would tell, and the messages in its hands would be lost.
struct Farewell<'a> {
    output: &'a Output,
    generation: Generation,
    link: &'a LoopLink,
    reader_ended: Ended,
    /// Events taken out of `batches` and not wholly written.
    queue: VecDeque<Event>,
    batches: Receiver<Batch>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        self.output.shut_down();
        if self.reader_ended.try_recv() == Err(TryRecvError::Disconnected) {
            self.output.discard_the_unread();
        }
        // When the loop has ended there is nobody left to tell.
        let _ = self.link.notify(Notice::AgentGone {
            generation: self.generation,
            unsent: Unsent {
                taken: Vec::from(mem::take(&mut self.queue)).into_iter(),
                queued: self.batches.clone(),
            },
        });
    }
}

/// Serves an agent from its connection to its end, on its writer thread.
fn serve(
    output: &Arc<Output>,
    reader: Reader,
    reader_ended: Ended,
    hung_up: &Ended,
    link: &LoopLink,
) {
    let generation = reader.generation;
    let (outlet, batches) = Outlet::new(Arc::clone(output));
    let mut farewell = Farewell {
        output,
        generation,
        link,
        reader_ended,
        queue: VecDeque::new(),
        batches,
    };
    if link
        .notify(Notice::AgentConnected { generation, outlet })
        .is_err()
    {
        return;
    }
    if let Err(error) = reader.spawn() {
        log::error!("cannot start a thread to read from the agent: {error}");
        drop(farewell);
        let _ = link.request(RequestBatch {
            generation,
            requests: Vec::new(),
            end: true,
        });
        return;
    }
    let Farewell { queue, batches, .. } = &mut farewell;
    Writer::new(output, generation, link, queue).run(batches, hung_up);
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::protocol::PeerId;
    use crate::runtime::wake::LoopWaker;

    #[test]
    fn an_agent_whose_writer_panics_is_gone_and_what_it_did_not_get_comes_back() {
        let poll = mio::Poll::new().unwrap();
        let waker = LoopWaker::new(poll.registry(), mio::Token(0)).unwrap();
        let (requests, _requests) = bounded(1);
        let (notices, heard) = bounded(1);
        let link = LoopLink {
            requests,
            notices,
            waker,
        };
        let (stream, mut agent) = UnixStream::pair().unwrap();
        let output = Transport::connection(stream).unwrap().output;
        let list = |id: u64| Event::PeerList {
            id: None,
            peers: vec![PeerId::new(&id.to_string()).unwrap()],
        };
        let (_reading, reader_ended) = bounded(0);
        let (batch, batches) = bounded(1);
        batch
            .send(Batch {
                events: vec![list(2), list(3)],
                begun: 0,
            })
            .unwrap();
        let writer = thread::spawn(move || {
            let _farewell = Farewell {
                output: &output,
                generation: 7,
                link: &link,
                reader_ended,
                queue: VecDeque::from([list(1)]),
                batches,
            };
            panic!("a bug, as this test wants it");
        });
        assert!(writer.join().is_err());
        let Ok(Notice::AgentGone { generation, unsent }) = heard.try_recv() else {
            panic!("nobody was told")
        };
        assert_eq!(generation, 7);
        let peers = unsent.map(|event| match event {
            Event::PeerList { peers, .. } => peers[0].to_string(),
            _ => panic!("another event"),
        });
        assert_eq!(peers.collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(agent.read(&mut [0]).unwrap(), 0, "the socket is closed");
    }
}
