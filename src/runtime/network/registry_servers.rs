//! Asks the registry for its STUN and TURN servers, on a thread of its own so that nothing waits for
//! the answer.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::registry_schedule::Schedule;
use crate::limits;
use crate::nat::credentials::Credentials;
use crate::nat::url::{StunUrl, TurnUrl};
use crate::protocol::ice_servers::IceServer;
use crate::runtime::signaling::IceServersClient;
use crate::runtime::wake::LoopWaker;
use crate::secret::Secret;

type Answer = Result<Vec<IceServer>, String>;

/// The function that asks the registry.
type Ask = dyn Fn() -> Answer + Send + Sync;

/// The number of a question.
type Number = u64;

/// An answer, with the number of its question.
type Numbered = (Number, Answer);

/// The servers that the registry names, and the state of asking for them.
pub(crate) struct RegistryServers {
    ask: Arc<Ask>,
    pub(crate) stun: Vec<StunUrl>,
    pub(crate) turn: Vec<(TurnUrl, Credentials)>,
    /// The question whose answer is waited for.
    asked: Option<Number>,
    last_number: Number,
    /// The latest question that has been answered well.
    answered: Number,
    /// How many questions have not ended, whether they are waited for or not.
    running: usize,
    schedule: Schedule,
    /// Holds one answer of each question at most.
    answers: (Sender<Numbered>, Receiver<Numbered>),
    waker: LoopWaker,
}

impl RegistryServers {
    /// Creates it without servers; the first question is due at once.
    pub(crate) fn new(client: IceServersClient, now: Instant, waker: LoopWaker) -> Self {
        Self::with(Arc::new(move || client.fetch()), now, waker)
    }

    fn with(ask: Arc<Ask>, now: Instant, waker: LoopWaker) -> Self {
        RegistryServers {
            ask,
            stun: Vec::new(),
            turn: Vec::new(),
            asked: None,
            last_number: 0,
            answered: 0,
            running: 0,
            schedule: Schedule::new(now),
            answers: unbounded(),
            waker,
        }
    }

    /// Asks again at once what was not answered yet, because the registry can be reached.
    pub(crate) fn registry_connected(&mut self, now: Instant) {
        self.schedule.registry_connected(now);
    }

    /// Asks again at once what is not answered. A question under way may have gone to a network that is
    /// no more, so it is not waited for.
    pub(crate) fn network_changed(&mut self, now: Instant) {
        if self.running < limits::ICE_SERVERS_RUNNING {
            self.asked = None;
        }
        self.schedule.registry_connected(now);
    }

    /// Asks for another login soon, if the TURN server that no longer accepts ours is one of the
    /// registry's.
    pub(crate) fn login_refused(&mut self, now: Instant, url: &TurnUrl) {
        if self.turn.iter().any(|(known, _)| known == url) {
            self.schedule.login_refused(now);
        }
    }

    /// Plans the next question again if the clock was set; `unix` is the Unix time in seconds.
    pub(crate) fn look_at_clock(&mut self, now: Instant, unix: u64) {
        self.schedule.look_at_clock(now, unix);
    }

    /// Asks the registry if it is time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if !self.may_ask() || self.schedule.next() > now {
            return;
        }
        self.last_number += 1;
        let number = self.last_number;
        let ask = Arc::clone(&self.ask);
        let work = move || (number, ask());
        self.schedule.asked(now);
        match self.waker.answer("ice-servers", &self.answers.0, work) {
            Ok(()) => {
                self.asked = Some(number);
                self.running += 1;
            }
            Err(error) => {
                log::warn!("no thread to ask the registry for ICE servers: {error}");
                self.schedule.failed(now, fastrand::f64());
            }
        }
    }

    fn may_ask(&self) -> bool {
        self.asked.is_none() && self.running < limits::ICE_SERVERS_RUNNING
    }

    /// Takes the answers that have come. Returns whether the servers have changed. `unix` is the Unix
    /// time in seconds.
    pub(crate) fn hear(&mut self, now: Instant, unix: u64) -> bool {
        let mut has_changed = false;
        while let Ok((number, answer)) = self.answers.1.try_recv() {
            self.running = self.running.saturating_sub(1);
            let is_awaited = self.asked.take_if(|asked| *asked == number).is_some();
            has_changed |= self.take(now, unix, (number, is_awaited), answer);
        }
        has_changed
    }

    fn take(
        &mut self,
        now: Instant,
        unix: u64,
        (number, is_awaited): (Number, bool),
        answer: Answer,
    ) -> bool {
        let servers = match answer {
            // An answer counts however late it comes, but for a later one.
            Ok(_) if number < self.answered => return false,
            Ok(servers) => servers,
            Err(_) if !is_awaited => return false,
            Err(why) => {
                if self.schedule.failed(now, fastrand::f64()) {
                    log::warn!(
                        "the registry is asked again for ICE servers; those it named are used as long \
                         as their logins last: {why}"
                    );
                } else {
                    log::debug!("no ICE servers of the registry: {why}");
                }
                return false;
            }
        };
        self.answered = number;
        let (stun, turn) = usable(servers);
        let until = turn.iter().filter_map(|(_, login)| login.given_until());
        self.schedule.answered(now, unix, until.min());
        let has_changed = (&self.stun, &self.turn) != (&stun, &turn);
        if has_changed {
            let (stun, turn) = (stun.len(), turn.len());
            log::info!("the registry names {stun} STUN and {turn} TURN servers");
        }
        self.stun = stun;
        self.turn = turn;
        has_changed
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.may_ask().then(|| self.schedule.next())
    }
}

