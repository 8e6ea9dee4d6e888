//! Passes on what sidecars and the registry say to each other. If there is a relay it writes the relay's ports into the
//! candidates that the registry brings. WebSocket frames of a server are not masked, and the relay's ports have as many digits as
//! those that they replace, so nothing else changes.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::str;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use memchr::memmem;

use super::relay::Relay;

/// The beginning of a candidate. Its address and port are the fifth and the sixth word from there (RFC 8839).
const CANDIDATE: &[u8] = b"candidate:";
const ADDRESS: usize = 4;

/// Digits of the ports that the system chooses.
const DIGITS: usize = 5;

/// When small frames are sent while others are not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmallFrames {
    /// At once.
    Prompt,
    /// When all before them are acknowledged, as the field's registry does, which does not set `TCP_NODELAY`.
    Held,
}

pub(super) struct Introducer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Introducer {
    pub(super) fn new(
        registry: SocketAddr,
        relay: Option<Arc<Relay>>,
        small_frames: SmallFrames,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let is_over = stopped.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let relay = relay.clone();
                let served = client.and_then(|client| serve(client, registry, relay, small_frames));
                if let Err(error) = served {
                    crate::report::say(&format!("the way to the registry: {error}"));
                }
            }
        });
        Ok(Introducer { address, stopped })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // It wakes the thread, which then looks.
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes everything on, both ways, until one side has ended.
fn serve(
    client: TcpStream,
    registry: SocketAddr,
    relay: Option<Arc<Relay>>,
    small_frames: SmallFrames,
) -> io::Result<()> {
    let server = TcpStream::connect(registry)?;
    client.set_nodelay(small_frames == SmallFrames::Prompt)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass(from_client, to_server, |_| true));
    thread::spawn(move || {
        pass(server, client, |bytes| {
            relay.as_ref().is_none_or(|relay| rewrite(bytes, relay))
        });
    });
    Ok(())
}

/// Passes on what comes in. `prepare` may change it, and tells whether it is whole.
fn pass(mut from: TcpStream, mut to: TcpStream, prepare: impl Fn(&mut [u8]) -> bool) {
    let mut chunk = [0; 16 * 1024];
    let mut bytes = Vec::new();
    while let Ok(count) = from.read(&mut chunk)
        && count > 0
    {
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if !prepare(&mut bytes) {
            continue;
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
        bytes.clear();
    }
    // The other thread ends with it.
    let _ = to.shutdown(Shutdown::Both);
}

/// Writes the relay's ports in place of the peers'. Returns `false` if a candidate has not come in as a whole.
fn rewrite(bytes: &mut [u8], relay: &Arc<Relay>) -> bool {
    let found: Vec<_> = memmem::find_iter(bytes, CANDIDATE).collect();
    for at in found {
        let Some((address, port)) = address_and_port(bytes, at) else {
            return false;
        };
        let text =
            |range: Range<usize>| bytes.get(range).and_then(|text| str::from_utf8(text).ok());
        let ip: Option<IpAddr> = text(address).and_then(|text| text.parse().ok());
        let number = text(port.clone()).and_then(|text| text.parse().ok());
        let meant = ip.zip(number).map(SocketAddr::from);
        let told = meant.and_then(|meant| relay.stand_in_for(meant));
        if let Some(digits) = bytes.get_mut(port)
            && let Some(told) = told
            && digits.len() == DIGITS
        {
            digits.copy_from_slice(format!("{told:05}").as_bytes());
        }
    }
    true
}

/// Returns where address and port are of the candidate that begins at this place.
fn address_and_port(bytes: &[u8], candidate: usize) -> Option<(Range<usize>, Range<usize>)> {
    let text = bytes.get(candidate..)?;
    let ends: Vec<_> = memchr::memchr_iter(b' ', text)
        .map(|at| candidate + at)
        .take(ADDRESS + 2)
        .collect();
    let [.., before_address, before_port, after_port] = ends.as_slice() else {
        return None;
    };
    (ends.len() == ADDRESS + 2).then(|| {
        (
            before_address + 1..*before_port,
            before_port + 1..*after_port,
        )
    })
}
