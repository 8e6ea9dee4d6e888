//! Remembers the warnings that were logged about servers that are of no use, so that each is logged
//! once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::plan::Plan;

/// A way to a server: its name, the server's address and ours. The failure of another that it refers to counts
/// as its own.
type Way = (String, SocketAddr, Option<IpAddr>);

/// The last failure of each way.
#[derive(Debug, Default)]
pub(crate) struct Warnings(BTreeMap<Way, String>);

impl Warnings {
    /// Notes the failure of a way. Returns whether it is to be logged: not if it was the last failure
    /// of this way or of another way of the same name.
    pub(crate) fn is_new(&mut self, plan: &Plan, failure: &str) -> bool {
        let way = way(plan);
        let mut same = self.0.iter().filter(|((name, ..), _)| *name == way.0);
        let is_new = same.all(|(_, told)| told != failure);
        self.0.insert(way, failure.to_owned());
        is_new
    }

    /// Forgets the failures of all ways of this name, because one of them works.
    pub(crate) fn settle(&mut self, name: &str) {
        self.0.retain(|(known, ..), _| known != name);
    }

    /// Forgets all ways but these.
    pub(crate) fn keep(&mut self, plans: &[Plan]) {
        let ways: BTreeSet<_> = plans.iter().map(way).collect();
        self.0.retain(|way, _| ways.contains(way));
    }
}

fn way(plan: &Plan) -> Way {
    let local = plan.local.map(|local| local.ip());
    (plan.name(), plan.server, local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::credentials::Credentials;
    use crate::nat::failure::Failure;
    use crate::nat::server::TurnServer;
    use crate::nat::turn::plan::plans;
    use crate::nat::url::TurnUrl;
    use crate::secret::Secret;

    /// Two ways of one name.
    fn two_ways() -> Vec<Plan> {
        let server = TurnServer {
            url: TurnUrl::parse("turn:h?transport=udp").unwrap(),
            proxy: None,
            addresses: vec!["192.0.2.1:1".parse().unwrap()],
            credentials: Credentials::Shared(Secret::new("s".to_owned())),
        };
        let sockets = ["10.0.0.1:1", "10.0.0.2:1"].map(|s| s.parse().unwrap());
        plans(&[server], &sockets)
    }

    #[test]
    fn ways_that_fail_for_different_reasons_are_told_once_each() {
        let (ways, mut warnings) = (two_ways(), Warnings::default());
        for round in 0..3 {
            assert_eq!(warnings.is_new(&ways[0], "refused"), round == 0);
            assert_eq!(warnings.is_new(&ways[1], "no answer"), round == 0);
        }
    }

    #[test]
    fn ways_that_fail_for_the_same_reason_are_told_as_one() {
        let (ways, mut warnings) = (two_ways(), Warnings::default());
        assert!(warnings.is_new(&ways[0], "no answer"));
        assert!(!warnings.is_new(&ways[1], "no answer"));
        assert!(warnings.is_new(&ways[1], "refused"), "another reason");
    }

    #[test]
    fn what_a_server_that_another_refers_to_says_is_told_once() {
        let (ways, mut warnings) = (two_ways(), Warnings::default());
        let elsewhere = Failure::Elsewhere("192.0.2.9:1".parse().unwrap());
        let referred = ways[0].after(&elsewhere).unwrap();
        for round in 0..3 {
            warnings.keep(&ways);
            assert_eq!(warnings.is_new(&referred, "refused"), round == 0);
        }
    }

    #[test]
    fn what_has_worked_or_was_taken_away_is_told_again() {
        let (ways, mut warnings) = (two_ways(), Warnings::default());
        assert!(warnings.is_new(&ways[0], "no answer"));
        warnings.settle(&ways[0].name());
        assert!(warnings.is_new(&ways[0], "no answer"));
        warnings.keep(&ways);
        assert!(!warnings.is_new(&ways[0], "no answer"));
        warnings.keep(&[]);
        assert!(warnings.is_new(&ways[0], "no answer"));
    }
}
