//! Passes on what sidecars and the registry say to each other, and writes the relay's ports into the candidates that
//! the registry brings. WebSocket frames of a server are not masked, and the relay's ports have as many digits as
//! those that they replace, so nothing else changes.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use memchr::memmem;

use super::relay::Relay;

/// The text before the port of a candidate, and how many digits ports have that the system chooses.
const ADDRESS: &[u8] = b"127.0.0.1 ";
const DIGITS: usize = 5;

pub(super) struct Introducer {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Introducer {
    pub(super) fn new(registry: SocketAddr, relay: Arc<Relay>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let is_over = stopped.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let served = client.and_then(|client| serve(client, registry, relay.clone()));
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
fn serve(client: TcpStream, registry: SocketAddr, relay: Arc<Relay>) -> io::Result<()> {
    let server = TcpStream::connect(registry)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass(from_client, to_server, |_| true));
    thread::spawn(move || pass(server, client, |bytes| rewrite(bytes, &relay)));
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

/// Writes the relay's ports in place of the peers'. Returns `false` if the last one has not come in yet.
fn rewrite(bytes: &mut [u8], relay: &Arc<Relay>) -> bool {
    let found: Vec<_> = memmem::find_iter(bytes, ADDRESS).collect();
    for at in found {
        let begins = at + ADDRESS.len();
        let Some(digits) = bytes.get_mut(begins..begins + DIGITS) else {
            return false;
        };
        let port = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        if let Some(told) = port.and_then(|port| relay.stand_in_for(port)) {
            digits.copy_from_slice(format!("{told:05}").as_bytes());
        }
    }
    true
}
