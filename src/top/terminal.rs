//! The terminal, as it is while the numbers are shown: another screen, without cursor, and keys that are read
//! one by one. Whatever ends the program but `SIGKILL`, it is put back as it was.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::SIGWINCH;

use super::screen::Size;
use crate::runtime::process::signals::{self, Signals};

/// Another screen; no cursor; no line breaks of the terminal's own.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// What Ctrl-C sends when it raises no signal.
const INTERRUPT: u8 = 3;

/// The reason why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// The time has come.
    Due,
    /// The terminal has another size.
    Resized,
    /// The person has seen enough, or a signal ends the program.
    Ended,
}

pub(super) struct Terminal {
    /// How the terminal was; `None` if no keys can be read.
    before: Option<Termios>,
    /// The signals that end the program.
    signals: Signals,
    /// Becomes readable when the terminal has another size.
    resized: UnixStream,
}

impl Terminal {
    /// Makes the terminal ours, until this is dropped.
    pub(super) fn enter() -> io::Result<Self> {
        let (resized, resizes) = UnixStream::pair()?;
        resized.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGWINCH, resizes)?;
        let mut terminal = Terminal {
            before: None,
            signals: signals::catch()?,
            resized,
        };
        let keys = io::stdin();
        if keys.is_terminal() {
            let before = tcgetattr(&keys)?;
            let mut raw = before.clone();
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            tcsetattr(&keys, OptionalActions::Flush, &raw)?;
            terminal.before = Some(before);
        }
        write(ENTER)?;
        Ok(terminal)
    }

    /// Returns its present size.
    pub(super) fn size(&self) -> Size {
        let size = tcgetwinsize(io::stdout()).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(Size::USUAL, |size| Size {
            columns: usize::from(size.ws_col),
            rows: usize::from(size.ws_row),
        })
    }

    /// Returns whether colours are wanted (<https://no-color.org>).
    pub(super) fn has_colours(&self) -> bool {
        std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Shows these lines, and nothing else.
    pub(super) fn show(&self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (row, line) in lines.iter().enumerate() {
            // Each line at its place, and the rest of it empty, so that nothing flickers.
            let _ = write!(text, "\x1b[{};1H{line}\x1b[0m\x1b[K", row + 1);
        }
        text.push_str("\x1b[J");
        write(&text)
    }

    /// Waits for a time, or for what comes before.
    pub(super) fn wait(&mut self, until: Instant) -> io::Result<Waited> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let keys = io::stdin();
            let mut sources = vec![
                PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.resized.as_fd(), PollFlags::IN),
            ];
            if self.before.is_some() {
                sources.push(PollFd::from_borrowed_fd(keys.as_fd(), PollFlags::IN));
            }
            match poll(&mut sources, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                ready => ready?,
            };
            let is_ready = |place: usize| {
                let source = sources.get(place);
                source.is_some_and(|source| !source.revents().is_empty())
            };
            let (ends, resized, has_keys) = (is_ready(0), is_ready(1), is_ready(2));
            if ends || (has_keys && self.wants_to_end()?) {
                return Ok(Waited::Ended);
            }
            if resized {
                let _ = self.resized.read(&mut [0; 64]);
                return Ok(Waited::Resized);
            }
            if Instant::now() >= until {
                return Ok(Waited::Due);
            }
        }
    }

    /// Reads the keys that were pressed. Returns whether one of them ends the program.
    fn wants_to_end(&mut self) -> io::Result<bool> {
        let mut pressed = [0; 64];
        let count = rustix::io::read(io::stdin(), &mut pressed)?;
        let pressed = pressed.get(..count).unwrap_or_default();
        // At the end of input there is nobody who could press a key.
        Ok(pressed.is_empty()
            || pressed
                .iter()
                .any(|key| [b'q', b'Q', INTERRUPT].contains(key)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // There is nobody to be told if the terminal is gone.
        let _ = write(LEAVE);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout();
    output.write_all(text.as_bytes())?;
    output.flush()
}
