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
        let peers = mesh(contender)?;
        thread::sleep(SETTLED);
        let (began, before) = (Instant::now(), cpu(&peers)?);
        thread::sleep(options.idle());
        let spent = cpu(&peers)?.saturating_sub(before);
        let share = 100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64();
        let metric = Metric::least(format!("{PEERS} idle peers, CPU of all"), "%").target(5.0);
        results.add(contender.column, metric, share);
        // All end at once, or each would tell all others that it goes.
        peers.iter().for_each(|peer| peer.sidecar.ask_to_end());
    }
    Ok(())
}

/// A sidecar and its agent.
struct Peer {
    /// Without an agent a sidecar ends.
    _sender: Sender,
    receiver: Receiver,
    sidecar: Sidecar,
}

/// Peers that are connected to each other.
fn mesh(contender: &Contender) -> Outcome<Vec<Peer>> {
    let mut sidecars = Vec::new();
    for peer in 0..PEERS {
        sidecars.push(contender.site.spawn(&format!("idle-{peer}"))?);
    }
    let mut peers = Vec::new();
    for sidecar in sidecars {
        let (sender, receiver) = agent::connect(sidecar.socket())?;
        peers.push(Peer {
            _sender: sender,
            receiver,
            sidecar,
        });
    }
    for peer in &mut peers {
        let connected = peer.receiver.peers_connected(PEERS - 1);
        connected.map_err(|failure| peer.sidecar.explain(failure))?;
    }
    Ok(peers)
}

fn cpu(peers: &[Peer]) -> Outcome<Duration> {
    let times = peers.iter().map(|peer| peer.sidecar.cpu());
    times.sum::<Outcome<Duration>>()
}
