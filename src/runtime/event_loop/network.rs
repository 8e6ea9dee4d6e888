//! Looks for changes of the network, and tells all who depend on it.

use std::time::{Duration, Instant};

use super::EventLoop;
use super::known_peers;
use crate::limits;

impl EventLoop {
    /// Has everything looked at that may have changed while the machine slept, or this process was
    /// stopped, for so long.
    pub(super) fn woke(&mut self, slept: Duration) {
        log::info!("awake again after {:.1} s", slept.as_secs_f64());
        let now = self.clock.now();
        // Logins end by the wall clock, and the addresses may be others.
        self.parts.reaching.look_at_clock(now);
        self.look_at_network(now, true);
        self.parts.signaling.slept(slept);
    }

    pub(super) fn check_addresses(&mut self, now: Instant) {
        self.next_address_check = now + limits::ADDRESS_INTERVAL;
        self.parts.reaching.look_at_clock(now);
        // A thread that has died cannot wake us, so the loop looks for it here.
        self.unheard = true;
        self.look_at_network(now, false);
    }

    /// Looks whether the machine's addresses have changed. If they have, or its routes, all who depend on the
    /// network are told.
    pub(super) fn look_at_network(&mut self, now: Instant, has_new_routes: bool) {
        if self.parts.sockets.refresh(self.parts.poll.registry(), now) {
            let sockets = &self.parts.sockets;
            self.parts.mesh.set_interfaces(sockets.interfaces());
            self.parts.mesh.set_udp_buffer(sockets.receive_buffer());
            self.parts.reaching.set_sockets(now, sockets.lanes());
            // The core gets the candidates before it is told, so that it offers these.
            self.transmit(now);
        } else if !has_new_routes {
            return;
        }
        log::debug!("the network has changed");
        self.parts.mesh.network_changed(now);
        self.parts.reaching.network_changed(now);
        self.parts.signaling.network_changed();
        self.hand_on(now);
    }

    /// Has all ways asked when the one to a peer or to a relay is in doubt, and the one to the registry
    /// replaced when our address outside has changed.
    pub(super) fn pass_doubt_on(&mut self, now: Instant) {
        let has_mesh_doubt = self.parts.mesh.take_doubt();
        if has_mesh_doubt {
            self.parts.reaching.in_doubt(now);
            self.transmit(now);
        }
        if self.parts.reaching.take_doubt() || has_mesh_doubt {
            self.parts.signaling.in_doubt();
        }
        if self.parts.reaching.take_move() {
            log::info!("our address outside has changed");
            self.parts.signaling.moved();
        }
    }

    /// Reads the files again whose content may be replaced while we run. What is open stays as it is.
    pub(super) fn read_files_again(&mut self) {
        self.read_known_peers_again();
        match self.parts.tls.read_again(&self.parts.trust) {
            Ok(()) => {
                let read = match &self.parts.trust.ca_file {
                    Some(path) => format!("CA_FILE {} was", path.display()),
                    None => "the system's certificates were".to_owned(),
                };
                log::info!("SIGHUP: {read} read again, for new connections");
                // What was refused for its certificate may be tried again now.
                self.parts.signaling.network_changed();
                self.parts.reaching.network_changed(self.clock.now());
            }
            Err(error) => log::warn!("SIGHUP: {error}; what was read before still counts"),
        }
    }

    fn read_known_peers_again(&mut self) {
        let Some((path, writer)) = &self.parts.known_peers else {
            return;
        };
        // What is written meanwhile is in the one or in the other.
        let unwritten = writer.unwritten();
        match known_peers::load(path) {
            Ok(mut known) => {
                known_peers::add_unwritten(&mut known, &unwritten);
                log::info!("SIGHUP: KNOWN_PEERS {} was read again", path.display());
                self.parts.mesh.set_known_peers(known);
            }
            Err(error) => log::warn!("SIGHUP: {error}; what was read before still counts"),
        }
    }
}
