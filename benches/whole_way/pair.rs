//! Two connected sidecars whose agents send each other messages, and what every measured way has in common.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::agent::{self, Receiver, Sender};
use super::content::Content;
use super::results::Sorted;
use super::sidecar::Sidecar;
use super::{Contender, Outcome};

/// Bytes of lines that an agent writes at once.
const WRITE_BYTES: usize = 64 * 1024;

/// The message after the last one, either way.
const END: &[u8] =
    br#"{"payload":null,"request_id":"","source_agent":"","target_agent":"","type":"end"}"#;

/// The condition for the last of many messages.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Elapsed(Duration),
    Count(u64),
}

/// A way that is measured: from an agent of ours to a peer, and back.
pub(crate) trait Way {
    /// The times of `count` round trips of one message.
    fn echo(&mut self, content: &Content, count: usize) -> Outcome<Sorted>;

    /// Sends one way; gives the number of messages and how long they took to arrive.
    fn one_way(&mut self, content: &Content, until: Until) -> Outcome<(u64, Duration)>;
}

/// Two sidecars that are connected, and their agents.
pub(crate) struct Pair {
    // The agents go first, so that their sidecars end as asked.
    first_agent: (Sender, Receiver),
    second_agent: (Sender, Receiver),
    pub(crate) first: Sidecar,
    pub(crate) second: Sidecar,
}

impl Pair {
    pub(crate) fn connect(contender: &Contender) -> Outcome<Self> {
        Self::connect_over(contender, contender.site.address())
    }

    /// Connects two sidecars that reach the registry at this address.
    pub(crate) fn connect_over(contender: &Contender, registry: SocketAddr) -> Outcome<Self> {
        let mut first = contender.site.spawn_at("alice", registry)?;
        let mut second = contender.site.spawn_at("bob", registry)?;
        let mut pair = Pair {
            first_agent: first.agent()?,
            second_agent: second.agent()?,
            first,
            second,
        };
        for (_, receiver) in [&mut pair.first_agent, &mut pair.second_agent] {
            let connected = receiver.peers_connected(1);
            connected.map_err(|failure| pair.first.explain(failure))?;
        }
        Ok(pair)
    }

    /// Processor time of both sidecars.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        Ok(self.first.cpu()? + self.second.cpu()?)
    }

    /// Sends both ways at once; gives the number of messages and how long they took to arrive.
    pub(crate) fn duplex(&mut self, content: &Content, until: Until) -> Outcome<(u64, Duration)> {
        let names = [self.first.name(), self.second.name()];
        let [first_name, second_name] = names;
        let (first_sender, first_receiver) = &mut self.first_agent;
        let (second_sender, second_receiver) = &mut self.second_agent;
        let began = Instant::now();
        let arrived = thread::scope(|scope| {
            let ways = [
                (first_sender, second_name, second_receiver),
                (second_sender, first_name, first_receiver),
            ];
            let threads = ways.map(|(sender, target, receiver)| {
                let sending = scope.spawn(move || send(sender, Some(target), content, until));
                let counting = scope.spawn(move || count_in_order(receiver, content));
                (sending, counting)
            });
            let mut all = 0;
            for (sending, counting) in threads {
                let (sent, arrived) = (joined(sending.join())?, joined(counting.join())?);
                if sent != arrived {
                    return Err(format!("{sent} messages sent and {arrived} arrived"));
                }
                all += arrived;
            }
            Ok((all, began.elapsed()))
        });
        arrived.map_err(|failure| self.explain(failure))
    }

    fn explain(&self, failure: String) -> String {
        self.second.explain(self.first.explain(failure))
    }
}

impl Way for Pair {
    fn echo(&mut self, content: &Content, count: usize) -> Outcome<Sorted> {
        let (first_name, second_name) = (self.first.name(), self.second.name());
        let first_agent = &mut self.first_agent;
        let second_agent = &mut self.second_agent;
        let times = thread::scope(|scope| {
            let echoing = scope.spawn(|| send_back(second_agent, first_name));
            let times = echo(first_agent, second_name, content, count)?;
            first_agent.0.write(&end_to(Some(second_name)))?;
            joined(echoing.join())?;
            Ok(times)
        });
        times.map_err(|failure| self.explain(failure))
    }

