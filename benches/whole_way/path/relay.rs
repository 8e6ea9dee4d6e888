//! The relay: a socket for each socket of a sidecar, from which its datagrams come to the other one, late or never.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Weather;

/// How long a socket waits for a datagram before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// Room for datagrams that come faster than they are passed on.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// A datagram on its way.
struct Datagram {
    from: Arc<UdpSocket>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct State {
    /// The sockets that stand in for those of sidecars, by their ports, and their own ports.
    stand_ins: HashMap<u16, (Arc<UdpSocket>, u16)>,
    /// The ports of sidecars, by those that stand in for them.
    meant: HashMap<u16, u16>,
    /// By when they arrive.
    under_way: BTreeMap<(Instant, u64), Datagram>,
    count: u64,
}

pub(super) struct Relay {
    weather: Weather,
    state: Mutex<State>,
    arrives: Condvar,
    stopped: AtomicBool,
}

impl Relay {
    pub(super) fn new(weather: Weather) -> Self {
        Relay {
            weather,
            state: Mutex::default(),
            arrives: Condvar::new(),
            stopped: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the port that stands in for a sidecar's. `None` if it is one of the relay's, or there is no socket.
    pub(super) fn stand_in_for(self: &Arc<Self>, port: u16) -> Option<u16> {
        let mut state = self.state();
        if state.meant.contains_key(&port) {
            return None;
        }
        if let Some((_, own)) = state.stand_ins.get(&port) {
            return Some(*own);
        }
        let (socket, own) = bind().ok()?;
        if state.stand_ins.is_empty() {
            let relay = self.clone();
            thread::spawn(move || relay.deliver());
        }
        state.stand_ins.insert(port, (socket.clone(), own));
        state.meant.insert(own, port);
        let relay = self.clone();
        thread::spawn(move || relay.take(&socket, port));
        Some(own)
    }

    /// Takes what is meant for the sidecar's socket with this port.
    fn take(self: &Arc<Self>, socket: &UdpSocket, port: u16) {
        let mut random = fastrand::Rng::with_seed(u64::from(port));
        let mut buffer = vec![0; 65_536];
        while !self.stopped.load(Ordering::Relaxed) {
            let Ok((length, source)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            if random.f64() < self.weather.loss {
                continue;
            }
            self.stand_in_for(source.port());
            let mut state = self.state();
            let Some((from, _)) = state.stand_ins.get(&source.port()).cloned() else {
                continue;
            };
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let at = Instant::now() + self.weather.round_trip / 2;
            state.count += 1;
            let key = (at, state.count);
            state.under_way.insert(key, Datagram { from, to, bytes });
            if state
                .under_way
                .first_key_value()
                .is_some_and(|(first, _)| *first == key)
            {
                self.arrives.notify_one();
            }
        }
    }

    /// Delivers what has been under way for long enough.
    fn deliver(&self) {
        let mut state = self.state();
        while !self.stopped.load(Ordering::Relaxed) {
            let first = state.under_way.first_key_value().map(|((at, _), _)| *at);
            let wait = first.map_or(LOOK, |at| at.saturating_duration_since(Instant::now()));
            if !wait.is_zero() {
                let waited = self.arrives.wait_timeout(state, wait);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let Some((_, datagram)) = state.under_way.pop_first() else {
                continue;
            };
            drop(state);
            // One that can't be sent is lost.
            let _ = datagram.from.send_to(&datagram.bytes, datagram.to);
            state = self.state();
        }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn bind() -> io::Result<(Arc<UdpSocket>, u16)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(LOOK))?;
    SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES)?;
    let port = socket.local_addr()?.port();
    Ok((Arc::new(socket), port))
}
