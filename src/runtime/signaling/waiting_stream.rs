//! A TCP connection whose reads and writes wait: until a deadline, or until a change of the network cuts
//! them short.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::dial::Dialled;
use super::failure::Failure;
use super::settings::Times;
use super::tunnel::Tunnel;
use super::wakeups::Wakeups;
use super::way::Way;

/// The connection. Its errors may hold a [`Failure`].
pub(super) struct WaitingStream {
    socket: Tunnel,
    way: Way,
    patience: Duration,
    deadline: Instant,
    wakeups: Wakeups,
}

impl WaitingStream {
    /// Makes one of a connection that was opened with these wakeups.
    pub(super) fn new(dialled: Dialled, times: &Times, wakeups: &Wakeups) -> Self {
        let patience = times.patience(dialled.round_trip);
        WaitingStream {
            socket: dialled.socket,
            way: dialled.way,
            patience,
            deadline: dialled.began + patience,
            wakeups: wakeups.clone(),
        }
    }

    /// Waits until the proxy, if there is one, has connected us. Returns what it has answered.
    pub(super) fn open(&mut self) -> io::Result<Option<String>> {
        self.until_done(Tunnel::open)?;
        Ok(self.socket.said().map(str::to_owned))
    }

    fn until_done<T>(
        &mut self,
        mut work: impl FnMut(&mut Tunnel) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match work(&mut self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            self.wakeups.check(self.way)?;
            if Instant::now() >= self.deadline {
                return Err(Failure::late("no answer", self.patience).into());
            }
            self.wakeups.wait(self.deadline);
        }
    }
}

impl Read for WaitingStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_done(|socket| socket.read(buffer))
    }
}

impl Write for WaitingStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.until_done(|socket| socket.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.until_done(Tunnel::flush)
    }
}
