//! Runs [`Reach`], which finds our candidates and carries packets over relays: gives it sockets,
//! streams and servers, and carries out its outputs.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mio::{Registry, Token};

use super::registry_servers::RegistryServers;
use super::resolver::Resolver;
use super::server_names::{relay_proxy, server_names};
use super::sockets::Sockets;
use super::streams::{News, Streams};
use crate::config::proxy::Proxies;
use crate::config::{Config, IceSettings};
use crate::limits;
use crate::mesh::Mesh;
use crate::mesh::link::{Datagram, Linker, Transmit};
use crate::nat::candidate::LocalCandidate;
use crate::nat::credentials::Credentials;
use crate::nat::output::Output;
use crate::nat::reach::{External, Reach};
use crate::nat::server::{Servers, StunServer, TurnServer};
use crate::nat::url::{Host, StunUrl, TurnUrl};
use crate::runtime::interfaces;
use crate::runtime::signaling::CurrentTls;
use crate::runtime::signaling::IceServersClient;
use crate::runtime::wake::LoopWaker;

/// The part of the event loop that handles STUN and TURN.
pub(crate) struct Reaching {
    reach: Reach,
    settings: IceSettings,
    streams: Streams,
    proxies: Proxies,
    resolver: Resolver,
    registry_servers: Option<RegistryServers>,
    /// Whether a server has fallen silent; see [`Reaching::take_doubt`].
    has_new_doubt: bool,
    /// Whether our address outside is another; see [`Reaching::take_move`].
    has_moved: bool,
    /// Until when servers are not asked again for a doubt of others.
    rests_until: Instant,
}

impl Reaching {
    /// Creates it; nothing is asked yet. Streams have `first_token` and the tokens above.
    pub(crate) fn new(
        config: &Config,
        tls: CurrentTls,
        client: IceServersClient,
        seed: u64,
        waker: &LoopWaker,
        first_token: usize,
    ) -> Self {
        let now = Instant::now();
        let named = || RegistryServers::new(client, now, waker.clone());
        let mut reach = Reach::new(config.ice.policy, now, unix(), seed);
        reach.set_external(External {
            addresses: config.external_addresses.clone(),
            own_ports: config.udp_ports,
        });
        let mut reaching = Reaching {
            reach,
            settings: config.ice.clone(),
            streams: Streams::new(
                tls,
                config.proxies.clone(),
                config.bind_address,
                first_token,
            ),
            proxies: config.proxies.clone(),
            resolver: Resolver::new(config.ipv6, waker.clone()),
            registry_servers: config.ice.from_registry.then(named),
            has_new_doubt: false,
            has_moved: false,
            rests_until: now,
        };
        reaching.name_servers(now);
        reaching
    }

    /// Sets the UDP sockets that exist, by lane.
    pub(crate) fn set_sockets(&mut self, now: Instant, lanes: Vec<Vec<SocketAddr>>) {
        self.reach.set_sockets(now, lanes);
    }

    /// Returns the candidates of each lane.
    pub(crate) fn lanes(&self) -> Vec<Vec<LocalCandidate>> {
        self.reach.lanes()
    }

