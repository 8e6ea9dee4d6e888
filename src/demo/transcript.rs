//! The demo's output: a time and a text on each line, no wider than the terminal if there is one.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Instant;

use super::Crossing;

/// Width of the route, in characters: room for `mallory's agent -> mallory`.
const ROUTE_COLUMNS: usize = 26;

pub(super) struct Transcript<W> {
    output: W,
    began: Instant,
    /// The width of the terminal, if the output is one.
    columns: Option<usize>,
}

impl<W: Write + AsFd> Transcript<W> {
    /// Makes a transcript whose times count from now.
    pub(super) fn new(output: W) -> Self {
        let size = rustix::termios::tcgetwinsize(&output).ok();
        let columns = size.map(|size| usize::from(size.ws_col));
        Transcript {
            output,
            began: Instant::now(),
            columns: columns.filter(|columns| *columns > 0),
        }
    }
}

impl<W: Write> Transcript<W> {
    /// Prints a line of the demo itself; it is never shortened.
    pub(super) fn say(&mut self, at: Instant, line: &str) -> io::Result<()> {
        let time = self.time(at);
        writeln!(self.output, "{time}  {line}")
    }

    /// Prints what has crossed a boundary.
    pub(super) fn show(&mut self, crossing: &Crossing) -> io::Result<()> {
        let route = format!("{} -> {}", crossing.from, crossing.to);
        let line = crossing.line.trim_end();
        let whole = format!(
            "{}  {route:<ROUTE_COLUMNS$}  {line}",
            self.time(crossing.at)
        );
        match self.columns {
            Some(columns) => writeln!(self.output, "{}", shortened(&whole, columns)),
            None => writeln!(self.output, "{whole}"),
        }
    }

    fn time(&self, at: Instant) -> String {
        let since = at.saturating_duration_since(self.began);
        format!("{:>9.1} ms", since.as_secs_f64() * 1000.0)
    }
}

/// Returns at most `columns` characters, with `…` for what is left out.
fn shortened(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let mut kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_crossing_is_one_line_no_wider_than_the_terminal() {
        let began = Instant::now();
        let mut transcript = Transcript {
            output: Vec::new(),
            began,
            columns: Some(60),
        };
        let at = began + Duration::from_micros(12_340);
        transcript.say(at, "hello").unwrap();
        transcript
            .show(&Crossing {
                at,
                from: "alice's agent".to_owned(),
                to: "alice".to_owned(),
                line: "{\"type\":\"list_peers\",\"payload\":{}}\n".to_owned(),
            })
            .unwrap();
        assert_eq!(
            String::from_utf8(transcript.output).unwrap(),
            concat!(
                "     12.3 ms  hello\n",
                "     12.3 ms  alice's agent -> alice      {\"type\":\"list_pee…\n"
            )
        );
    }

    #[test]
    fn what_fits_is_not_shortened() {
        assert_eq!(shortened("äbc", 3), "äbc");
        assert_eq!(shortened("äbcd", 3), "äb…");
    }
}
