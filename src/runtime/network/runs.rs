//! Runs: datagrams of one size from one socket to one address, given to the system in one call, which cuts them apart
//! again (UDP generic segmentation offload, `UDP_SEGMENT`; Linux 4.18 and later), or taken from it in one call
//! (generic receive offload, `UDP_GRO`; Linux 5.0). On its way through the system a run costs about as much as a single
//! datagram.

use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::net::UdpSocket;
use rustix::io::Errno;

use crate::limits;
use crate::mesh::link::Transmit;

/// The number of datagrams that every Linux can cut a run into (`UDP_MAX_SEGMENTS`).
const MOST_DATAGRAMS: usize = 64;

/// The number of bytes that a UDP datagram can carry over IPv4 (RFC 768), which is also the most for a run.
const MOST_BYTES: usize = 65_507;

/// What a TURN server's Send indication puts around a packet at most: its header, an IPv6 address and the header of its
/// data (RFC 8656 section 10).
const RELAY_HEADERS: usize = 48;

/// Returns whether a datagram may go in one run with those before it: all are of one size but the last, which may be
/// smaller. Small packets go one by one: they are sent where a path swallows full ones, and that may be a firewall of a
/// virtual network, to which a run is one large packet.
pub(super) fn goes_with(run: &[Transmit], next: &Transmit) -> bool {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return true;
    };
    let size = first.bytes.len();
    let is_of_path = next.source == first.source && next.destination == first.destination;
    let is_full = size > limits::SMALL_PACKET_BYTES + RELAY_HEADERS;
    let fits = is_full && last.bytes.len() == size && (1..=size).contains(&next.bytes.len());
    let has_room = run.len() < MOST_DATAGRAMS && size * run.len() + next.bytes.len() <= MOST_BYTES;
    is_of_path && fits && has_room
}

/// Sends a run. Either all of it is sent or nothing.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn send(socket: &impl AsRawFd, run: &[Transmit]) -> io::Result<()> {
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
    let Some(first) = run.first() else {
        return Ok(());
    };
    // No run has a larger datagram than `MOST_BYTES`.
    let size = u16::try_from(first.bytes.len()).unwrap_or(u16::MAX);
    let datagrams = run.iter().map(|transmit| IoSlice::new(&transmit.bytes));
    let datagrams: Vec<_> = datagrams.collect();
    sendmsg(
        socket.as_raw_fd(),
        &datagrams,
        &[ControlMessage::UdpGsoSegments(&size)],
        MsgFlags::empty(),
        Some(&SockaddrStorage::from(first.destination)),
    )?;
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn send(_socket: &impl AsRawFd, _run: &[Transmit]) -> io::Result<()> {
    Err(Errno::OPNOTSUPP.into())
}

/// Returns whether the error means that the datagrams can be sent only one by one: the interface computes no
/// checksums (EIO), the path takes only smaller datagrams (EINVAL or EMSGSIZE, as they must not be fragmented), or
/// the system knows no runs.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::IO | Errno::INVAL | Errno::MSGSIZE | Errno::OPNOTSUPP | Errno::NOPROTOOPT)
    )
}

/// What has come in with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// How many bytes of the buffer it takes.
    pub(super) length: usize,
    /// The size of each datagram but the last, which may be smaller.
    pub(super) size: usize,
    /// Who has sent it.
    pub(crate) source: SocketAddr,
}

impl Received {
    /// Returns the datagrams in the buffer that they were received into: at least one, which may be empty.
    pub(crate) fn datagrams<'a>(&self, buffer: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let bytes = buffer.get(..self.length).unwrap_or_default();
        let empty = bytes.is_empty().then_some(bytes);
        bytes.chunks(self.size.max(1)).chain(empty)
    }
}

