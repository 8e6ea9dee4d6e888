//! Measures messages that go from one sidecar to many.

use std::thread;
use std::time::{Duration, Instant};

use super::agent;
use super::content::Content;
use super::options::Options;
use super::pair::{self, Until};
use super::results::{Metric, Results};
use super::{Contender, Outcome, report};

const PEERS: usize = 10;
const BYTES: usize = 1024;

pub(crate) fn measure(
    contenders: &[Contender],
    options: &Options,
    results: &mut Results,
) -> Outcome<()> {
    let count = options.broadcasts();
    for round in 0..options.rounds() {
        for contender in contenders {
            report::say(&format!("broadcast to {PEERS}"));
            let took = match broadcast(contender, round, count) {
                // Another make may lose some, which is no reason to measure nothing more.
                Err(error) if !contender.is_ours => {
                    report::say(&format!("left out, of another make: {error}"));
                    continue;
                }
                took => took?,
            };
            let metric = Metric::most(format!("broadcast to {PEERS}, 1 KiB"), "msg/s");
            let rate = count as f64 / took.as_secs_f64();
            results.add(contender.column, metric, rate);
        }
    }
    Ok(())
}

/// Sends `count` messages to all; returns how long it took until all had them.
fn broadcast(contender: &Contender, round: usize, count: u64) -> Outcome<Duration> {
    let content = Content::new(BYTES);
    let sender = contender.site.spawn(&format!("sender-{round}"))?;
    let (mut commands, mut events) = agent::connect(sender.socket())?;
    let mut receivers = Vec::new();
    for peer in 0..PEERS {
        let sidecar = contender.site.spawn(&format!("receiver-{round}-{peer}"))?;
        let (own, receiver) = agent::connect(sidecar.socket())?;
        receivers.push((sidecar, own, receiver));
    }
    let mut connected = events.peers_connected(PEERS);
    for (_, _, receiver) in &mut receivers {
        // The receivers are connected to each other, too, which would cost time in between.
        connected = connected.and_then(|_| receiver.peers_connected(PEERS));
    }
    connected.map_err(|failure| sender.explain(failure))?;
    let began = Instant::now();
    let result = thread::scope(|scope| {
        let content = &content;
        let counting: Vec<_> = receivers
            .iter_mut()
            .map(|(_, _, receiver)| {
                scope.spawn(move || match contender.is_ours {
                    true => pair::count_in_order(receiver, content),
                    // Another make may deliver them in another order.
                    false => pair::await_all(receiver, content, count).map(|()| count),
                })
            })
            .collect();
        pair::send(&mut commands, None, content, Until::Count(count))?;
        for thread in counting {
            let arrived = pair::joined(thread.join())?;
            if arrived != count {
                return Err(format!("{count} messages sent and {arrived} arrived"));
            }
        }
        Ok(began.elapsed())
    });
    sender.ask_to_end();
    result.map_err(|failure| sender.explain(failure))
}
