//! Somebody who sits between two sidecars: he ends the DTLS of each, and hands on what they say.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chatixia_sidecar::mesh::link::webrtc::WebRtc;
use chatixia_sidecar::mesh::link::webrtc_link::WebRtcLink;
use chatixia_sidecar::mesh::link::{Channel, Datagram, Link, LinkOutput, Linker, Packets};
use chatixia_sidecar::nat::candidate::LocalCandidate;

/// What he has read, in order: on which channel, and the text.
type Read = Arc<Mutex<Vec<(Channel, String)>>>;

/// One of the two connections.
struct Side {
    link: WebRtcLink,
    socket: UdpSocket,
    open: Vec<Channel>,
    /// What is to be written once the channel is open.
    waiting: Vec<(Channel, Vec<u8>)>,
    timeout: Instant,
}

fn socket() -> (UdpSocket, [LocalCandidate; 1]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let address = socket.local_addr().unwrap();
    (socket, [LocalCandidate::Host { address }])
}

impl Side {
    fn new(link: WebRtcLink, socket: UdpSocket) -> Self {
        Side {
            link,
            socket,
            open: Vec::new(),
            waiting: Vec::new(),
            timeout: Instant::now(),
        }
    }

    /// Takes what has come in and does what is due. Gives the messages that came.
    fn turn(&mut self) -> Vec<(Channel, Vec<u8>)> {
        let mut buffer = [0; 2048];
        let destination = self.socket.local_addr().unwrap();
        match self.socket.recv_from(&mut buffer) {
            Ok((length, source)) => {
                let datagram = Datagram {
                    destination,
                    source,
                    bytes: &buffer[..length],
                };
                let _ = self.link.handle_datagram(Instant::now(), &datagram);
            }
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
            Err(_) => {}
        }
        if self.timeout <= Instant::now() {
            let _ = self.link.handle_timeout(Instant::now());
        }
        let mut came = self.take_outputs();
        let open = self.open.clone();
        for (channel, bytes) in std::mem::take(&mut self.waiting) {
            if open.contains(&channel) {
                let _ = self.link.write(channel, &bytes);
                came.extend(self.take_outputs());
            } else {
                self.waiting.push((channel, bytes));
            }
        }
        came
    }

    fn take_outputs(&mut self) -> Vec<(Channel, Vec<u8>)> {
        let mut came = Vec::new();
        while let Ok(output) = self.link.poll() {
            match output {
                LinkOutput::Transmit(transmit) => {
                    let _ = self.socket.send_to(&transmit.bytes, transmit.destination);
                }
                LinkOutput::Opened(channel) => self.open.push(channel),
                LinkOutput::Message(channel, bytes) => came.push((channel, bytes)),
                LinkOutput::Timeout(at) => {
                    self.timeout = at;
                    break;
                }
                LinkOutput::Closed => break,
                LinkOutput::Pair { .. } | LinkOutput::Nominated => {}
            }
        }
        came
    }
}

/// He has answered one offer and made one of his own; he waits for its answer.
pub(crate) struct Middle {
    near: Side,
    far: Side,
}

impl Middle {
    /// Answers the offer of one, and offers to the other. Gives the two descriptions.
    pub(crate) fn between(offer: &str) -> (Self, String, String) {
        let mut maker = WebRtc::new(262_144).unwrap();
        let now = Instant::now();
        let (near_socket, candidates) = socket();
        let (near, answer) = maker
            .answer(now, &candidates, Packets::Full, offer)
            .unwrap();
        let (far_socket, candidates) = socket();
        let (far, offer) = maker.offer(now, &candidates, Packets::Full).unwrap();
        let middle = Middle {
            near: Side::new(near, near_socket),
            far: Side::new(far, far_socket),
        };
        (middle, answer, offer)
    }

    /// Takes the answer of the other, and hands on what the two say from now on.
    pub(crate) fn start(mut self, answer: &str) -> Running {
        self.far.link.accept_answer(Instant::now(), answer).unwrap();
        self.far.link.open_control();
        let read = Read::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (of_thread, over) = (Arc::clone(&read), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let Middle { near, far } = &mut self;
            while !over.load(Ordering::Relaxed) {
                for (channel, bytes) in near.turn() {
                    note(&of_thread, channel, &bytes);
                    far.waiting.push((channel, bytes));
                }
                for (channel, bytes) in far.turn() {
                    note(&of_thread, channel, &bytes);
                    near.waiting.push((channel, bytes));
                }
            }
        });
        Running {
            read,
            is_over,
            thread: Some(thread),
        }
    }
}

fn note(read: &Read, channel: Channel, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    read.lock().unwrap().push((channel, text));
}

/// He sits between the two until this is dropped.
pub(crate) struct Running {
    read: Read,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// What he has read so far on this channel.
    pub(crate) fn read(&self, channel: Channel) -> Vec<String> {
        let read = self.read.lock().unwrap();
        let of_channel = read.iter().filter(|(on, _)| *on == channel);
        of_channel.map(|(_, text)| text.clone()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