    /// Takes a datagram from a server. Returns `false` when it is a peer's.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) -> bool {
        let (destination, source) = (datagram.destination, datagram.source);
        self.reach
            .handle_datagram(now, destination, source, datagram.bytes)
    }

    /// Sends a datagram whose source is a relayed address. Returns `false` when it is not one.
    pub(crate) fn send(&mut self, now: Instant, transmit: &Transmit) -> bool {
        self.reach
            .send(now, transmit.source, transmit.destination, &transmit.bytes)
    }

    /// Notes that the poll reports a stream as ready.
    pub(crate) fn stream_ready(&mut self, token: Token) {
        self.streams.ready(token);
    }

    /// Tries silent servers and failed look-ups again, because the registry can be reached, and so
    /// probably everything else.
    pub(crate) fn registry_connected(&mut self, now: Instant) {
        self.reach.try_now(now);
        self.resolver.try_now(now);
        if let Some(servers) = &mut self.registry_servers {
            servers.registry_connected(now);
        }
    }

    /// Closes streams from addresses that are gone, and asks servers again, because the machine's addresses or
    /// routes have changed, or it has slept.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        if self.streams.has_any() {
            match interfaces::all_addresses() {
                Ok(present) => self.streams.close_gone(&present),
                // It is said when the sockets are bound.
                Err(error) => log::debug!("cannot list the addresses of this machine: {error}"),
            }
        }
        self.reach.network_changed(now);
        self.resolver.network_changed(now);
        if let Some(servers) = &mut self.registry_servers {
            servers.network_changed(now);
        }
    }

    /// Asks servers again, because a peer has fallen silent; not more often than every
    /// [`limits::DOUBT_INTERVAL`].
    pub(crate) fn in_doubt(&mut self, now: Instant) {
        if now >= self.rests_until {
            self.rests_until = now + limits::DOUBT_INTERVAL;
            self.reach.in_doubt(now);
        }
    }

    /// Returns whether our address outside, as a router tells it to the world, has changed since the last
    /// call.
    pub(crate) fn take_move(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Returns whether a server that relays for us has fallen silent since the last call.
    pub(crate) fn take_doubt(&mut self) -> bool {
        std::mem::take(&mut self.has_new_doubt)
    }

    /// Checks whether the clock was set.
    pub(crate) fn look_at_clock(&mut self, now: Instant) {
        let unix = unix();
        self.reach.set_clock(now, unix);
        if let Some(servers) = &mut self.registry_servers {
            servers.look_at_clock(now, unix);
        }
    }

    /// Does what is due: streams, the registry's servers, look-ups, and STUN and TURN.
    pub(crate) fn turn(&mut self, now: Instant) {
        for (stream, news) in self.streams.take() {
            match news {
                News::Opened(local) => self.reach.stream_opened(now, stream, local),
                News::Received(bytes) => self.reach.stream_received(now, stream, &bytes),
                News::Closed(why) => self.reach.stream_closed(now, stream, why),
            }
        }
        let named = self.registry_servers.as_mut();
        let has_new_names = named.is_some_and(|servers| {
            servers.handle_timeout(now);
            servers.hear(now, unix())
        });
        if has_new_names {
            self.name_servers(now);
        }
        self.resolver.handle_timeout(now);
        if self.resolver.hear(now) {
            self.set_servers(now);
        }
        if self.reach.next_timeout().is_some_and(|at| at <= now) {
            self.reach.handle_timeout(now);
        }
    }

    /// Returns whether there is something to do without waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.streams.is_ready()
    }

    /// Returns when [`Reaching::turn`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let named = self.registry_servers.as_ref();
        let others = [
            self.resolver.next_timeout(),
            named.and_then(RegistryServers::next_timeout),
        ];
        let others = others.into_iter().flatten();
        self.reach.next_timeout().into_iter().chain(others).min()
    }

    /// Sends and delivers the outputs of [`Reach`]. Returns whether the core was given something.
    pub(crate) fn hand_on<K: Linker>(
        &mut self,
        now: Instant,
        registry: &Registry,
        sockets: &mut Sockets,
        mesh: &mut Mesh<K>,
    ) -> bool {
        let (mut has_changed, mut is_fed) = (false, false);
        while let Some(output) = self.reach.poll() {
            match output {
                Output::Transmit {
                    source,
                    destination,
                    bytes,
                } => sockets.send(
                    registry,
                    Transmit {
                        source,
                        destination,
                        bytes,
                    },
                ),
                Output::Relayed {
                    destination,
                    source,
                    bytes,
                } => {
                    is_fed = true;
                    let bytes = &bytes;
                    mesh.handle_datagram(
                        now,
                        Datagram {
                            destination,
                            source,
                            bytes,
                        },
                    );
                }
                Output::OpenStream {
                    stream,
                    server,
                    target,
                    tls,
                } => {
                    let target = target.as_ref().map(|(host, port)| (host.as_str(), *port));
                    let tls = tls.as_deref();
                    self.streams.open(registry, stream, server, target, tls);
                }
                Output::Write {
                    stream,
                    bytes,
                    may_be_lost,
                } => self.streams.write(stream, &bytes, may_be_lost),
                Output::CloseStream(stream) => self.streams.close(stream),
                Output::CandidatesChanged => has_changed = true,
                Output::ServerSilent => self.has_new_doubt = true,
                Output::OuterAddressChanged => self.has_moved = true,
                Output::LoginRefused(url) => {
                    if let Some(servers) = &mut self.registry_servers {
                        servers.login_refused(now, &url);
                    }
                }
            }
        }
        self.streams.flush();
        if has_changed {
            mesh.set_candidates(now, self.reach.lanes(), self.reach.outdone());
        }
        is_fed || has_changed
    }

    /// Gives relayed addresses back.
    pub(crate) fn shut_down(&mut self, now: Instant) {
        self.reach.shut_down(now);
    }

    /// Returns all servers by their URLs: those of the settings and those that the registry names.
    fn named(&self) -> (Vec<StunUrl>, Vec<(TurnUrl, Credentials)>) {
        match &self.registry_servers {
            Some(named) => self.settings.joined(&named.stun, &named.turn),
            None => self.settings.joined(&[], &[]),
        }
    }

    fn name_servers(&mut self, now: Instant) {
        let (stun, turn) = self.named();
        let names = server_names(&self.proxies, &stun, &turn);
        self.resolver.set_names(now, names);
        self.set_servers(now);
    }

    fn set_servers(&mut self, now: Instant) {
        let (stun, turn) = self.named();
        let stun = stun.into_iter().map(|url| StunServer {
            addresses: self.addresses(&url.host, url.port),
            url,
        });
        let turn = turn.into_iter().map(|(url, credentials)| TurnServer {
            addresses: self.addresses(&url.host, url.port),
            proxy: relay_proxy(&self.proxies, &url).map(|(host, port)| self.addresses(&host, port)),
            url,
            credentials,
        });
        let servers = Servers {
            stun: stun.collect(),
            turn: turn.collect(),
        };
        self.reach.set_servers(now, servers);
    }

    fn addresses(&self, host: &Host, port: u16) -> Vec<SocketAddr> {
        match host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => {
                let found = self.resolver.addresses(name).iter();
                found
                    .map(|address| SocketAddr::new(*address, port))
                    .collect()
            }
        }
    }
}

/// Returns the Unix time in seconds.
pub(crate) fn unix() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or(0)
}
