//! Asks the system's name servers by ourselves, for each family on its own: some answer for IPv4 only, and
//! fail or are silent for IPv6, which makes the system's own look-up fail or take very long.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::configuration::Configuration;
use crate::limits;
use crate::protocol::dns::{Family, Reply, question, reply};
use crate::runtime::interfaces::{connected_to, is_transient};

const PORT: u16 = 53;
/// The number of times that each server is asked.
const ROUNDS: usize = 2;
const FAMILIES: [Family; 2] = [Family::V6, Family::V4];

/// Looks up the addresses of a name on the calling thread, for [`limits::OWN_LOOK_UP_TIME`] at most.
pub(super) fn ask(name: &str) -> io::Result<Vec<IpAddr>> {
    let configuration = Configuration::of_system();
    let deadline = Instant::now() + limits::OWN_LOOK_UP_TIME;
    let servers = configuration
        .servers
        .iter()
        .map(|ip| SocketAddr::new(*ip, PORT));
    let servers: Vec<_> = servers.collect();
    let mut failure = None;
    for meaning in configuration.meanings(name) {
        match ask_for(&meaning, &servers, deadline) {
            Ok(addresses) if addresses.is_empty() => {}
            Ok(addresses) => return Ok(addresses),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::new(ErrorKind::NotFound, "the name has no address")))
}

/// Looks up a whole name. No address is an answer, too.
fn ask_for(name: &str, servers: &[SocketAddr], deadline: Instant) -> io::Result<Vec<IpAddr>> {
    let mut failure = None;
    for server in servers.iter().cycle().take(ROUNDS * servers.len()) {
        if Instant::now() >= deadline {
            break;
        }
        match ask_server(name, *server, deadline) {
            Ok(addresses) => return Ok(addresses),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| ErrorKind::TimedOut.into()))
}

/// Asks one server for both families at the same time. What it says of one is enough.
fn ask_server(name: &str, server: SocketAddr, deadline: Instant) -> io::Result<Vec<IpAddr>> {
    let (longest, rest) = limits::NAME_SERVER_TIME;
    let mut until = deadline.min(Instant::now() + longest);
    let socket = connected_to(server)?;
    let mut asked = Vec::new();
    for family in FAMILIES {
        let id = random()?;
        let question = question(id, name, family)
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "no name of the DNS"))?;
        socket.send(&question)?;
        asked.push((id, family, question));
    }
    let (mut found, mut failure) = (Vec::new(), None);
    let mut buffer = [0; 4096];
    while !asked.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Err(error),
            Err(error) if is_transient(&error) => continue,
            Err(error) => return Err(error),
        };
        let packet = buffer.get(..length).unwrap_or_default();
        let answered = asked
            .iter()
            .enumerate()
            .find_map(|(index, (id, family, _))| Some((index, reply(packet, *id, name, *family)?)));
        let Some((index, said)) = answered else {
            continue;
        };
        let (id, family, question) = asked.swap_remove(index);
        let said = match said {
            Reply::Cut => match ask_over_tcp(server, &question, until) {
                Ok(packet) => reply(&packet, id, name, family).unwrap_or(Reply::Failed),
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            },
            said => said,
        };
        match said {
            Reply::Addresses(addresses) => found.extend(addresses),
            Reply::NoSuchName => {}
            Reply::Cut | Reply::Failed => {
                failure = Some(io::Error::other("the name server has failed"));
            }
        }
        if !found.is_empty() {
            until = until.min(Instant::now() + rest);
        }
    }
    // That there is no address is known only when both were answered.
    let is_known = asked.is_empty() && failure.is_none();
    if is_known || !found.is_empty() {
        return Ok(found);
    }
    Err(failure.unwrap_or_else(|| ErrorKind::TimedOut.into()))
}

fn random() -> io::Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u16::from_ne_bytes(bytes))
}

