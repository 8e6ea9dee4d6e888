//! What is measured while harm is done: round trips between two agents, processor time and memory.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Agent, Node, Sidecar};

/// The round trips of one measurement, the shortest first.
pub(crate) struct RoundTrips(Vec<Duration>);

impl RoundTrips {
    /// Has the first agent send and the second send back, one message at a time, for so long.
    pub(crate) fn measure(first: &mut Node, second: &mut Node, time: Duration) -> Self {
        let names = [&first.sidecar.name, &second.sidecar.name].map(Clone::clone);
        let began = Instant::now();
        let mut times = Vec::new();
        while began.elapsed() < time {
            let sent = Instant::now();
            pass(&mut first.agent, &mut second.agent, &names, times.len());
            pass(
                &mut second.agent,
                &mut first.agent,
                &[&names[1], &names[0]],
                times.len(),
            );
            times.push(sent.elapsed());
        }
        times.sort_unstable();
        RoundTrips(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which so many of a hundred were back.
    pub(crate) fn within(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

/// Sends one message from one agent to the other, and waits for it.
fn pass(from: &mut Agent, to: &mut Agent, names: &[impl AsRef<str>; 2], number: usize) {
    let mark = number.to_string();
    from.send(
        names[1].as_ref(),
        &json!({"type": "ping", "request_id": mark}),
    );
    to.until(|event| {
        event.is("message", names[0].as_ref()) && event.message()["request_id"] == mark.as_str()
    });
}

/// Processor time of a process since the last look, in hundredths of one processor.
pub(crate) struct Load {
    at: Instant,
    ticks: u64,
}

impl Load {
    pub(crate) fn of(sidecar: &Sidecar) -> Self {
        Load {
            at: Instant::now(),
            ticks: sidecar.processor_ticks(),
        }
    }

    pub(crate) fn percent(&self, sidecar: &Sidecar) -> u64 {
        // The kernel counts in hundredths of a second.
        let ticks = sidecar.processor_ticks() - self.ticks;
        ticks * 1000 / u64::try_from(self.at.elapsed().as_millis().max(1)).unwrap()
    }
}

/// Bytes in MiB, for people.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
