//! Measures how long peers take to find each other.

use std::thread;
use std::time::{Duration, Instant};

use super::agent::{self, Receiver, Sender};
use super::options::Options;
use super::results::{Metric, Results, Sorted, milliseconds};
use super::sidecar::Sidecar;
use super::{Contender, Outcome, report};

/// Peers in a full mesh.
const MESHES: [usize; 4] = [2, 5, 10, 20];

/// Measures the time that a newcomer takes until both sides have told their agents.
pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    report::say(&format!("connecting, {} runs", options.runs()));
    let mut hosts = Vec::new();
    for contender in contenders {
        let host = contender.site.spawn("host")?;
        let agent = agent::connect(host.socket())?;
        hosts.push((contender, host, agent, Vec::new()));
    }
    for run in 0..options.runs() {
        for (contender, host, agent, times) in &mut hosts {
            let newcomer = contender.site.spawn(&format!("newcomer-{run}"))?;
            let met = meet(&newcomer, agent);
            times.push(met.map_err(|failure| newcomer.explain(host.explain(failure)))?);
            drop(newcomer);
            agent.1.peer_disconnected()?;
        }
    }
    for (contender, _, _, times) in hosts {
        let (since_spawn, since_registered) = times.into_iter().unzip();
        let since_spawn = Sorted::new(since_spawn);
        let since_registered = Sorted::new(since_registered);
        let mut add = |metric, time| results.add(contender.column, metric, milliseconds(time));
        let median = Metric::least("spawn to connected, median", "ms").target(25.0);
        add(median, since_spawn.quantile(0.5));
        let worst = Metric::least("spawn to connected, worst", "ms").target(150.0);
        add(worst, since_spawn.worst());
        let median = Metric::least("registered to connected, median", "ms");
        add(median, since_registered.quantile(0.5));
        let worst = Metric::least("registered to connected, worst", "ms");
        add(worst, since_registered.worst());
    }
    Ok(())
}

/// Returns the time until both agents know of the connection: from the newcomer's spawn, and from when its
/// agent knew it to be registered.
fn meet(newcomer: &Sidecar, host: &mut (Sender, Receiver)) -> Outcome<(Duration, Duration)> {
    let (_sender, mut receiver) = agent::connect(newcomer.socket())?;
    let registered = receiver.registered()?;
    let here = receiver.peers_connected(1)?;
    let there = host.1.peers_connected(1)?;
    let connected = here.max(there);
    Ok((connected - newcomer.spawned, connected - registered))
}

/// Measures the time that many sidecars take, started at once, until everybody is connected to everybody.
pub(crate) fn measure_full_mesh(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    for peers in MESHES {
        report::say(&format!("full mesh of {peers}, {} times", options.meshes()));
        for round in 0..options.meshes() {
            for contender in contenders {
                let took = full_mesh(contender, peers, round)?;
                let metric = Metric::least(format!("full mesh of {peers}"), "s");
                results.add(contender.column, metric, took.as_secs_f64());
            }
        }
    }
    Ok(())
}

fn full_mesh(contender: &Contender, peers: usize, round: usize) -> Outcome<Duration> {
    let began = Instant::now();
    let mut sidecars = Vec::new();
    for peer in 0..peers {
        let name = format!("mesh-{peers}-{round}-{peer}");
        sidecars.push(contender.site.spawn(&name)?);
    }
    let last = thread::scope(|scope| {
        let waiting: Vec<_> = sidecars
            .iter()
            .map(|sidecar| {
                scope.spawn(move || {
                    let (sender, mut receiver) = agent::connect(sidecar.socket())?;
                    let connected = receiver.peers_connected(peers - 1);
                    let connected = connected.map_err(|failure| sidecar.explain(failure))?;
                    // The agents stay until all are connected: without one a sidecar ends.
                    Ok::<_, String>((connected, sender, receiver))
                })
            })
            .collect();
        let joined: Vec<_> = waiting.into_iter().map(|thread| thread.join()).collect();
        let mut last = began;
        let mut agents = Vec::new();
        for connected in joined {
            let connected = connected.map_err(|_| "a thread has panicked".to_owned())?;
            let (connected, sender, receiver) = connected?;
            last = last.max(connected);
            agents.push((sender, receiver));
        }
        Ok::<_, String>(last)
    })?;
    // All end at once, or each would tell all others that it goes.
    for sidecar in &sidecars {
        sidecar.ask_to_end();
    }
    Ok(last - began)
}
