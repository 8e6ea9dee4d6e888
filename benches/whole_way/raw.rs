//! The raw limit: measures two ends of the WebRTC stack in one thread, over UDP sockets of the loopback
//! interface. There are no agents, no sidecars and no waiting for other threads.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use chatixia_sidecar::limits;
use chatixia_sidecar::mesh::link::sctp_init::without_forward_tsn;
use chatixia_sidecar::mesh::link::webrtc::WebRtc;
use chatixia_sidecar::mesh::link::webrtc_link::WebRtcLink;
use chatixia_sidecar::mesh::link::{
    Channel, Datagram, Link as _, LinkError, LinkOutput, Linker as _, Packets,
};
use chatixia_sidecar::nat::candidate::LocalCandidate;

use socket2::SockRef;

use super::Outcome;
use super::content::Content;
use super::results::Sorted;

/// Largest message that both ends announce, in bytes.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Bytes and messages under way: about the fastest for paths as short as this one.
const WINDOW_BYTES: usize = 64 * 1024;
const WINDOW_MESSAGES: usize = 128;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct End {
    link: WebRtcLink,
    socket: UdpSocket,
    address: SocketAddr,
    timeout: Instant,
    open: bool,
    arrived: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

/// Two ends that are connected.
pub(crate) struct Pair {
    ends: [End; 2],
}

impl Pair {
    pub(crate) fn connect() -> Outcome<Self> {
        let now = Instant::now();
        let (first_socket, first_address) = bind()?;
        let (second_socket, second_address) = bind()?;
        let maker = || WebRtc::new(MESSAGE_BYTES).map_err(describe);
        let (mut first, offer) = maker()?
            .offer(now, &[host(first_address)], Packets::Full)
            .map_err(describe)?;
        let offer = without_forward_tsn(&offer);
        let (second, answer) = maker()?
            .answer(now, &[host(second_address)], Packets::Full, &offer)
            .map_err(describe)?;
        let answer = without_forward_tsn(&answer);
        first.accept_answer(now, &answer).map_err(describe)?;
        let mut pair = Pair {
            ends: [
                End::new(first, first_socket, first_address, now),
                End::new(second, second_socket, second_address, now),
            ],
        };
        let deadline = now + PATIENCE;
        while !pair.ends.iter().all(|end| end.open) {
            pair.step(deadline)?;
        }
        Ok(pair)
    }

    /// Lets both ends take what has come in. Spins: a wait would be part of what is measured.
    fn step(&mut self, deadline: Instant) -> Outcome<()> {
        for end in &mut self.ends {
            end.receive()?;
        }
        if Instant::now() >= deadline {
            return Err("the raw limit: nothing goes on".to_owned());
        }
        Ok(())
    }

    /// The times of `count` round trips of one message.
    pub(crate) fn echo(&mut self, content: &Content, count: usize) -> Outcome<Sorted> {
        let deadline = Instant::now() + PATIENCE;
        let mut times = Vec::with_capacity(count);
        let mut message = Vec::new();
        for number in 0..count as u64 {
            message.clear();
            content.append(number, &mut message);
            let sent = Instant::now();
            let [first, _] = &mut self.ends;
            first.write(&message)?;
            first.poll()?;
            let echo = loop {
                self.step(deadline)?;
                let [first, second] = &mut self.ends;
                if let Some(echo) = first.arrived.pop() {
                    break echo;
                }
                if let Some(received) = second.arrived.pop() {
                    second.write(&received)?;
                    second.poll()?;
                }
            };
            times.push(sent.elapsed());
            check(content, number, &echo)?;
        }
        self.settle()?;
        Ok(Sorted::new(times))
    }

    /// Sends one way for `duration`; gives the number of messages and how long they took to arrive.
    pub(crate) fn one_way(
        &mut self,
        content: &Content,
        duration: Duration,
    ) -> Outcome<(u64, Duration)> {
        let began = Instant::now();
        let deadline = began + duration + PATIENCE;
        let mut message = Vec::new();
        let (mut sent, mut arrived) = (0, 0);
        let mut is_sending = true;
        while is_sending || arrived < sent {
            is_sending = is_sending && began.elapsed() < duration;
            let [first, second] = &mut self.ends;
            if is_sending {
                let least = content.bytes().max(WINDOW_BYTES / WINDOW_MESSAGES);
                // The end of one message may wait for its acknowledgement, but not the next message.
                let window = (WINDOW_BYTES / least).max(2);
                let buffered = first.link.buffered(Channel::Mesh).div_ceil(content.bytes());
                for _ in buffered..window {
                    message.clear();
                    content.append(sent, &mut message);
                    first.write(&message)?;
                    sent += 1;
                }
                first.poll()?;
            }
            for received in std::mem::take(&mut second.arrived) {
                check(content, arrived, &received)?;
                arrived += 1;
            }
            self.step(deadline)?;
        }
        let took = began.elapsed();
        self.settle()?;
        Ok((arrived, took))
    }

    /// Waits until all is acknowledged. Nobody drives the ends until they are measured again, and the transport takes
    /// an acknowledgement for lost that comes only then: it would begin with one packet, which is acknowledged late.
    fn settle(&mut self) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        let is_busy = |end: &mut End| end.link.buffered(Channel::Mesh) > 0;
        while self.ends.iter_mut().any(is_busy) {
            self.step(deadline)?;
        }
        Ok(())
    }
}

