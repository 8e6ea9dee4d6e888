//! Opens a TCP connection to the registry: looks up its name, and tries its addresses side by side.
//!
//! It waits nowhere but in [`Wakeups`], so that it can be told of changes of the network meanwhile.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::net::TcpStream;

use super::failure::Failure;
use super::look_up::{Answer, Names};
use super::race::Race;
use super::settings::Settings;
use super::stream;
use super::tunnel::{self, Tunnel};
use super::wakeups::Wakeups;
use super::way::Way;
use crate::config::url::Url;
use crate::limits;

/// An open connection, watched by the wakeups that it was opened with.
pub(super) struct Dialled {
    pub(super) socket: Tunnel,
    pub(super) way: Way,
    /// When the first address was known: the look-up of a name does not count as time of the registry.
    pub(super) began: Instant,
    /// How long the try that has succeeded took, which is a round trip, or more if a packet was lost.
    pub(super) round_trip: Duration,
}

/// Connects to the host of a URL, or to the proxy that leads there, whose answer is yet to come. Takes
/// [`Times::connect`](super::Times::connect) at most from when an address is known, and
/// [`limits::RESOLVE_TIMEOUT`] until then.
pub(super) fn dial(url: &Url, settings: &Settings, wakeups: &Wakeups) -> Result<Dialled, Failure> {
    let proxy = settings.proxy_to(url)?;
    let host = proxy.map_or((url.host(), url.port()), |proxy| {
        (proxy.host(), proxy.port())
    });
    let mut dialled = open(host, settings.times.connect, &settings.names, wakeups)?;
    if let Some(proxy) = proxy {
        dialled.socket = dialled.socket.through(proxy, (url.host(), url.port()));
    }
    Ok(dialled)
}

fn open(
    host: (&str, u16),
    longest: Duration,
    names: &Names,
    wakeups: &Wakeups,
) -> Result<Dialled, Failure> {
    let mut dial = Dial::new(host, longest, names, wakeups);
    loop {
        wakeups.check_stop()?;
        let now = Instant::now();
        if wakeups.news().take_any() {
            dial.network_changed(now);
        }
        dial.hear(now);
        if let Some(dialled) = dial.opened(now) {
            return Ok(dialled);
        }
        dial.begin_tries(now);
        dial.check(now)?;
        wakeups.wait(dial.next(now));
    }
}

struct Try {
    address: SocketAddr,
    socket: TcpStream,
    began: Instant,
}

struct Dial<'a> {
    host: (&'a str, u16),
    longest: Duration,
    names: &'a Names,
    wakeups: &'a Wakeups,
    /// Whether the host is a name and no address.
    is_name: bool,
    began: Instant,
    answers: (Sender<Answer>, Receiver<Answer>),
    /// How many look-ups have not answered.
    look_ups: usize,
    race: Race,
    /// The tries that are under way.
    tries: Vec<Try>,
    /// Why the last look-up or try failed.
    failure: Option<String>,
}

