//! The log: lines on standard error, bounded in length and rate, that never block the program.

use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use log::{Level, Log, Metadata, Record};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::LogFormat;
use crate::limits;
use crate::log_limit::RateLimited;

mod filter;
mod line;

use filter::{Filter, shown_target};
use line::Line;

/// Sends the log to standard error from now on, panics included. Only the first call has an effect.
pub fn start(filter: &str, format: LogFormat) {
    let filter = Filter::parse(filter);
    let most = filter.most();
    let logger = Logger {
        filter,
        format,
        limit: Mutex::new(RateLimited::new(limits::LOG_LINES_PER_SECOND)),
        lost: AtomicU64::new(0),
    };
    if log::set_boxed_logger(Box::new(logger)).is_err() {
        return;
    }
    log::set_max_level(most);
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}

struct Logger {
    filter: Filter,
    format: LogFormat,
    /// Counts lines by level and target. Lines at `debug` and `trace` are not limited: someone asked
    /// for them.
    limit: Mutex<RateLimited<(Level, String)>>,
    /// The number of lines that standard error did not take.
    lost: AtomicU64,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let target = shown_target(record.target());
        let mut message = record.args().to_string();
        if record.level() <= Level::Info {
            let key = (record.level(), target.to_owned());
            let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
            match limit.pass(key, Instant::now()) {
                None => return,
                Some(0) => {}
                Some(suppressed) => {
                    message += &format!(" ({suppressed} lines before this one were left out)");
                }
            }
        }
        self.write(record.level(), target, &message);
    }

    fn flush(&self) {}
}

impl Logger {
    /// Writes a line if that is possible at once. The agent may have given us a pipe as standard error
    /// that it reads only after our end; waiting for it would stop everything.
    fn write(&self, level: Level, target: &str, message: &str) {
        let mut stderr = io::stderr().lock();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let message = format!("{lost} lines were lost: standard error was not read");
            if !self.write_line(&mut stderr, Level::Warn, "logging", &message) {
                self.lost.fetch_add(lost + 1, Ordering::Relaxed);
                return;
            }
        }
        if !self.write_line(&mut stderr, level, target, message) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a line if `stderr` takes it at once. Returns whether it did.
    fn write_line(
        &self,
        stderr: &mut io::StderrLock<'_>,
        level: Level,
        target: &str,
        message: &str,
    ) -> bool {
        let line = Line {
            time: SystemTime::now(),
            level,
            target,
            message,
        };
        // An error means that nobody reads standard error.
        is_writable(stderr) && stderr.write_all(line.write(self.format).as_bytes()).is_ok()
    }
}

/// Returns whether a line can be written without waiting. Linux reports a pipe as writable when
/// `PIPE_BUF` bytes fit, which is what [`limits::LOG_LINE_BYTES`] is.
fn is_writable(output: &impl AsFd) -> bool {
    let mut descriptors = [PollFd::new(output, PollFlags::OUT)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    match poll(&mut descriptors, Some(&at_once)) {
        Ok(ready) => ready > 0,
        // If the poll fails, a line that may have to wait is better than none.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_is_left_before_it_blocks() {
        let (_reader, mut writer) = io::pipe().unwrap();
        let line = [b'x'; limits::LOG_LINE_BYTES];
        let mut written = 0;
        while is_writable(&writer) {
            writer.write_all(&line).unwrap();
            written += line.len();
        }
        assert!(written >= line.len(), "{written}");
    }

    #[test]
    fn a_pipe_whose_reader_is_gone_fails_instead_of_waiting() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        assert!(is_writable(&writer));
        assert!(writer.write_all(b"x").is_err());
    }
}
