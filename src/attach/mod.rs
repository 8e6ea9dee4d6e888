//! `chatixia-sidecar attach`: puts a person at the terminal, or a pipe, in the agent's place.

mod ledger;
mod shown;
#[cfg(test)]
mod tests;
mod typed;

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, bounded};

use crate::limits;
use crate::protocol::lines::{Line, LineBuffer};
use ledger::Ledger;
use typed::Typed;

/// How long the first command waits for the sidecar to say who it is.
const GREETING_WAIT: Duration = Duration::from_millis(500);

/// The form in which events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A short line with the time of day (UTC).
    Readable,
    /// JSON lines as they came.
    Json,
}

/// The reason why attaching ended early.
#[derive(Debug)]
pub enum Error {
    /// Nobody can be reached on the socket.
    Connect(PathBuf, io::Error),
    /// The sidecar has closed the connection with so many commands unanswered.
    Closed(usize),
    /// Reading from the sidecar failed.
    Read(io::Error),
    /// The events can't be shown.
    Show(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Connect(path, error) => {
                write!(f, "cannot reach a sidecar on {path:?}: {error}")?;
                if error.kind() == io::ErrorKind::NotFound {
                    write!(f, "; start one with IPC_SOCKET set to it")?;
                } else if error.kind() == io::ErrorKind::ConnectionRefused {
                    write!(f, "; the sidecar that had it is gone, start one")?;
                }
                Ok(())
            }
            Error::Closed(0) => write!(f, "the sidecar has closed the connection"),
            Error::Closed(unanswered) => write!(
                f,
                "the sidecar has closed the connection; commands without an answer: {unanswered}"
            ),
            Error::Read(error) => write!(f, "cannot read from the sidecar: {error}"),
            Error::Show(error) => write!(f, "cannot show the events: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Attaches standard input and output to the sidecar on `socket`. Events are shown in readable form on a
/// terminal, as JSON lines elsewhere.
pub fn main(socket: &Path) -> ExitCode {
    let output = io::stdout();
    let style = if output.is_terminal() {
        Style::Readable
    } else {
        Style::Json
    };
    match run(socket, io::stdin(), output, io::stderr(), style) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends what is typed and shows what comes, until `/quit`, or until all commands are answered after the
/// end of `input`. `notes` gets what is meant for the person who types.
///
/// Returns whether every command was understood and succeeded.
///
/// # Errors
/// See [`Error`]. It is no error that nobody reads `output` any more: then it just ends.
pub fn run(
    socket: &Path,
    input: impl Read + Send + 'static,
    output: impl Write,
    notes: impl Write + Send + 'static,
    style: Style,
) -> Result<bool, Error> {
    let connect = |error| Error::Connect(socket.to_owned(), error);
    let stream = Arc::new(UnixStream::connect(socket).map_err(connect)?);
    let ledger = Arc::new(Ledger::default());
    let (greet, greeted) = bounded(1);

    let typing = Typing {
        stream: Arc::clone(&stream),
        ledger: Arc::clone(&ledger),
        notes,
    };
    // The thread is not joined: when all is over it may still be waiting for a key.
    thread::Builder::new()
        .name("attach-input".to_owned())
        .spawn(move || typing.run(input, &greeted))
        .map_err(connect)?;

    let mut output = BufWriter::new(output);
    let mut lines = LineBuffer::new(limits::ATTACH_LINE_BYTES);
    loop {
        if !read_some(&mut &*stream, &mut lines).map_err(Error::Read)? {
            break;
        }
        let shown = show(&mut output, &mut lines, style, |line| {
            ledger.event(line);
            let _ = greet.try_send(());
        });
        match shown {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(true),
            shown => shown.map_err(Error::Show)?,
        }
        if ledger.is_settled() {
            break;
        }
    }
    ledger.outcome().map_err(Error::Closed)
}

/// Shows the lines that are there. Calls `seen` with each before it is shown.
fn show(
    output: &mut impl Write,
    lines: &mut LineBuffer,
    style: Style,
    mut seen: impl FnMut(&[u8]),
) -> io::Result<()> {
    while let Some(line) = lines.next_line() {
        let Line::Complete(line) = line else {
            continue;
        };
        seen(line);
        match style {
            Style::Json => output.write_all(line)?,
            Style::Readable => {
                output.write_all(shown::readable(line, SystemTime::now()).as_bytes())?;
            }
        }
        output.write_all(b"\n")?;
    }
    output.flush()
}

/// Reads once; returns whether there may be more.
fn read_some(input: &mut impl Read, lines: &mut LineBuffer) -> io::Result<bool> {
    loop {
        match input.read(lines.space()) {
            Ok(0) => {
                lines.end();
                return Ok(false);
            }
            Ok(count) => {
                lines.filled(count);
                return Ok(true);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The sidecar has closed the connection without reading everything that we sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// The thread that turns what is typed into commands.
struct Typing<N> {
    stream: Arc<UnixStream>,
    ledger: Arc<Ledger>,
    notes: N,
}

impl<N: Write> Typing<N> {
    fn run(mut self, mut input: impl Read, greeted: &Receiver<()>) {
        // Messages name their sender, which we learn from the sidecar's first line.
        let _ = greeted.recv_timeout(GREETING_WAIT);
        let mut lines = LineBuffer::new(limits::ATTACH_LINE_BYTES);
        let mut more = true;
        while more {
            more = match read_some(&mut input, &mut lines) {
                Ok(more) => more,
                Err(error) => {
                    self.mistake(&format!("cannot read what is typed: {error}"));
                    false
                }
            };
            while let Some(line) = lines.next_line() {
                match line {
                    Line::Complete(line) if self.take(line).is_break() => return,
                    Line::Complete(_) => {}
                    Line::TooLong(_) => self.mistake("the line is too long"),
                }
            }
        }
        let end = if self.ledger.end_of_input() {
            Shutdown::Both
        } else {
            Shutdown::Write
        };
        let _ = self.stream.shutdown(end);
    }

    /// Handles one line that was typed. Breaks when nothing that follows matters.
    fn take(&mut self, line: &[u8]) -> ControlFlow<()> {
        let command = match typed::read(line, &self.ledger) {
            Typed::Command { id, line } => {
                self.ledger.sent(id);
                line
            }
            Typed::Help => {
                self.note(typed::HELP);
                return ControlFlow::Continue(());
            }
            Typed::Quit => {
                self.ledger.quit();
                let _ = self.stream.shutdown(Shutdown::Both);
                return ControlFlow::Break(());
            }
            Typed::Mistake(what) => {
                self.mistake(&what);
                return ControlFlow::Continue(());
            }
        };
        // If this fails, the connection is closed, which the other thread sees and reports.
        match (&*self.stream).write_all(format!("{command}\n").as_bytes()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn mistake(&mut self, what: &str) {
        self.ledger.mistake();
        self.note(what);
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(self.notes, "{text}");
    }
}
