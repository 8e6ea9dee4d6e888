//! The connected agent: its threads and their end.

use std::convert::Infallible;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::reader::Reader;
use super::writer::Writer;
use super::{Generation, LoopLink, Notice, RequestBatch, Unsent};
use crate::limits;
use crate::protocol::ipc::Limits;

/// Is disconnected as soon as the thread that it stands for has ended.
pub(super) type Ended = Receiver<Infallible>;

/// An agent and its writer thread.
#[derive(Debug)]
pub(super) struct Agent {
    stream: Arc<UnixStream>,
    hangup: Sender<Infallible>,
    writer: JoinHandle<()>,
}

impl Agent {
    /// Starts the agent's threads. Its reader begins when that of the agent before has ended, so
    /// that commands reach the event loop in the order in which they were written; the second value
    /// tells when it has ended itself.
    pub(super) fn start(
        stream: UnixStream,
        generation: Generation,
        limits: Limits,
        link: LoopLink,
        reader_before: Option<Ended>,
    ) -> io::Result<(Self, Ended)> {
        stream.set_nonblocking(false)?;
        let stream = Arc::new(stream);
        let (hangup, hung_up) = bounded(0);
        let (reading, reader_ended) = bounded(0);
        let reader = Reader {
            stream: Arc::clone(&stream),
            generation,
            limits,
            link: link.clone(),
            before: reader_before,
            _reading: reading,
        };
        let of_writer = Arc::clone(&stream);
        let writer = thread::Builder::new()
            .name("ipc-write".to_owned())
            .spawn(move || serve(&of_writer, reader, &hung_up, &link))?;
        Ok((
            Agent {
                stream,
                hangup,
                writer,
            },
            reader_ended,
        ))
    }

    /// Its socket, which hangs up when the agent has, or when the writer has ended.
    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Its reader ends when it has read what is there by now.
    pub(super) fn stop_reading(&self) {
        if let Err(error) = self.stream.shutdown(Shutdown::Read)
            && error.kind() != io::ErrorKind::NotConnected
        {
            log::debug!("ending the agent's requests: {error}");
        }
    }

    /// The agent has hung up: returns when the event loop has been told so.
    pub(super) fn retire(self) {
        drop(self.hangup);
        if self.writer.join().is_err() {
            log::error!("an IPC writer thread panicked");
        }
    }
}

/// An agent's time, from connected to gone, on its writer thread.
fn serve(stream: &UnixStream, reader: Reader, hung_up: &Ended, link: &LoopLink) {
    let generation = reader.generation;
    let (events, batches) = bounded(limits::IPC_EVENT_BATCHES);
    let mut unsent = Vec::new();
    let mut unread = None;
    if link
        .notify(Notice::AgentConnected { generation, events })
        .is_ok()
    {
        match reader.spawn() {
            Ok(()) => unsent = Writer::new(stream, generation, link).run(&batches, hung_up),
            Err(error) => {
                log::error!("cannot start a thread to read from the agent: {error}");
                unread = Some(RequestBatch {
                    generation,
                    requests: Vec::new(),
                    end: true,
                });
            }
        }
    }
    if let Err(error) = stream.shutdown(Shutdown::Both)
        && error.kind() != io::ErrorKind::NotConnected
    {
        log::debug!("closing the agent's socket: {error}");
    }
    // When the loop has ended there is nobody left to tell.
    let _ = link.notify(Notice::AgentGone {
        generation,
        unsent: Unsent {
            taken: unsent.into_iter(),
            queued: batches,
        },
    });
    if let Some(end) = unread {
        let _ = link.request(end);
    }
}
