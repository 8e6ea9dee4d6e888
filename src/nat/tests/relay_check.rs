//! Tests of the checks of TURN servers (`relay_check`), in simulated time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::turn_server::{Client, Sent, TurnServer};
use super::world::UNIX;
use crate::limits;
use crate::nat::credentials::Credentials;
use crate::nat::failure::Failure;
use crate::nat::output::Output;
use crate::nat::server;
use crate::nat::turn::plan::{Plan, plans};
use crate::nat::turn::relay_check::{Outcome, RelayCheck};
use crate::nat::url::TurnUrl;
use crate::secret::Secret;

const SERVER: &str = "192.0.2.1:3478";
const SOCKET: &str = "10.0.0.1:5000";
/// The time from one end to the other.
const LATENCY: Duration = Duration::from_millis(10);
/// The time for two requests. A challenge and the allocation, or a permission and the packet: the crate
/// leaves 50 ms from one request to the next.
const TWO_REQUESTS: Duration = Duration::from_millis(50 + 20);

fn plan(url: &str) -> Plan {
    let server = server::TurnServer {
        url: TurnUrl::parse(url).unwrap(),
        proxy: None,
        addresses: vec![SERVER.parse().unwrap()],
        credentials: Credentials::Given {
            username: "user".to_owned(),
            password: Secret::new("right".to_owned()),
        },
    };
    plans(&[server], &[SOCKET.parse().unwrap()]).remove(0)
}

fn server(password: &str) -> TurnServer {
    TurnServer::new("192.0.2.1".parse().unwrap(), password)
}

/// Returns the result of a check over UDP, and how long it takes. `turns_back`: whether the server gets
/// the packets that it sends to its own address.
fn outcome(server: &mut TurnServer, turns_back: bool) -> (Outcome, Duration) {
    let socket: SocketAddr = SOCKET.parse().unwrap();
    let client = Client::Socket(socket);
    let start = Instant::now();
    let (mut now, mut under_way, mut took) = (start, VecDeque::new(), None);
    let mut check = RelayCheck::begin(now, UNIX, plan("turn:h?transport=udp"), 1);
    loop {
        while let Some(output) = check.poll() {
            let Output::Transmit { bytes, .. } = output else {
                panic!("{output:?} over UDP");
            };
            let mut sent = server.client_message(now, client, socket, &bytes);
            if let Some(Sent::ToPeer(relayed, peer, bytes)) = sent {
                assert_eq!(relayed, peer);
                sent = server.peer_packet(relayed, peer, &bytes);
                sent = sent.filter(|_| turns_back);
            }
            if let Some(Sent::ToClient(_, bytes)) = sent {
                under_way.push_back((now + 2 * LATENCY, bytes));
            }
        }
        took = took.or_else(|| check.outcome().map(|_| now - start));
        if let Some(outcome) = check.outcome().filter(|_| check.is_over(now)) {
            return (outcome.clone(), took.unwrap_or_default());
        }
        let arrival = under_way.front().map(|(at, _)| *at);
        let due = check.next_timeout().into_iter().chain(arrival).min();
        now = now.max(due.expect("a check without an outcome waits for something"));
        while let Some((_, bytes)) = under_way.pop_front_if(|(at, _)| *at <= now) {
            check.handle_datagram(now, &bytes);
        }
        check.handle_timeout(now);
    }
}

#[test]
fn a_server_that_relays_to_itself_relays() {
    let mut server = server("right");
    let (outcome, _) = outcome(&mut server, true);
    let Outcome::Relays {
        relayed,
        allocated_in,
        returned_in,
    } = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(relayed, "192.0.2.1:50001".parse().unwrap());
    assert_eq!(allocated_in, TWO_REQUESTS);
    assert_eq!(returned_in, TWO_REQUESTS);
    assert!(server.granted.is_empty(), "the address was given back");
}

#[test]
fn a_server_that_has_no_packet_of_its_own_back_is_told_apart() {
    let mut server = server("right");
    let (outcome, time) = outcome(&mut server, false);
    let Outcome::Keeps { is_denied, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert!(!is_denied);
    assert_eq!(time, TWO_REQUESTS + limits::DOCTOR_RELAY_TIME.0);
    assert!(server.granted.is_empty(), "the address was given back");
}

#[test]
fn a_server_that_lets_nobody_send_to_itself_says_so_at_once() {
    let mut server = server("right");
    server.mood.denies = Some("192.0.2.1".parse().unwrap());
    let (outcome, time) = outcome(&mut server, true);
    assert!(matches!(
        outcome,
        Outcome::Keeps {
            is_denied: true,
            ..
        }
    ));
    assert!(time < limits::DOCTOR_RELAY_TIME.0, "{time:?}");
}

#[test]
fn a_wrong_password_is_a_refusal() {
    let (outcome, _) = outcome(&mut server("another"), true);
    let Outcome::Fails(Failure::Refused(401, _)) = outcome else {
        panic!("{outcome:?}");
    };
}

#[test]
fn silence_is_a_failure_in_time() {
    let mut server = server("right");
    server.mood.is_silent = true;
    let (outcome, time) = outcome(&mut server, true);
    assert_eq!(outcome, Outcome::Fails(Failure::Silent));
    assert_eq!(time, limits::DOCTOR_SERVER_TIME);
}

#[test]
fn a_server_without_addresses_of_ipv4_is_asked_for_one_of_ipv6_once() {
    let mut server = server("right");
    server.mood.refuses = Some(440);
    let (outcome, _) = outcome(&mut server, true);
    let Outcome::Fails(Failure::Refused(440, _)) = outcome else {
        panic!("{outcome:?}");
    };
}

#[test]
fn a_stream_that_cannot_be_opened_is_a_failure_with_its_reason() {
    let now = Instant::now();
    let mut check = RelayCheck::begin(now, UNIX, plan("turns:h"), 1);
    let Some(Output::OpenStream { tls, .. }) = check.poll() else {
        panic!("no stream is asked for");
    };
    assert_eq!(tls.as_deref(), Some("h"));
    check.stream_closed(now, "TLS: no".to_owned());
    let why = Failure::Connection("TLS: no".to_owned());
    assert_eq!(check.outcome(), Some(&Outcome::Fails(why)));
    assert!(check.is_over(now));
}
