//! Reading of the lines that the registry prints about frames (`registry --show-frames`).

use std::borrow::Cow;
use std::time::Instant;

use serde::Deserialize;

use super::Crossing;

const REGISTRY: &str = "registry";

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "peer_id", borrow)]
    from: Cow<'a, str>,
    #[serde(rename = "target_id", borrow)]
    to: Cow<'a, str>,
}

/// Returns the boundaries that the frame of a line has crossed: two if it was relayed. `None` when the
/// line shows no frame.
pub(super) fn crossings(at: Instant, line: &str) -> Option<Vec<Crossing>> {
    let frame: Frame<'_> = serde_json::from_str(line).ok()?;
    let crossing = |from: &str, to: &str| Crossing {
        at,
        from: from.to_owned(),
        to: to.to_owned(),
        line: line.to_owned(),
    };
    let is_relayed = frame.from != REGISTRY && frame.to != REGISTRY;
    Some(if is_relayed {
        vec![
            crossing(&frame.from, REGISTRY),
            crossing(REGISTRY, &frame.to),
        ]
    } else {
        vec![crossing(&frame.from, &frame.to)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(line: &str) -> Option<Vec<String>> {
        let crossings = crossings(Instant::now(), line)?;
        assert!(crossings.iter().all(|crossing| crossing.line == line));
        let route = |crossing: &Crossing| format!("{} -> {}", crossing.from, crossing.to);
        Some(crossings.iter().map(route).collect())
    }

    #[test]
    fn a_relayed_frame_crosses_two_boundaries_and_the_registry_s_own_one() {
        let offer = r#"{"type":"offer","peer_id":"alice","target_id":"bob"}"#;
        let relayed = ["alice -> registry", "registry -> bob"];
        assert_eq!(routes(offer).unwrap(), relayed);
        let list = r#"{"type":"peer_list","peer_id":"registry","target_id":"bob"}"#;
        assert_eq!(routes(list).unwrap(), ["registry -> bob"]);
        assert_eq!(routes("listening on 127.0.0.1:1"), None);
    }
}
