//! The screen, without I/O: what is shown of the numbers in the room that there is.

use std::time::Instant;

use super::numbers::{Count, Numbers, Peer};
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
        let rates = |peer: &Peer| {
            let before = self.before.as_ref()?;
            let seconds = self.last.at.duration_since(before.at).as_secs_f64();
            let known = before.numbers.peer(&peer.peer_id)?;
            Some([
                per_second(known.sent, peer.sent, seconds),
                per_second(known.received, peer.received, seconds),
            ])
        };
        let shown = shown_columns(LIVE, columns);
        let name_width = columns.saturating_sub(shown.iter().map(|column| column.width + 2).sum());
        let mut lines = vec![heading(&shown, name_width)];
        // One row is for the count of those that have none.
        let fitting = rows.saturating_sub(1);
        let count = if peers.len() > fitting {
            fitting.saturating_sub(1)
        } else {
            peers.len()
        };
        for peer in peers.iter().take(count) {
            lines.push(row(peer, rates(peer), &shown, name_width));
        }
        if peers.len() > count {
            let rest = format!("and {} more", peers.len() - count);
            lines.push(vec![Cell::new(rest, Colour::Dim)]);
        }
        lines
    }
}

/// Returns the numbers as text, with totals in place of rates.
pub(super) fn plain(numbers: &Numbers) -> String {
    let mut lines = summary(numbers, None);
    lines.push(Vec::new());
    let names = numbers
        .peers
        .iter()
        .map(|peer| peer.peer_id.chars().count());
    let name_width = names.max().unwrap_or(0).max(NAME_WIDTH);
    let shown: Vec<_> = PLAIN.iter().collect();
    lines.push(heading(&shown, name_width));
    for peer in &numbers.peers {
        let totals = [peer.sent, peer.received].map(|count| units::bytes(count.bytes as f64));
        lines.push(row(peer, Some(totals), &shown, name_width));
    }
    let lines = lines
        .iter()
        .map(|cells| line(cells, usize::MAX, false) + "\n");
    lines.collect()
}

/// The colours that tell something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    None,
    Dim,
    Bold,
    Green,
    Cyan,
    Yellow,
    Red,
}

impl Colour {
    /// Returns the escape sequence that begins it.
    fn code(self) -> &'static str {
        match self {
            Colour::None => "",
            Colour::Dim => "\x1b[2m",
            Colour::Bold => "\x1b[1m",
            Colour::Green => "\x1b[32m",
            Colour::Cyan => "\x1b[36m",
            Colour::Yellow => "\x1b[33m",
            Colour::Red => "\x1b[31m",
        }
    }
}

/// A piece of a line.
#[derive(Debug)]
struct Cell {
    text: String,
    colour: Colour,
}

impl Cell {
    fn new(text: impl Into<String>, colour: Colour) -> Self {
        Cell {
            text: text.into(),
            colour,
        }
    }
}

