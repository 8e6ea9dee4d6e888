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
    for round in 0..options.rounds() {
        for contender in contenders {
            report::say(&format!("broadcast to {PEERS}"));
            let (count, took) = broadcast(contender, round, options.one_way())?;
            let metric = Metric::most(format!("broadcast to {PEERS}, 1 KiB"), "msg/s");
            let rate = count as f64 / took.as_secs_f64();
            results.add(contender.column, metric, rate);
        }
    }
    Ok(())
}

/// Returns how many messages were sent to all, and how long it took until all had them.
fn broadcast(contender: &Contender, round: usize, time: Duration) -> Outcome<(u64, Duration)> {
    let content = Content::new(BYTES);
    let sender = contender.site.spawn(&format!("sender-{round}"))?;
    let (mut commands, mut events) = agent::connect(sender.socket())?;
    let mut receivers = Vec::new();
    for peer in 0..PEERS {
        let sidecar = contender.site.spawn(&format!("receiver-{round}-{peer}"))?;
        let (own, receiver) = agent::connect(sidecar.socket())?;
        receivers.push((sidecar, own, receiver));
    }
    events.peers_connected(PEERS)?;
    let began = Instant::now();
    let result = thread::scope(|scope| {
        let content = &content;
        let counting: Vec<_> = receivers
            .iter_mut()
            .map(|(_, _, receiver)| scope.spawn(move || pair::count_in_order(receiver, content)))
            .collect();
        let sent = pair::send(&mut commands, None, content, Until::Elapsed(time))?;
        for thread in counting {
            let arrived = pair::joined(thread.join())?;
            if arrived != sent {
                return Err(format!("{sent} messages sent and {arrived} arrived"));
            }
        }
        Ok((sent, began.elapsed()))
    });
    sender.ask_to_end();
    result.map_err(|failure| sender.explain(failure))
}
