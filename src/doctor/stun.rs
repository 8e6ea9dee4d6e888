//! The report on STUN servers: the addresses that they see us at.

use std::net::IpAddr;

use serde_json::json;

use super::report::{Check, Finding, listed, milliseconds};
use super::servers::Place;
use crate::nat::stun::survey::{Sighting, Survey};
use crate::nat::url::StunUrl;

/// Returns the finding on one server.
pub(super) fn report(url: &StunUrl, place: &Place, surveys: &[Survey]) -> Finding {
    let addresses = match place {
        Ok(addresses) => addresses,
        Err(why) => return Finding::fail(Check::Stun, why).about(url),
    };
    let seen: Vec<_> = surveys
        .iter()
        .flat_map(|survey| survey.sightings().map(|seen| (survey.address(), seen)))
        .filter(|(_, seen)| addresses.contains(&seen.server))
        .collect();
    if seen.is_empty() {
        return Finding::fail(Check::Stun, "no answer over UDP")
            .about(url)
            .advice("is the address right, and UDP allowed to leave this network?");
    }
    let details = seen.iter().map(|(local, seen)| {
        json!({
            "local": local.to_string(),
            "mapped": seen.mapped.to_string(),
            "ms": milliseconds(seen.round_trip),
        })
    });
    let details = details.collect();
    Finding::ok(Check::Stun, listed(seen.iter().map(describe)))
        .about(url)
        .details(details)
}

fn describe((local, seen): &(IpAddr, Sighting)) -> String {
    let ms = milliseconds(seen.round_trip);
    format!("{local} is seen as {} ({ms} ms)", seen.mapped)
}
