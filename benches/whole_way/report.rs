//! The benchmark's report: a table for people, and a file for machines.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Outcome;
use super::machine::Conditions;
use super::results::{Best, Column, Metric, Results, Row};
use super::sweep::{Curve, Kind, Sweep};

/// To standard output.
pub(crate) fn print(text: &str) {
    // If nobody reads standard output, there is nobody to tell so.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A line about how it goes, to standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// All rows, the best round of each.
pub(crate) fn table(results: &Results, conditions: &Conditions) -> String {
    let columns: Vec<_> = Column::ALL
        .into_iter()
        .filter(|column| results.rows.iter().any(|row| row.best(*column).is_some()))
        .collect();
    let names = results.rows.iter().map(|row| row.metric.name.len());
    let width = names.max().unwrap_or_default();
    let is_compared = columns.contains(&Column::Against);
    let mut out = String::new();
    let _ = write!(out, "\n{:width$} {:>7} {:>11}", "", "", "wanted");
    for column in &columns {
        let _ = write!(out, " {:>11}", column.names().0);
    }
    if is_compared {
        let _ = write!(out, " {:>7}", "ratio");
    }
    out.push('\n');
    for row in &results.rows {
        let metric = &row.metric;
        let _ = write!(
            out,
            "{:width$} {:>7} {:>11}",
            metric.name,
            metric.unit,
            wanted(metric)
        );
        for column in &columns {
            let value = row.best(*column).map(number).unwrap_or_default();
            let _ = write!(out, " {value:>11}");
        }
        if is_compared {
            let ratio = row.ratio(Column::Against).map(number).unwrap_or_default();
            let _ = write!(out, " {ratio:>7}");
        }
        out.push_str(verdict(row));
        out.push('\n');
    }
    let [before, after] = &conditions.load;
    let _ = writeln!(
        out,
        "\nThe best of the rounds{}. Load {before} before, {after} after; other programs had {:.0} % of {} \
         processors; {:.0} s.",
        match is_compared {
            true => ", and the ratio of the whole way to the last column",
            false => "",
        },
        conditions.others * 100.0,
        conditions.processors,
        conditions.took.as_secs_f64()
    );
    for binary in &conditions.binaries {
        let _ = writeln!(out, "{binary}");
    }
    out
}

/// All sizes, and the worst of each kind.
pub(crate) fn sweep(sweep: &Sweep) -> String {
    let mut out = String::new();
    let headings: [&dyn Fn(&Curve) -> String; 3] = [
        &|curve| curve.column.names().0.to_owned(),
        &|curve| format!("{}, {}", curve.kind.name(), unit(curve.kind)),
        &|curve| format!("to {}", curve.to),
    ];
    for (line, heading) in ["", "", "bytes"].into_iter().zip(headings) {
        let _ = write!(out, "\n{line:>8}");
        for curve in &sweep.curves {
            let _ = write!(out, " {:>17} ", heading(curve));
        }
    }
    out.push('\n');
    let mut sizes: Vec<_> = sweep.curves.iter().flat_map(Curve::sizes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for bytes in sizes {
        let _ = write!(out, "{bytes:>8}");
        for curve in &sweep.curves {
            let (value, mark) = match curve.place_of(bytes) {
                Some((place, point)) => {
                    let mark = if curve.is_slow(place) { '!' } else { ' ' };
                    (number(shown(curve.kind, point.best())), mark)
                }
                None => (String::new(), ' '),
            };
            let _ = write!(out, " {value:>17}{mark}");
        }
        out.push('\n');
    }
    for curve in &sweep.curves {
        if let Some((point, ratio)) = curve.worst() {
            let _ = writeln!(
                out,
                "{}, {} to {}: the worst size is {} B, with {ratio:.2} times what its neighbours take",
                curve.column.names().0,
                curve.kind.name(),
                curve.to,
                point.bytes,
            );
        }
    }
    out
}

/// The unit of a number of the sweep's table.
fn unit(kind: Kind) -> &'static str {
    match kind {
        Kind::OneWay => "msg/s",
        Kind::Echo => "us",
    }
}

/// The seconds that a message takes, in the unit of the table.
fn shown(kind: Kind, seconds: f64) -> f64 {
    match kind {
        Kind::OneWay => 1.0 / seconds,
        Kind::Echo => seconds * 1e6,
    }
}

fn wanted(metric: &Metric) -> String {
    let Some(target) = metric.target else {
        return String::new();
    };
    match metric.best {
        Best::Least => format!("<= {}", number(target)),
        Best::Most => format!(">= {}", number(target)),
    }
}

fn verdict(row: &Row) -> &'static str {
    let value = row.best(Column::WholeWay);
    match value.and_then(|value| row.metric.is_met(value)) {
        Some(true) => "  ok",
        Some(false) => "  MISSED",
        None => "",
    }
}

/// Three or more digits that matter.
fn number(value: f64) -> String {
    match value {
        _ if value.fract() == 0.0 || value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Every number of every round.
pub(crate) fn write_json(
    results: &Results,
    sweep: Option<&Sweep>,
    conditions: &Conditions,
    path: &Path,
) -> Outcome<()> {
    let rows: Vec<_> = results.rows.iter().map(row).collect();
    let curves = sweep.map(|sweep| sweep.curves.iter().map(curve).collect::<Vec<_>>());
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "binaries": conditions.binaries,
        "processors": conditions.processors,
        "load_before": conditions.load.first(),
        "load_after": conditions.load.last(),
        "share_of_other_programs": conditions.others,
        "seconds": conditions.took.as_secs_f64(),
        "rows": rows,
        "sweep": curves,
    });
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    fs::write(path, format!("{report:#}\n")).map_err(failed)
}

fn row(row: &Row) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(row.metric.name));
    object.insert("unit".to_owned(), json!(row.metric.unit));
    let best = match row.metric.best {
        Best::Least => "least",
        Best::Most => "most",
    };
    object.insert("best_is".to_owned(), json!(best));
    object.insert("wanted".to_owned(), json!(row.metric.target));
    for column in Column::ALL {
        if let Some(best) = row.best(column) {
            let rounds = row.rounds(column);
            let value = json!({ "best": best, "rounds": rounds });
            object.insert(column.names().1.to_owned(), value);
        }
    }
    Value::Object(object)
}

fn curve(curve: &Curve) -> Value {
    let microseconds = |seconds: f64| seconds * 1e6;
    let points = curve.points.iter().enumerate().map(|(place, point)| {
        let measured: Vec<_> = point.measured.iter().copied().map(microseconds).collect();
        json!({
            "bytes": point.bytes,
            "microseconds": microseconds(point.best()),
            "measured": measured,
            "times_its_neighbours": curve.ratio(place),
        })
    });
    json!({
        "of": curve.column.names().1,
        "kind": curve.kind.name(),
        "to": curve.to,
        "worst_bytes": curve.worst().map(|(point, _)| point.bytes),
        "points": points.collect::<Vec<_>>(),
    })
}
