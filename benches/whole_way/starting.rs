//! Measures what comes before the first message: size, time to start, memory of an idle sidecar.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::agent;
use super::options::Options;
use super::results::{Column, Metric, Results, Sorted, milliseconds};
use super::{Contender, Outcome, report};

/// How long a sidecar is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(1);

/// Bytes of the binary.
pub(crate) fn size(contender: &Contender, results: &mut Results) -> Outcome<()> {
    let binary = contender.site.binary();
    let metadata =
        fs::metadata(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let metric = Metric::least("stripped binary", "MB").target(8.0);
    results.add(contender.column, metric, metadata.len() as f64 / 1e6);
    Ok(())
}

/// Crates that a build for this machine takes, ours not counted.
pub(crate) fn crates(results: &mut Results) -> Outcome<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(["--edges", "normal,build", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo tree: {reason}"));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // Name and version; marks may follow.
    let packages = text.lines().map(|line| {
        let mut words = line.split(' ');
        (words.next(), words.next())
    });
    let unique: BTreeSet<_> = packages
        .filter(|(name, _)| !matches!(*name, None | Some("" | env!("CARGO_PKG_NAME"))))
        .collect();
    let metric = Metric::least("crates", "").target(150.0);
    results.add(Column::WholeWay, metric, unique.len() as f64);
    Ok(())
}

/// Measures the time from spawn to socket, and the memory of an idle sidecar with one peer.
pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    report::say(&format!("spawn to socket, {} runs", options.runs()));
    let mut times = vec![Vec::new(); contenders.len()];
    for run in 0..options.runs() {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let sidecar = contender.site.spawn(&format!("start-{run}"))?;
            let appeared = agent::wait_for_socket(sidecar.socket())
                .map_err(|failure| sidecar.explain(failure))?;
            times.push(appeared - sidecar.spawned);
        }
    }
    for (contender, times) in contenders.iter().zip(times) {
        let times = Sorted::new(times);
        let column = contender.column;
        let median = Metric::least("spawn to socket, median", "ms").target(5.0);
        let worst = Metric::least("spawn to socket, worst", "ms");
        results.add(column, median, milliseconds(times.quantile(0.5)));
        results.add(column, worst, milliseconds(times.worst()));
    }
    contenders
        .iter()
        .try_for_each(|contender| idle_memory(contender, results))
}

/// Measures the time from spawn to the first line that the agent has read. Another make greets nobody.
pub(crate) fn first_lines(
    contenders: &[Contender],
    over_stdio: &Contender,
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    report::say(&format!("spawn to first line, {} runs", options.runs()));
    let ours = contenders.iter().filter(|contender| contender.is_ours);
    let contenders = || ours.clone().chain([over_stdio]);
    let mut times = vec![Vec::new(); contenders().count()];
    for run in 0..options.runs() {
        for (contender, times) in contenders().zip(&mut times) {
            let mut sidecar = contender.site.spawn(&format!("first-{run}"))?;
            let (_sender, mut receiver) = sidecar.agent()?;
            let read = receiver.first_line();
            times.push(read.map_err(|failure| sidecar.explain(failure))? - sidecar.spawned);
        }
    }
    for (contender, times) in contenders().zip(times) {
        let times = Sorted::new(times);
        let median = Metric::least("spawn to first line, median", "ms");
        let worst = Metric::least("spawn to first line, worst", "ms");
        results.add(contender.column, median, milliseconds(times.quantile(0.5)));
        results.add(contender.column, worst, milliseconds(times.worst()));
    }
    Ok(())
}

fn idle_memory(contender: &Contender, results: &mut Results) -> Outcome<()> {
    let first = contender.site.spawn("idle-1")?;
    agent::wait_for_socket(first.socket()).map_err(|failure| first.explain(failure))?;
    thread::sleep(IDLE);
    let metric = Metric::least("memory, idle", "MiB").target(5.0);
    results.add(contender.column, metric, first.memory()?.resident);
    let second = contender.site.spawn("idle-2")?;
    let mut agents = [
        agent::connect(first.socket())?,
        agent::connect(second.socket())?,
    ];
    for (_, receiver) in &mut agents {
        receiver
            .peers_connected(1)
            .map_err(|failure| first.explain(failure))?;
    }
    thread::sleep(IDLE);
    let resident = first.memory()?.resident.max(second.memory()?.resident);
    let metric = Metric::least("memory, with one peer and agent", "MiB");
    results.add(contender.column, metric, resident);
    Ok(())
}
