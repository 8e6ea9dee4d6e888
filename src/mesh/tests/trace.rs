//! What happened, as a number to compare runs by, and as text on request.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::network::Place;
use crate::mesh::link::Transmit;
use crate::protocol::ipc::Event;

/// Bytes of a datagram that count; its length does in any case.
const COMPARED_BYTES: usize = 40;

#[derive(Debug)]
pub(super) struct Trace {
    hasher: DefaultHasher,
    is_printed: bool,
}

impl Default for Trace {
    /// `SIMULATION_TRACE` in the environment prints the run, with the core's log.
    fn default() -> Self {
        let is_printed = std::env::var_os("SIMULATION_TRACE").is_some();
        if is_printed && log::set_logger(&PRINTER).is_ok() {
            log::set_max_level(log::LevelFilter::Debug);
        }
        Trace {
            hasher: DefaultHasher::new(),
            is_printed,
        }
    }
}

impl Trace {
    pub(super) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) fn woken(&mut self, at: Duration, place: Place) {
        (at, place).hash(&mut self.hasher);
        self.note(at, || format!("timer of {place}"));
    }

    pub(super) fn datagram(&mut self, at: Duration, transmit: &Transmit) {
        let bytes = &transmit.bytes[..transmit.bytes.len().min(COMPARED_BYTES)];
        (at, transmit.source, transmit.destination).hash(&mut self.hasher);
        (transmit.bytes.len(), bytes).hash(&mut self.hasher);
        if transmit.bytes.first() > Some(&3) {
            self.note(at, || {
                let (source, destination) = (transmit.source, transmit.destination);
                let text = String::from_utf8_lossy(&transmit.bytes[9..]);
                let text: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
                format!("{source} > {destination} {} {text}", transmit.bytes[0])
            });
        }
    }

    pub(super) fn frame(&mut self, at: Duration, from: Place, text: &str) {
        (at, from, text).hash(&mut self.hasher);
        self.note(at, || format!("{from} > registry: {text:.90}"));
    }

    pub(super) fn event(&mut self, at: Duration, place: Place, event: &Event) {
        (at, place, event.size_hint()).hash(&mut self.hasher);
        self.note(at, || {
            let mut line = format!("{event:?}");
            line.truncate(160);
            format!("agent {place}: {line}")
        });
    }

    pub(super) fn note(&self, at: Duration, text: impl FnOnce() -> String) {
        if self.is_printed {
            println!("{at:?} {}", text());
        }
    }
}

static PRINTER: Printer = Printer;

struct Printer;

impl log::Log for Printer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("    {} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}
