//! Reads from `/proc` what the system says about processes and about itself.

use std::fs;
use std::time::{Duration, Instant};

use super::{Contender, Outcome};

/// Ticks of `/proc` in a second, on every Linux of today.
const TICKS: f64 = 100.0;

/// Share of the processors in the hands of other programs from which nothing is judged, 0 to 1.
const BUSY: f64 = 0.15;

/// Memory of a process, in MiB.
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn seconds(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / TICKS)
}

/// Processor time of a process, in user and system mode.
pub(crate) fn cpu_of(process: u32) -> Outcome<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = read(&path)?;
    // The name, in parentheses, may hold anything; utime and stime are fields 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<u64>().ok())
        .sum::<Option<u64>>()
        .map(seconds)
        .ok_or_else(|| format!("{path}: no times in it"))
}

pub(crate) fn memory_of(process: u32) -> Outcome<Memory> {
    let path = format!("/proc/{process}/status");
    let status = read(&path)?;
    let mebibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        let kibibytes = kibibytes.ok_or_else(|| format!("{path}: no {name} in it"))?;
        Ok::<_, String>(kibibytes / 1024.0)
    };
    Ok(Memory {
        resident: mebibytes("VmRSS:")?,
        peak: mebibytes("VmHWM:")?,
    })
}

/// Processor time that the whole machine has spent on work.
fn busy() -> Outcome<Duration> {
    let stat = read("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal; guest times are part of user.
    let ticks: Vec<u64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    let work = [0, 1, 2, 5, 6, 7].into_iter();
    Ok(seconds(work.filter_map(|field| ticks.get(field)).sum()))
}

/// Processor time of this process and of all its children that have ended.
fn own() -> Outcome<Duration> {
    let stat = read("/proc/self/stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(4);
    Ok(seconds(
        ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum(),
    ))
}

fn load() -> Outcome<String> {
    let load = read("/proc/loadavg")?;
    let averages: Vec<_> = load.split_whitespace().take(3).collect();
    Ok(averages.join(" "))
}

/// The machine when the benchmark began.
pub(crate) struct Machine {
    began: Instant,
    busy: Duration,
    own: Duration,
    load: String,
}

/// The conditions of the measurement.
pub(crate) struct Conditions {
    pub(crate) binaries: Vec<String>,
    pub(crate) processors: usize,
    /// Load averages before and after.
    pub(crate) load: [String; 2],
    /// Share of all processor time that went to programs other than the benchmark, 0 to 1.
    pub(crate) others: f64,
    pub(crate) took: Duration,
}

impl Conditions {
    /// Whether other programs had so much of the processors that times say little.
    pub(crate) fn is_busy(&self) -> bool {
        self.others > BUSY
    }
}

impl Machine {
    pub(crate) fn look() -> Outcome<Self> {
        Ok(Machine {
            began: Instant::now(),
            busy: busy()?,
            own: own()?,
            load: load()?,
        })
    }

    /// To be called when all children have ended: only then their times are known.
    pub(crate) fn conditions(&self, contenders: &[Contender]) -> Outcome<Conditions> {
        let took = self.began.elapsed();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let busy = busy()?.saturating_sub(self.busy);
        let others = busy.saturating_sub(own()?.saturating_sub(self.own));
        let all = took.as_secs_f64() * processors as f64;
        let binaries = contenders.iter().map(|contender| contender.site.binary());
        Ok(Conditions {
            binaries: binaries.map(|path| path.display().to_string()).collect(),
            processors,
            load: [self.load.clone(), load()?],
            others: others.as_secs_f64() / all,
            took,
        })
    }
}
