//! The results of the benchmark: metrics, their targets, and the numbers of all rounds.

use std::time::Duration;

/// A column of the table: what a number was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// The WebRTC stack alone.
    Raw,
    /// The sidecar.
    WholeWay,
    /// The sidecar with its agent at its standard input and output.
    Stdio,
    /// The binary of `--against`.
    Against,
}

impl Column {
    pub(crate) const ALL: [Column; 4] = [
        Column::Raw,
        Column::WholeWay,
        Column::Stdio,
        Column::Against,
    ];

    /// The heading, and the name for machines.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Column::Raw => ("raw limit", "raw"),
            Column::WholeWay => ("whole way", "whole_way"),
            Column::Stdio => ("over stdio", "stdio"),
            Column::Against => ("against", "against"),
        }
    }
}

/// The one of several numbers that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Best {
    Least,
    Most,
}

/// Something that is measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) best: Best,
    /// What it should be at most or at least.
    pub(crate) target: Option<f64>,
}

impl Metric {
    pub(crate) fn least(name: impl Into<String>, unit: &'static str) -> Self {
        Metric {
            name: name.into(),
            unit,
            best: Best::Least,
            target: None,
        }
    }

    pub(crate) fn most(name: impl Into<String>, unit: &'static str) -> Self {
        Metric {
            best: Best::Most,
            ..Metric::least(name, unit)
        }
    }

    pub(crate) fn target(self, target: impl Into<Option<f64>>) -> Self {
        Metric {
            target: target.into(),
            ..self
        }
    }

    /// Whether a number is as good as it should be; `None` without a target.
    pub(crate) fn is_met(&self, value: f64) -> Option<bool> {
        let target = self.target?;
        Some(match self.best {
            Best::Least => value <= target,
            Best::Most => value >= target,
        })
    }
}

/// One metric's numbers: of each column those of all rounds.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) metric: Metric,
    rounds: Vec<(Column, f64)>,
}

impl Row {
    pub(crate) fn rounds(&self, column: Column) -> Vec<f64> {
        let of_column = self.rounds.iter().filter(|(found, _)| *found == column);
        of_column.map(|(_, value)| *value).collect()
    }

    /// The number that counts.
    pub(crate) fn best(&self, column: Column) -> Option<f64> {
        let rounds = self.rounds(column).into_iter();
        match self.metric.best {
            Best::Least => rounds.reduce(f64::min),
            Best::Most => rounds.reduce(f64::max),
        }
    }

    /// The ratio of the sidecar's number to that of another column, if both were measured.
    pub(crate) fn ratio(&self, to: Column) -> Option<f64> {
        Some(self.best(Column::WholeWay)? / self.best(to)?)
    }
}

/// All rows, in the order in which they were first measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
}

impl Results {
    pub(crate) fn add(&mut self, column: Column, metric: Metric, value: f64) {
        match self.rows.iter_mut().find(|row| row.metric == metric) {
            Some(row) => row.rounds.push((column, value)),
            None => self.rows.push(Row {
                metric,
                rounds: vec![(column, value)],
            }),
        }
    }
}

/// Durations, in order of length.
#[derive(Debug)]
pub(crate) struct Sorted(Vec<Duration>);

impl Sorted {
    pub(crate) fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Sorted(durations)
    }

    /// The duration that `share` of all, 0 to 1, do not exceed. Zero when there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        let found = self.0.get(rank.saturating_sub(1)).or(self.0.last());
        found.copied().unwrap_or_default()
    }

    /// All durations of these.
    pub(crate) fn of_all(rounds: Vec<Sorted>) -> Self {
        Sorted::new(rounds.into_iter().flat_map(|round| round.0).collect())
    }

    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    pub(crate) fn worst(&self) -> Duration {
        self.quantile(1.0)
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
