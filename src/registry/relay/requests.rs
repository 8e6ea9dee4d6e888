//! What requests are answered: who may ask, for what, and what changes by it.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_client_proto::stun::types::message::{BINDING, IntegrityKey, Message, Method};
use turn_client_proto::types::AddressFamily;
use turn_client_proto::types::attribute::{
    ChannelNumber, Lifetime, RequestedAddressFamily, RequestedTransport,
};
use turn_client_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};

use super::allocation::{Allocation, Refusal};
use super::client::Client;
use super::logins::Login;
use super::messages::{self, Answer, Claim};
use super::peers::Reach;
use super::reaction::{AllocationId, Now, Opening, Reaction};
use super::turn::Turn;
use crate::protocol::PeerId;
use crate::registry::limits;

/// A request that is signed with a login of ours.
struct Signed<'a> {
    request: &'a Message<'a>,
    client: Client,
    username: String,
    peer: PeerId,
    key: IntegrityKey,
}

impl Signed<'_> {
    fn refused(&self, code: u16) -> Reaction {
        Reaction::Answer(Answer::error(self.request, code).signed(&self.key))
    }
}

impl Turn {
    /// Answers a request.
    pub(super) fn request(&mut self, now: Now, client: Client, request: &Message<'_>) -> Reaction {
        if request.method() == BINDING {
            let unknown = messages::unknown(request);
            let answer = match unknown.as_slice() {
                [] => Answer::success(request).mapped(client.address),
                unknown => Answer::unknown(request, unknown),
            };
            return Reaction::Answer(answer.unsigned());
        }
        let signed = match self.verified(now, client, request) {
            Ok(signed) => signed,
            Err(refusal) => return Reaction::Answer(refusal),
        };
        let unknown = messages::unknown(request);
        if !unknown.is_empty() {
            let answer = Answer::unknown(request, &unknown);
            return Reaction::Answer(answer.signed(&signed.key));
        }
        let known = self.by_client.get(&client).copied();
        match (request.method(), known) {
            (ALLOCATE, None) => self.allocate(&signed),
            (ALLOCATE, Some(id)) => self.allocate_again(now.at, id, &signed),
            (REFRESH | CREATE_PERMISSION | CHANNEL_BIND, None) => signed.refused(437),
            (method @ (REFRESH | CREATE_PERMISSION | CHANNEL_BIND), Some(id)) => {
                self.change(now.at, id, method, &signed)
            }
            _ => signed.refused(400),
        }
    }

