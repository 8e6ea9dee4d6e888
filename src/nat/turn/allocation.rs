//! One allocation on one TURN server: an address of the server's that relays to and from peers (RFC
//! 8656).
//!
//! The TURN crate speaks the protocol: authentication, refreshing, permissions, channels, stale nonces.
//! This module adds what the crate does not do. The crate tells no reasons, so errors are read from the
//! answers as they pass. It waits for ever for some answers, so the caller and [`Keepalive`] set
//! deadlines. It has no bounds, so [`Permissions`] sets them.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_client_proto::api::TurnEvent;
use turn_client_proto::types::message::ALLOCATE;

use super::client::{Client, Panicked, Received, Step, Terms};
use super::keepalive::{Beat, Keepalive, Question};
use super::permissions::{Permissions, Verdict};
use super::questions::{Judgement, Questions};
use crate::limits;
use crate::nat::credentials::Login;
use crate::nat::failure::{Failure, code};
use crate::nat::stun::message;
use crate::nat::stun::message::Asked;

/// The most steps that the crate may take at once. If it wants more, the crate or this program has a
/// bug.
const STEPS: usize = 1024;

/// The shortest lifetime that the crate accepts in the answer to a refresh.
const SHORTEST_REFRESHED: Duration = Duration::from_secs(600);

/// The reason for the loss of an allocation that the server does not know.
const FORGOTTEN: &str = "the server has forgotten the allocation";

/// An event of an allocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The allocation exists, with this relayed address.
    Ready(SocketAddr),
    /// There is no allocation, or none any more.
    Over(Failure),
    /// The server no longer accepts the login. The allocation lives on until it is to be refreshed.
    LoginRefused,
    /// The server has fallen silent. It may be heard again.
    Silent,
    /// A packet came from a peer.
    Packet(SocketAddr, Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asking,
    /// Asked for and not wanted any more. If it is granted, it is given back at once.
    Unwanted,
    Serving,
    Leaving,
    Over,
}

/// The planned end of an allocation whose server grants less time than the crate accepts at a refresh.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreseen {
    /// When it should be replaced.
    pub(crate) replace_at: Instant,
    /// When it should be given back at the latest. After that the crate may take it for ended although
    /// the server has prolonged it, and the server would know our socket by it for as long again.
    pub(crate) leave_at: Instant,
}

#[derive(Debug)]
pub(crate) struct Allocation {
    client: Client,
    terms: Terms,
    questions: Questions,
    began: Instant,
    state: State,
    relayed: Option<SocketAddr>,
    /// The latest requests, which answers are matched with.
    asked: VecDeque<Asked>,
    permissions: Permissions,
    keepalive: Keepalive,
    /// When the crate wants to be called.
    wake: Instant,
    /// When a peer's data last passed, in either direction.
    carried: Option<Instant>,
    /// When it should be replaced and given back, if the crate will not keep it.
    foreseen: Option<Foreseen>,
    packets: VecDeque<Vec<u8>>,
    news: VecDeque<News>,
}

impl Allocation {
    /// Sends the request for an allocation.
    pub(crate) fn ask(now: Instant, terms: Terms, login: &Login) -> Self {
        let mut allocation = Allocation {
            client: Client::allocate(now, &terms, login),
            terms,
            questions: Questions::new(login.clone()),
            began: now,
            state: State::Asking,
            relayed: None,
            asked: VecDeque::new(),
            permissions: Permissions::default(),
            keepalive: Keepalive::new(now),
            wake: now,
            carried: None,
            foreseen: None,
            packets: VecDeque::new(),
            news: VecDeque::new(),
        };
        allocation.drive(now);
        allocation
    }

