//! Echo and one way, raw and whole way in turn.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::agent::{self, Receiver, Sender};
use super::content::Content;
use super::options::{Options, Part};
use super::raw;
use super::results::{Column, Metric, Results, Sorted, microseconds};
use super::sidecar::Sidecar;
use super::{Contender, Outcome, report};

/// Sizes of messages that are echoed, and that go one way, in bytes.
const ECHOES: [usize; 2] = [100, 8 * 1024];
const ONE_WAY: [usize; 4] = [100, 1024, 16 * 1024, 60 * 1024];

/// What the median round trip should be, in microseconds.
fn echo_target(bytes: usize) -> Option<f64> {
    (bytes == 100).then_some(150.0)
}

/// How many messages a second there should be, and how many MB.
fn one_way_targets(bytes: usize) -> (Option<f64>, Option<f64>) {
    match bytes {
        100 => (Some(100_000.0), None),
        1024 => (Some(35_000.0), None),
        16_384 | 61_440 => (None, Some(50.0)),
        _ => (None, None),
    }
}

/// Bytes of lines that an agent writes at once.
const WRITE_BYTES: usize = 64 * 1024;

/// The `type` of the message after the last one, either way.
const END: &[u8] =
    br#"{"type":"end","request_id":"","source_agent":"","target_agent":"","payload":null}"#;

pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    let mut raw = raw::Pair::connect()?;
    let mut pairs = Vec::new();
    for contender in contenders {
        pairs.push((contender.column, Pair::connect(contender)?));
    }
    for round in 1..=options.rounds() {
        report::say(&format!("traffic, round {round} of {}", options.rounds()));
        if options.wants(Part::Echo) {
            echo_round(&mut raw, &mut pairs, options, results)?;
        }
        if options.wants(Part::OneWay) {
            one_way_round(&mut raw, &mut pairs, options, results)?;
        }
    }
    for (column, pair) in &pairs {
        let peaks = [pair.first.memory()?.peak, pair.second.memory()?.peak];
        let most = peaks.into_iter().fold(0.0, f64::max);
        results.add(*column, Metric::least("peak memory", "MiB"), most);
    }
    Ok(())
}

fn echo_round(
    raw: &mut raw::Pair,
    pairs: &mut [(Column, Pair)],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    let count = options.echoes();
    for bytes in options.sizes(&ECHOES) {
        let target = echo_target(bytes);
        let content = Content::new(bytes);
        let mut add = |column, times: Sorted| {
            let median = Metric::least(format!("echo {}, p50", size(bytes)), "us").target(target);
            let p99 = Metric::least(format!("echo {}, p99", size(bytes)), "us");
            results.add(column, median, microseconds(times.quantile(0.5)));
            results.add(column, p99, microseconds(times.quantile(0.99)));
        };
        add(Column::Raw, raw.echo(&content, count)?);
        for (column, pair) in &mut *pairs {
            add(*column, pair.echo(&content, count)?);
        }
    }
    Ok(())
}

fn one_way_round(
    raw: &mut raw::Pair,
    pairs: &mut [(Column, Pair)],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    let duration = options.one_way();
    for bytes in options.sizes(&ONE_WAY) {
        let (messages_target, megabytes_target) = one_way_targets(bytes);
        let content = Content::new(bytes);
        let mut add = |column, count: u64, took: Duration| {
            let messages = count as f64 / took.as_secs_f64();
            let name = format!("one way {}", size(bytes));
            let metric = Metric::most(name.clone(), "msg/s").target(messages_target);
            results.add(column, metric, messages);
            let metric = Metric::most(name, "MB/s").target(megabytes_target);
            results.add(column, metric, messages * bytes as f64 / 1e6);
        };
        let (count, took) = raw.one_way(&content, duration)?;
        add(Column::Raw, count, took);
        let mut cpu = Vec::new();
        for (column, pair) in &mut *pairs {
            let before = pair.cpu()?;
            let (count, took) = pair.one_way(&content, duration)?;
            let each = (pair.cpu()? - before).div_f64(count.max(1) as f64);
            add(*column, count, took);
            cpu.push((*column, microseconds(each)));
        }
        for (column, each) in cpu {
            let name = format!("one way {}, CPU of both sidecars", size(bytes));
            results.add(column, Metric::least(name, "us/msg"), each);
        }
    }
    Ok(())
}

