//! Measures echoed messages and messages one way; raw and whole way take turns.

use std::time::Duration;

use super::content::Content;
use super::options::{Options, Part};
use super::pair::{Pair, Until, Way as _};
use super::raw;
use super::results::{Column, Metric, Results, Sorted, microseconds};
use super::{Contender, Outcome, report};

/// Sizes of messages that are echoed, and that go one way, in bytes.
const ECHOES: [usize; 2] = [100, 8 * 1024];
const ONE_WAY: [usize; 6] = [100, 1024, 1141, 1160, 16 * 1024, 60 * 1024];

/// Size of the messages that go both ways at once, in bytes.
const DUPLEX: [usize; 1] = [1024];

/// Returns the target for the median round trip, in microseconds.
fn echo_target(bytes: usize) -> Option<f64> {
    (bytes == 100).then_some(150.0)
}

/// Returns the targets for messages a second, and for MB a second.
fn one_way_targets(bytes: usize) -> (Option<f64>, Option<f64>) {
    match bytes {
        100 => (Some(100_000.0), None),
        1024 => (Some(35_000.0), None),
        16_384 | 61_440 => (None, Some(50.0)),
        _ => (None, None),
    }
}

pub(crate) fn measure(
    contenders: &[Contender],
    over_stdio: &Contender,
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    let mut raw = raw::Pair::connect()?;
    let mut pairs = Vec::new();
    for contender in contenders.iter().chain([over_stdio]) {
        pairs.push((contender.column, Pair::connect(contender)?));
    }
    for round in 1..=options.rounds() {
        report::say(&format!("traffic, round {round} of {}", options.rounds()));
        if options.wants(Part::Echo) {
            echo_round(&mut raw, &mut pairs, options, results)?;
        }
        if options.wants(Part::OneWay) {
            one_way_round(&mut raw, &mut pairs, options, results)?;
            duplex_round(&mut pairs, options, results)?;
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
            let (count, took) = pair.one_way(&content, Until::Elapsed(duration))?;
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

fn duplex_round(
    pairs: &mut [(Column, Pair)],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    for bytes in options.sizes(&DUPLEX) {
        let content = Content::new(bytes);
        for (column, pair) in &mut *pairs {
            let (count, took) = pair.duplex(&content, Until::Elapsed(options.one_way()))?;
            let metric = Metric::most(format!("both ways {}", size(bytes)), "msg/s");
            results.add(*column, metric, count as f64 / took.as_secs_f64());
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
