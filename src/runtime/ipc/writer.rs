//! Writes events to an agent as lines.

use std::collections::VecDeque;
use std::io;
use std::mem;

use crossbeam_channel::{Receiver, select};

use super::messages::{Ended, LoopLink, Notice};
use super::outlet::Batch;
use super::rendered::Rendered;
use super::transport::Output;
use crate::limits;
use crate::mesh::Generation;
use crate::protocol::ipc::Event;

/// Writes events, many in one write when they come faster than the agent reads.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    output: &'a Output,
    generation: Generation,
    link: &'a LoopLink,
    /// The events that are not yet wholly in the output.
    queue: &'a mut VecDeque<Event>,
    /// How many bytes of the first of them are in the output.
    begun: usize,
    /// The first events of the queue as lines.
    rendered: Rendered,
}

impl<'a> Writer<'a> {
    /// Creates a writer that leaves in `queue` the events that are not wholly written when it ends.
    pub(super) fn new(
        output: &'a Output,
        generation: Generation,
        link: &'a LoopLink,
        queue: &'a mut VecDeque<Event>,
    ) -> Self {
        Writer {
            output,
            generation,
            link,
            queue,
            begun: 0,
            rendered: Rendered::default(),
        }
    }

    /// Writes until no more can come and all is written, or until the agent has hung up.
    pub(super) fn run(mut self, batches: &Receiver<Batch>, hung_up: &Ended) {
        loop {
            if self.queue.is_empty() {
                select! {
                    recv(batches) -> batch => match batch {
                        Ok(batch) => self.take(batch),
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

    fn take(&mut self, batch: Batch) {
        if self.queue.is_empty() {
            self.begun = batch.begun;
        }
        self.queue.extend(batch.events);
    }

    /// Renders the events that are there, up to the size of a write.
    fn render(&mut self, batches: &Receiver<Batch>) {
        self.rendered.begin(mem::take(&mut self.begun));
        while self.rendered.len() < limits::IPC_WRITE_BYTES {
            match self.queue.get(self.rendered.events()) {
                Some(event) => self.rendered.push(event),
                None => match batches.try_recv() {
                    Ok(batch) => self.take(batch),
                    Err(_) => return,
                },
            }
        }
    }

    /// Writes all that is rendered. Whenever there is no room for more, it tells the loop how
    /// many events are in the output, because at the end that decides what peers are told of their
    /// messages.
    fn write(&mut self) -> io::Result<()> {
        loop {
            let written = self.rendered.write(self.output);
            self.tell()?;
            match written {
                Ok(true) => return Ok(()),
                Ok(false) => self.output.wait_for_room()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells the loop of the events that are in the output and that it was not told of yet.
    fn tell(&mut self) -> io::Result<()> {
        let events = self.rendered.count();
        if events == 0 {
            return Ok(());
        }
        self.queue.drain(..events);
        self.link
            .notify(Notice::Written {
                generation: self.generation,
                events,
            })
            .map_err(|_| io::Error::other("the event loop has ended"))
    }
}
