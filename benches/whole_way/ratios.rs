//! Holds the whole way against the raw limit of the same run: as a ratio it hardly depends on the machine.
//! `docs/performance.md` says how the known ratios are set anew.

use std::fmt::Write as _;

use super::Outcome;
use super::results::{Best, Column, Results, Row};

/// Metrics, and the ratio of the whole way to the raw limit: the worse of two runs of `docs/performance.md`.
const KNOWN: [(&str, &str, f64); 6] = [
    ("echo 100 B, p50", "us", 3.9),
    ("one way 100 B", "msg/s", 0.97),
    ("one way 1 KiB", "msg/s", 2.2),
    ("one way 1141 B", "msg/s", 2.2),
    ("one way 16 KiB", "msg/s", 2.2),
    ("one way 60 KiB", "msg/s", 2.6),
];

/// How much worse a ratio may become.
const BEARABLE: f64 = 0.7;

fn row<'a>(results: &'a Results, name: &str, unit: &str) -> Option<&'a Row> {
    let mut rows = results.rows.iter();
    rows.find(|row| row.metric.name == name && row.metric.unit == unit)
}

/// The lines of [`KNOWN`] with the ratios of this run. One that was not measured keeps its ratio.
pub(crate) fn lines(results: &Results) -> String {
    let mut out = String::from("\nFor `KNOWN` in benches/whole_way/ratios.rs:\n");
    for (name, unit, known) in KNOWN {
        let row = row(results, name, unit);
        let ratio = row.and_then(|row| row.ratio(Column::Raw)).unwrap_or(known);
        let _ = writeln!(out, "    (\"{name}\", \"{unit}\", {ratio:.2}),");
    }
    out
}

/// An error that names the ratios that have become much worse.
pub(crate) fn verdict(results: &Results) -> Outcome<()> {
    let fallen: Vec<_> = KNOWN
        .into_iter()
        .filter_map(|(name, unit, known)| {
            let row = row(results, name, unit)?;
            let ratio = row.ratio(Column::Raw)?;
            let has_fallen = match row.metric.best {
                Best::Most => ratio < known * BEARABLE,
                Best::Least => ratio > known / BEARABLE,
            };
            has_fallen.then(|| format!("{name}: {ratio:.2} times the raw limit, {known:.2} before"))
        })
        .collect();
    let text = fallen.join("; ");
    match fallen.is_empty() {
        true => Ok(()),
        false => Err(format!("much worse than before: {text}")),
    }
}