/// Asks the system to give out as runs what has come together. One that does not know them gives out one by one.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn take_together(socket: &impl AsFd) {
    use nix::sys::socket::{setsockopt, sockopt::UdpGroSegment};
    if let Err(error) = setsockopt(socket, UdpGroSegment, &true) {
        log::debug!("datagrams are received one by one: {error}");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn take_together(_socket: &impl AsFd) {}

/// Receives the next datagram or run of a socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, cmsg_space, recvmsg};

    /// Control messages are read where they lie.
    #[repr(C, align(8))]
    struct Control([u8; cmsg_space::<i32>()]);

    let mut control = Control([0; cmsg_space::<i32>()]);
    let mut buffers = [io::IoSliceMut::new(buffer)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut buffers,
        Some(&mut control.0),
        MsgFlags::empty(),
    )?;
    let size = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok(),
        _ => None,
    });
    let source = received.address.and_then(|source| {
        let v4 = source.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
        v4.or_else(|| source.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
    });
    Ok(Received {
        length: received.bytes,
        size: size.unwrap_or(received.bytes),
        source: source.ok_or(io::ErrorKind::InvalidData)?,
    })
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Received> {
    let (length, source) = socket.recv_from(buffer)?;
    Ok(Received {
        length,
        size: length,
        source,
    })
}

/// Returns whether the system cuts runs. One that does not know them would send a run as one large datagram and
/// report no error; so it is tried out.
pub(super) fn are_supported() -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && are_cut().unwrap_or(false)
}

