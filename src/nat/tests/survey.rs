//! Tests of surveys through simulated routers, with servers that answer from elsewhere when they are
//! asked to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use turn_client_proto::stun::types::attribute::{
    AttributeType, MappedSocketAddr, XorMappedAddress,
};
use turn_client_proto::stun::types::message::{Message, MessageWriteVec};
use turn_client_proto::types::stun::prelude::{MessageWrite as _, MessageWriteExt as _};

use crate::nat::output::Output;
use crate::nat::stun::survey::{Filtering, Mapping, Survey};

const SPEAKING: &str = "10.0.0.1:5000";
const LISTENING: &str = "10.0.0.1:5001";

/// The addresses of one server; each has two ports.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const PORTS: [u16; 2] = [3478, 3479];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A router, and the server beyond it.
struct Net {
    /// Each destination sees another port.
    is_symmetric: bool,
    filtering: Filtering,
    /// There is no router.
    is_open: bool,
    /// The server tells of its other address.
    has_other: bool,
    /// It answers from where it was asked, whatever it was asked for.
    stays: bool,
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), SocketAddr>,
    spoken_to: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Net {
    fn new(is_symmetric: bool, filtering: Filtering) -> Self {
        Net {
            is_symmetric,
            filtering,
            is_open: false,
            has_other: true,
            stays: false,
            mappings: BTreeMap::new(),
            spoken_to: BTreeSet::new(),
        }
    }

    fn outer(&mut self, socket: SocketAddr, server: SocketAddr) -> SocketAddr {
        if self.is_open {
            return socket;
        }
        let port = 40_000 + u16::try_from(self.mappings.len()).unwrap();
        let outer = SocketAddr::new("203.0.113.7".parse().unwrap(), port);
        let destination = self.is_symmetric.then_some(server);
        *self.mappings.entry((socket, destination)).or_insert(outer)
    }

    /// Returns the answer to a request and the address it comes from, if it comes in.
    fn ask(
        &mut self,
        socket: SocketAddr,
        server: SocketAddr,
        request: &[u8],
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let outer = self.outer(socket, server);
        self.spoken_to.insert((socket, server));
        let message = Message::from_bytes(request).unwrap();
        let change = message.raw_attribute(AttributeType::new(3));
        let flags = change.map_or(0, |change| change.value[3]);
        let (other_address, other_port) = if self.stays {
            (false, false)
        } else {
            (flags & 4 != 0, flags & 2 != 0)
        };
        let source = place(server, other_address, other_port);
        let mut answer = Message::builder_success(&message, MessageWriteVec::new());
        let mapped = XorMappedAddress::new(outer, message.transaction_id());
        answer.add_attribute(&mapped).unwrap();
        if self.has_other {
            let other = MappedSocketAddr::new(place(server, true, true));
            let other = other.to_raw(AttributeType::new(0x802C));
            answer.add_attribute(&other).unwrap();
        }
        let is_let_in = match self.filtering {
            Filtering::EndpointIndependent | Filtering::Unknown => true,
            Filtering::AddressDependent => {
                let mut spoken_to = self.spoken_to.iter();
                spoken_to.any(|(own, to)| *own == socket && to.ip() == source.ip())
            }
            Filtering::AddressAndPortDependent => self.spoken_to.contains(&(socket, source)),
        };
        is_let_in.then(|| (source, answer.finish()))
    }
}

/// Returns an address and port of the server: those given, or the other of either where that is asked for.
fn place(server: SocketAddr, other_address: bool, other_port: bool) -> SocketAddr {
    let ips = ADDRESSES.map(|ip| ip.parse::<IpAddr>().unwrap());
    let ip = usize::from((server.ip() == ips[1]) != other_address);
    let port = usize::from((server.port() == PORTS[1]) != other_port);
    SocketAddr::new(ips[ip], PORTS[port])
}

