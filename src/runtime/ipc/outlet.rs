//! The way of events to an agent, as the event loop has it: straight into the agent's socket or pipe while that
//! has room, or else through the agent's writer.
//!
//! The hand-over to a sleeping thread takes longer than the write. So what is small and fits at once is
//! written by the loop itself, if the writer has nothing: no event may overtake another.

use std::mem;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::rendered::Rendered;
use super::transport::Output;
use crate::limits;
use crate::protocol::ipc::Event;

/// Events for an agent's writer, in order.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// How many bytes of the first event's line are in the output already. Other than 0 only if the writer
    /// has nothing to write.
    pub(super) begun: usize,
}

/// The event loop's end. Dropping it closes the agent's connection once all events have been written.
#[derive(Debug)]
pub struct Outlet {
    output: Arc<Output>,
    batches: Sender<Batch>,
    /// Events that the writer was given, and of which it has not told that they are written.
    with_writer: usize,
    rendered: Rendered,
}

/// The fate of events that were handed to an [`Outlet`].
#[derive(Debug, Default)]
pub struct HandedOn {
    /// How many of them are in the output. The writer tells of the others.
    pub written: usize,
    /// The last of them, which the writer does not take, because it has ended.
    pub refused: Vec<Event>,
}

impl Outlet {
    /// Creates the way to an agent. The second value is its writer's end.
    pub(super) fn new(output: Arc<Output>) -> (Self, Receiver<Batch>) {
        let (batches, receiver) = bounded(limits::IPC_EVENT_BATCHES);
        let outlet = Outlet {
            output,
            batches,
            with_writer: 0,
            rendered: Rendered::default(),
        };
        (outlet, receiver)
    }

    /// Returns whether so much is under way that no more may be handed on before the writer has taken a
    /// batch.
    pub fn is_full(&self) -> bool {
        self.batches.is_full()
    }

    /// Hands events on. Never waits. To be called when it is not full.
    pub fn hand_on(&mut self, mut events: Vec<Event>) -> HandedOn {
        let mut written = 0;
        let mut begun = 0;
        if self.with_writer == 0 && !self.output.may_wait() && is_small(&events) {
            written = self.write(&events);
            begun = self.rendered.begun();
            events.drain(..written);
        }
        let mut refused = Vec::new();
        if !events.is_empty() {
            let count = events.len();
            match self.batches.try_send(Batch { events, begun }) {
                Ok(()) => self.with_writer += count,
                Err(error) => refused = mem::take(&mut error.into_inner().events),
            }
        }
        HandedOn { written, refused }
    }

    /// Notes that the writer has told of further events that are in the output.
    pub fn written(&mut self, events: usize) {
        self.with_writer = self.with_writer.saturating_sub(events);
    }

    /// Writes what is taken at once, and returns how many events are wholly in it.
    fn write(&mut self, events: &[Event]) -> usize {
        self.rendered.begin(0);
        events.iter().for_each(|event| self.rendered.push(event));
        if let Err(error) = self.rendered.write(&self.output) {
            // The writer will meet it, too, and end.
            log::debug!("writing to the agent: {error}");
        }
        self.rendered.count()
    }
}

/// Returns whether writing the events takes so little time that the loop may do it.
fn is_small(events: &[Event]) -> bool {
    let bytes: usize = events.iter().map(Event::size_hint).sum();
    bytes <= limits::IPC_DIRECT_BYTES
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use socket2::SockRef;

    use super::*;
    use crate::protocol::PeerId;
    use crate::runtime::ipc::Notice;
    use crate::runtime::ipc::messages::LoopLink;
    use crate::runtime::ipc::transport::Transport;
    use crate::runtime::ipc::writer::Writer;
    use crate::runtime::wake::LoopWaker;

    /// An event whose line has this mark, and about 1,000 bytes.
    fn event(mark: usize) -> Event {
        let peer = PeerId::new(&format!("{mark}-{}", "x".repeat(100))).unwrap();
        Event::PeerList {
            id: None,
            peers: vec![peer; 9],
        }
    }

    fn line(event: &Event) -> String {
        let mut line = Vec::new();
        event.write_line(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_line_that_the_socket_takes_in_part_is_finished_by_the_writer() {
        let (stream, agent) = UnixStream::pair().unwrap();
        // The kernel takes what is written in pieces of half of this, which end within lines.
        SockRef::from(&stream).set_send_buffer_size(1).unwrap();
        let output = Transport::connection(stream).unwrap().output;
        let (mut outlet, batches) = Outlet::new(Arc::clone(&output));
        let events: Vec<_> = (0..14).map(event).collect();
        let handed = outlet.hand_on(events.clone());
        assert!(handed.written > 0 && handed.written < events.len());
        assert!(outlet.rendered.begun() > 0, "no line is there in part");

        let poll = mio::Poll::new().unwrap();
        let (notices, heard) = bounded(64);
        let link = LoopLink {
            requests: bounded(1).0,
            notices,
            waker: LoopWaker::new(poll.registry(), mio::Token(0)).unwrap(),
        };
        let (_hangup, hung_up) = bounded(0);
        let writer = thread::spawn(move || {
            let mut queue = VecDeque::new();
            Writer::new(&output, 1, &link, &mut queue).run(&batches, &hung_up);
        });
        let mut agent = BufReader::new(agent);
        for event in &events {
            let mut read = String::new();
            agent.read_line(&mut read).unwrap();
            assert_eq!(read, line(event));
        }
        drop(outlet);
        writer.join().unwrap();
        let told = heard.try_iter().map(|notice| match notice {
            Notice::Written { events, .. } => events,
            other => panic!("{other:?}"),
        });
        assert_eq!(handed.written + told.sum::<usize>(), events.len());
    }
}
