//! The checks of TURN servers: whether each relays, over each transport. Those over TCP and TLS run here
//! over real streams, those over UDP in `udp`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::{Events, Poll};
use rustls::ClientConfig;
use serde_json::json;

use super::background::Background;
use super::report::{Check, Finding, milliseconds};
use super::servers::Relay;
use super::udp::Heard;
use crate::config::Config;
use crate::nat::failure::{Failure, code};
use crate::nat::output::Output;
use crate::nat::reachable::is_public;
use crate::nat::server::TurnServer;
use crate::nat::turn::plan::{Plan, plans};
use crate::nat::turn::relay_check::{Outcome, RelayCheck};
use crate::nat::url::{Transport, TurnUrl};
use crate::runtime::network::reach::unix;
use crate::runtime::network::streams::{News, Streams};
use crate::runtime::wake::poll_once;

const FIRST_STREAM: usize = 0;

/// The checks of one server over one transport, one for each way there.
pub(super) struct RelayChecks {
    url: TurnUrl,
    transport: Transport,
    /// Whether the login is the registry's.
    is_named: bool,
    /// The HTTP proxy that leads there, as the subject names it.
    via: String,
    /// Whether the server is reached at a public address.
    is_public: bool,
    ways: Vec<Way>,
}

/// One way to a server.
enum Way {
    /// Over UDP: the number of its plan.
    Datagrams(usize),
    /// On a stream.
    Stream(Background<io::Result<Outcome>>),
}

/// Begins the checks of a server. Those over UDP are not tried here: their plans are
/// added to `over_udp`.
///
/// # Errors
/// The system gives no thread.
pub(super) fn begin(
    config: &Config,
    tls: &Arc<ClientConfig>,
    locals: &[SocketAddr],
    relay: &Relay,
    over_udp: &mut Vec<Plan>,
) -> io::Result<Vec<RelayChecks>> {
    let url = &relay.url;
    let server = TurnServer {
        url: url.clone(),
        addresses: relay.place.clone().unwrap_or_default(),
        proxy: relay.proxy.clone().map(Result::unwrap_or_default),
        credentials: relay.credentials.clone(),
    };
    let mut plans = plans(&[server], locals);
    let mut checks = Vec::new();
    for transport in url.transports() {
        let mut ways = Vec::new();
        for plan in plans.extract_if(.., |plan| plan.transport == *transport) {
            if plan.local.is_some() {
                ways.push(Way::Datagrams(over_udp.len()));
                over_udp.push(plan);
            } else {
                let proxies = config.proxies.clone();
                let streams =
                    Streams::new(Arc::clone(tls), proxies, config.bind_address, FIRST_STREAM);
                let work = move || try_stream(plan, streams);
                ways.push(Way::Stream(Background::start(work)?));
            }
        }
        checks.push(RelayChecks {
            url: url.clone(),
            transport: *transport,
            is_named: !config.ice.turn.contains(url),
            via: via(config, url, *transport),
            is_public: relay
                .place
                .iter()
                .flatten()
                .any(|address| is_public(address.ip())),
            ways,
        });
    }
    Ok(checks)
}

fn via(config: &Config, url: &TurnUrl, transport: Transport) -> String {
    let proxy = config.proxies.to_relay(&url.host.to_string(), url.port);
    match proxy.ok().flatten().filter(|_| transport != Transport::Udp) {
        Some(proxy) => format!(" through the HTTP proxy {proxy}"),
        None => String::new(),
    }
}

/// Tries one way on a stream, on the calling thread.
fn try_stream(plan: Plan, mut streams: Streams) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut check = RelayCheck::begin(Instant::now(), unix(), plan, fastrand::u64(..));
    let mut events = Events::with_capacity(16);
    loop {
        carry_out(&mut check, &mut streams, &poll);
        let now = Instant::now();
        if let Some(outcome) = check.outcome().filter(|_| check.is_over(now)) {
            return Ok(outcome.clone());
        }
        let due = check.next_timeout().unwrap_or(now);
        let wait = match streams.is_ready() {
            true => now,
            false => due,
        };
        let wait = wait.saturating_duration_since(now);
        poll_once(&mut poll, &mut events, Some(wait))?;
        for event in &events {
            streams.ready(event.token());
        }
        for (_, news) in streams.take() {
            let now = Instant::now();
            match news {
                News::Opened(local) => check.stream_opened(now, local),
                News::Received(bytes) => check.stream_received(now, &bytes),
                News::Closed(why) => check.stream_closed(now, why),
            }
        }
        if due <= Instant::now() {
            check.handle_timeout(Instant::now());
        }
    }
}