fn size(bytes: usize) -> String {
    match bytes % 1024 {
        0 => format!("{} KiB", bytes / 1024),
        _ => format!("{bytes} B"),
    }
}

/// Two sidecars that are connected, and their agents.
struct Pair {
    // The agents go first, so that their sidecars end as asked.
    first_agent: (Sender, Receiver),
    second_agent: (Sender, Receiver),
    first: Sidecar,
    second: Sidecar,
}

impl Pair {
    fn connect(contender: &Contender) -> Outcome<Self> {
        let first = contender.site.spawn("alice")?;
        let second = contender.site.spawn("bob")?;
        let mut pair = Pair {
            first_agent: agent::connect(first.socket())?,
            second_agent: agent::connect(second.socket())?,
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
    fn cpu(&self) -> Outcome<Duration> {
        Ok(self.first.cpu()? + self.second.cpu()?)
    }

    /// The times of `count` round trips of one message: through four hops, and back.
    fn echo(&mut self, content: &Content, count: usize) -> Outcome<Sorted> {
        let (first_name, second_name) = (self.first.name(), self.second.name());
        let (sender, receiver) = &mut self.first_agent;
        let second_agent = &mut self.second_agent;
        let times = thread::scope(|scope| {
            let echoing = scope.spawn(|| send_back(second_agent, first_name));
            let mut times = Vec::with_capacity(count);
            let mut line = Vec::new();
            for number in 0..count as u64 {
                line.clear();
                agent::append_send(&mut line, second_name, |out| content.append(number, out));
                let sent = Instant::now();
                sender.write(&line)?;
                receiver
                    .message(|message| check(content, number, message).map(ControlFlow::Break))?;
                times.push(sent.elapsed());
            }
            line.clear();
            agent::append_send(&mut line, second_name, |out| out.extend_from_slice(END));
            sender.write(&line)?;
            joined(echoing.join())?;
            Ok(times)
        });
        let times = times.map_err(|failure| self.explain(failure))?;
        Ok(Sorted::new(times))
    }

    /// Sends one way for `duration`; gives the number of messages and how long they took to arrive.
    fn one_way(&mut self, content: &Content, duration: Duration) -> Outcome<(u64, Duration)> {
        let (first_name, second_name) = (self.first.name(), self.second.name());
        let (sender, receiver) = &mut self.first_agent;
        let (second_sender, second_receiver) = &mut self.second_agent;
        let began = Instant::now();
        let arrived = thread::scope(|scope| {
            let sending = scope.spawn(|| send_for(sender, second_name, content, began + duration));
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
            let mut line = Vec::new();
            agent::append_send(&mut line, first_name, |out| out.extend_from_slice(END));
            second_sender.write(&line)?;
            receiver.message(|_| Ok(ControlFlow::Break(())))?;
            Ok(arrived)
        });
        ended.map_err(|failure| self.explain(failure))
    }

    fn explain(&self, failure: String) -> String {
        self.second.explain(self.first.explain(failure))
    }
}

fn joined<T>(result: thread::Result<Outcome<T>>) -> Outcome<T> {
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
        agent::append_send(&mut line, target, |out| out.extend_from_slice(message));
        sender.write(&line)?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Sends messages until `deadline`, and the end. Gives how many.
fn send_for(
    sender: &mut Sender,
    target: &str,
    content: &Content,
    deadline: Instant,
) -> Outcome<u64> {
    let mut lines = Vec::with_capacity(2 * WRITE_BYTES);
    let mut number = 0;
    while Instant::now() < deadline {
        lines.clear();
        while lines.len() < WRITE_BYTES {
            agent::append_send(&mut lines, target, |out| content.append(number, out));
            number += 1;
        }
        sender.write(&lines)?;
    }
    lines.clear();
    agent::append_send(&mut lines, target, |out| out.extend_from_slice(END));
    sender.write(&lines)?;
    Ok(number)
}

/// Counts messages, each of which has to be the next one, until the end.
fn count_in_order(receiver: &mut Receiver, content: &Content) -> Outcome<u64> {
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