/// Sends two datagrams of one byte to ourselves over the loopback interface, and returns whether two come.
fn are_cut() -> io::Result<bool> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address: SocketAddr = socket.local_addr()?;
    // Now it takes datagrams of itself alone.
    socket.connect(address)?;
    // They are there when the call returns, but where the system passes them on by a thread of its own.
    socket.set_read_timeout(Some(Duration::from_millis(10)))?;
    let datagram = Transmit {
        source: address,
        destination: address,
        bytes: vec![0],
    };
    send(&socket, &[datagram.clone(), datagram])?;
    let mut buffer = [0; 2];
    Ok(socket.recv(&mut buffer)? == 1 && socket.recv(&mut buffer)? == 1)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn transmit(destination: SocketAddr, bytes: Vec<u8>) -> Transmit {
        Transmit {
            source: "127.0.0.1:1".parse().unwrap(),
            destination,
            bytes,
        }
    }

    /// Returns the lengths of the runs that datagrams of these sizes to one address become.
    fn runs(sizes: &[usize]) -> Vec<usize> {
        let destination = "127.0.0.1:2".parse().unwrap();
        let mut runs: Vec<Vec<Transmit>> = vec![Vec::new()];
        for size in sizes {
            let next = transmit(destination, vec![0; *size]);
            let run = runs.last_mut().unwrap();
            match goes_with(run, &next) {
                true => run.push(next),
                false => runs.push(vec![next]),
            }
        }
        runs.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_run_is_of_one_size_but_the_last() {
        assert_eq!(runs(&[1228, 1228, 1228]), [3]);
        assert_eq!(runs(&[1228, 1228, 3, 3, 1000, 1000]), [3, 1, 2]);
        assert_eq!(runs(&[1000, 1228]), [1, 1]);
        assert_eq!(runs(&[1228, 0, 0]), [1, 1, 1]);
    }

    #[test]
    fn small_packets_go_one_by_one() {
        // By themselves, as data of a TURN channel, and in Send indications.
        for around in [0, 4, 36, 48] {
            assert_eq!(runs(&[limits::SMALL_PACKET_BYTES + around; 3]), [1, 1, 1]);
        }
        assert_eq!(runs(&[1000; 3]), [3]);
    }

    #[test]
    fn a_run_has_no_more_than_the_system_takes() {
        assert_eq!(runs(&[1000; MOST_DATAGRAMS + 1]), [MOST_DATAGRAMS, 1]);
        assert_eq!(runs(&[MOST_BYTES - 1, 1, 1]), [2, 1]);
        assert_eq!(runs(&[1228; 60]), [53, 7]);
        assert_eq!(runs(&[MOST_BYTES / 2 + 1; 2]), [1, 1]);
    }

    #[test]
    fn a_run_takes_one_path() {
        let (here, there) = (
            "127.0.0.1:2".parse().unwrap(),
            "127.0.0.1:3".parse().unwrap(),
        );
        let run = [transmit(here, vec![0; 1228])];
        assert!(goes_with(&run, &transmit(here, vec![0; 5])));
        assert!(!goes_with(&run, &transmit(there, vec![0; 5])));
        let from_elsewhere = Transmit {
            source: there,
            ..transmit(here, vec![0; 5])
        };
        assert!(!goes_with(&run, &from_elsewhere));
    }

    /// Returns a socket on a free port; `None` on a machine without IPv6.
    fn socket(address: &str) -> Option<UdpSocket> {
        UdpSocket::bind(address.parse().unwrap()).ok()
    }

    /// Receives datagrams until these have come, in this order, and returns with how many calls.
    fn expect(receiver: &UdpSocket, sender: &UdpSocket, run: &[Transmit]) -> usize {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut buffer = vec![0; 1 << 16];
        let (mut came, mut calls) = (Vec::new(), 0);
        while came.len() < run.len() {
            assert!(Instant::now() < deadline, "{} have come", came.len());
            match receive(receiver, &mut buffer) {
                Ok(received) => {
                    assert_eq!(received.source, sender.local_addr().unwrap());
                    came.extend(received.datagrams(&buffer).map(<[u8]>::to_vec));
                    calls += 1;
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert!(came.iter().eq(run.iter().map(|sent| &sent.bytes)));
        calls
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn runs_arrive_as_the_datagrams_that_they_are_and_in_one_call_where_that_was_asked_for() {
        assert!(are_supported());
        for address in ["127.0.0.1:0", "[::1]:0"] {
            for together in [false, true] {
                let (Some(receiver), Some(sender)) = (socket(address), socket(address)) else {
                    continue;
                };
                if together {
                    take_together(&receiver);
                }
                let destination = receiver.local_addr().unwrap();
                let sizes = [
                    vec![1000; MOST_DATAGRAMS],
                    vec![1228, 1228, 7],
                    vec![1, 1],
                    vec![9],
                ];
                for sizes in sizes {
                    let datagram = |(number, size): (usize, &usize)| {
                        transmit(destination, vec![number as u8; *size])
                    };
                    let run: Vec<_> = sizes.iter().enumerate().map(datagram).collect();
                    send(&sender, &run).unwrap();
                    let calls = expect(&receiver, &sender, &run);
                    assert_eq!(calls, if together { 1 } else { run.len() });
                }
            }
        }
    }

    #[test]
    fn a_run_that_came_in_is_cut_into_datagrams_of_its_size() {
        let received = |length, size| Received {
            length,
            size,
            source: "127.0.0.1:1".parse().unwrap(),
        };
        let lengths = |received: Received| -> Vec<usize> {
            received.datagrams(&[0; 10]).map(<[u8]>::len).collect()
        };
        assert_eq!(lengths(received(10, 4)), [4, 4, 2]);
        assert_eq!(lengths(received(8, 4)), [4, 4]);
        assert_eq!(lengths(received(3, 3)), [3]);
        assert_eq!(
            lengths(received(0, 0)),
            [0],
            "an empty datagram is one, too"
        );
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn what_the_system_does_not_cut_is_refused_and_not_lost() {
        let socket = socket("127.0.0.1:0").unwrap();
        let destination = socket.local_addr().unwrap();
        let too_many = vec![transmit(destination, vec![0; 1]); 4 * MOST_DATAGRAMS];
        // It is also larger than any interface takes.
        let too_large = vec![transmit(destination, vec![0; 40_000]); 3];
        for run in [too_many, too_large] {
            let error = send(&socket, &run).unwrap_err();
            assert!(is_refusal(&error), "{error}");
        }
    }

    #[test]
    fn no_room_and_no_way_are_no_refusals() {
        for error in [Errno::AGAIN, Errno::NETUNREACH, Errno::PERM, Errno::NOBUFS] {
            assert!(!is_refusal(&error.into()), "{error}");
        }
    }
}
