//! Tests of logins that end, change, are refused, and are renewed beside the allocation in use.

use std::time::Duration;

use super::relays::{A, CHECK, DATA, SECOND, peer, round_trip, world};
use super::world::{UNIX, World};
use crate::limits;
use crate::nat::reach::{Reach, TransportPolicy};
use crate::secret::Secret;

#[test]
fn a_shared_secret_works_and_is_renewed_beside_the_old_allocation() {
    let (mut world, server) = world();
    world.server(server).secret = Some(Secret::new("s".to_owned()));
    world.use_servers(&[], &[(A, "secret s")]);
    world.run(SECOND);
    let first = world.candidate().unwrap();
    let username = format!("{}:mesh", UNIX + 24 * 3600);
    let granted = world.server(server).granted.values().next().unwrap();
    assert_eq!(granted.username, username);
    world.run(24 * 3600 * SECOND - limits::TURN_RENEWAL - 60 * SECOND);
    assert_eq!(world.candidate(), Some(first));
    world.run(120 * SECOND);
    assert_ne!(world.candidate(), Some(first));
}

#[test]
fn a_new_login_changes_nothing_while_the_one_in_use_lasts() {
    let (mut world, server) = world();
    let day = 24 * 3600;
    let mut first = None;
    for hour in 0..23 {
        let username = format!("{}:user", UNIX + hour * 3600 + day);
        world.use_servers(&[], &[(A, &username)]);
        world.run(3600 * SECOND);
        first = first.or(world.candidate());
        assert_eq!(world.candidates(), Vec::from_iter(first));
    }
    assert_eq!(world.server(server).served(3), 1, "one allocation");
    // Ten minutes before the first login ends, the last one is used for a new allocation.
    world.run(3600 * SECOND - limits::TURN_RENEWAL - 60 * SECOND);
    assert_eq!(world.candidate(), first);
    world.run(61 * SECOND);
    assert_ne!(world.candidate(), first);
    assert_eq!(world.server(server).served(3), 2);
}

#[test]
fn a_login_that_is_about_to_end_is_used_until_there_is_another() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "1700000060:one")]);
    world.run(50 * SECOND);
    let first = world.candidate();
    assert_eq!(world.server(server).served(3), 1);
    world.use_servers(&[], &[(A, "1700000120:two")]);
    world.run(SECOND);
    assert_ne!(world.candidate(), first);
}

/// The server prolongs what the crate then takes for ended, so a socket may be known to it for longer.
#[test]
fn logins_nonces_and_allocations_of_a_minute_are_renewed_for_ever() {
    let (mut world, server) = world();
    world.server(server).mood.shortest = Some(60);
    world.server(server).mood.nonce_life = Some(60 * SECOND);
    let mut before = None;
    for number in 0..40 {
        let username = format!("{}:user", UNIX + number * 30 + 60);
        world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", &username)]);
        world.run(SECOND);
        let relayed = world.candidate();
        assert!(relayed.is_some() && relayed != before, "renewal {number}");
        before = relayed;
        for _ in 0..13 {
            round_trip(&mut world, relayed.unwrap(), DATA);
        }
        world.run(3 * SECOND);
    }
}

#[test]
fn new_credentials_bring_a_new_allocation_while_the_old_one_serves_on() {
    let (mut world, server) = world();
    world.use_servers(&[], &[(A, "one")]);
    world.run(SECOND);
    let first = world.candidate().unwrap();
    round_trip(&mut world, first, DATA);
    world.use_servers(&[], &[(A, "two")]);
    world.run(SECOND);
    let second = world.candidate().unwrap();
    assert_ne!(first, second);
    for _ in 0..20 {
        assert_eq!(world.candidates(), [second, first]);
        round_trip(&mut world, first, DATA);
        world.run(30 * SECOND);
    }
    round_trip(&mut world, second, DATA);
    assert_eq!(world.server(server).granted.len(), 2);
    // Its last user is gone, so the old one is given back.
    world.run(2 * limits::TURN_IDLE);
    let left: Vec<_> = world
        .server(server)
        .granted
        .values()
        .map(|g| g.relayed)
        .collect();
    assert_eq!(left, [second]);
    assert_eq!(world.candidates(), [second]);
}

#[test]
fn credentials_may_change_often_without_a_break_for_new_connections() {
    let (mut world, server) = world();
    // Giving one back now takes a second request.
    world.server(server).mood.nonce_life = Some(2 * SECOND);
    let mut before = None;
    for number in 0..50 {
        let username = format!("user {number}");
        world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", &username)]);
        world.run(3 * SECOND);
        let relayed = world.candidate();
        assert!(relayed.is_some() && relayed != before, "login {number}");
        round_trip(&mut world, relayed.unwrap(), DATA);
        before = relayed;
    }
    let granted = &world.server(server).granted;
    assert!(granted.len() <= limits::LANES, "{granted:?}");
}

#[test]
fn an_allocation_in_use_keeps_its_socket_while_there_is_another_way() {
    let (mut world, _) = world();
    let mut used = Vec::new();
    for number in 0..4 {
        world.use_servers(&[], &[(A, &format!("user {number}"))]);
        world.run(SECOND);
        used.push(world.candidate().unwrap());
        for relayed in &used {
            round_trip(&mut world, *relayed, DATA);
        }
    }
    assert_eq!(world.candidates().len(), 4);
    assert_eq!(world.opened.len(), 1, "the fourth is over TCP");
}