fn check(content: &Content, number: u64, message: &[u8]) -> Outcome<()> {
    if content.matches(number, message) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(message.get(..80).unwrap_or(message));
    Err(format!("the raw limit: not message {number}: {text}"))
}

impl End {
    fn new(link: WebRtcLink, socket: UdpSocket, address: SocketAddr, now: Instant) -> Self {
        End {
            link,
            socket,
            address,
            timeout: now,
            open: false,
            arrived: Vec::new(),
            buffer: vec![0; 65_536],
        }
    }

    /// Writes a message; it goes out with the next [`End::poll`].
    fn write(&mut self, message: &[u8]) -> Outcome<()> {
        match self.link.write(Channel::Mesh, message).map_err(describe)? {
            true => Ok(()),
            false => Err("the raw limit: no room".to_owned()),
        }
    }

    /// Takes all datagrams that are there, and the time if it is due.
    fn receive(&mut self) -> Outcome<()> {
        loop {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((length, source)) => {
                    let datagram = Datagram {
                        destination: self.address,
                        source,
                        bytes: self.buffer.get(..length).unwrap_or_default(),
                    };
                    self.link
                        .handle_datagram(Instant::now(), &datagram)
                        .map_err(describe)?;
                    self.poll()?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("the raw limit: {error}")),
            }
        }
        let now = Instant::now();
        if now >= self.timeout {
            self.link.handle_timeout(now).map_err(describe)?;
            self.poll()?;
        }
        Ok(())
    }

    fn poll(&mut self) -> Outcome<()> {
        loop {
            match self.link.poll().map_err(describe)? {
                LinkOutput::Transmit(transmit) => {
                    self.socket
                        .send_to(&transmit.bytes, transmit.destination)
                        .map_err(|error| format!("the raw limit: {error}"))?;
                }
                LinkOutput::Opened(Channel::Mesh) => self.open = true,
                LinkOutput::Message(Channel::Mesh, message) => self.arrived.push(message),
                LinkOutput::Closed => return Err("the raw limit: closed".to_owned()),
                LinkOutput::Timeout(at) => {
                    self.timeout = at;
                    return Ok(());
                }
                LinkOutput::Opened(_)
                | LinkOutput::Message(..)
                | LinkOutput::Pair { .. }
                | LinkOutput::Nominated => {}
            }
        }
    }
}

fn bind() -> Outcome<(UdpSocket, SocketAddr)> {
    let bound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| {
        socket.set_nonblocking(true)?;
        // What is under way does not fit into Linux's default, and a loss costs a second.
        SockRef::from(&socket).set_recv_buffer_size(limits::SOCKET_BUFFER_BYTES)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    });
    bound.map_err(|error| format!("the raw limit: {error}"))
}

fn describe(error: LinkError) -> String {
    format!("the raw limit: {error}")
}

fn host(address: SocketAddr) -> LocalCandidate {
    LocalCandidate::Host { address }
}