    /// Checks the signature of a request; returns the answer if it is not good (RFC 8489 section 9.2.4).
    fn verified<'a>(
        &self,
        now: Now,
        client: Client,
        request: &'a Message<'a>,
    ) -> Result<Signed<'a>, Vec<u8>> {
        let challenge = |code: u16| {
            let nonce = self.nonces.make(client.address, now.unix);
            Answer::error(request, code).challenge(&nonce).unsigned()
        };
        let read = |Claim { username, nonce }: Claim<'_>| {
            if !self.nonces.is_fresh(nonce, client.address, now.unix) {
                return Err(challenge(438));
            }
            let known = self.logins.known(username, now.unix);
            let (peer, password) = known.ok_or_else(|| challenge(401))?;
            let username = username.to_owned();
            Ok((peer, Login { username, password }))
        };
        let (peer, login) = match messages::claim(request, read) {
            None => return Err(challenge(401)),
            Some(None) => return Err(Answer::error(request, 400).unsigned()),
            Some(Some(login)) => login?,
        };
        let key = messages::key(&login);
        if request.validate_integrity_with_key(&key).is_err() {
            return Err(challenge(401));
        }
        Ok(Signed {
            request,
            client,
            username: login.username,
            peer,
            key,
        })
    }

    fn allocate(&self, signed: &Signed<'_>) -> Reaction {
        const UDP: u8 = RequestedTransport::UDP;
        let request = signed.request;
        match request.attribute::<RequestedTransport>() {
            Ok(transport) if transport.protocol() == UDP => {}
            Ok(_) => return signed.refused(442),
            Err(_) => return signed.refused(400),
        }
        let family = request.attribute::<RequestedAddressFamily>().ok();
        let is_ipv4 = family.is_none_or(|family| family.family() == AddressFamily::IPV4);
        let is_there = if is_ipv4 {
            self.families.ipv4
        } else {
            self.families.ipv6
        };
        if !is_there {
            return signed.refused(440);
        }
        if !self.accounts.has_room(&signed.peer) {
            log::debug!("{} has as many allocations as it may have", signed.peer);
            return signed.refused(486);
        }
        if self.allocations.len() >= limits::ALLOCATIONS {
            log::debug!("there are as many allocations as there may be");
            return signed.refused(508);
        }
        Reaction::Open(Box::new(Opening {
            client: signed.client,
            is_ipv4,
            request: request.as_bytes().to_vec(),
            username: signed.username.clone(),
            peer: signed.peer.clone(),
            key: signed.key.clone(),
            lifetime: lifetime(request),
        }))
    }

    /// Makes the allocation whose socket is reached at `relayed`, or refuses it if there is none. Returns its
    /// id and the answer.
    pub(super) fn opened(
        &mut self,
        now: Instant,
        opening: Opening,
        relayed: Option<SocketAddr>,
    ) -> Option<(Option<AllocationId>, Vec<u8>)> {
        let request = Message::from_bytes(&opening.request).ok()?;
        let free = relayed.filter(|relayed| !self.is_lent(*relayed));
        let Some(relayed) = free else {
            let answer = Answer::error(&request, 508).signed(&opening.key);
            return Some((None, answer));
        };
        let login = (opening.username, opening.peer);
        let transaction = request.transaction_id().into();
        let until = now + opening.lifetime;
        let allocation = Allocation::new(opening.client, login, relayed, transaction, until);
        let id = self.begin(allocation, now);
        let answer = lent(
            &request,
            opening.client,
            relayed,
            opening.lifetime,
            &opening.key,
        );
        Some((Some(id), answer))
    }

    /// Answers a client that has an allocation: the same as before if it did not hear that (RFC 8656 section
    /// 7.2), and otherwise that it has one.
    fn allocate_again(&self, now: Instant, id: AllocationId, signed: &Signed<'_>) -> Reaction {
        let transaction: u128 = signed.request.transaction_id().into();
        match self.allocations.get(&id) {
            Some(allocation)
                if allocation.transaction == transaction
                    && allocation.username == signed.username =>
            {
                let left = allocation.until.saturating_duration_since(now);
                let relayed = allocation.relayed;
                let (request, client) = (signed.request, signed.client);
                Reaction::Answer(lent(request, client, relayed, left, &signed.key))
            }
            _ => signed.refused(437),
        }
    }

    /// Handles a request about an allocation.
    fn change(
        &mut self,
        now: Instant,
        id: AllocationId,
        method: Method,
        signed: &Signed<'_>,
    ) -> Reaction {
        let Some(allocation) = self.allocations.get(&id) else {
            return signed.refused(437);
        };
        if allocation.username != signed.username {
            return signed.refused(441);
        }
        if method == REFRESH {
            return self.refresh(now, id, signed);
        }
        let Some(peers) = messages::peers(signed.request) else {
            return signed.refused(400);
        };
        let is_ipv4 = allocation.relayed.is_ipv4();
        if peers.iter().any(|peer| peer.is_ipv4() != is_ipv4) {
            return signed.refused(443);
        }
        let is_forbidden = |peer: &SocketAddr| match self.peers.reach(peer.ip()) {
            Reach::All => false,
            // A permission is for all ports; what goes to which is decided when something is sent.
            Reach::Relayed => method == CHANNEL_BIND && !self.is_lent(*peer),
            Reach::Nothing => true,
        };
        if peers.iter().any(is_forbidden) {
            return signed.refused(403);
        }
        let Some(allocation) = self.allocations.get_mut(&id) else {
            return signed.refused(437);
        };
        let channel = signed.request.attribute::<ChannelNumber>().ok();
        let done = match (method, channel, peers.as_slice()) {
            (CHANNEL_BIND, Some(channel), [peer]) => allocation.bind(channel.channel(), *peer, now),
            (CHANNEL_BIND, _, _) => Err(Refusal::Mismatch),
            _ => {
                let addresses: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
                allocation.permit(&addresses, now)
            }
        };
        match done {
            Ok(()) => Reaction::Answer(Answer::success(signed.request).signed(&signed.key)),
            Err(Refusal::Full) => signed.refused(508),
            Err(Refusal::Mismatch) => signed.refused(400),
        }
    }

    fn refresh(&mut self, now: Instant, id: AllocationId, signed: &Signed<'_>) -> Reaction {
        let asked = signed.request.attribute::<Lifetime>();
        let kept = match asked {
            Ok(asked) if asked.seconds() == 0 => {
                self.end(id);
                Duration::ZERO
            }
            _ => lifetime(signed.request),
        };
        if let Some(allocation) = self.allocations.get_mut(&id) {
            allocation.keep(kept, now);
            self.note_end(now + kept);
        }
        let answer = Answer::success(signed.request).lifetime(seconds(kept));
        Reaction::Answer(answer.signed(&signed.key))
    }
}

/// Returns how long an allocation is kept for a request.
fn lifetime(request: &Message<'_>) -> Duration {
    let (least, most) = limits::ALLOCATION_LIFETIMES;
    let asked = request.attribute::<Lifetime>();
    asked.map_or(least, |asked| {
        Duration::from_secs(asked.seconds().into()).clamp(least, most)
    })
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn lent(
    request: &Message<'_>,
    client: Client,
    relayed: SocketAddr,
    lifetime: Duration,
    key: &IntegrityKey,
) -> Vec<u8> {
    Answer::success(request)
        .relayed(relayed)
        .lifetime(seconds(lifetime))
        .mapped(client.address)
        .signed(key)
}
