//! The table of peers: its columns, and what is left out where there is little room.

use super::line::{Cell, Colour};
use super::numbers::Peer;
use super::units;

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

const COLUMNS: &[Column] = &[
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

/// What the columns of sent and received bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flows {
    /// Bytes a second.
    Rates,
    /// All bytes so far.
    Totals,
}

/// The table of peers, in the columns that there is room for.
pub(super) struct Table {
    shown: Vec<&'static Column>,
    name_width: usize,
    flows: Flows,
}

impl Table {
    /// Makes a table that is no wider than this, of the most important columns that fit.
    pub(super) fn within(width: usize) -> Self {
        let mut shown: Vec<_> = COLUMNS.iter().collect();
        while NAME_WIDTH + width_of(&shown) > width {
            let Some(least) = shown.iter().map(|column| column.rank).min() else {
                break;
            };
            shown.retain(|column| column.rank != least);
        }
        Table {
            name_width: width.saturating_sub(width_of(&shown)),
            shown,
            flows: Flows::Rates,
        }
    }

    /// Makes a table of totals with all columns and the whole names of these peers.
    pub(super) fn whole(peers: &[Peer]) -> Self {
        let names = peers.iter().map(|peer| peer.peer_id.chars().count());
        Table {
            shown: COLUMNS.iter().collect(),
            name_width: names.max().unwrap_or(0).max(NAME_WIDTH),
            flows: Flows::Totals,
        }
    }

    /// Returns the line of titles.
    pub(super) fn heading(&self) -> Vec<Cell> {
        let name_width = self.name_width;
        let mut text = format!("{:<name_width$}", "PEER");
        for column in &self.shown {
            let title = match (column.value, self.flows) {
                (Value::Out, Flows::Totals) => "SENT",
                (Value::In, Flows::Totals) => "RECEIVED",
                _ => column.title,
            };
            text += &aligned(column, title);
        }
        vec![Cell::new(text, Colour::Bold)]
    }

    /// Returns the line of a peer. `flows` is what it was sent and what came from it, if that is known.
    pub(super) fn row(&self, peer: &Peer, flows: Option<[String; 2]>) -> Vec<Cell> {
        let name_width = self.name_width;
        let mut name: String = peer.peer_id.chars().take(name_width).collect();
        if name.chars().count() < peer.peer_id.chars().count() {
            name.pop();
            name.push('~');
        }
        let mut cells = vec![Cell::new(format!("{name:<name_width$}"), Colour::None)];
        let [sent, received] = flows.map_or([None, None], |flows| flows.map(Some));
        let kind = peer.path.as_ref().map(|path| path.kind.as_str());
        let is_connected = peer.state == "connected";
        for column in &self.shown {
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
}

fn width_of(columns: &[&Column]) -> usize {
    columns.iter().map(|column| column.width + 2).sum()
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
