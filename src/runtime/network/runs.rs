//! Runs: datagrams of one size from one socket to one address, given to the system in one call, which cuts them apart
//! again (UDP generic segmentation offload, `UDP_SEGMENT`; Linux 4.18 and later). On its way through the system a run
//! costs about as much as a single datagram.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{MsgHdr, SockRef};

use crate::mesh::link::Transmit;

/// The number of datagrams that every Linux can cut a run into (`UDP_MAX_SEGMENTS`).
const MOST_DATAGRAMS: usize = 64;

/// The number of bytes that a UDP datagram can carry over IPv4 (RFC 768), which is also the most for a run.
const MOST_BYTES: usize = 65_507;

/// `SOL_UDP` and `UDP_SEGMENT` of Linux.
const SEGMENT_SIZE: (i32, i32) = (17, 103);

/// The size of a control message's header, `struct cmsghdr`: its length as a `size_t`, its level and its type.
const CONTROL_HEADER_BYTES: usize = size_of::<usize>() + 2 * size_of::<i32>();

/// The size of a control message with a `u16` in it, with the padding behind it (`CMSG_SPACE`).
const CONTROL_BYTES: usize =
    (CONTROL_HEADER_BYTES + size_of::<u16>()).next_multiple_of(size_of::<usize>());

/// Returns whether a datagram may go in one run with those before it: all are of one size but the last, which may be
/// smaller.
pub(super) fn goes_with(run: &[Transmit], next: &Transmit) -> bool {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return true;
    };
    let size = first.bytes.len();
    let is_of_path = next.source == first.source && next.destination == first.destination;
    let fits = last.bytes.len() == size && (1..=size).contains(&next.bytes.len());
    let has_room = run.len() < MOST_DATAGRAMS && size * run.len() + next.bytes.len() <= MOST_BYTES;
    is_of_path && fits && has_room
}

/// Sends a run. Either all of it is sent or nothing.
pub(super) fn send(socket: &impl AsFd, run: &[Transmit]) -> io::Result<()> {
    let Some(first) = run.first() else {
        return Ok(());
    };
    let destination = first.destination.into();
    let control = segment_size(first.bytes.len());
    let datagrams = run.iter().map(|transmit| IoSlice::new(&transmit.bytes));
    let datagrams: Vec<_> = datagrams.collect();
    let message = MsgHdr::new()
        .with_addr(&destination)
        .with_buffers(&datagrams)
        .with_control(&control);
    SockRef::from(socket).sendmsg(&message, 0).map(|_| ())
}

/// Returns the control message that tells the size of a run's datagrams, as cmsg(3) lays it out.
fn segment_size(bytes: usize) -> [u8; CONTROL_BYTES] {
    let (level, kind) = SEGMENT_SIZE;
    let length = CONTROL_HEADER_BYTES + size_of::<u16>();
    // No run has a larger datagram than `MOST_BYTES`.
    let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
    let fields = length
        .to_ne_bytes()
        .into_iter()
        .chain(level.to_ne_bytes())
        .chain(kind.to_ne_bytes())
        .chain(bytes.to_ne_bytes());
    let mut message = [0; CONTROL_BYTES];
    for (place, byte) in message.iter_mut().zip(fields) {
        *place = byte;
    }
    message
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

/// Returns whether the system cuts runs. One that does not know them would send a run as one large datagram and
/// report no error; so it is tried out.
pub(super) fn are_supported() -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && are_cut().unwrap_or(false)
}

/// Sends two datagrams of one byte to ourselves over the loopback interface, and returns whether two come.
fn are_cut() -> io::Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
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
        assert_eq!(runs(&[5, 5, 5]), [3]);
        assert_eq!(runs(&[5, 5, 3, 3, 5, 5]), [3, 1, 2]);
        assert_eq!(runs(&[5, 6]), [1, 1]);
        assert_eq!(runs(&[5, 0, 0]), [1, 1, 1]);
    }

    #[test]
    fn a_run_has_no_more_than_the_system_takes() {
        assert_eq!(runs(&[9; MOST_DATAGRAMS + 1]), [MOST_DATAGRAMS, 1]);
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
        let run = [transmit(here, vec![0; 5])];
        assert!(goes_with(&run, &transmit(here, vec![0; 5])));
        assert!(!goes_with(&run, &transmit(there, vec![0; 5])));
        let from_elsewhere = Transmit {
            source: there,
            ..transmit(here, vec![0; 5])
        };
        assert!(!goes_with(&run, &from_elsewhere));
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn the_largest_runs_arrive_as_the_datagrams_that_they_are() {
        assert!(are_supported());
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(address) else {
                // A machine without IPv6.
                continue;
            };
            let deadline = Some(Duration::from_secs(10));
            receiver.set_read_timeout(deadline).unwrap();
            let destination = receiver.local_addr().unwrap();
            let sender = UdpSocket::bind(address).unwrap();
            let sizes = [vec![1000; MOST_DATAGRAMS], vec![1228, 1228, 7], vec![1, 1]];
            for sizes in sizes {
                let datagram = |(number, size): (usize, &usize)| {
                    transmit(destination, vec![number as u8; *size])
                };
                let run: Vec<_> = sizes.iter().enumerate().map(datagram).collect();
                send(&sender, &run).unwrap();
                for sent in run {
                    let mut buffer = [0; 2000];
                    let length = receiver.recv(&mut buffer).unwrap();
                    assert!(buffer[..length] == sent.bytes, "{length}");
                }
            }
        }
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn what_the_system_does_not_cut_is_refused_and_not_lost() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
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
