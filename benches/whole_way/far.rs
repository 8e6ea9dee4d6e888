//! Measures messages over paths that are long or lose datagrams.

use std::time::Duration;

use super::content::Content;
use super::options::Options;
use super::pair::{Pair, Until, Way as _};
use super::path::{Path, Weather};
use super::results::{Metric, Results, milliseconds};
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
    for (milliseconds, target) in LONG {
        let weather = weather(milliseconds, 0.0);
        report::say(&format!(
            "a path of {milliseconds} ms, {} rounds",
            options.rounds()
        ));
        with_pairs(contenders, weather, |contender, pair| {
            let content = Content::new(BULK_BYTES);
            // The first transfer finds out what the path carries.
            for round in 0..=options.rounds() {
                let (count, took) = pair.one_way(&content, Until::Count(BULK_COUNT))?;
                let rate = (count as usize * BULK_BYTES) as f64 / 1e6 / took.as_secs_f64();
                let name = format!("4 MB at {milliseconds} ms");
                let metric = Metric::most(name, "MB/s").target(target);
                if round > 0 {
                    results.add(contender.column, metric, rate);
                }
            }
            Ok(())
        })?;
    }
    for round_trip in LOSSY {
        report::say(&format!("a path of {round_trip} ms that loses 1 %"));
        with_pairs(contenders, weather(round_trip, LOSS), |contender, pair| {
            let path = format!("{round_trip} ms, 1 % lost");
            let times = pair.echo(&Content::new(100), options.far_echoes())?;
            for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                let target = (round_trip == 40 && share == 0.99).then_some(200.0);
                let metric = Metric::least(format!("echo 100 B, {path}, {name}"), "ms");
                let time = milliseconds(times.quantile(share));
                results.add(contender.column, metric.target(target), time);
            }
            for _ in 0..options.rounds() {
                let (_, took) = pair.one_way(&Content::new(1024), Until::Count(SMALL_COUNT))?;
                let metric = Metric::least(format!("500 x 1 KiB, {path}"), "s");
                results.add(contender.column, metric, took.as_secs_f64());
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn weather(milliseconds: u64, loss: f64) -> Weather {
    Weather {
        round_trip: Duration::from_millis(milliseconds),
        loss,
    }
}

/// Measures each contender over a path of its own, one after the other.
fn with_pairs(
    contenders: &[Contender],
    weather: Weather,
    mut measure: impl FnMut(&Contender, &mut Pair) -> Outcome<()>,
) -> Outcome<()> {
    for contender in contenders {
        let path = Path::new(contender.site.address(), weather)?;
        let mut pair = Pair::connect_over(contender, path.registry())?;
        measure(contender, &mut pair)?;
    }
    Ok(())
}
