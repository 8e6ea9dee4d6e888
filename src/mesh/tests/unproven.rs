//! Peers that know the secret of the mesh and are not trusted all the same.

use std::time::Duration;

use super::fake_link::FakeStack;
use super::world::World;
use crate::protocol::ipc::ErrorCode;
use crate::secret::Secret;

const MOMENT: Duration = Duration::from_millis(1);

/// Two who share a secret, of which only the first is started.
fn two_with_a_secret(seed: u64) -> World<FakeStack> {
    let mut world = World::new(seed, &["a", "b"]);
    world.settings.trust.secret = Some(Secret::new("the secret of this mesh".to_owned()));
    world.start(0);
    world
}

/// Has `a` send to `b` and checks that it is told that `b` is not trusted, for this reason.
fn check_refused(world: &mut World<FakeStack>, reason: &str) {
    world.send(0, "b", 100, true);
    let mut why = None;
    for _ in 0..10_000 {
        // It does not know its name, and so says none.
        if reason.contains("name") {
            world.nodes[1].mesh.own = None;
        }
        world.run_for(MOMENT);
        let peer = world.nodes[0].mesh.peers.values().next();
        let distrusted = peer.and_then(|peer| peer.distrusted.as_ref());
        why = why.or_else(|| distrusted.map(|distrusted| distrusted.why.clone()));
    }
    assert!(
        why.as_ref().is_some_and(|why| why.contains(reason)),
        "{why:?}"
    );
    assert_eq!(world.ledger.failures_of(ErrorCode::UntrustedPeer), 1);
    assert_eq!(
        (world.ledger.deliveries, world.are_connected(0, 1)),
        (0, false)
    );
}

#[test]
fn who_proves_the_secret_and_says_no_name_is_refused() {
    let mut world = two_with_a_secret(520);
    world.start(1);
    check_refused(&mut world, "it does not say its name");
}

#[test]
fn who_shows_our_own_certificate_is_refused() {
    let mut world = two_with_a_secret(521);
    world.start(1);
    for place in [0, 1] {
        world.nodes[place].mesh.linker.certificate = 7;
    }
    check_refused(&mut world, "it has shown our own certificate");
}
