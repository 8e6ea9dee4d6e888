//! The sweep: measures messages of every size, one way and echoed, to a sidecar of ours and to another
//! stack, and looks for a size that is far slower than those beside it.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::content::Content;
use super::foreign::{self, ForeignPair};
use super::options::Options;
use super::pair::{Pair, Until, Way};
use super::results::Column;
use super::{Contender, Outcome, report};

/// Sizes of messages. A packet carries some 1,150 bytes: most steps are of one packet or less, so that
/// odd and even numbers of packets follow each other, and the others are of about a fifth.
const SIZES: [usize; 74] = [
    11, 50, 100, 250, 500, 800, 1_100, 1_250, 1_800, 2_400, 3_500, 4_600, 5_700, 6_800, 8_192,
    10_000, 12_000, 14_000, 16_384, 19_000, 22_000, 25_000, 28_000, 30_000, 31_000, 32_000, 32_768,
    33_900, 35_000, 36_000, 37_000, 38_000, 39_000, 40_000, 41_000, 42_000, 43_000, 45_000, 48_000,
    52_000, 55_000, 57_300, 58_400, 59_500, 60_500, 61_440, 62_500, 63_500, 64_600, 65_536, 66_700,
    68_000, 72_000, 80_000, 90_000, 98_000, 99_000, 100_000, 101_000, 102_000, 115_000, 128_900,
    130_000, 131_072, 132_200, 150_000, 180_000, 196_608, 197_700, 220_000, 240_000, 260_000,
    261_000, 262_144,
];

/// Neighbours on each side that a size is held against.
const NEIGHBOURS: usize = 3;

/// Largest bearable ratio: how many times as long as its neighbours a message may take.
const BEARABLE: f64 = 2.0;

/// Ratio to the neighbours at which a size is measured again, and how often: the machine may have had other
/// things to do.
const SUSPICIOUS: f64 = 1.5;
const AGAIN: usize = 5;

/// Sizes that are measured between two of another make. It builds the smallest messages anew, so they can't be checked,
/// and those of 64 KiB and more end its channel.
const OF_OTHERS: RangeInclusive<usize> = 100..=65_535;

/// Messages of a size at first and at most.
const FEWEST: u64 = 4;
const MOST: u64 = 20_000;

/// The use of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    OneWay,
    Echo,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::OneWay => "one way",
            Kind::Echo => "echo",
        }
    }
}

/// Messages of one size.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) bytes: usize,
    /// Seconds that one takes, each time that it was measured.
    pub(crate) measured: Vec<f64>,
}

