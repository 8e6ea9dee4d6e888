//! The `top` subcommand: shows the numbers of a running sidecar, which it asks for over HTTP.
//!
//! On a terminal the screen is made anew each second; elsewhere the numbers are printed once. Without I/O:
//! `numbers` reads the answer, `screen` makes the lines, with `table` and
//! `line`.

mod line;
mod numbers;
mod screen;
mod table;
mod terminal;
mod units;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Instant;

use crate::config::metrics::MetricsAddress;
use crate::http1::answer::{Answer, Exchange};
use crate::limits;
use crate::output;

use numbers::Numbers;
use screen::{Look, Screen};
use terminal::{Terminal, Waited};

/// Shows the numbers until the person has seen enough, or once if nobody watches. Returns exit code 1 if
/// there are none.
pub fn run(address: &MetricsAddress) -> ExitCode {
    let shown = ask(address).and_then(|first| {
        if io::stdout().is_terminal() {
            watch(address, first).map_err(|error| format!("cannot use the terminal: {error}"))
        } else {
            output::print(&screen::plain(&first));
            Ok(())
        }
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn watch(address: &MetricsAddress, first: Numbers) -> io::Result<()> {
    let mut terminal = Terminal::enter()?;
    let mut screen = Screen::new(Look {
        at: Instant::now(),
        numbers: first,
    });
    let mut next = Instant::now() + limits::TOP_INTERVAL;
    loop {
        let lines = screen.lines(terminal.size(), terminal.has_colours());
        terminal.show(&lines)?;
        match terminal.wait(next)? {
            Waited::Ended => return Ok(()),
            Waited::Resized => {}
            Waited::Due => {
                match ask(address) {
                    Ok(numbers) => screen.saw(Look {
                        at: Instant::now(),
                        numbers,
                    }),
                    Err(problem) => screen.failed(problem),
                }
                next = Instant::now() + limits::TOP_INTERVAL;
            }
        }
    }
}

/// Asks the sidecar for its numbers.
///
/// # Errors
/// Says what there is in their place, and what to do.
fn ask(address: &MetricsAddress) -> Result<Numbers, String> {
    let answer = exchange(address).map_err(|error| {
        format!(
            "no numbers on {address}: {error}; does a sidecar run with METRICS set to this address?"
        )
    })?;
    if answer.status != 200 {
        return Err(format!(
            "no numbers on {address}: it answered {}",
            answer.status
        ));
    }
    Numbers::read(&answer.content)
        .ok_or_else(|| format!("no numbers on {address}: what answers there is no sidecar"))
}

fn exchange(address: &MetricsAddress) -> io::Result<Answer> {
    let time = Some(limits::HEALTH_TIMEOUT);
    let exchange = Exchange {
        method: "GET",
        path: "/stats",
        host: "localhost",
        body: "",
        most: limits::TOP_ANSWER_BYTES,
    };
    match address {
        MetricsAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, limits::HEALTH_TIMEOUT)?;
            stream.set_read_timeout(time)?;
            stream.set_write_timeout(time)?;
            exchange.run(stream)
        }
        MetricsAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(time)?;
            stream.set_write_timeout(time)?;
            exchange.run(stream)
        }
    }
}