/// Runs a survey to its end, with these servers.
fn surveyed(net: &mut Net, servers: &[&str]) -> (Survey, Duration) {
    let start = Instant::now();
    let mut now = start;
    let servers = servers.iter().map(|server| address(server));
    let listening = Some(address(LISTENING));
    let mut survey = Survey::begin(now, address(SPEAKING), listening, servers, 1);
    loop {
        while let Some(output) = survey.poll() {
            let Output::Transmit {
                source,
                destination,
                bytes,
            } = output
            else {
                panic!("{output:?}");
            };
            if let Some((from, answer)) = net.ask(source, destination, &bytes) {
                survey.handle_datagram(now, source, from, &answer);
            }
        }
        match survey.next_timeout() {
            Some(due) => now = now.max(due),
            None => return (survey, now - start),
        }
        survey.handle_timeout(now);
    }
}

#[test]
fn every_kind_of_router_is_told_by_one_server_of_two_addresses() {
    for filtering in [
        Filtering::EndpointIndependent,
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
    ] {
        for (is_symmetric, mapping) in [
            (false, Mapping::EndpointIndependent),
            (true, Mapping::EndpointDependent),
        ] {
            let mut net = Net::new(is_symmetric, filtering);
            let (survey, time) = surveyed(&mut net, &["192.0.2.1:3478"]);
            assert_eq!((survey.mapping(), survey.filtering()), (mapping, filtering));
            assert!(time <= Duration::from_millis(1500), "{time:?}");
        }
    }
}

#[test]
fn two_servers_of_two_addresses_tell_the_mapping() {
    for (is_symmetric, mapping) in [
        (false, Mapping::EndpointIndependent),
        (true, Mapping::EndpointDependent),
    ] {
        let mut net = Net::new(is_symmetric, Filtering::AddressAndPortDependent);
        net.has_other = false;
        let (survey, _) = surveyed(&mut net, &["192.0.2.1:3478", "192.0.2.2:3478"]);
        assert_eq!(survey.mapping(), mapping);
        assert_eq!(survey.filtering(), Filtering::Unknown);
        assert_eq!(survey.sightings().count(), 2);
    }
}

#[test]
fn one_address_does_not_tell_the_mapping() {
    let mut net = Net::new(false, Filtering::AddressDependent);
    net.has_other = false;
    let (survey, _) = surveyed(&mut net, &["192.0.2.1:3478", "192.0.2.1:3479"]);
    assert_eq!(survey.mapping(), Mapping::Unknown);
}

#[test]
fn an_address_that_is_seen_as_it_is_has_no_mapping() {
    let mut net = Net::new(false, Filtering::EndpointIndependent);
    net.is_open = true;
    net.has_other = false;
    let (survey, _) = surveyed(&mut net, &["192.0.2.1:3478"]);
    assert_eq!(survey.mapping(), Mapping::None);
}

#[test]
fn a_server_that_answers_from_where_it_was_asked_tells_nothing_of_filtering() {
    let mut net = Net::new(false, Filtering::EndpointIndependent);
    net.stays = true;
    let (survey, _) = surveyed(&mut net, &["192.0.2.1:3478"]);
    assert_eq!(survey.filtering(), Filtering::Unknown);
}

#[test]
fn an_answer_of_another_than_was_asked_counts_for_nothing() {
    let now = Instant::now();
    let servers = [address("192.0.2.1:3478")];
    let mut survey = Survey::begin(now, address(SPEAKING), None, servers, 1);
    let Some(Output::Transmit { bytes, .. }) = survey.poll() else {
        panic!("nothing is asked");
    };
    let mut net = Net::new(false, Filtering::EndpointIndependent);
    let (_, answer) = net.ask(address(SPEAKING), servers[0], &bytes).unwrap();
    let stranger = address("198.51.100.66:3478");
    survey.handle_datagram(now, address(SPEAKING), stranger, &answer);
    assert_eq!(survey.sightings().count(), 0);
    survey.handle_datagram(now, address(SPEAKING), servers[0], &answer);
    assert_eq!(survey.sightings().count(), 1);
}
