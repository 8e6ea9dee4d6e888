//! The screen, without I/O: what is shown of the numbers in the room that there is.

use std::time::Instant;

use super::line::{Cell, Colour, line};
use super::numbers::{Count, Numbers, Peer};
use super::table::Table;
use super::units;

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Size {
    /// The size of a terminal that does not tell its own.
    pub(super) const USUAL: Size = Size {
        columns: 80,
        rows: 24,
    };
}

/// The numbers of one moment.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) numbers: Numbers,
}

/// What was seen so far: the numbers of the last look, and of the one before, for the rates.
#[derive(Debug)]
pub(super) struct Screen {
    before: Option<Look>,
    last: Look,
    /// Why the last look has failed.
    problem: Option<String>,
}

impl Screen {
    /// Begins with a first look.
    pub(super) fn new(first: Look) -> Self {
        Screen {
            before: None,
            last: first,
            problem: None,
        }
    }

    /// Takes the next look.
    pub(super) fn saw(&mut self, look: Look) {
        let before = std::mem::replace(&mut self.last, look);
        self.before = Some(before);
        self.problem = None;
    }

    /// Notes that the next look has failed. What was seen last stays.
    pub(super) fn failed(&mut self, problem: String) {
        self.problem = Some(problem);
    }

    /// Returns the lines, no more and no longer than there is room for.
    pub(super) fn lines(&self, size: Size, has_colours: bool) -> Vec<String> {
        let mut lines = summary(
            &self.last.numbers,
            self.before.as_ref().map(|b| (b, self.last.at)),
        );
        let problem = self.problem.iter();
        lines.extend(problem.map(|problem| vec![Cell::new(problem.as_str(), Colour::Red)]));
        lines.push(Vec::new());
        let room = size.rows.saturating_sub(lines.len());
        lines.extend(self.table(size.columns, room));
        lines
            .iter()
            .take(size.rows)
            .map(|cells| line(cells, size.columns, has_colours))
            .collect()
    }

    fn table(&self, columns: usize, rows: usize) -> Vec<Vec<Cell>> {
        let peers = &self.last.numbers.peers;
        let table = Table::within(columns);
        let mut lines = vec![table.heading()];
        // One row is for the count of those that have none.
        let fitting = rows.saturating_sub(1);
        let count = if peers.len() > fitting {
            fitting.saturating_sub(1)
        } else {
            peers.len()
        };
        for peer in peers.iter().take(count) {
            lines.push(table.row(peer, self.rates(peer)));
        }
        if peers.len() > count {
            let rest = format!("and {} more", peers.len() - count);
            lines.push(vec![Cell::new(rest, Colour::Dim)]);
        }
        lines
    }

    fn rates(&self, peer: &Peer) -> Option<[String; 2]> {
        let before = self.before.as_ref()?;
        let seconds = self.last.at.duration_since(before.at).as_secs_f64();
        let known = before.numbers.peer(&peer.peer_id)?;
        Some([
            per_second(known.sent, peer.sent, seconds),
            per_second(known.received, peer.received, seconds),
        ])
    }
}

/// Returns the numbers as text, with totals in place of rates.
pub(super) fn plain(numbers: &Numbers) -> String {
    let mut lines = summary(numbers, None);
    lines.push(Vec::new());
    let table = Table::whole(&numbers.peers);
    lines.push(table.heading());
    for peer in &numbers.peers {
        let totals = [peer.sent, peer.received].map(|count| units::bytes(count.bytes as f64));
        lines.push(table.row(peer, Some(totals)));
    }
    let lines = lines
        .iter()
        .map(|cells| line(cells, usize::MAX, false) + "\n");
    lines.collect()
}

/// Returns the lines about the sidecar as a whole, with rates since the look `before` if there was one.
fn summary(numbers: &Numbers, before: Option<(&Look, Instant)>) -> Vec<Vec<Cell>> {
    let process = &numbers.process;
    let name = process.peer_id.as_deref().unwrap_or("(no name yet)");
    let registry = if process.registry == "connected" {
        Colour::Green
    } else {
        Colour::Red
    };
    let drops: u64 = process.drops.values().sum();
    let [sent, received] = match before {
        Some((before, now)) => {
            let seconds = now.duration_since(before.at).as_secs_f64();
            let earlier = &before.numbers.process;
            [
                flow(earlier.sent, process.sent, seconds),
                flow(earlier.received, process.received, seconds),
            ]
        }
        None => [process.sent, process.received].map(|count| {
            let messages = units::count(count.messages as f64);
            format!("{messages} messages, {}", units::bytes(count.bytes as f64))
        }),
    };
    let peers = &process.peers;
    vec![
        vec![
            Cell::new(name, Colour::Bold),
            Cell::new("   registry ", Colour::None),
            Cell::new(process.registry.as_str(), registry),
            Cell::new(
                format!(
                    "   up {}   chatixia-sidecar {}",
                    units::duration(process.uptime_seconds),
                    process.version
                ),
                Colour::Dim,
            ),
        ],
        plain_line(format!(
            "peers: {} connected, {} connecting, {} disconnected   reconnects {}   drops {}",
            peers.connected,
            peers.connecting,
            peers.disconnected,
            units::count(process.restarts as f64),
            units::count(drops as f64)
        )),
        plain_line(format!(
            "out: {sent}   in: {received}   queued {}   not taken {}",
            units::bytes(process.queued_bytes as f64),
            units::bytes(process.inbox_bytes as f64)
        )),
    ]
}

fn plain_line(text: String) -> Vec<Cell> {
    vec![Cell::new(text, Colour::None)]
}

/// Returns messages and bytes a second.
fn flow(before: Count, now: Count, seconds: f64) -> String {
    let messages = now.messages.saturating_sub(before.messages) as f64 / seconds.max(0.001);
    let messages = units::count(messages);
    format!("{messages} msg/s, {}", per_second(before, now, seconds))
}

fn per_second(before: Count, now: Count, seconds: f64) -> String {
    let bytes = now.bytes.saturating_sub(before.bytes) as f64;
    units::bytes(bytes / seconds.max(0.001)) + "/s"
}

#[cfg(test)]
mod tests;
