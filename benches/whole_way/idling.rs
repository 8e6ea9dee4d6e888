//! Measures what many connections cost that nobody uses.

use std::thread;
use std::time::{Duration, Instant};

use super::agent::{self, Receiver, Sender};
use super::options::Options;
use super::results::{Column, Metric, Results};
use super::sidecar::Sidecar;
use super::{Contender, Outcome, report};

/// Peers that are all connected to each other.
const PEERS: usize = 20;

/// Peers of one sidecar that are not connected to each other.
const PEERS_OF_ONE: usize = 100;

/// By then the pairs of addresses that were not chosen are no longer checked.
const SETTLED: Duration = Duration::from_secs(12);

/// Measures the share of a core that all of them take together, and the share of one that is connected to many.
pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    for contender in contenders {
        report::say(&format!("{PEERS} idle peers"));
        let peers = mesh(contender)?;
        let metric = Metric::least(format!("{PEERS} idle peers, CPU of all"), "%").target(5.0);
        results.add(contender.column, metric, share(&peers, options)?);
        end(&peers);
    }
    // Others know no lazy mode, and would all be connected to each other.
    let ours = contenders
        .iter()
        .filter(|contender| contender.column == Column::WholeWay);
    for contender in ours {
        report::say(&format!("one sidecar with {PEERS_OF_ONE} idle peers"));
        let (one, others) = star(contender)?;
        let name = format!("{PEERS_OF_ONE} idle peers, CPU of the one that has them");
        let metric = Metric::least(name, "%").target(1.0);
        let share = share(std::slice::from_ref(&one), options)?;
        results.add(contender.column, metric, share);
        end(&others);
    }
    Ok(())
}

/// The share of a core that these take when they have come to rest, in percent.
fn share(peers: &[Peer], options: &Options) -> Outcome<f64> {
    thread::sleep(SETTLED);
    let (began, before) = (Instant::now(), cpu(peers)?);
    thread::sleep(options.idle());
    let spent = cpu(peers)?.saturating_sub(before);
    Ok(100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64())
}

/// Asks all to end at once, or each would tell all others that it goes.
fn end(peers: &[Peer]) {
    peers.iter().for_each(|peer| peer.sidecar.ask_to_end());
}

/// A sidecar and its agent.
struct Peer {
    /// Without an agent a sidecar ends.
    sender: Sender,
    receiver: Receiver,
    sidecar: Sidecar,
}

/// Peers that are connected to each other.
fn mesh(contender: &Contender) -> Outcome<Vec<Peer>> {
    let mut sidecars = Vec::new();
    for peer in 0..PEERS {
        sidecars.push(contender.site.spawn(&format!("idle-{peer}"))?);
    }
    let mut peers = with_agents(sidecars)?;
    for peer in &mut peers {
        let connected = peer.receiver.peers_connected(PEERS - 1);
        connected.map_err(|failure| peer.sidecar.explain(failure))?;
    }
    Ok(peers)
}

/// A peer, and others that are connected to it alone.
fn star(contender: &Contender) -> Outcome<(Peer, Vec<Peer>)> {
    let site = &contender.site;
    let names: Vec<_> = (0..PEERS_OF_ONE)
        .map(|peer| format!("leaf-{peer}"))
        .collect();
    let sidecars: Outcome<Vec<_>> = names.iter().map(|name| site.spawn_lazy(name)).collect();
    let mut others = with_agents(sidecars?)?;
    for peer in &mut others {
        let registered = peer.receiver.registered();
        registered.map_err(|failure| peer.sidecar.explain(failure))?;
    }
    let sidecar = site.spawn_lazy("one")?;
    let (sender, receiver) = agent::connect(sidecar.socket())?;
    let mut one = Peer {
        sender,
        receiver,
        sidecar,
    };
    let connected = one.receiver.registered().and_then(|_| {
        for name in &names {
            let line =
                format!("{{\"type\":\"connect\",\"payload\":{{\"target_peer_id\":\"{name}\"}}}}\n");
            one.sender.write(line.as_bytes())?;
        }
        one.receiver.peers_connected(PEERS_OF_ONE)
    });
    connected.map_err(|failure| one.sidecar.explain(failure))?;
    Ok((one, others))
}

/// Connects an agent to each.
fn with_agents(sidecars: Vec<Sidecar>) -> Outcome<Vec<Peer>> {
    let connected = sidecars.into_iter().map(|sidecar| {
        let (sender, receiver) = agent::connect(sidecar.socket())?;
        Ok(Peer {
            sender,
            receiver,
            sidecar,
        })
    });
    connected.collect()
}

fn cpu(peers: &[Peer]) -> Outcome<Duration> {
    let times = peers.iter().map(|peer| peer.sidecar.cpu());
    times.sum::<Outcome<Duration>>()
}