/// Asks a server whose answer is too long for UDP.
fn ask_over_tcp(server: SocketAddr, question: &[u8], until: Instant) -> io::Result<Vec<u8>> {
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        left.max(Duration::from_millis(1))
    };
    let mut socket = TcpStream::connect_timeout(&server, left())?;
    socket.set_write_timeout(Some(left()))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    socket.write_all(&[&length.to_be_bytes()[..], question].concat())?;
    socket.set_read_timeout(Some(left()))?;
    let mut length = [0; 2];
    socket.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > limits::DNS_ANSWER_BYTES {
        return Err(io::Error::other("the name server's answer is too long"));
    }
    let mut packet = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = packet.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        socket.set_read_timeout(Some(left()))?;
        match socket.read(rest)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
        if Instant::now() >= until {
            return Err(ErrorKind::TimedOut.into());
        }
    }
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    const TYPE_A: u8 = 1;

    /// A name server that answers for IPv4, and for IPv6 with a result code, or not at all.
    fn server(others: Option<u8>, is_cut: bool) -> SocketAddr {
        // Another program may have the TCP port of the same number.
        let (socket, stream) = std::iter::repeat_with(|| {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            let stream = TcpListener::bind(socket.local_addr().unwrap()).ok()?;
            Some((socket, stream))
        })
        .flatten()
        .next()
        .unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let asked = &buffer[..length];
                let is_four = asked[length - 3] == TYPE_A;
                let packet = match (is_four, others) {
                    (true, _) if is_cut => answer(asked, 0x02, 0, 0),
                    (true, _) => answer(asked, 0, 0, 1),
                    (false, Some(code)) => answer(asked, 0, code, 0),
                    (false, None) => continue,
                };
                // A stray one comes first.
                let _ = socket.send_to(b"\0\0noise", from);
                socket.send_to(&packet, from).unwrap();
            }
        });
        std::thread::spawn(move || {
            while let Ok((mut socket, _)) = stream.accept() {
                let mut length = [0; 2];
                socket.read_exact(&mut length).unwrap();
                let mut asked = vec![0; usize::from(u16::from_be_bytes(length))];
                socket.read_exact(&mut asked).unwrap();
                let packet = answer(&asked, 0, 0, 1);
                let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
                socket.write_all(&[&length[..], &packet].concat()).unwrap();
            }
        });
        address
    }

    fn answer(asked: &[u8], flags: u8, code: u8, count: u8) -> Vec<u8> {
        let mut packet = asked.to_vec();
        packet.splice(2..8, [0x81 | flags, 0x80 | code, 0, 1, 0, count]);
        if count > 0 {
            packet.extend([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        }
        packet
    }

    fn asked(servers: &[SocketAddr]) -> (io::Result<Vec<IpAddr>>, Duration) {
        let began = Instant::now();
        let deadline = began + limits::OWN_LOOK_UP_TIME;
        (ask_for("reg.test", servers, deadline), began.elapsed())
    }

    #[test]
    fn what_a_server_says_of_one_family_is_enough() {
        // SERVFAIL, NOTIMP, no such name, nothing at all.
        for others in [Some(2), Some(4), Some(3), Some(0), None] {
            let (found, took) = asked(&[server(others, false)]);
            assert_eq!(found.unwrap(), [IpAddr::from([10, 0, 0, 1])], "{others:?}");
            assert!(took < Duration::from_secs(1), "{others:?}: {took:?}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_is_fetched_over_tcp() {
        let (found, _) = asked(&[server(Some(0), true)]);
        assert_eq!(found.unwrap(), [IpAddr::from([10, 0, 0, 1])]);
    }

    #[test]
    fn a_server_that_is_silent_or_away_gives_way_to_the_next() {
        let silent = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let silent = (silent.local_addr().unwrap(), silent);
        let away = UdpSocket::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap();
        let (found, took) = asked(&[away, silent.0, server(None, false)]);
        assert_eq!(found.unwrap(), [IpAddr::from([10, 0, 0, 1])]);
        assert!(took < Duration::from_secs(4), "{took:?}");
        let (none, took) = asked(&[silent.0]);
        assert!(none.is_err() && took < limits::OWN_LOOK_UP_TIME, "{took:?}");
    }
}
