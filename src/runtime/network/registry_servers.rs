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

/// The servers that the registry names, and the state of asking for them.
pub(crate) struct RegistryServers {
    client: Arc<IceServersClient>,
    pub(crate) stun: Vec<StunUrl>,
    pub(crate) turn: Vec<(TurnUrl, Credentials)>,
    is_asked: bool,
    schedule: Schedule,
    /// Holds one answer at most.
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: LoopWaker,
}

impl RegistryServers {
    /// Creates it without servers; the first question is due at once.
    pub(crate) fn new(client: IceServersClient, now: Instant, waker: LoopWaker) -> Self {
        RegistryServers {
            client: Arc::new(client),
            stun: Vec::new(),
            turn: Vec::new(),
            is_asked: false,
            schedule: Schedule::new(now),
            answers: unbounded(),
            waker,
        }
    }

    /// Asks again at once what was not answered yet, because the registry can be reached.
    pub(crate) fn registry_connected(&mut self, now: Instant) {
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
        if self.is_asked || self.schedule.next() > now {
            return;
        }
        let (client, sender) = (Arc::clone(&self.client), self.answers.0.clone());
        let waker = self.waker.clone();
        let work = move || {
            // The receiver is gone when the process is about to end.
            if sender.send(client.fetch()).is_ok() {
                waker.wake();
            }
        };
        let thread = std::thread::Builder::new().name("ice-servers".to_owned());
        self.schedule.asked(now);
        match thread.spawn(work) {
            Ok(_) => self.is_asked = true,
            Err(error) => {
                log::warn!("no thread to ask the registry for ICE servers: {error}");
                self.schedule.failed(now, fastrand::f64());
            }
        }
    }

    /// Takes the answer if it has come. Returns whether the servers have changed. `unix` is the Unix
    /// time in seconds.
    pub(crate) fn hear(&mut self, now: Instant, unix: u64) -> bool {
        let Ok(answer) = self.answers.1.try_recv() else {
            return false;
        };
        self.is_asked = false;
        let servers = match answer {
            Ok(servers) => servers,
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
        (!self.is_asked).then(|| self.schedule.next())
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
    use super::*;

    fn server(urls: &[&str], login: Option<(&str, &str)>) -> IceServer {
        IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: login.map(|(username, _)| username.to_owned()),
            credential: login.map(|(_, password)| password.to_owned()),
        }
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