impl<'a> Dial<'a> {
    fn new(
        host: (&'a str, u16),
        longest: Duration,
        names: &'a Names,
        wakeups: &'a Wakeups,
    ) -> Self {
        let now = Instant::now();
        let mut dial = Dial {
            host,
            longest,
            names,
            wakeups,
            is_name: false,
            began: now,
            answers: unbounded(),
            look_ups: 0,
            race: Race::default(),
            tries: Vec::new(),
            failure: None,
        };
        match host.0.parse::<IpAddr>() {
            Ok(address) => dial.race.add(now, &[SocketAddr::new(address, host.1)]),
            Err(_) => {
                dial.is_name = true;
                dial.look_up();
            }
        }
        dial
    }

    fn look_up(&mut self) {
        let (host, port) = self.host;
        let (answers, waker) = (&self.answers.0, self.wakeups.waker());
        let begun = self.names.begin(host, port, answers, waker);
        match begun {
            Ok(()) => self.look_ups += 1,
            Err(error) => self.failure = Some(error.to_string()),
        }
    }

    /// Begins again with the name and the addresses. Tries that are under way go on if their address is
    /// still there: on a slow path one may be about to succeed.
    fn network_changed(&mut self, now: Instant) {
        if let Some(present) = self.wakeups.addresses() {
            self.tries.retain(|running| {
                let local = running.socket.local_addr();
                local.is_err() || local.is_ok_and(|local| present.contains(&local.ip()))
            });
        }
        // The oldest make room for tries on what may be another way.
        let surplus = self.tries.len().saturating_sub(limits::DIAL_TRIES / 2);
        self.tries.drain(..surplus);
        self.race.restart(now);
        if self.is_name {
            self.look_up();
        }
    }

    /// Takes the answers of look-ups. Falls back on the addresses that last worked.
    fn hear(&mut self, now: Instant) {
        while let Ok(answer) = self.answers.1.try_recv() {
            self.look_ups -= 1;
            match answer {
                Ok(addresses) => self.race.add(now, &addresses),
                Err(error) => self.failure = Some(stream::describe(&error)),
            }
        }
        let has_waited = self.look_ups == 0 || now >= self.began + limits::LOOK_UP_PATIENCE;
        if self.is_name && has_waited && self.race.began().is_none() {
            let worked = self.names.worked(self.host.0, self.host.1);
            self.race.add(now, &worked);
        }
    }

    /// Returns the first connection that has opened.
    fn opened(&mut self, now: Instant) -> Option<Dialled> {
        let mut index = 0;
        while let Some(running) = self.tries.get(index) {
            match tunnel::connected(&running.socket) {
                Ok(None) => index += 1,
                Ok(Some(local)) => {
                    let winner = self.tries.swap_remove(index);
                    if self.is_name {
                        let addresses = self.race.led_by(winner.address);
                        self.names.keep(self.host.0, self.host.1, addresses);
                    }
                    // Without it only time is lost.
                    let _ = winner.socket.set_nodelay(true);
                    return Some(Dialled {
                        socket: Tunnel::straight(winner.socket).prompt(),
                        way: Way {
                            local: local.ip(),
                            remote: winner.address,
                        },
                        began: self.race.began().unwrap_or(self.began),
                        round_trip: now.saturating_duration_since(winner.began),
                    });
                }
                Err(error) => {
                    self.tries.remove(index);
                    self.failed(now, &error);
                }
            }
        }
        None
    }

    fn begin_tries(&mut self, now: Instant) {
        while self.tries.len() < limits::DIAL_TRIES
            && let Some(address) = self.race.take(now)
        {
            let begun = TcpStream::connect(address).and_then(|mut socket| {
                self.wakeups.watch(&mut socket)?;
                Ok(socket)
            });
            match begun {
                Ok(socket) => self.tries.push(Try {
                    address,
                    socket,
                    began: now,
                }),
                Err(error) => self.failed(now, &error),
            }
        }
    }

    fn failed(&mut self, now: Instant, error: &io::Error) {
        self.failure = Some(stream::describe(error));
        self.race.failed(now);
    }

    /// Fails when there is nothing more to wait for.
    fn check(&mut self, now: Instant) -> Result<(), Failure> {
        let is_over = self.tries.is_empty() && self.look_ups == 0 && self.race.is_through();
        if is_over {
            let why = self.failure.take();
            let why = why.unwrap_or_else(|| "the host has no address".to_owned());
            return Err(why.into());
        }
        if now < self.deadline() {
            return Ok(());
        }
        let why = match self.race.began() {
            Some(_) => format!("no connection within {} s", self.longest.as_secs_f64()),
            None => format!(
                "the name was not looked up within {} s; is the name server reachable?",
                limits::RESOLVE_TIMEOUT.as_secs()
            ),
        };
        Err(why.into())
    }

    fn deadline(&self) -> Instant {
        match self.race.began() {
            Some(began) => began + self.longest,
            None => self.began + limits::RESOLVE_TIMEOUT,
        }
    }

    /// Returns when there is something to do if nothing happens.
    fn next(&self, now: Instant) -> Instant {
        let patience = self.began + limits::LOOK_UP_PATIENCE;
        let fall_back = (self.race.began().is_none() && patience > now).then_some(patience);
        let may_try = self.tries.len() < limits::DIAL_TRIES;
        let race = self.race.next().filter(|_| may_try);
        [fall_back, race]
            .into_iter()
            .flatten()
            .fold(self.deadline(), Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use socket2::{Domain, Socket, Type};

    use super::super::wakeups::Control;
    use super::*;

    const LONGEST: Duration = Duration::from_secs(5);

    fn wakeups() -> (Wakeups, Control) {
        Wakeups::new(|| Ok(vec![[127, 0, 0, 1].into()])).unwrap()
    }

    fn dial(longest: Duration, names: &Names, wakeups: &Wakeups) -> Result<Dialled, Failure> {
        open(("registry.example", 80), longest, names, wakeups)
    }

    fn live() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// An address whose SYNs are not answered, because its queue is full, for as long as the sockets live.
    fn dead() -> (Vec<Socket>, SocketAddr) {
        let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = new();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let socket = new();
            socket.set_nonblocking(true).unwrap();
            // It is in progress, or has taken a place.
            let _ = socket.connect(&address.into());
            sockets.push(socket);
        }
        (sockets, address)
    }

    /// Look-ups that end one after the other as given; those beyond never end.
    fn names(answers: Vec<Vec<SocketAddr>>) -> Names {
        let next = AtomicUsize::new(0);
        Names::with(
            move |_, _| match answers.get(next.fetch_add(1, Ordering::SeqCst)) {
                Some(addresses) if !addresses.is_empty() => Ok(addresses.clone()),
                Some(_) => Err(io::Error::other("the name server is away")),
                None => loop {
                    std::thread::park();
                },
            },
        )
    }

    #[test]
    fn an_address_that_is_dead_holds_up_none_that_lives() {
        let (_queue, dead) = dead();
        let (_listener, live) = live();
        let (wakeups, _control) = wakeups();
        let start = Instant::now();
        let names = names(vec![vec![dead, live]]);
        let dialled = dial(LONGEST, &names, &wakeups).unwrap();
        assert_eq!(dialled.socket.socket().peer_addr().unwrap(), live);
        assert!(start.elapsed() < Duration::from_secs(1));
        // The one that worked is the first the next time.
        assert_eq!(names.worked("registry.example", 80), [live, dead]);
    }

    #[test]
    fn dead_addresses_are_given_up_in_time_and_refusals_at_once() {
        let (_queue, dead) = dead();
        let (wakeups, _control) = wakeups();
        let start = Instant::now();
        let longest = Duration::from_millis(1500);
        let silent = dial(longest, &names(vec![vec![dead]]), &wakeups);
        let expected = Failure::from("no connection within 1.5 s".to_owned());
        assert_eq!(silent.err(), Some(expected));
        assert!(start.elapsed() >= longest);

        let (listener, refusing) = live();
        drop(listener);
        let refused = dial(LONGEST, &names(vec![vec![refusing]]), &wakeups);
        let expected = Failure::from("connection refused".to_owned());
        assert_eq!(refused.err(), Some(expected));
    }

    #[test]
    fn an_address_that_worked_is_used_while_the_name_server_is_away() {
        let (_listener, live) = live();
        let (wakeups, _control) = wakeups();
        // The second look-up fails, the third does not end.
        let names = names(vec![vec![live], Vec::new()]);
        for _ in 0..3 {
            let start = Instant::now();
            let dialled = dial(LONGEST, &names, &wakeups).unwrap();
            assert_eq!(dialled.socket.socket().peer_addr().unwrap(), live);
            assert!(start.elapsed() < Duration::from_secs(2));
        }
    }

    #[test]
    fn a_change_begins_another_look_up_and_the_time_counts_from_its_answer() {
        let (_listener, live) = live();
        let (wakeups, control) = wakeups();
        let next = AtomicUsize::new(0);
        let (begun_sender, begun) = unbounded();
        let names = Names::with(move |_, _| {
            let _ = begun_sender.send(());
            if next.fetch_add(1, Ordering::SeqCst) == 0 {
                loop {
                    std::thread::park();
                }
            }
            Ok(vec![live])
        });
        let changing = std::thread::spawn(move || {
            begun.recv().unwrap();
            let changed = Instant::now();
            control.tell(super::super::news::News::changed);
            changed
        });
        let dialled = dial(LONGEST, &names, &wakeups).unwrap();
        assert!(dialled.began >= changing.join().unwrap());
    }

    #[test]
    fn a_look_up_that_does_not_end_does_not_hold_up_the_end() {
        let (wakeups, control) = wakeups();
        control.stop();
        assert!(dial(LONGEST, &names(Vec::new()), &wakeups).is_err());
    }

    #[test]
    fn look_ups_that_do_not_end_are_limited() {
        let (wakeups, _control) = wakeups();
        let names = names(Vec::new());
        let (answers, _receiver) = unbounded();
        let begin = || names.begin("a", 80, &answers, wakeups.waker());
        assert!((0..limits::REGISTRY_LOOK_UPS).all(|_| begin().is_ok()));
        assert!(
            begin()
                .unwrap_err()
                .to_string()
                .contains("too many look-ups")
        );
    }
}
