//! Catches the signals that ask the process to end, or to read again what may have changed.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

/// A signal that is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGHUP: the terminal is gone, or files are to be read again.
    Hangup,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM
    Terminate,
}

impl Signal {
    const ALL: [Signal; 3] = [Signal::Hangup, Signal::Interrupt, Signal::Terminate];

    fn number(self) -> i32 {
        match self {
            Signal::Hangup => SIGHUP,
            Signal::Interrupt => SIGINT,
            Signal::Terminate => SIGTERM,
        }
    }

    /// Returns the name, as in `SIGTERM`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Hangup => "SIGHUP",
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        }
    }
}

/// The signals that have arrived, and a descriptor that becomes readable when one does.
#[derive(Debug)]
pub(crate) struct Signals {
    pipe: UnixStream,
    arrived: Vec<(Signal, Arc<AtomicBool>)>,
}

/// Makes it an error of the write, and no more, that a file may not grow any further (`ulimit -f`): the system ends a
/// process that does not catch SIGXFSZ.
pub fn survive_file_limits() {
    // It fails for signals only that may not be caught.
    let caught = signal_hook::flag::register(SIGXFSZ, Arc::default());
    debug_assert!(caught.is_ok());
}

/// Catches SIGHUP, SIGINT and SIGTERM from now on.
///
/// SIGHUP and SIGINT stay ignored if they were when this process was started: whoever did that, such as
/// `nohup` or a shell that starts a job in the background, does not want them to have an effect. SIGTERM is
/// caught in any case, because agents end us with it.
pub(crate) fn catch() -> io::Result<Signals> {
    // Systems without this file tell nothing of what was inherited.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let (pipe, sender) = UnixStream::pair()?;
    let mut arrived = Vec::new();
    for signal in Signal::ALL {
        if signal != Signal::Terminate && is_ignored(&status, signal.number()) {
            log::debug!("{} stays ignored, as it was at the start", signal.name());
            continue;
        }
        let flag = Arc::new(AtomicBool::new(false));
        // What is registered first happens first: who reads the pipe finds the flag set.
        signal_hook::flag::register(signal.number(), Arc::clone(&flag))?;
        signal_hook::low_level::pipe::register(signal.number(), sender.try_clone()?)?;
        arrived.push((signal, flag));
    }
    Ok(Signals { pipe, arrived })
}

impl Signals {
    /// Makes [`Signals::take`] return at once, for use with a poll.
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        self.pipe.set_nonblocking(true)
    }

    /// Returns the signals that have arrived since the last call, each once. Waits for one unless
    /// [`Signals::set_nonblocking`] was called.
    pub(crate) fn take(&self) -> Vec<Signal> {
        let mut bytes = [0; 64];
        // A full buffer leaves the pipe readable. No signal is lost by that: the flags tell which came.
        while let Err(error) = (&self.pipe).read(&mut bytes)
            && error.kind() == io::ErrorKind::Interrupted
        {}
        let arrived = self.arrived.iter();
        arrived
            .filter(|(_, flag)| flag.swap(false, Ordering::SeqCst))
            .map(|(signal, _)| *signal)
            .collect()
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.pipe.as_raw_fd()
    }
}

/// Returns whether the kernel's account of a process, `status` in proc(5), says that it ignores a signal.
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Bit 0 is signal 1.
    mask.is_some_and(|mask| mask.checked_shr((signal - 1).unsigned_abs()).unwrap_or(0) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_account_tells_what_is_ignored() {
        let nohup = "Name:\tx\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000000001\nSigCgt:\t0\n";
        assert!(is_ignored(nohup, SIGHUP));
        assert!(!is_ignored(nohup, SIGINT) && !is_ignored(nohup, SIGTERM));
        let background = "SigIgn:\t0000000000001006\n";
        assert!(is_ignored(background, SIGINT) && !is_ignored(background, SIGHUP));
        for unknown in [
            "",
            "SigIgn:\tx\n",
            "SigIgn:\n",
            "SigBlk:\tffffffffffffffff\n",
        ] {
            assert!(!is_ignored(unknown, SIGHUP), "{unknown:?}");
        }
    }

    #[test]
    fn a_signal_that_came_is_told_once_by_its_name() {
        let (pipe, sender) = UnixStream::pair().unwrap();
        let flags = Signal::ALL.map(|signal| (signal, Arc::new(AtomicBool::new(false))));
        let signals = Signals {
            pipe,
            arrived: flags.to_vec(),
        };
        signals.set_nonblocking().unwrap();
        assert_eq!(signals.take(), []);
        for _ in 0..2 {
            flags[0].1.store(true, Ordering::SeqCst);
            io::Write::write_all(&mut &sender, b"x").unwrap();
        }
        assert_eq!(signals.take(), [Signal::Hangup]);
        assert_eq!(signals.take(), []);
        assert_eq!(Signal::Hangup.name(), "SIGHUP");
    }
}