#[test]
fn with_one_socket_a_new_login_takes_a_stream_without_a_break() {
    let mut world = World::new(TransportPolicy::Relay).with_lanes(1);
    let server = world.add_server("192.0.2.1:3478", "right");
    world.use_servers(&[], &[(A, "one")]);
    world.run(SECOND);
    let first = world.candidate().unwrap();
    round_trip(&mut world, first, DATA);
    let sent = world.sent[&server];
    world.use_servers(&[], &[(A, "two")]);
    world.run(SECOND);
    assert_eq!(world.opened.len(), 1, "over TCP");
    assert_eq!(
        world.sent[&server], sent,
        "nothing is asked over UDP in vain"
    );
    let second = world.candidate().unwrap();
    assert_eq!(world.candidates(), [second, first]);
    round_trip(&mut world, first, DATA);
    round_trip(&mut world, second, DATA);
    // The first one is gone, so its socket is free for the next login.
    world.run(2 * limits::TURN_IDLE);
    world.use_servers(&[], &[(A, "three")]);
    world.run(SECOND);
    assert_eq!(world.opened.len(), 1);
    assert_ne!(world.candidate(), Some(second));
}

#[test]
fn with_one_socket_and_no_stream_the_allocation_in_use_is_kept() {
    let mut world = World::new(TransportPolicy::Relay).with_lanes(1);
    let server = world.add_server("192.0.2.1:3478", "right");
    let url = "turn:192.0.2.1?transport=udp";
    world.use_servers(&[], &[(url, "one")]);
    world.run(SECOND);
    let first = world.candidate().unwrap();
    world.use_servers(&[], &[(url, "two")]);
    world.run(600 * SECOND);
    assert_eq!(world.candidates(), [first]);
    // The allocation is lost, so the new login is used.
    world.server(server).restart();
    world.we_send(first, peer(), CHECK);
    world.run(SECOND);
    let granted = world.server(server).granted.values().next().unwrap();
    assert_eq!(granted.username, "two");
}

#[test]
fn with_one_socket_that_the_server_knows_already_a_stream_is_taken_at_once() {
    let mut world = World::new(TransportPolicy::Relay).with_lanes(1);
    world.add_server("192.0.2.1:3478", "right");
    world.use_servers(&[], &[(A, "before")]);
    world.run(SECOND);
    // The process was killed, and is started again on the same port.
    world.reach = Reach::new(TransportPolicy::Relay, world.now, UNIX, 2);
    let mut world = world.with_lanes(1);
    world.use_servers(&[], &[(A, "after")]);
    let took = world.until(SECOND, |world| world.candidate().is_some());
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_wrong_password_is_refused_quickly_and_tried_again_seldom() {
    let mut world = World::new(TransportPolicy::Relay).with_sockets();
    let server = world.add_server("192.0.2.1:3478", "another");
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "user")]);
    world.run(3600 * SECOND);
    assert_eq!(world.candidate(), None);
    let sent = world.sent[&server];
    assert!(sent < 2 * 3600 / 60, "{sent} requests in an hour");
    assert!(sent > 10, "{sent}: tried again");
}

#[test]
fn a_login_that_is_taken_no_more_is_reported_and_its_successor_is_used_at_once() {
    let (mut world, server) = world();
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "first")]);
    world.run(SECOND);
    let before = world.candidate().unwrap();
    assert!(world.refused.is_empty());
    world.server(server).mood.bars = Some("first".to_owned());
    world.we_send(before, peer(), CHECK);
    world.run(SECOND);
    assert_eq!(
        world.refused[0].to_string(),
        "turn:192.0.2.1:3478?transport=udp"
    );
    assert_eq!(world.candidate(), Some(before), "it lives on for a while");
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "second")]);
    world.run(SECOND);
    assert_ne!(world.candidate(), Some(before));
}

#[test]
fn a_login_that_is_not_taken_is_reported_with_each_round() {
    let (mut world, server) = world();
    world.server(server).mood.bars = Some("user".to_owned());
    world.use_servers(&[], &[(A, "user")]);
    world.run(SECOND);
    assert!(!world.refused.is_empty());
    let reports = world.refused.len();
    world.run(limits::TURN_REFUSED_WAIT + 10 * SECOND);
    assert!(world.refused.len() > reports);
}

/// A machine without a clock of its own starts in the past, and learns the time from the network.
#[test]
fn a_clock_that_is_set_ends_the_wait_after_a_refusal() {
    let (mut world, server) = world();
    world.server(server).secret = Some(Secret::new("s".to_owned()));
    let ahead = 30 * 24 * 3600;
    world.server(server).mood.unix = Some(UNIX + ahead);
    world.use_servers(&[], &[(A, "secret s")]);
    world.run(30 * SECOND);
    assert_eq!(world.candidate(), None);
    world.reach.set_clock(world.now, UNIX + ahead + 30);
    world.drain();
    let took = world.until(SECOND, |world| world.candidate().is_some());
    assert!(took < SECOND / 2, "{took:?}");
}

#[test]
fn a_clock_that_goes_as_time_does_ends_no_wait() {
    let (mut world, server) = world();
    world.server(server).mood.refuses = Some(403);
    world.use_servers(&[], &[("turn:192.0.2.1?transport=udp", "user")]);
    world.run(SECOND);
    let sent = world.sent[&server];
    for second in 1..60 {
        world.run(SECOND);
        world.reach.set_clock(world.now, UNIX + second);
        world.drain();
    }
    assert_eq!(world.sent[&server], sent);
}