impl Point {
    /// Seconds that one takes.
    pub(crate) fn best(&self) -> f64 {
        self.measured.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Messages of all sizes from a sidecar to one peer.
#[derive(Debug)]
pub(crate) struct Curve {
    /// The sidecar that sends.
    pub(crate) column: Column,
    pub(crate) kind: Kind,
    /// The peer that receives.
    pub(crate) to: &'static str,
    pub(crate) points: Vec<Point>,
}

impl Curve {
    pub(crate) fn sizes(&self) -> impl Iterator<Item = usize> {
        self.points.iter().map(|point| point.bytes)
    }

    pub(crate) fn place_of(&self, bytes: usize) -> Option<(usize, &Point)> {
        let mut points = self.points.iter().enumerate();
        points.find(|(_, point)| point.bytes == bytes)
    }

    /// How many times as long a message takes as the best of its neighbours says. A message may take
    /// as long as a larger one, and longer than a smaller one by as much as it is larger. `None`
    /// without neighbours.
    pub(crate) fn ratio(&self, place: usize) -> Option<f64> {
        let point = self.points.get(place)?;
        let beside = place.saturating_sub(NEIGHBOURS)..=place + NEIGHBOURS;
        let neighbours = self.points.iter().enumerate();
        neighbours
            .filter(|(other, _)| *other != place && beside.contains(other))
            .map(|(_, other)| {
                let larger = point.bytes as f64 / other.bytes as f64;
                point.best() / (other.best() * larger.max(1.0))
            })
            .reduce(f64::max)
    }

    /// The place of the size with the largest ratio, and the ratio.
    pub(crate) fn worst(&self) -> Option<(&Point, f64)> {
        let ratios = self.points.iter().enumerate();
        ratios
            .filter_map(|(place, point)| Some((point, self.ratio(place)?)))
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
    }

    pub(crate) fn is_slow(&self, place: usize) -> bool {
        self.takes(place, BEARABLE)
    }

    /// Whether a message takes more than `times` what the best of its neighbours says.
    fn takes(&self, place: usize, times: f64) -> bool {
        self.ratio(place).is_some_and(|ratio| ratio > times)
    }

    fn measure(&mut self, way: &mut dyn Way, sizes: &[usize], each: Duration) -> Outcome<()> {
        for bytes in sizes {
            let content = Content::new(*bytes);
            let time = seconds_each(way, self.kind, &content, each)?;
            self.points.push(Point {
                bytes: content.bytes(),
                measured: vec![time],
            });
        }
        for _ in 0..AGAIN {
            let suspicious: Vec<_> = (0..self.points.len())
                .filter(|place| self.takes(*place, SUSPICIOUS))
                .collect();
            for (place, point) in self.points.iter_mut().enumerate() {
                if !suspicious.contains(&place) {
                    continue;
                }
                let content = Content::new(point.bytes);
                let time = seconds_each(way, self.kind, &content, each)?;
                point.measured.push(time);
            }
        }
        Ok(())
    }
}

/// Returns how long one message takes, measured over as many messages as fit in about the time `each`.
fn seconds_each(way: &mut dyn Way, kind: Kind, content: &Content, each: Duration) -> Outcome<f64> {
    let mut count = FEWEST;
    loop {
        let took = match kind {
            Kind::OneWay => way.one_way(content, Until::Count(count))?.1,
            Kind::Echo => way.echo(content, count as usize)?.sum(),
        };
        if took >= each || count == MOST {
            return Ok(took.as_secs_f64() / count as f64);
        }
        // No more than ten times as many at once: the first ones tell little.
        let more = (1.2 * each.as_secs_f64() / took.as_secs_f64()).clamp(2.0, 10.0);
        count = ((count as f64 * more) as u64).min(MOST);
    }
}

/// All curves; `None` in place of the other stack's when it is not installed.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) curves: Vec<Curve>,
    pub(crate) is_whole: bool,
}

pub(crate) fn measure(contenders: &[Contender], options: &Options) -> Outcome<Sweep> {
    let mut sweep = Sweep {
        curves: Vec::new(),
        is_whole: foreign::is_installed(),
    };
    if !sweep.is_whole {
        report::say(&format!(
            "no sweep to {}: it is not installed; `tests/interop/install {0}` does it",
            foreign::STACK
        ));
    }
    for contender in contenders {
        let mut pair = Pair::connect(contender)?;
        let (to, sizes) = match contender.is_ours {
            true => ("ours", 0..=usize::MAX),
            false => ("its like", OF_OTHERS),
        };
        sweep.add(contender, to, &mut pair, sizes, options)?;
        drop(pair);
        if sweep.is_whole && contender.is_ours {
            let mut pair = ForeignPair::connect(contender)?;
            let sizes = 0..=pair.most_bytes;
            sweep.add(contender, foreign::STACK, &mut pair, sizes, options)?;
        }
    }
    Ok(sweep)
}

impl Sweep {
    fn add(
        &mut self,
        contender: &Contender,
        to: &'static str,
        way: &mut dyn Way,
        possible: RangeInclusive<usize>,
        options: &Options,
    ) -> Outcome<()> {
        let mut sizes = options.sizes(&SIZES);
        sizes.retain(|bytes| possible.contains(bytes));
        for kind in [Kind::OneWay, Kind::Echo] {
            let of = contender.column.names().0;
            report::say(&format!("sweep, {of}, {} to {to}", kind.name()));
            let mut curve = Curve {
                column: contender.column,
                kind,
                to,
                points: Vec::new(),
            };
            curve.measure(way, &sizes, options.sweep())?;
            self.curves.push(curve);
        }
        Ok(())
    }

    /// An error that names the sizes that are slow with the sidecar.
    pub(crate) fn verdict(&self) -> Outcome<()> {
        let ours = self.curves.iter();
        let slow: Vec<_> = ours
            .filter(|curve| curve.column == Column::WholeWay)
            .flat_map(|curve| {
                let points = curve.points.iter().enumerate();
                points
                    .filter(|(place, _)| curve.is_slow(*place))
                    .map(|(_, point)| {
                        format!("{} B {} to {}", point.bytes, curve.kind.name(), curve.to)
                    })
            })
            .collect();
        match slow.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "slower than half of the neighbours: {}",
                slow.join(", ")
            )),
        }
    }
}
