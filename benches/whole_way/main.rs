//! The benchmark: measures in one run what a message costs on the whole way, from agent to agent through
//! two sidecars, and beside it the raw limit of the WebRTC stack below.
//!
//! `cargo bench --bench whole_way -- --help` lists the options. Raw and whole way take turns in short
//! rounds, and the best of all rounds counts: other work on the machine makes a round worse, never better.
//! The report says how busy the machine was with other things.

mod agent;
mod broadcasting;
mod connecting;
mod content;
mod far;
mod foreign;
mod idling;
mod machine;
mod options;
mod pair;
mod path;
mod ratios;
mod raw;
mod report;
mod results;
mod sidecar;
mod starting;
mod sweep;
mod traffic;

use std::process::ExitCode;

use machine::Machine;
use options::{Options, Part};
use results::{Column, Results};
use sidecar::Site;

/// A failure, for a person.
type Outcome<T> = Result<T, String>;

/// A sidecar to measure.
struct Contender {
    column: Column,
    site: Site,
    /// Whether it is one of this project's. Another make knows parts 1 to 4 of the contract only.
    is_ours: bool,
}

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            report::print(options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&error),
    };
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    report::say(&format!("whole_way: {error}"));
    ExitCode::FAILURE
}

fn measure(options: &Options) -> Outcome<()> {
    let machine = Machine::look()?;
    let contenders = contenders(options)?;
    let mut results = Results::default();
    if options.wants(Part::Size) {
        for contender in &contenders {
            starting::size(contender, &mut results)?;
        }
        starting::crates(&mut results)?;
    }
    let over_stdio = Contender {
        column: Column::Stdio,
        site: Site::new(OURS.as_ref(), true)?,
        is_ours: true,
    };
    if options.wants(Part::Start) {
        starting::measure(&contenders, options, &mut results)?;
        starting::first_lines(&contenders, &over_stdio, options, &mut results)?;
    }
    if options.wants(Part::Connect) {
        connecting::measure(&contenders, options, &mut results)?;
    }
    if options.wants(Part::Mesh) {
        connecting::measure_full_mesh(&contenders, options, &mut results)?;
    }
    if options.wants(Part::Echo) || options.wants(Part::OneWay) {
        traffic::measure(&contenders, &over_stdio, options, &mut results)?;
    }
    if options.wants(Part::Broadcast) {
        broadcasting::measure(&contenders, options, &mut results)?;
    }
    if options.wants(Part::Idle) {
        idling::measure(&contenders, options, &mut results)?;
    }
    if options.wants(Part::Far) {
        far::measure(&contenders, options, &mut results)?;
    }
    let sweep = match options.wants(Part::Sweep) {
        true => Some(sweep::measure(&contenders, options)?),
        false => None,
    };
    let conditions = machine.conditions(&contenders)?;
    if let Some(sweep) = &sweep {
        report::print(&report::sweep(sweep));
    }
    report::print(&report::table(&results, &conditions));
    report::write_json(&results, sweep.as_ref(), &conditions, &options.json)?;
    report::say(&format!("written to {}", options.json.display()));
    if options.sets_ratios {
        report::print(&ratios::lines(&results));
    }
    let of_sizes = sweep.map_or(Ok(()), |sweep| sweep.verdict());
    let of_ratios = match options.sets_ratios {
        true => Ok(()),
        false => ratios::verdict(&results),
    };
    match of_sizes.and(of_ratios) {
        Err(slow) if conditions.is_busy() => {
            report::say(&format!("not judged, since the machine is busy: {slow}"));
            Ok(())
        }
        judged => judged,
    }
}

/// The sidecar of this source.
const OURS: &str = env!("CARGO_BIN_EXE_chatixia-sidecar");

fn contenders(options: &Options) -> Outcome<Vec<Contender>> {
    let ours = Contender {
        column: Column::WholeWay,
        site: Site::new(OURS.as_ref(), false)?,
        is_ours: true,
    };
    let mut contenders = vec![ours];
    if let Some(binary) = &options.against {
        let site = Site::new(binary, false)?;
        contenders.push(Contender {
            column: Column::Against,
            is_ours: site.greets()?,
            site,
        });
    }
    Ok(contenders)
}