fn carry_out(check: &mut RelayCheck, streams: &mut Streams, poll: &Poll) {
    while let Some(output) = check.poll() {
        match output {
            Output::OpenStream {
                stream,
                server,
                target,
                tls,
            } => {
                let target = target.as_ref().map(|(host, port)| (host.as_str(), *port));
                streams.open(poll.registry(), stream, server, target, tls.as_deref());
            }
            Output::Write {
                stream,
                bytes,
                may_be_lost,
            } => streams.write(stream, &bytes, may_be_lost),
            Output::CloseStream(stream) => streams.close(stream),
            Output::Transmit { .. }
            | Output::Relayed { .. }
            | Output::CandidatesChanged
            | Output::OuterAddressChanged
            | Output::ServerSilent
            | Output::LoginRefused(_) => {}
        }
    }
    streams.flush();
}

impl RelayChecks {
    /// Returns the finding on the checks: of several ways the best counts.
    pub(super) fn report(&self, over_udp: &Heard, deadline: Instant) -> Finding {
        let outcomes = self.ways.iter().map(|way| {
            let outcome = match way {
                Way::Datagrams(number) => over_udp.outcomes.get(*number).cloned().flatten(),
                Way::Stream(stream) => stream.wait(deadline).map(|outcome| {
                    let failed = |e: io::Error| Outcome::Fails(Failure::Connection(e.to_string()));
                    outcome.unwrap_or_else(failed)
                }),
            };
            outcome.unwrap_or(Outcome::Fails(Failure::Silent))
        });
        let subject = format!("{} over {}{}", self.url, self.transport, self.via);
        let finding = match outcomes.min_by_key(rank) {
            Some(Outcome::Relays { relayed, .. } | Outcome::Keeps { relayed, .. })
                if self.is_public && !is_public(relayed.ip()) =>
            {
                hidden(relayed)
            }
            Some(outcome) => describe(&outcome, self.transport, self.is_named),
            None => Finding::fail(Check::Turn, "no address of this machine can reach it")
                .advice("it is of IPv6 or of IPv4 only; see which addresses are used"),
        };
        finding.about(subject)
    }
}

/// Returns the finding on a server whose address is not known.
pub(super) fn unknown(url: &TurnUrl, why: &str) -> Finding {
    Finding::fail(Check::Turn, why).about(url)
}

/// Returns the finding on a server that lends an address of the network behind it.
fn hidden(relayed: SocketAddr) -> Finding {
    let text = format!("lends {relayed}, a private address, which peers elsewhere cannot reach");
    Finding::warn(Check::Turn, text)
        .advice("the server must be told its public address (coturn: external-ip)")
        .details(json!({"relayed": relayed.to_string()}))
}

/// Ranks outcomes: the smaller the better, and among failures the most telling one first.
fn rank(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Relays { .. } => 0,
        Outcome::Keeps { .. } => 1,
        Outcome::Fails(Failure::Refused(..) | Failure::Elsewhere(_)) => 2,
        Outcome::Fails(
            Failure::Connection(_) | Failure::Unusable | Failure::Misplaced(_) | Failure::Lost(_),
        ) => 3,
        Outcome::Fails(Failure::Silent) => 4,
    }
}

fn describe(outcome: &Outcome, transport: Transport, is_named: bool) -> Finding {
    match outcome {
        Outcome::Relays {
            relayed,
            allocated_in,
            returned_in,
        } => {
            let allocated = milliseconds(*allocated_in);
            let returned = milliseconds(*returned_in);
            let text = format!(
                "lends {relayed} ({allocated} ms) and relays, a packet to itself came back \
                 ({returned} ms)"
            );
            Finding::ok(Check::Turn, text).details(json!({
                "relayed": relayed.to_string(),
                "allocated_ms": allocated,
                "returned_ms": returned,
            }))
        }
        Outcome::Keeps { relayed, is_denied } => {
            let (what, advice) = if *is_denied {
                (
                    "lets nobody send to its own address, so it is not known whether it relays",
                    "two peers that both use it cannot meet; coturn has allowed-peer-ip and \
                     allow-loopback-peers",
                )
            } else {
                (
                    "relayed no packet to itself, so it is not known whether it relays",
                    "are its relay ports open (coturn: UDP 49152-65535), and does its router turn \
                     packets back to it?",
                )
            };
            Finding::warn(Check::Turn, format!("lends {relayed}, but {what}"))
                .advice(advice)
                .details(json!({"relayed": relayed.to_string()}))
        }
        Outcome::Fails(failure) => {
            let finding = Finding::fail(Check::Turn, failure.to_string());
            match advice(failure, transport, is_named) {
                Some(advice) => finding.advice(advice),
                None => finding,
            }
        }
    }
}

