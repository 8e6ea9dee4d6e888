//! Measures how long peers take to find each other.

use std::thread;
use std::time::{Duration, Instant};

use super::agent::{self, Receiver, Sender};
use super::options::Options;
use super::path::{Path, SmallFrames, Weather};
use super::results::{Metric, Results, Sorted, milliseconds};
use super::sidecar::Sidecar;
use super::{Contender, Outcome, report};

/// Peers in a full mesh.
const MESHES: [usize; 4] = [2, 5, 10, 20];

/// What is between two peers that meet.
struct Place {
    /// The part of the metrics' names that tells it.
    name: &'static str,
    small_frames: SmallFrames,
    /// Round trip of the path between them. `None`: none, they are on one machine.
    round_trip: Option<Duration>,
    /// The wanted median and worst time since spawn, in milliseconds.
    targets: [Option<f64>; 2],
}

const PLACES: [Place; 3] = [
    Place {
        name: "",
        small_frames: SmallFrames::Prompt,
        round_trip: None,
        targets: [Some(25.0), Some(150.0)],
    },
    Place {
        name: ", held frames",
        small_frames: SmallFrames::Held,
        round_trip: None,
        targets: [Some(20.0), None],
    },
    Place {
        name: ", held frames, 50 ms",
        small_frames: SmallFrames::Held,
        round_trip: Some(Duration::from_millis(50)),
        targets: [Some(300.0), None],
    },
];

/// Measures the time that a newcomer takes until both sides have told their agents.
pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    PLACES
        .iter()
        .try_for_each(|place| measure_at(place, contenders, options, results))
}

/// A sidecar that newcomers meet, and how long that took.
struct Host<'a> {
    contender: &'a Contender,
    // The agent goes first, so that its sidecar ends as asked.
    agent: (Sender, Receiver),
    sidecar: Sidecar,
    path: Path,
    since_spawn: Vec<Duration>,
    since_registered: Vec<Duration>,
}

fn measure_at(
    place: &Place,
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    let Place { name, .. } = place;
    report::say(&format!("connecting{name}, {} runs", options.runs()));
    let hosts = contenders.iter().map(|contender| {
        let weather = place.round_trip.map(|round_trip| Weather {
            round_trip,
            loss: 0.0,
        });
        let path = Path::new(contender.site.address(), weather, place.small_frames)?;
        let sidecar = contender.site.spawn_at("host", path.registry())?;
        Ok(Host {
            contender,
            agent: agent::connect(sidecar.socket())?,
            sidecar,
            path,
            since_spawn: Vec::new(),
            since_registered: Vec::new(),
        })
    });
    let mut hosts: Vec<_> = hosts.collect::<Outcome<_>>()?;
    // The first newcomer does not count: the host may have to register yet.
    for run in 0..=options.runs() {
        for host in &mut hosts {
            host.meet(run)?;
        }
    }
    for host in hosts {
        let mut add = |from, times: Sorted, [median, worst]: [Option<f64>; 2]| {
            let quantiles = [("median", 0.5, median), ("worst", 1.0, worst)];
            for (quantile, share, target) in quantiles {
                let metric = Metric::least(format!("{from} to connected{name}, {quantile}"), "ms");
                let time = milliseconds(times.quantile(share));
                results.add(host.contender.column, metric.target(target), time);
            }
        };
        add("spawn", Sorted::new(host.since_spawn), place.targets);
        if host.contender.is_ours {
            let times = Sorted::new(host.since_registered);
            add("registered", times, [None, None]);
        }
    }
    Ok(())
}

impl Host<'_> {
    /// Lets a newcomer connect and leave again.
    fn meet(&mut self, run: usize) -> Outcome<()> {
        let site = &self.contender.site;
        let newcomer = site.spawn_at(&format!("newcomer-{run}"), self.path.registry())?;
        let times = self.await_connection(&newcomer);
        let explain = |failure| newcomer.explain(self.sidecar.explain(failure));
        let (since_spawn, since_registered) = times.map_err(explain)?;
        if run > 0 {
            self.since_spawn.push(since_spawn);
            self.since_registered.extend(since_registered);
        }
        drop(newcomer);
        self.agent.1.peer_disconnected()?;
        Ok(())
    }

    /// Returns the time until both agents know of the connection: from the newcomer's spawn, and from when its
    /// agent knew it to be registered, which another make does not tell.
    fn await_connection(&mut self, newcomer: &Sidecar) -> Outcome<(Duration, Option<Duration>)> {
        let (_sender, mut receiver) = agent::connect(newcomer.socket())?;
        let registered = match self.contender.is_ours {
            true => Some(receiver.registered()?),
            false => None,
        };
        let here = receiver.peers_connected(1)?;
        let there = self.agent.1.peers_connected(1)?;
        let connected = here.max(there);
        let since_registered = registered.map(|registered| connected - registered);
        Ok((connected - newcomer.spawned, since_registered))
    }
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
