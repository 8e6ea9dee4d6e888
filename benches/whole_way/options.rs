//! The benchmark's command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Outcome;

pub(crate) const HELP: &str = "\
Measures the sidecar from agent to agent, beside the raw limit of the WebRTC stack.

  --quick          fewer and shorter rounds
  --only PART      one part; may be given several times: size, start, connect, mesh, echo, one-way,
                   broadcast, idle, far, sweep
  --bytes N        only messages of this size, whether it is one of the usual ones or not
  --seconds S      how long messages go one way in a round, and how long a size of the sweep
  --against FILE   measures another binary in turn with this one: an older one, or a sidecar of another make
  --ratios         prints the ratios to the raw limit as the lines of ratios.rs, and does not judge them
  --json FILE      where the numbers go (target/bench/whole_way.json)
  --help           this text

Where it says `held frames` the registry holds the second of two small frames until the first is acknowledged, as
the field's does. Paths of some ms, and those that lose datagrams, are made by a relay in the benchmark.

The sweep sends messages of every size, to a sidecar and to libdatachannel, if it is installed. When a size
is slower than half of those beside it the benchmark fails. So it does when a ratio to the raw limit is much worse than
before. On a busy machine it only tells what is slow.
";

const HINT: &str = "--help lists the options";

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Bytes of the binary, number of crates.
    Size,
    /// From spawn to socket and to the first line, and idle memory.
    Start,
    /// Two peers that find each other.
    Connect,
    /// Many peers that find each other.
    Mesh,
    /// One message there and back.
    Echo,
    /// As many messages as go one way, and both ways.
    OneWay,
    /// As many messages as go to many peers.
    Broadcast,
    /// Many peers that do nothing.
    Idle,
    /// Paths that are long or lose datagrams.
    Far,
    /// Messages of every size.
    Sweep,
}

const PARTS: [(&str, Part); 10] = [
    ("size", Part::Size),
    ("start", Part::Start),
    ("connect", Part::Connect),
    ("mesh", Part::Mesh),
    ("echo", Part::Echo),
    ("one-way", Part::OneWay),
    ("broadcast", Part::Broadcast),
    ("idle", Part::Idle),
    ("far", Part::Far),
    ("sweep", Part::Sweep),
];

/// The options: what to measure, how long, and where to put it.
#[derive(Debug)]
pub(crate) struct Options {
    quick: bool,
    only: Vec<Part>,
    bytes: Option<usize>,
    seconds: Option<f64>,
    pub(crate) against: Option<PathBuf>,
    /// Whether the ratios are to be set anew.
    pub(crate) sets_ratios: bool,
    pub(crate) json: PathBuf,
}

impl Options {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// How often raw and whole way take turns.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// How long messages are sent one way in a round.
    pub(crate) fn one_way(&self) -> Duration {
        let usual = if self.quick { 0.4 } else { 1.0 };
        Duration::from_secs_f64(self.seconds.unwrap_or(usual))
    }

    /// How long each size is measured in the sweep.
    pub(crate) fn sweep(&self) -> Duration {
        let usual = if self.quick { 0.05 } else { 0.1 };
        Duration::from_secs_f64(self.seconds.unwrap_or(usual))
    }

    /// The sizes of messages to be measured of the usual ones.
    pub(crate) fn sizes(&self, usual: &[usize]) -> Vec<usize> {
        self.bytes
            .map_or_else(|| usual.to_vec(), |bytes| vec![bytes])
    }

    /// Round trips of one message in a round.
    pub(crate) fn echoes(&self) -> usize {
        if self.quick { 500 } else { 3000 }
    }

    /// Round trips of one message over a path that is long and loses some.
    pub(crate) fn far_echoes(&self) -> usize {
        if self.quick { 200 } else { 1000 }
    }

    /// Messages that are sent to all in a round.
    pub(crate) fn broadcasts(&self) -> u64 {
        if self.quick { 1000 } else { 5000 }
    }

    /// How long idle peers are measured.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_secs(if self.quick { 10 } else { 30 })
    }

    /// How often a start and a connection are measured.
    pub(crate) fn runs(&self) -> usize {
        if self.quick { 10 } else { 30 }
    }

    /// How often a full mesh of `peers` is measured.
    pub(crate) fn meshes(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }
}

/// `None` when help was asked for.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Outcome<Option<Options>> {
    let mut options = Options {
        quick: false,
        only: Vec::new(),
        bytes: None,
        seconds: None,
        against: None,
        sets_ratios: false,
        json: default_json(),
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let lexopt::Arg::Long(name) = argument else {
            return Err(format!("{}; {HINT}", argument.unexpected()));
        };
        match name {
            "quick" => options.quick = true,
            "only" => options.only.push(part(&value(&mut parser)?)?),
            "bytes" => options.bytes = Some(number(&value(&mut parser)?)?),
            "seconds" => options.seconds = Some(number(&value(&mut parser)?)?),
            "against" => options.against = Some(value(&mut parser)?.into()),
            "ratios" => options.sets_ratios = true,
            "json" => options.json = value(&mut parser)?.into(),
            // What `cargo bench` adds.
            "bench" => {}
            "help" => return Ok(None),
            _ => return Err(format!("{}; {HINT}", argument.unexpected())),
        }
    }
    Ok(Some(options))
}

fn value(parser: &mut lexopt::Parser) -> Outcome<OsString> {
    parser.value().map_err(|error| error.to_string())
}

fn number<N: std::str::FromStr>(text: &OsString) -> Outcome<N> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{}: not a number", text.display()))
}

fn part(name: &OsString) -> Outcome<Part> {
    PARTS
        .into_iter()
        .find(|(known, _)| name == known)
        .map(|(_, part)| part)
        .ok_or_else(|| {
            let known: Vec<_> = PARTS.into_iter().map(|(known, _)| known).collect();
            format!("--only {}: not one of {}", name.display(), known.join(", "))
        })
}

fn default_json() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    target.join("bench").join("whole_way.json")
}
