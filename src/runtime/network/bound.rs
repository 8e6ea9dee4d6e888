//! A UDP socket on one address of the machine: sends datagrams, in runs where the system takes that, and keeps those
//! that it has no room for.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::runs::{self, Received};
use crate::limits;
use crate::mesh::link::Transmit;
use crate::runtime::interfaces::is_transient;

pub(super) struct Bound {
    pub(super) socket: UdpSocket,
    pub(super) address: SocketAddr,
    pub(super) lane: usize,
    /// How much its receive buffer holds, in bytes as the system counts them.
    pub(super) receive_buffer: usize,
    /// Whether runs may be sent in one call.
    takes_runs: bool,
    /// The datagrams that the system had no room for, in order.
    unsent: VecDeque<Transmit>,
    unsent_bytes: usize,
}

impl Bound {
    /// Takes a socket that does not block, and is watched for what it receives. `takes_runs` is whether the system
    /// takes runs in one call.
    pub(super) fn new(
        socket: UdpSocket,
        address: SocketAddr,
        lane: usize,
        receive_buffer: usize,
        takes_runs: bool,
    ) -> Self {
        Bound {
            socket,
            address,
            lane,
            receive_buffer,
            takes_runs,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
        }
    }

    /// Receives what is next, with the local address; `None` when there is nothing at the moment.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<(Received, SocketAddr)> {
        match again_while(is_transient, || runs::receive(&self.socket, buffer)) {
            Ok(received) => {
                let source = without_scope(received.source);
                Some((Received { source, ..received }, self.address))
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    log::debug!("{}: {error}", self.address);
                }
                None
            }
        }
    }

    /// Sends the datagrams of a run, and empties it. What the system has no room for is kept until it has.
    pub(super) fn send(&mut self, registry: &Registry, token: Token, run: &mut Vec<Transmit>) {
        let mut done = 0;
        if self.unsent.is_empty() {
            done = self.try_send_run(run);
            if done < run.len() {
                // Only now: while it is watched, each datagram that leaves wakes the loop.
                self.watch(registry, token, Interest::READABLE | Interest::WRITABLE);
            }
        }
        for transmit in run.drain(..).skip(done) {
            let size = transmit.bytes.len();
            // Beyond the limit the datagram is lost, as in any full queue on its way.
            if self.unsent_bytes + size <= limits::UNSENT_DATAGRAM_BYTES {
                self.unsent_bytes += size;
                self.unsent.push_back(transmit);
            }
        }
    }

    /// Sends kept datagrams, because the socket has room again.
    pub(super) fn writable(&mut self, registry: &Registry, token: Token) {
        if self.unsent.is_empty() {
            return;
        }
        while let Some(transmit) = self.unsent.pop_front() {
            if !self.try_send(&transmit) {
                self.unsent.push_front(transmit);
                return;
            }
            self.unsent_bytes -= transmit.bytes.len();
        }
        self.watch(registry, token, Interest::READABLE);
    }

    fn watch(&mut self, registry: &Registry, token: Token, interest: Interest) {
        if let Err(error) = registry.reregister(&mut self.socket, token, interest) {
            log::warn!("{}: {error}", self.address);
        }
    }

    /// Sends the datagrams of a run, in one call if the system takes that. Returns how many of the first are done
    /// with: it has no room for the others now. Those that can't be sent at all are lost.
    fn try_send_run(&mut self, run: &[Transmit]) -> usize {
        if run.len() > 1 && self.takes_runs {
            match again_while(is_interruption, || runs::send(&self.socket, run)) {
                Ok(()) => return run.len(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
                Err(error) if runs::is_refusal(&error) => {
                    let address = self.address;
                    log::debug!("{address}: datagrams are sent one by one from now on: {error}");
                    self.takes_runs = false;
                }
                // One by one each may still find its way.
                Err(error) => log::debug!("{}: a run: {error}", self.address),
            }
        }
        let sent = run.iter().take_while(|transmit| self.try_send(transmit));
        sent.count()
    }

    /// Sends a datagram. Returns `false` when the system has no room now. A datagram that can't be sent
    /// at all is lost.
    fn try_send(&self, transmit: &Transmit) -> bool {
        let send = || self.socket.send_to(&transmit.bytes, transmit.destination);
        match again_while(is_interruption, send) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                log::debug!("{} to {}: {error}", self.address, transmit.destination);
                true
            }
        }
    }
}

/// Makes a system call again for as long as its error is one that passes.
fn again_while<T>(
    passes: impl Fn(&io::Error) -> bool,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if passes(&error) => {}
            outcome => return outcome,
        }
    }
}

fn is_interruption(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}

/// Returns the address as peers know it: the scope of a link-local IPv6 address means something on this
/// machine only. A socket that is bound to such an address sends on its link anyway.
pub(super) fn without_scope(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// Receives the next datagram of a socket, and its sender.
pub(crate) fn receive_from(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr)> {
    again_while(is_transient, || socket.recv_from(buffer))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TOKEN: Token = Token(0);

    /// A socket that sends to a receiver, and what it takes to send.
    struct Sending {
        bound: Bound,
        receiver: std::net::UdpSocket,
        poll: mio::Poll,
    }

    impl Sending {
        fn new(takes_runs: bool) -> Self {
            let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let deadline = Some(Duration::from_secs(10));
            receiver.set_read_timeout(deadline).unwrap();
            let poll = mio::Poll::new().unwrap();
            let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let readable = Interest::READABLE;
            poll.registry()
                .register(&mut socket, TOKEN, readable)
                .unwrap();
            let address = socket.local_addr().unwrap();
            Sending {
                bound: Bound::new(socket, address, 0, 0, takes_runs),
                receiver,
                poll,
            }
        }

        /// Sends this many datagrams in one run, and checks that each of them arrives.
        fn send(&mut self, count: usize) {
            let datagram = |number: usize| Transmit {
                source: self.bound.address,
                destination: self.receiver.local_addr().unwrap(),
                bytes: number.to_be_bytes().to_vec(),
            };
            let mut run: Vec<_> = (0..count).map(datagram).collect();
            let sent = run.clone();
            self.bound.send(self.poll.registry(), TOKEN, &mut run);
            assert!(run.is_empty() && self.bound.unsent.is_empty());
            for transmit in sent {
                let mut buffer = [0; 100];
                let length = self.receiver.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..length], transmit.bytes);
            }
        }
    }

    #[test]
    fn a_run_that_the_system_refuses_goes_one_by_one_and_so_do_those_after_it() {
        let mut sending = Sending::new(true);
        sending.send(20);
        assert!(sending.bound.takes_runs);
        // More than any system takes.
        sending.send(200);
        assert!(!sending.bound.takes_runs);
        sending.send(20);
    }

    #[test]
    fn a_system_that_knows_no_runs_gets_one_by_one() {
        Sending::new(false).send(20);
    }
}