/// Returns the usable servers of an answer, and ignores the rest.
pub(crate) fn usable(servers: Vec<IceServer>) -> (Vec<StunUrl>, Vec<(TurnUrl, Credentials)>) {
    let (mut stun, mut turn) = (Vec::new(), Vec::new());
    for server in servers {
        let login = login(server.username, server.credential);
        for url in server.urls {
            match (StunUrl::parse(&url), TurnUrl::parse(&url), &login) {
                (Ok(url), _, _) => stun.push(url),
                (Err(_), Ok(url), Some(login)) => turn.push((url, login.clone())),
                (Err(_), _, _) => log::debug!("a server that the registry names cannot be used"),
            }
        }
    }
    stun.truncate(limits::ICE_SERVERS);
    turn.truncate(limits::ICE_SERVERS);
    (stun, turn)
}

fn login(username: Option<String>, password: Option<String>) -> Option<Credentials> {
    let (username, password) = (username?, password?);
    let fits = |text: &String| !text.is_empty() && text.len() <= limits::TURN_LOGIN_BYTES;
    (fits(&username) && fits(&password)).then(|| Credentials::Given {
        username,
        password: Secret::new(password),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    fn server(urls: &[&str], login: Option<(&str, &str)>) -> IceServer {
        IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: login.map(|(username, _)| username.to_owned()),
            credential: login.map(|(_, password)| password.to_owned()),
        }
    }

    #[test]
    fn a_question_that_hangs_holds_up_no_other_when_the_network_changes() {
        let mut poll = Poll::new().unwrap();
        let waker = LoopWaker::new(poll.registry(), Token(0)).unwrap();
        let (end, ended) = unbounded::<Answer>();
        let ask = move || ended.recv().unwrap_or(Err("the test is over".to_owned()));
        let now = Instant::now();
        let mut servers = RegistryServers::with(Arc::new(ask), now, waker);
        for changes in 0..10 {
            servers.handle_timeout(now);
            let running = limits::ICE_SERVERS_RUNNING.min(changes + 1);
            assert_eq!(servers.running, running, "bounded");
            servers.network_changed(now);
        }
        // One of those that hang fails, which is no news; then one succeeds.
        let answers = [Err("gone".to_owned()), Ok(vec![server(&["stun:a"], None)])];
        let mut has_changed = false;
        for answer in answers {
            let before = servers.running;
            end.send(answer).unwrap();
            let mut events = Events::with_capacity(1);
            while servers.running == before {
                poll.poll(&mut events, Some(Duration::from_secs(10)))
                    .unwrap();
                assert!(!events.is_empty(), "nobody was woken");
                servers.waker.clear();
                has_changed |= servers.hear(now, 0);
            }
        }
        assert!(has_changed);
        assert_eq!(servers.stun.len(), 1);
    }

    #[test]
    fn servers_that_cannot_be_used_are_left_alone() {
        let (stun, turn) = usable(vec![
            server(&["stun:a", "stuns:a", "x"], None),
            server(&["turn:no-login"], None),
            server(&["turn:b", "turns:b?transport=udp"], Some(("u", "p"))),
            server(&["turn:too-long"], Some((&"u".repeat(1000), "p"))),
        ]);
        assert_eq!(stun.len(), 1);
        assert_eq!(turn.len(), 1);
        assert_eq!(turn[0].0.to_string(), "turn:b:3478");
    }
}