fn advice(failure: &Failure, transport: Transport, is_named: bool) -> Option<&'static str> {
    match (failure, transport) {
        (Failure::Refused(code::UNAUTHORIZED | code::WRONG_CREDENTIALS, _), _) if is_named => {
            Some("the login is the one that the registry names: it must be set right there")
        }
        (Failure::Silent, Transport::Udp) => Some(
            "is the address right, and UDP allowed to leave this network? relays over TCP or TLS \
             may work where UDP is blocked",
        ),
        (Failure::Silent, Transport::Tcp | Transport::Tls) => {
            Some("is the address right, and this port allowed to leave this network?")
        }
        // A failure of TLS sometimes brings its own advice.
        (Failure::Connection(why), Transport::Tls) if why.starts_with("TLS") => {
            if why.contains("; ") {
                return None;
            }
            Some("its certificate must be valid, for the host in the URL, and of a known authority")
        }
        (Failure::Connection(_), _) => Some("does the server run, and listen there?"),
        (Failure::Unusable, _) => Some("is it the right port?"),
        (Failure::Misplaced(_), _) => failure.advice(),
        (Failure::Lost(_) | Failure::Refused(..) | Failure::Elsewhere(_), _) => failure.advice(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(outcome: &Outcome, transport: Transport) -> String {
        describe(outcome, transport, false).to_string()
    }

    fn failed(failure: Failure, transport: Transport) -> String {
        line(&Outcome::Fails(failure), transport)
    }

    #[test]
    fn each_failure_says_what_to_do() {
        let refused = failed(
            Failure::Refused(401, "Unauthorized".to_owned()),
            Transport::Udp,
        );
        assert!(refused.contains("refused with 401 (Unauthorized); are TURN_SECRET"));
        let blocked = failed(Failure::Silent, Transport::Udp);
        assert!(blocked.contains("UDP allowed to leave") && blocked.contains("TCP or TLS"));
        let certificate = "TLS: invalid peer certificate: Expired".to_owned();
        let certificate = failed(Failure::Connection(certificate), Transport::Tls);
        assert!(certificate.contains("its certificate must be valid"));
        let refused = failed(
            Failure::Connection("connection refused".to_owned()),
            Transport::Tcp,
        );
        assert!(refused.contains("does the server run"));
    }

    #[test]
    fn a_login_of_the_registry_s_is_not_sought_in_our_settings() {
        let refused = Outcome::Fails(Failure::Refused(401, String::new()));
        let line = describe(&refused, Transport::Udp, true).to_string();
        assert!(line.contains("that the registry names") && !line.contains("TURN_SECRET"));
    }

    #[test]
    fn a_server_that_relays_nothing_to_itself_is_a_warning_that_says_so() {
        let relayed = "192.0.2.1:50000".parse().unwrap();
        for is_denied in [true, false] {
            let line = line(&Outcome::Keeps { relayed, is_denied }, Transport::Udp);
            assert!(line.starts_with("warn") && line.contains("not known whether it relays"));
        }
    }

    #[test]
    fn a_relay_that_nobody_reaches_is_a_warning() {
        let checks = |is_public| RelayChecks {
            url: TurnUrl::parse("turn:h").unwrap(),
            transport: Transport::Udp,
            is_named: false,
            via: String::new(),
            is_public,
            ways: vec![Way::Datagrams(0)],
        };
        let heard = Heard {
            surveys: Vec::new(),
            outcomes: vec![Some(Outcome::Relays {
                relayed: "10.0.0.5:50000".parse().unwrap(),
                allocated_in: Duration::ZERO,
                returned_in: Duration::ZERO,
            })],
        };
        let report = |is_public| checks(is_public).report(&heard, Instant::now()).to_string();
        assert!(report(true).starts_with("warn") && report(true).contains("external-ip"));
        assert!(report(false).starts_with("ok"));
    }

    #[test]
    fn of_several_ways_the_best_counts_and_else_what_says_most() {
        let silent = Outcome::Fails(Failure::Silent);
        let refused = Outcome::Fails(Failure::Refused(401, String::new()));
        let keeps = Outcome::Keeps {
            relayed: "192.0.2.1:50000".parse().unwrap(),
            is_denied: false,
        };
        let best = [silent.clone(), keeps.clone(), refused.clone()];
        assert_eq!(best.into_iter().min_by_key(rank), Some(keeps));
        assert_eq!(
            [silent, refused.clone()].into_iter().min_by_key(rank),
            Some(refused)
        );
    }
}
