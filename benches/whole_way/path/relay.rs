//! The relay: a socket for each socket of a sidecar, from which its datagrams come to the other one, late or never.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
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
    /// The sockets that stand in for those of sidecars, at the same addresses, and their ports.
    stand_ins: HashMap<SocketAddr, (Arc<UdpSocket>, u16)>,
    /// Where the sockets are that stand in for others.
    own: HashSet<SocketAddr>,
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
    pub(super) fn stand_in_for(self: &Arc<Self>, sidecar: SocketAddr) -> Option<u16> {
        let mut state = self.state();
        if state.own.contains(&sidecar) {
            return None;
        }
        if let Some((_, own)) = state.stand_ins.get(&sidecar) {
            return Some(*own);
        }
        let (socket, own) = bind(sidecar.ip()).ok()?;
        if state.stand_ins.is_empty() {
            let relay = self.clone();
            thread::spawn(move || relay.deliver());
        }
        let stand_in = (socket.clone(), own.port());
        state.stand_ins.insert(sidecar, stand_in);
        state.own.insert(own);
        let relay = self.clone();
        thread::spawn(move || relay.take(&socket, sidecar));
        Some(own.port())
    }

    /// Takes what is meant for this socket of a sidecar.
    fn take(self: &Arc<Self>, socket: &UdpSocket, sidecar: SocketAddr) {
        let mut random = fastrand::Rng::with_seed(u64::from(sidecar.port()));
        let mut buffer = vec![0; 65_536];
        while !self.stopped.load(Ordering::Relaxed) {
            let Ok((length, source)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            if random.f64() < self.weather.loss {
                continue;
            }
            self.stand_in_for(source);
            let mut state = self.state();
            let Some((from, _)) = state.stand_ins.get(&source).cloned() else {
                continue;
            };
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            let at = Instant::now() + self.weather.round_trip / 2;
            state.count += 1;
            let key = (at, state.count);
            let datagram = Datagram {
                from,
                to: sidecar,
                bytes,
            };
            state.under_way.insert(key, datagram);
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

fn bind(ip: IpAddr) -> io::Result<(Arc<UdpSocket>, SocketAddr)> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_read_timeout(Some(LOOK))?;
    SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES)?;
    let own = socket.local_addr()?;
    Ok((Arc::new(socket), own))
}
