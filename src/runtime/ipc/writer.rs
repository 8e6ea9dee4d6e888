//! Writes events to an agent as lines.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;

use crossbeam_channel::{Receiver, select};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::messages::{Ended, LoopLink, Notice};
use crate::limits;
use crate::mesh::Generation;
use crate::protocol::ipc::Event;

/// Writes events, many in one write when they come faster than the agent reads.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    stream: &'a UnixStream,
    generation: Generation,
    link: &'a LoopLink,
    /// The events that are not yet wholly in the socket.
    queue: &'a mut VecDeque<Event>,
    /// The first events of the queue as lines.
    rendered: Vec<u8>,
    /// Where in `rendered` each of them ends.
    ends: Vec<usize>,
}

impl<'a> Writer<'a> {
    /// Creates a writer that leaves in `queue` the events that are not wholly written when it ends.
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

    /// Renders the events that are there, up to the size of a write.
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

    /// Writes all that is rendered. Whenever the socket has no room for more, it tells the loop how
    /// many events are in the socket, because at the end that decides what peers are told of their
    /// messages.
    fn write(&mut self) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self.rendered.get(written..)
            && !rest.is_empty()
        {
            // Rust ignores SIGPIPE at the start of programs, so an agent that has left is an error
            // here.
            match send(self.stream, rest, SendFlags::DONTWAIT) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.tell(written)?;
                    self.wait_for_room()?;
                }
                Err(error) => {
                    self.tell(written)?;
                    return Err(error.into());
                }
            }
        }
        self.tell(written)
    }

    /// Tells the loop of the whole events among the first `written` bytes rendered that it was not told
    /// of yet. These bytes are in the socket.
    fn tell(&mut self, written: usize) -> io::Result<()> {
        let events = self.ends.partition_point(|end| *end <= written);
        if events == 0 {
            return Ok(());
        }
        self.ends.drain(..events);
        self.queue.drain(..events);
        self.link
            .notify(Notice::Written {
                generation: self.generation,
                events,
            })
            .map_err(|_| io::Error::other("the event loop has ended"))
    }

    /// Waits until the socket is said to have room, or may have some.
    fn wait_for_room(&self) -> io::Result<()> {
        let longest = Timespec::try_from(limits::IPC_ROOM_CHECK).ok();
        match poll(
            &mut [PollFd::new(self.stream, PollFlags::OUT)],
            longest.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