/// Joins cells to a line of at most so many characters. What others wrote can't move the cursor or change
/// colours.
fn line(cells: &[Cell], columns: usize, has_colours: bool) -> String {
    let mut line = String::new();
    let mut room = columns;
    for cell in cells {
        let coloured = has_colours && cell.colour != Colour::None;
        if coloured {
            line.push_str(cell.colour.code());
        }
        for character in cell.text.chars().take(room) {
            line.push(if character.is_control() {
                '?'
            } else {
                character
            });
            room -= 1;
        }
        if coloured {
            line.push_str("\x1b[0m");
        }
    }
    line.truncate(line.trim_end().len());
    line
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

/// A column of the table beside the peer's name.
struct Column {
    title: &'static str,
    width: usize,
    /// Columns of a lower rank are left out first where there is little room.
    rank: u8,
    value: Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    State,
    Since,
    Path,
    RoundTrip,
    Out,
    In,
    Queued,
    NotTaken,
    Reconnects,
}

const fn column(title: &'static str, width: usize, rank: u8, value: Value) -> Column {
    Column {
        title,
        width,
        rank,
        value,
    }
}

/// The least width of the column of names.
const NAME_WIDTH: usize = 10;

const LIVE: &[Column] = &[
    column("STATE", 12, 3, Value::State),
    column("SINCE", 7, 1, Value::Since),
    column("PATH", 6, 9, Value::Path),
    column("RTT", 8, 8, Value::RoundTrip),
    column("OUT", 9, 7, Value::Out),
    column("IN", 9, 6, Value::In),
    column("QUEUED", 7, 5, Value::Queued),
    column("UNTAKEN", 7, 4, Value::NotTaken),
    column("RECONN", 6, 2, Value::Reconnects),
];

const PLAIN: &[Column] = &[
    column("STATE", 12, 0, Value::State),
    column("SINCE", 7, 0, Value::Since),
    column("PATH", 6, 0, Value::Path),
    column("RTT", 8, 0, Value::RoundTrip),
    column("SENT", 7, 0, Value::Out),
    column("RECEIVED", 8, 0, Value::In),
    column("QUEUED", 7, 0, Value::Queued),
    column("UNTAKEN", 7, 0, Value::NotTaken),
    column("RECONN", 6, 0, Value::Reconnects),
];

/// Returns the columns that fit beside the names, the most important ones.
fn shown_columns(all: &'static [Column], columns: usize) -> Vec<&'static Column> {
    let mut shown: Vec<_> = all.iter().collect();
    let width = |shown: &[&Column]| shown.iter().map(|column| column.width + 2).sum::<usize>();
    while NAME_WIDTH + width(&shown) > columns {
        let Some(least) = shown.iter().map(|column| column.rank).min() else {
            break;
        };
        shown.retain(|column| column.rank != least);
    }
    shown
}

fn heading(shown: &[&Column], name_width: usize) -> Vec<Cell> {
    let mut text = format!("{:<name_width$}", "PEER");
    for column in shown {
        text += &aligned(column, column.title);
    }
    vec![Cell::new(text, Colour::Bold)]
}

fn row(peer: &Peer, flows: Option<[String; 2]>, shown: &[&Column], name_width: usize) -> Vec<Cell> {
    let mut name: String = peer.peer_id.chars().take(name_width).collect();
    if name.chars().count() < peer.peer_id.chars().count() {
        name.pop();
        name.push('~');
    }
    let mut cells = vec![Cell::new(format!("{name:<name_width$}"), Colour::None)];
    let [sent, received] = flows.map_or([None, None], |flows| flows.map(Some));
    let kind = peer.path.as_ref().map(|path| path.kind.as_str());
    let is_connected = peer.state == "connected";
    for column in shown {
        let unknown = || "-".to_owned();
        let (text, colour) = match column.value {
            Value::State => {
                let colour = if is_connected {
                    Colour::None
                } else {
                    Colour::Red
                };
                (peer.state.clone(), colour)
            }
            Value::Since => (units::duration(peer.since_seconds), Colour::Dim),
            Value::Path => {
                let colour = match kind {
                    Some("host") => Colour::Green,
                    Some("direct") => Colour::Cyan,
                    Some("relay") => Colour::Yellow,
                    Some(_) | None => Colour::None,
                };
                let kind = kind.filter(|_| is_connected);
                (kind.map_or_else(unknown, str::to_owned), colour)
            }
            Value::RoundTrip => {
                let time = peer.round_trip_ms.filter(|_| is_connected);
                (time.map_or_else(unknown, units::milliseconds), Colour::None)
            }
            Value::Out => (sent.clone().unwrap_or_else(unknown), Colour::None),
            Value::In => (received.clone().unwrap_or_else(unknown), Colour::None),
            Value::Queued => (units::bytes(peer.queued_bytes as f64), Colour::None),
            Value::NotTaken => (units::bytes(peer.inbox_bytes as f64), Colour::None),
            Value::Reconnects => (units::count(peer.restarts as f64), Colour::None),
        };
        cells.push(Cell::new(aligned(column, &text), colour));
    }
    cells
}

/// Returns a text in the width of a column: words to the left, numbers to the right.
fn aligned(column: &Column, text: &str) -> String {
    let width = column.width;
    let text: String = text.chars().take(width).collect();
    match column.value {
        Value::State | Value::Path => format!("  {text:<width$}"),
        _ => format!("  {text:>width$}"),
    }
}

#[cfg(test)]
mod tests;
