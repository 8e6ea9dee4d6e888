//! The report on what the network does with UDP: mapping and filtering (RFC 4787), or that UDP is blocked.

use serde_json::json;

use super::report::{Check, Finding};
use crate::nat::stun::survey::{Filtering, Mapping, Survey};

/// The relays that could help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relays {
    /// Whether there are any.
    pub(super) any: bool,
    /// Whether some are used over TCP or TLS.
    pub(super) over_streams: bool,
}

/// Returns the findings of the surveys.
pub(super) fn report(surveys: &[Survey], relays: Relays) -> Vec<Finding> {
    let asked = surveys.iter().any(|survey| survey.asked() > 0);
    let heard: Vec<_> = surveys
        .iter()
        .filter(|survey| survey.sightings().next().is_some())
        .map(|survey| {
            let (mapping, filtering) = (survey.mapping(), survey.filtering());
            behaviour(mapping, filtering, relays).about(survey.address())
        })
        .collect();
    match (asked, heard.is_empty()) {
        (false, _) => vec![unknown(relays)],
        (true, true) => vec![silent(relays)],
        (true, false) => heard,
    }
}

fn unknown(relays: Relays) -> Finding {
    let text = "not told, since no STUN server is asked";
    if relays.any {
        return Finding::ok(Check::Nat, text);
    }
    Finding::warn(Check::Nat, text).advice(
        "peers beyond this network are reached only at public addresses: set STUN_URL and TURN_URL \
         to reach others",
    )
}

fn silent(relays: Relays) -> Finding {
    let text =
        "no server answers over UDP: it seems to be blocked, so only TURN over TCP or TLS works";
    let details = json!({"udp": false});
    if relays.over_streams {
        return Finding::warn(Check::Nat, text).details(details);
    }
    Finding::fail(Check::Nat, text)
        .advice(
            "let UDP out, or set TURN_URL to a relay over TLS, best on port 443 (turns:host:443)",
        )
        .details(details)
}

fn behaviour(mapping: Mapping, filtering: Filtering, relays: Relays) -> Finding {
    let (mapping_words, mapping_name) = match mapping {
        Mapping::None => ("no address translation", Some("none")),
        Mapping::EndpointIndependent => (
            "mapping is endpoint-independent, so direct paths are possible",
            Some("endpoint-independent"),
        ),
        Mapping::EndpointDependent => (
            "mapping depends on the destination (symmetric NAT), so most peers behind routers are \
             reached only through a relay",
            Some("endpoint-dependent"),
        ),
        Mapping::Unknown => (
            "mapping not told, since it takes answers of two servers of different addresses",
            None,
        ),
    };
    let (filtering_words, filtering_name) = match filtering {
        Filtering::EndpointIndependent => {
            ("what anybody sends comes in", Some("endpoint-independent"))
        }
        Filtering::AddressDependent => {
            ("filtering is address-dependent", Some("address-dependent"))
        }
        Filtering::AddressAndPortDependent => (
            "filtering is address- and port-dependent",
            Some("address-and-port-dependent"),
        ),
        Filtering::Unknown => ("filtering not told by these servers", None),
    };
    let text = format!("{mapping_words}; {filtering_words}");
    let details = json!({"udp": true, "mapping": mapping_name, "filtering": filtering_name});
    let finding = if mapping == Mapping::EndpointDependent && !relays.any {
        Finding::warn(Check::Nat, text).advice("set TURN_URL")
    } else {
        Finding::ok(Check::Nat, text)
    };
    finding.details(details)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Relays = Relays {
        any: false,
        over_streams: false,
    };
    const UDP: Relays = Relays {
        any: true,
        over_streams: false,
    };
    const TLS: Relays = Relays {
        any: true,
        over_streams: true,
    };

    #[test]
    fn a_symmetric_router_without_a_relay_is_a_warning() {
        let with = |relays| {
            let filtering = Filtering::AddressAndPortDependent;
            behaviour(Mapping::EndpointDependent, filtering, relays).to_string()
        };
        assert!(with(NONE).starts_with("warn") && with(NONE).ends_with("set TURN_URL"));
        assert!(with(UDP).starts_with("ok"));
    }

    #[test]
    fn what_servers_do_not_tell_is_not_made_up() {
        let finding = behaviour(Mapping::Unknown, Filtering::Unknown, UDP).to_string();
        assert_eq!(finding.matches("not told").count(), 2, "{finding}");
    }

    #[test]
    fn blocked_udp_fails_unless_a_relay_can_do_without() {
        assert!(silent(UDP).to_string().starts_with("fail"));
        assert!(silent(UDP).to_string().contains("turns:host:443"));
        assert!(silent(TLS).to_string().starts_with("warn"));
    }

    #[test]
    fn without_any_server_it_is_said_who_can_be_reached() {
        assert!(
            report(&[], NONE)[0]
                .to_string()
                .contains("set STUN_URL and TURN_URL")
        );
        assert!(report(&[], UDP)[0].to_string().starts_with("ok"));
    }
}
