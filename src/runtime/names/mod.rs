//! Looks up the addresses of names: by the system, and by ourselves where that fails or takes long.
//!
//! * `name_servers`, `configuration`: each family asked for on its own.
//! * `multicast`: names under `.local`, which the system of many machines, and static binaries, don't find.

mod configuration;
pub(crate) mod multicast;
mod name_servers;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use mio::{Events, Poll, Token};

use crate::limits;
use crate::protocol::multicast_dns;
use crate::runtime::wake::poll_once;
use multicast::Multicast;

type Found = io::Result<Vec<IpAddr>>;

/// The look-ups by the system that have not ended.
static BY_SYSTEM: AtomicUsize = AtomicUsize::new(0);

/// Looks up the addresses of a name, and waits until there are some or neither the system nor our own look-up
/// has any. Families take turns in the result.
pub(crate) fn look_up(name: &str) -> Found {
    if is_localhost(name.trim_end_matches('.')) {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let is_local = multicast_dns::is_local_name(name.trim_end_matches('.'));
    let patience = match is_local {
        true => Duration::ZERO,
        false => limits::SYSTEM_LOOK_UP_PATIENCE,
    };
    let (asked, other) = (name.to_owned(), name.to_owned());
    let found = first(
        move || by_system(&asked),
        move || match is_local {
            true => by_multicast(other.trim_end_matches('.')),
            false => name_servers::ask(&other),
        },
        patience,
    )?;
    Ok(families_in_turn(&found, IpAddr::is_ipv4))
}

/// Returns whether a name is that of this machine (RFC 6761 section 6.3). A system without `/etc/hosts`, as in a small
/// container, does not find it.
fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

fn by_system(name: &str) -> Found {
    if BY_SYSTEM.fetch_add(1, Ordering::AcqRel) >= limits::SYSTEM_LOOK_UPS {
        BY_SYSTEM.fetch_sub(1, Ordering::AcqRel);
        let why = "too many look-ups do not end; is the name server reachable?";
        return Err(io::Error::other(why));
    }
    let found = (name, 0).to_socket_addrs();
    BY_SYSTEM.fetch_sub(1, Ordering::AcqRel);
    let mut addresses: Vec<_> = found?.map(|found| found.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

/// Returns the first answer with addresses: the system's, or our own, which is begun when the system has
/// failed or taken longer than `patience`. If neither has any, the system's error is returned.
fn first(
    system: impl FnOnce() -> Found + Send + 'static,
    own: impl FnOnce() -> Found + Send + 'static,
    patience: Duration,
) -> Found {
    let (sender, answers) = bounded(2);
    start("resolver", sender.clone(), (true, system))?;
    let early = answers.recv_timeout(patience);
    if let Ok((_, Ok(addresses))) = &early
        && !addresses.is_empty()
    {
        return Ok(addresses.clone());
    }
    start("own-resolver", sender, (false, own))?;
    let mut failures: Vec<_> = early.ok().into_iter().collect();
    while let Ok((is_system, found)) = answers.recv() {
        match found {
            Ok(addresses) if !addresses.is_empty() => return Ok(addresses),
            found => failures.push((is_system, found)),
        }
    }
    failures.sort_by_key(|(is_system, _)| !is_system);
    let failure = failures.into_iter().next();
    failure.map_or_else(|| Err(io::ErrorKind::NotFound.into()), |(_, found)| found)
}

fn start(
    name: &str,
    answers: Sender<(bool, Found)>,
    (is_system, work): (bool, impl FnOnce() -> Found + Send + 'static),
) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    let run = move || {
        // Nobody waits for it any more when the other was sooner.
        let _ = answers.send((is_system, work()));
    };
    thread.spawn(run).map(|_| ())
}

/// Asks for a name under `.local` on all interfaces until it is answered or given up.
fn by_multicast(name: &str) -> Found {
    const SOCKET: Token = Token(0);
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(4);
    let mut multicast = Multicast::new(SOCKET, multicast_dns::GROUP);
    let interfaces = super::interfaces::bare_addresses()?;
    multicast.ask(
        Instant::now(),
        poll.registry(),
        name,
        interfaces.into_iter(),
    );
    let mut found = Vec::new();
    while let Some(next) = multicast.next_timeout() {
        let wait = next.saturating_duration_since(Instant::now());
        poll_once(&mut poll, &mut events, Some(wait))?;
        if !events.is_empty() {
            multicast.ready();
        }
        while multicast.is_ready() {
            found.extend(multicast.receive().into_iter().map(|(_, address)| address));
        }
        multicast.handle_timeout(Instant::now());
    }
    // An address of one link is of no use without the link.
    found.retain(|address| match address {
        IpAddr::V6(address) => !address.is_unicast_link_local(),
        IpAddr::V4(_) => true,
    });
    match found.is_empty() {
        true => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "nobody here knows the name",
        )),
        false => Ok(found),
    }
}

/// Returns the addresses so that the families take turns; that of the first begins.
pub(crate) fn families_in_turn<A: Copy>(addresses: &[A], is_ipv4: impl Fn(&A) -> bool) -> Vec<A> {
    let leads = |address: &A| {
        let first = addresses.first();
        first.is_some_and(|first| is_ipv4(first) == is_ipv4(address))
    };
    let (leading, others): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(leads);
    let (mut leading, mut others) = (leading.into_iter(), others.into_iter());
    let mut in_turn = Vec::new();
    loop {
        let (one, other) = (leading.next(), others.next());
        if one.is_none() && other.is_none() {
            return in_turn;
        }
        in_turn.extend(one.into_iter().chain(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: [u8; 4] = [192, 0, 2, 1];
    const OWN: [u8; 4] = [192, 0, 2, 2];
    const LONG: Duration = Duration::from_secs(20);

    fn gives(address: [u8; 4]) -> impl FnOnce() -> Found {
        move || Ok(vec![address.into()])
    }

    fn hangs() -> Found {
        loop {
            thread::park();
        }
    }

    fn fails() -> Found {
        Err(io::Error::other("the system has failed"))
    }

    #[test]
    fn localhost_is_this_machine_whatever_the_system_knows() {
        for name in ["localhost", "LocalHost.", "registry.localhost"] {
            let found = look_up(name).unwrap();
            assert!(found.iter().all(IpAddr::is_loopback), "{name}: {found:?}");
        }
        for name in ["localhost.example.org", "alocalhost", ""] {
            assert!(!is_localhost(name), "{name}");
        }
    }

    #[test]
    fn the_system_is_asked_first_and_alone_when_it_answers() {
        let found = first(gives(SYSTEM), || panic!("asked"), LONG).unwrap();
        assert_eq!(found, [IpAddr::from(SYSTEM)]);
    }

    #[test]
    fn when_the_system_fails_has_nothing_or_hangs_we_ask_ourselves() {
        let nothing = || Ok(Vec::new());
        let cases: [(fn() -> Found, Duration); 3] = [
            (fails, LONG),
            (nothing, LONG),
            (hangs, Duration::from_millis(10)),
        ];
        for (system, patience) in cases {
            let found = first(system, gives(OWN), patience).unwrap();
            assert_eq!(found, [IpAddr::from(OWN)]);
        }
    }

    #[test]
    fn a_slow_system_counts_when_we_find_nothing_and_its_error_is_the_one_that_is_told() {
        let (end, ended) = bounded::<()>(0);
        let system = move || {
            let _ = ended.recv();
            gives(SYSTEM)()
        };
        let own = move || {
            drop(end);
            Err(io::ErrorKind::NotFound.into())
        };
        let found = first(system, own, Duration::ZERO).unwrap();
        assert_eq!(found, [IpAddr::from(SYSTEM)]);
        let error = first(fails, || Err(io::ErrorKind::NotFound.into()), LONG).unwrap_err();
        assert_eq!(error.to_string(), "the system has failed");
    }

    #[test]
    fn both_families_stay_when_a_list_is_cut() {
        let six = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
        let four = IpAddr::from(SYSTEM);
        let addresses = [six(1), six(2), six(3), six(4), six(5), four];
        let mut cut = families_in_turn(&addresses, IpAddr::is_ipv4);
        assert_eq!(cut.len(), 6);
        cut.truncate(limits::ADDRESSES_PER_SERVER);
        assert_eq!(cut, [six(1), four, six(2), six(3)]);
    }
}