    fn one_way(&mut self, content: &Content, until: Until) -> Outcome<(u64, Duration)> {
        let (first_name, second_name) = (self.first.name(), self.second.name());
        let (sender, receiver) = &mut self.first_agent;
        let (second_sender, second_receiver) = &mut self.second_agent;
        let began = Instant::now();
        let arrived = thread::scope(|scope| {
            let sending = scope.spawn(|| send(sender, Some(second_name), content, until));
            let arrived = count_in_order(second_receiver, content)?;
            let took = began.elapsed();
            let sent = joined(sending.join())?;
            if sent == arrived {
                Ok((arrived, took))
            } else {
                Err(format!("{sent} messages sent and {arrived} arrived"))
            }
        });
        // Lets the first agent read on, to hear of errors.
        let ended = arrived.and_then(|arrived| {
            second_sender.write(&end_to(Some(first_name)))?;
            wait_for_end(receiver)?;
            Ok(arrived)
        });
        ended.map_err(|failure| self.explain(failure))
    }
}

/// Sends a message and waits for it to come back, `count` times; gives how long each took.
pub(crate) fn echo(
    (sender, receiver): &mut (Sender, Receiver),
    target: &str,
    content: &Content,
    count: usize,
) -> Outcome<Sorted> {
    let mut times = Vec::with_capacity(count);
    let mut line = Vec::new();
    for number in 0..count as u64 {
        line.clear();
        agent::append_send(&mut line, Some(target), |out| content.append(number, out));
        let sent = Instant::now();
        sender.write(&line)?;
        receiver.message(|message| check(content, number, message).map(ControlFlow::Break))?;
        times.push(sent.elapsed());
    }
    Ok(Sorted::new(times))
}

/// The line that sends the message after the last one.
fn end_to(target: Option<&str>) -> Vec<u8> {
    let mut line = Vec::new();
    agent::append_send(&mut line, target, |out| out.extend_from_slice(END));
    line
}

/// Waits for the message after the last one, which is the next.
pub(crate) fn wait_for_end(receiver: &mut Receiver) -> Outcome<()> {
    receiver.message(|_| Ok(ControlFlow::Break(())))
}

pub(crate) fn joined<T>(result: thread::Result<Outcome<T>>) -> Outcome<T> {
    result.unwrap_or_else(|_| Err("a thread has panicked".to_owned()))
}

fn check(content: &Content, number: u64, message: &[u8]) -> Outcome<()> {
    if content.matches(number, message) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(message.get(..80).unwrap_or(message));
    Err(format!("not message {number}, as it was sent: {text}"))
}

/// Sends every message back, until the end.
fn send_back((sender, receiver): &mut (Sender, Receiver), target: &str) -> Outcome<()> {
    let mut line = Vec::new();
    receiver.message(|message| {
        if message == END {
            return Ok(ControlFlow::Break(()));
        }
        line.clear();
        agent::append_send(&mut line, Some(target), |out| {
            out.extend_from_slice(message)
        });
        sender.write(&line)?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Sends messages, and the end, to one peer or to all. Gives how many.
pub(crate) fn send(
    sender: &mut Sender,
    target: Option<&str>,
    content: &Content,
    until: Until,
) -> Outcome<u64> {
    let began = Instant::now();
    let goes_on = |number| match until {
        Until::Elapsed(duration) => began.elapsed() < duration,
        Until::Count(count) => number < count,
    };
    let most = match until {
        Until::Elapsed(_) => u64::MAX,
        Until::Count(count) => count,
    };
    let mut lines = Vec::with_capacity(2 * WRITE_BYTES);
    let mut number = 0;
    while goes_on(number) {
        lines.clear();
        while lines.len() < WRITE_BYTES && number < most {
            agent::append_send(&mut lines, target, |out| content.append(number, out));
            number += 1;
        }
        sender.write(&lines)?;
    }
    sender.write(&end_to(target))?;
    Ok(number)
}

/// Counts messages, each of which has to be the next one, until the end.
pub(crate) fn count_in_order(receiver: &mut Receiver, content: &Content) -> Outcome<u64> {
    let mut number = 0;
    receiver.message(|message| {
        if message == END {
            return Ok(ControlFlow::Break(number));
        }
        check(content, number, message)?;
        number += 1;
        Ok(ControlFlow::Continue(()))
    })
}

/// Waits until `count` messages have arrived, each once, in whatever order.
pub(crate) fn await_all(receiver: &mut Receiver, content: &Content, count: u64) -> Outcome<()> {
    let mut arrived = HashSet::new();
    receiver.message(|message| {
        // It may have overtaken messages.
        if message == END {
            return Ok(ControlFlow::Continue(()));
        }
        let number = Content::number_in(message).unwrap_or_default();
        check(content, number, message)?;
        if !arrived.insert(number) {
            return Err(format!("message {number} arrived twice"));
        }
        Ok(match arrived.len() as u64 == count {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })
}
