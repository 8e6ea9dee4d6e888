//! Measures messages over paths that are long or lose datagrams.

use std::time::Duration;

use super::content::Content;
use super::options::Options;
use super::pair::{Pair, Until, Way as _};
use super::path::{Path, SmallFrames, Weather};
use super::results::{Column, Metric, Results, Sorted, milliseconds};
use super::{Contender, Outcome, report};

/// Round trips of paths that lose nothing, in milliseconds, and the MB a second that are wanted there.
const LONG: [(u64, f64); 3] = [(20, 15.0), (50, 10.0), (100, 7.0)];

/// Bytes that go over them at once, in messages of 60 KiB: 4 MB.
const BULK_BYTES: usize = 60 * 1024;
const BULK_COUNT: u64 = 66;

/// Round trips of paths that lose every hundredth datagram, in milliseconds.
const LOSSY: [u64; 2] = [40, 80];
const LOSS: f64 = 0.01;

/// Messages of 1 KiB that go over them at once.
const SMALL_COUNT: u64 = 500;

pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    for (round_trip, target) in LONG {
        report::say(&format!("a path of {round_trip} ms"));
        let mut ends = connect(contenders, weather(round_trip, 0.0))?;
        let content = Content::new(BULK_BYTES);
        // The first transfer finds out what the path carries.
        for round in 0..=options.rounds() {
            for Ends { column, pair, .. } in &mut ends {
                let (count, took) = pair.one_way(&content, Until::Count(BULK_COUNT))?;
                let rate = (count as usize * BULK_BYTES) as f64 / 1e6 / took.as_secs_f64();
                let metric = Metric::most(format!("4 MB at {round_trip} ms"), "MB/s");
                if round > 0 {
                    results.add(*column, metric.target(target), rate);
                }
            }
        }
    }
    for round_trip in LOSSY {
        report::say(&format!("a path of {round_trip} ms that loses 1 %"));
        let path = format!("{round_trip} ms, 1 % lost");
        let mut ends = connect(contenders, weather(round_trip, LOSS))?;
        let echoes = options.far_echoes() / options.rounds();
        for _ in 0..options.rounds() {
            for Ends {
                pair,
                echoes: times,
                ..
            } in &mut ends
            {
                times.push(pair.echo(&Content::new(100), echoes)?);
            }
            for Ends { column, pair, .. } in &mut ends {
                let (_, took) = pair.one_way(&Content::new(1024), Until::Count(SMALL_COUNT))?;
                let metric = Metric::least(format!("500 x 1 KiB, {path}"), "s");
                results.add(*column, metric, took.as_secs_f64());
            }
        }
        for Ends { column, echoes, .. } in ends {
            let times = Sorted::of_all(echoes);
            for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                let target = (round_trip == 40 && share == 0.99).then_some(200.0);
                let metric = Metric::least(format!("echo 100 B, {path}, {name}"), "ms");
                let time = milliseconds(times.quantile(share));
                results.add(column, metric.target(target), time);
            }
        }
    }
    Ok(())
}

fn weather(milliseconds: u64, loss: f64) -> Weather {
    Weather {
        round_trip: Duration::from_millis(milliseconds),
        loss,
    }
}

/// Two sidecars that are connected over a path of their own.
struct Ends {
    column: Column,
    pair: Pair,
    /// The times of echoes in each round.
    echoes: Vec<Sorted>,
    _path: Path,
}

/// Connects a pair of each contender; they take turns in what is measured.
fn connect(contenders: &[Contender], weather: Weather) -> Outcome<Vec<Ends>> {
    let ends = contenders.iter().map(|contender| {
        let registry = contender.site.address();
        let path = Path::new(registry, Some(weather), SmallFrames::Prompt)?;
        let mut pair = Pair::connect_over(contender, path.registry())?;
        let took = pair.echo(&Content::new(100), 1)?.worst();
        if took < weather.round_trip {
            let binary = contender.site.binary().display();
            return Err(format!(
                "{binary}: has found a way around the path: {took:?}"
            ));
        }
        Ok(Ends {
            column: contender.column,
            pair,
            echoes: Vec::new(),
            _path: path,
        })
    });
    ends.collect()
}