    /// Returns the address that the server lends us; `None` before there is one, and after it.
    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        self.relayed.filter(|_| self.state == State::Serving)
    }

    /// Returns our address towards the server.
    pub(crate) fn base(&self) -> SocketAddr {
        self.terms.local
    }

    /// Returns whether the server did not answer several keepalive probes, or has no more room for
    /// peers.
    pub(crate) fn is_wanting(&self) -> bool {
        self.state == State::Serving && (self.keepalive.is_weak() || self.permissions.is_full())
    }

    /// Returns whether the server does not let this peer in.
    pub(crate) fn denies(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.denies(now, peer)
    }

    /// Returns when it ends, if the crate will not keep it.
    pub(crate) fn foreseen(&self) -> Option<Foreseen> {
        self.foreseen
    }

    /// Returns when it was asked for.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Returns when a peer's data last passed, in either direction; `None` if none ever did.
    pub(crate) fn carried(&self) -> Option<Instant> {
        self.carried
    }

    /// Returns the next packet for the server, to be sent as one datagram or, padded, on the stream.
    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.packets.pop_front()
    }

    /// Returns the next event of the allocation.
    pub(crate) fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Returns when [`Allocation::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Asking | State::Unwanted | State::Leaving => Some(self.wake),
            State::Serving => Some(self.wake.min(self.keepalive.due())),
            State::Over => None,
        }
    }

    /// Sends a keepalive request if one is due, ends the allocation if the server is silent, and lets
    /// the crate do what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, random: &mut fastrand::Rng) {
        if self.state == State::Serving && self.keepalive.due() <= now {
            match self.keepalive.beat(now, random) {
                Beat::Ask(question, id) => {
                    self.packets.push_back(self.questions.request(question, id));
                }
                Beat::Dead => return self.end(Failure::Lost("the server has fallen silent")),
            }
            if self.keepalive.take_silence() {
                self.news.push_back(News::Silent);
            }
        }
        self.drive(now);
    }

    /// Asks the server at once whether the allocation lives, because that is in doubt.
    pub(crate) fn doubt(&mut self, now: Instant, random: &mut fastrand::Rng) {
        if self.state == State::Serving {
            self.keepalive.urge(now);
            self.handle_timeout(now, random);
        }
    }

    /// Sends a packet to a peer, or keeps it until the server lets the peer in. Drops it if the server
    /// does not.
    pub(crate) fn send(&mut self, now: Instant, to: SocketAddr, packet: &[u8]) {
        let Some(relayed) = self.relayed() else {
            return;
        };
        if relayed.is_ipv4() != to.is_ipv4() {
            return;
        }
        if !message::is_stun(packet) {
            self.carried = Some(now);
        }
        match self.permissions.check(now, to, packet) {
            Verdict::Dropped | Verdict::Held => {}
            Verdict::Go => self.relay(now, to, packet),
            Verdict::GoAndBind => {
                self.relay(now, to, packet);
                let asked = self.client.bind_channel(now, to);
                if self.survive(asked) != Some(true) {
                    self.permissions.unbound(now, to);
                }
                self.drive(now);
            }
            Verdict::Ask => {
                let asked = self.client.create_permission(now, to.ip());
                if self.survive(asked) != Some(true) {
                    self.permissions.denied(now, to.ip());
                }
                self.drive(now);
            }
        }
    }

    /// Takes a message from the server. Returns `false` if it does not belong to this allocation.
    pub(crate) fn receive(&mut self, now: Instant, message: &[u8]) -> bool {
        let reply = message::reply(message);
        if let Some(reply) = &reply
            && let Some(question) = self.keepalive.answers(now, reply.id)
        {
            if question == Question::Proof {
                match self.questions.judge(reply) {
                    Judgement::Lives => {}
                    Judgement::AskAgain => self.keepalive.ask_again(now),
                    Judgement::LoginRefused => self.news.push_back(News::LoginRefused),
                    Judgement::Forgotten => self.end(Failure::Lost(FORGOTTEN)),
                }
            }
            return true;
        }
        let received = self.client.receive(now, message);
        let Some(received) = self.survive(received) else {
            return true;
        };
        let mut taken = received != Received::Nothing;
        if let Received::Packet(peer, packet) = received {
            if !message::is_stun(&packet) {
                self.carried = Some(now);
            }
            self.news.push_back(News::Packet(peer, packet));
        }
        let asked = reply
            .as_ref()
            .and_then(|reply| self.asked.iter().find(|asked| asked.id == reply.id));
        if let (Some(asked), Some(reply)) = (asked.copied(), reply) {
            taken = true;
            self.questions.note(&reply);
            if let Some(lifetime) = reply.lifetime
                && asked.method == ALLOCATE
                && lifetime < SHORTEST_REFRESHED
            {
                self.foreseen = Some(Foreseen {
                    replace_at: now + lifetime.mul_f64(0.6),
                    leave_at: now + lifetime.mul_f64(0.9),
                });
            }
            if let Some((number, words)) = reply.error {
                self.hear_error(asked, number, words, reply.alternate);
            }
        }
        if taken {
            self.keepalive.heard(now);
            self.drive(now);
        }
        taken
    }

    /// Acts on the error of an answer, which the crate does not tell.
    fn hear_error(
        &mut self,
        asked: Asked,
        number: u16,
        words: String,
        alternate: Option<SocketAddr>,
    ) {
        match (self.state, number) {
            // These are challenges to authenticate, or to do so again; the crate answers them.
            (_, code::STALE_NONCE) => {}
            (State::Asking | State::Unwanted, code::UNAUTHORIZED) if !asked.signed => {}
            (State::Asking | State::Unwanted, _) if asked.method == ALLOCATE => {
                let alternate = alternate.filter(|_| number == code::TRY_ALTERNATE);
                self.end(match alternate {
                    Some(address) => Failure::Elsewhere(address),
                    None => Failure::Refused(number, words),
                });
            }
            (State::Serving, code::ALLOCATION_MISMATCH) => {
                self.end(Failure::Lost(FORGOTTEN));
            }
            (State::Serving, code::UNAUTHORIZED | code::WRONG_CREDENTIALS) => {
                self.news.push_back(News::LoginRefused);
            }
            (
                State::Asking | State::Unwanted | State::Serving | State::Leaving | State::Over,
                _,
            ) => {}
        }
    }

    /// Gives the address back. An allocation that is only asked for is given back when it comes,
    /// because the server may lend the address all the same, and would keep it for ten minutes. It is
    /// over when the server has confirmed or refused that.
    pub(crate) fn leave(&mut self, now: Instant) {
        match self.state {
            State::Asking => self.state = State::Unwanted,
            State::Serving => {
                self.delete(now);
                self.drive(now);
            }
            State::Unwanted | State::Leaving | State::Over => {}
        }
    }

    fn delete(&mut self, now: Instant) {
        self.state = State::Leaving;
        let asked = self.client.delete(now);
        if self.survive(asked) != Some(true) {
            self.state = State::Over;
        }
    }

    /// Returns whether it is over: nothing more will come of it.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn end(&mut self, failure: Failure) {
        if matches!(self.state, State::Asking | State::Serving) {
            self.news.push_back(News::Over(failure));
        }
        self.state = State::Over;
    }

    fn relay(&mut self, now: Instant, to: SocketAddr, packet: &[u8]) {
        let built = self.client.wrap(now, to, packet);
        if let Some(Some(packet)) = self.survive(built) {
            self.keepalive.spoke(now);
            self.packets.push_back(packet);
        }
    }

    /// Lets the crate do what is due now.
    fn drive(&mut self, now: Instant) {
        let mut idle = 0;
        for _ in 0..STEPS {
            if self.state == State::Over {
                return;
            }
            let step = self.client.step(now);
            match self.survive(step) {
                None => return,
                Some(Step::Send(packet)) => {
                    self.note(&packet);
                    self.keepalive.spoke(now);
                    self.packets.push_back(packet);
                }
                Some(Step::Event(event)) => self.hear(now, &event),
                Some(Step::Closed) => return self.closed(),
                Some(Step::Wait(until)) => {
                    self.wake = until;
                    // The crate may say "now" once more after it has dropped a transaction.
                    idle += 1;
                    if self.wake > now || idle > 8 {
                        break;
                    }
                }
            }
        }
        // Never call the crate again at once: that would be a busy loop.
        self.wake = self.wake.max(now + Duration::from_millis(1));
    }

    fn closed(&mut self) {
        match self.state {
            State::Asking => self.end(Failure::Unusable),
            State::Serving => self.end(Failure::Lost("the allocation has ended")),
            State::Unwanted | State::Leaving | State::Over => self.state = State::Over,
        }
    }

    /// Ends the allocation if the crate has panicked: a panic costs this allocation and nothing else.
    fn survive<T>(&mut self, done: Result<T, Panicked>) -> Option<T> {
        if done.is_err() {
            self.end(Failure::Lost("the TURN library panicked, which is a bug"));
        }
        done.ok()
    }

    fn note(&mut self, packet: &[u8]) {
        if let Some(asked) = message::asked(packet)
            && !self.asked.contains(&asked)
        {
            if self.asked.len() >= limits::TURN_REQUESTS {
                self.asked.pop_front();
            }
            self.asked.push_back(asked);
        }
    }

    fn hear(&mut self, now: Instant, event: &TurnEvent) {
        match event {
            TurnEvent::AllocationCreated(_, relayed) if self.state == State::Asking => {
                self.state = State::Serving;
                self.relayed = Some(*relayed);
                self.news.push_back(News::Ready(*relayed));
            }
            TurnEvent::AllocationCreated(..) if self.state == State::Unwanted => self.delete(now),
            TurnEvent::AllocationCreateFailed(_) if self.state == State::Asking => {
                // The answer itself is looked at after this and may say more.
            }
            TurnEvent::PermissionCreated(_, peer) => {
                for (to, packet) in self.permissions.granted(*peer) {
                    self.relay(now, to, &packet);
                }
            }
            TurnEvent::PermissionCreateFailed(_, peer) => {
                log::debug!("TURN server {}: {peer} is not let in", self.terms.server);
                self.permissions.denied(now, *peer);
            }
            TurnEvent::ChannelCreated(_, peer) => self.permissions.bound(*peer),
            TurnEvent::ChannelCreateFailed(_, peer) => self.permissions.unbound(now, *peer),
            _ => {}
        }
    }
}
