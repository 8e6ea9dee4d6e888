//! `chatixia-sidecar doctor`: reports what a sidecar with these settings would find, a line for each
//! thing.
//!
//! Nothing is left behind: no socket file, no allocation, and no running sidecar loses its place. The
//! checks run at the same time, and all ends within [`limits::DOCTOR_TIME`] whatever hangs.
//!
//! * `socket`, `trust`, `interfaces`, `proxy`, `registry`, `servers`, `stun`, `nat`, `turn`: the checks.
//! * `udp`: the sockets of the last three.
//! * `report`: the findings and their text.
//! * `background`: running checks on threads, and waiting for them.
//!
//! The code that speaks STUN and TURN is that of [`nat`](crate::nat).

mod background;
mod interfaces;
mod nat;
mod proxy;
mod registry;
mod report;
mod servers;
mod socket;
mod stun;
mod trust;
mod turn;
mod udp;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;

use crate::config::Config;
use crate::limits;
use crate::nat::reach::TransportPolicy;
use crate::nat::url::{Transport, TurnUrl};
use crate::output;
use crate::runtime;
use crate::runtime::signaling::{self, IceServersClient, Times};

use background::Background;
use nat::Relays;
use report::{Check, Finding};
use servers::Servers;

/// Checks everything and prints the findings on standard output, for people or in JSON. `beside_sidecar`: a sidecar
/// with the same settings runs, without a socket by which it could be found.
///
/// Returns 0 when nothing failed, 1 when something did, 2 when a setting cannot be used.
pub fn run(config: &Config, json: bool, beside_sidecar: bool) -> ExitCode {
    let began = Instant::now();
    let complain = |what: &dyn std::fmt::Display, code: u8| {
        let _ = writeln!(io::stderr(), "chatixia-sidecar: {what}");
        ExitCode::from(code)
    };
    for note in &config.notes {
        log::info!("{note}");
    }
    let tls = match signaling::tls::client_config(&config.trust) {
        Ok(tls) => tls,
        Err(error) => return complain(&error, 2),
    };
    let settings = registry_settings(config, &tls);
    let client = match IceServersClient::new(&settings) {
        Ok(client) => client,
        Err(error) => return complain(&error, 2),
    };
    let findings = match examine(config, &tls, settings, client, began, beside_sidecar) {
        Ok(findings) => findings,
        Err(error) => return complain(&error, 1),
    };
    if output::print(&report::text(&findings, json)) && !report::has_failure(&findings) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Returns the settings for the registry. It is awaited for a shorter time than by a sidecar.
fn registry_settings(config: &Config, tls: &Arc<ClientConfig>) -> signaling::Settings {
    let (connect, handshake) = limits::DOCTOR_REGISTRY_TIME;
    signaling::Settings::new(
        config.signaling_url.clone(),
        config.token_url.clone(),
        config.credential.clone(),
        Arc::clone(tls),
    )
    .with_proxies(config.proxies.clone())
    .with_times(Times {
        connect,
        handshake,
        round_trips: 0,
        ..Times::default()
    })
}

/// Runs the checks and returns all findings, in the order of the report.
fn examine(
    config: &Config,
    tls: &Arc<ClientConfig>,
    settings: signaling::Settings,
    client: IceServersClient,
    began: Instant,
    beside_sidecar: bool,
) -> io::Result<Vec<Finding>> {
    let deadline = began + limits::DOCTOR_TIME;
    let fetch = config.ice.from_registry;
    let fetch = fetch.then(|| Background::start(move || client.fetch()));
    let fetch = fetch.transpose()?;

    let socket = (!beside_sidecar)
        .then(|| socket::check(config.ipc_socket.as_deref(), runtime::access(config)));
    let has_sidecar = socket.as_ref().is_none_or(|(_, is_live)| *is_live);
    let proxies = proxy::begin(config, &settings)?;
    let visit = Background::start(move || signaling::visit(&settings, !has_sidecar))?;
    let (interfaces, locals) = interfaces::check(config, has_sidecar);

    let names_until = began + limits::DOCTOR_NAMES_TIME;
    let found = servers::find(config, fetch.as_ref(), names_until)?;
    let asked = if config.ice.policy == TransportPolicy::All {
        stun_addresses(&found)
    } else {
        Vec::new()
    };
    let (mut checks, mut plans) = (Vec::new(), Vec::new());
    for relay in &found.turn {
        checks.push(match (&relay.place, &relay.proxy) {
            (Err(why), None) | (_, Some(Err(why))) => Err(turn::unknown(&relay.url, why)),
            // The proxy may know a name that we don't.
            (_, Some(Ok(_))) | (Ok(_), None) => {
                Ok(turn::begin(config, tls, &locals, relay, &mut plans)?)
            }
        });
    }
    let (ports, until) = (config.udp_ports, deadline - limits::DOCTOR_FAREWELL);
    let over_udp = move || udp::check(&locals, ports, &asked, plans, until);
    let over_udp = Background::start(over_udp)?;

    let mut findings: Vec<_> = socket.into_iter().map(|(finding, _)| finding).collect();
    findings.extend(trust::check(&config.peers));
    findings.extend(interfaces);
    let heard = over_udp.wait(deadline).transpose()?.unwrap_or_default();
    let relayed: Vec<_> = checks
        .iter()
        .flat_map(|checks| match checks {
            Ok(checks) => checks.iter().map(|t| t.report(&heard, deadline)).collect(),
            Err(finding) => vec![finding.clone()],
        })
        .collect();
    let doubts = config.doubts.iter();
    findings.extend(doubts.map(|doubt| Finding::warn(Check::Registry, doubt)));
    findings.extend(proxies.report(deadline));
    findings.extend(registry::report(config, visit.wait(deadline)));
    findings.extend(found.finding.clone());
    if config.ice.policy == TransportPolicy::All {
        let reports = found.stun.iter();
        findings.extend(reports.map(|(url, place)| stun::report(url, place, &heard.surveys)));
        findings.extend(nat::report(&heard.surveys, relays(&found)));
    } else {
        let text = "STUN servers are not asked, since ICE_TRANSPORT_POLICY=relay";
        findings.push(Finding::ok(Check::Stun, text));
    }
    findings.extend(relayed);
    Ok(findings)
}

/// Returns the addresses of the servers that tell our address: STUN servers, and TURN servers over UDP, as
/// for a sidecar.
fn stun_addresses(found: &Servers) -> Vec<SocketAddr> {
    let stun = found.stun.iter().map(|(_, place)| place);
    let turn = found.turn.iter();
    let turn = turn.filter(|relay| relay.url.transports().contains(&Transport::Udp));
    let places = stun.chain(turn.map(|relay| &relay.place));
    places.flatten().flatten().copied().collect()
}

fn relays(found: &Servers) -> Relays {
    let is_stream = |url: &TurnUrl| url.transports().iter().any(|t| *t != Transport::Udp);
    Relays {
        any: !found.turn.is_empty(),
        over_streams: found.turn.iter().any(|relay| is_stream(&relay.url)),
    }
}
