//! Measures what many connections cost that nobody uses.

use std::thread;
use std::time::{Duration, Instant};

use super::agent::{self, Receiver, Sender};
use super::options::Options;
use super::results::{Metric, Results};
use super::sidecar::Sidecar;
use super::{Contender, Outcome, report};

/// Peers that are all connected to each other.
const PEERS: usize = 20;

/// By then the pairs of addresses that were not chosen are no longer checked.
const SETTLED: Duration = Duration::from_secs(12);

/// Measures the share of a core that all of them take together.
pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    for contender in contenders {
        report::say(&format!("{PEERS} idle peers"));
        let (sidecars, _agents) = mesh(contender)?;
        thread::sleep(SETTLED);
        let (began, before) = (Instant::now(), cpu(&sidecars)?);
        thread::sleep(options.idle());
        let spent = cpu(&sidecars)?.saturating_sub(before);
        let share = 100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64();
        let metric = Metric::least(format!("{PEERS} idle peers, CPU of all"), "%").target(5.0);
        results.add(contender.column, metric, share);
        // All end at once, or each would tell all others that it goes.
        sidecars.iter().for_each(Sidecar::ask_to_end);
    }
    Ok(())
}

/// Sidecars with their agents, connected to each other.
fn mesh(contender: &Contender) -> Outcome<(Vec<Sidecar>, Vec<(Sender, Receiver)>)> {
    let mut sidecars = Vec::new();
    for peer in 0..PEERS {
        sidecars.push(contender.site.spawn(&format!("idle-{peer}"))?);
    }
    let mut agents = Vec::new();
    for sidecar in &sidecars {
        agents.push(agent::connect(sidecar.socket())?);
    }
    for (sidecar, (_, receiver)) in sidecars.iter().zip(&mut agents) {
        let connected = receiver.peers_connected(PEERS - 1);
        connected.map_err(|failure| sidecar.explain(failure))?;
    }
    Ok((sidecars, agents))
}

fn cpu(sidecars: &[Sidecar]) -> Outcome<Duration> {
    let times = sidecars.iter().map(Sidecar::cpu);
    times.sum::<Outcome<Duration>>()
}
