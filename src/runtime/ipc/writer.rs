//! Events to an agent's lines.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use crossbeam_channel::{Receiver, select};

use super::agent::Ended;
use super::{Generation, LoopLink, Notice};
use crate::limits;
use crate::protocol::ipc::Event;

/// Writes events, many in one write when they come faster than the agent reads.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    stream: &'a UnixStream,
    generation: Generation,
    link: &'a LoopLink,
    /// Not yet wholly in the socket.
    queue: &'a mut VecDeque<Event>,
    /// The first events of the queue as lines.
    rendered: Vec<u8>,
    /// Where in `rendered` each of them ends.
    ends: Vec<usize>,
}

impl<'a> Writer<'a> {
    /// A writer that leaves in `queue` what is not wholly written when it ends.
    pub(super) fn new(
        stream: &'a UnixStream,
        generation: Generation,
        link: &'a LoopLink,
        queue: &'a mut VecDeque<Event>,
    ) -> Self {
        Writer {
            stream,
            generation,
            link,
            queue,
            rendered: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Writes until no more can come and all is written, or until the agent has hung up.
    pub(super) fn run(mut self, batches: &Receiver<Vec<Event>>, hung_up: &Ended) {
        loop {
            if self.queue.is_empty() {
                select! {
                    recv(batches) -> batch => match batch {
                        Ok(batch) => self.queue.extend(batch),
                        Err(_) => return,
                    },
                    recv(hung_up) -> _ => return,
                }
            }
            self.render(batches);
            if let Err(error) = self.write() {
                log::debug!("writing to agent {}: {error}", self.generation);
                return;
            }
        }
    }

    /// Renders what is there, up to the size of a write.
    fn render(&mut self, batches: &Receiver<Vec<Event>>) {
        self.rendered.clear();
        if self.rendered.capacity() > limits::IPC_WRITER_BUFFER_BYTES {
            self.rendered.shrink_to(limits::IPC_WRITE_BYTES);
        }
        self.ends.clear();
        while self.rendered.len() < limits::IPC_WRITE_BYTES {
            match self.queue.get(self.ends.len()) {
                Some(event) => {
                    event.write_line(&mut self.rendered);
                    self.ends.push(self.rendered.len());
                }
                None => match batches.try_recv() {
                    Ok(batch) => self.queue.extend(batch),
                    Err(_) => return,
                },
            }
        }
    }

    /// Writes all that is rendered and tells the loop how many events that were, whole ones only.
    fn write(&mut self) -> io::Result<()> {
        let (written, result) = write_counted(self.stream, &self.rendered);
        let events = self.ends.partition_point(|end| *end <= written);
        self.queue.drain(..events);
        if events > 0 {
            self.link
                .notify(Notice::Written {
                    generation: self.generation,
                    events,
                })
                .map_err(|_| io::Error::other("the event loop has ended"))?;
        }
        result
    }
}

/// Like `write_all`, but tells how far it came.
fn write_counted(mut stream: &UnixStream, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..)
        && !rest.is_empty()
    {
        match stream.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}
