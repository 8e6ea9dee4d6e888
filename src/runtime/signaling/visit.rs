//! Visits the registry once, for `doctor`, to see whether it accepts us. It does what the signaling
//! thread does.

use std::time::{Duration, Instant, SystemTime};

use super::failure::{Failure, Kind};
use super::settings::Settings;
use super::token::{Asked, Grant, TokenClient};
use super::wakeups::Wakeups;
use super::websocket::{Connection, Received};
use crate::protocol::PeerId;
use crate::protocol::signaling::{Incoming, Outgoing};

/// The result of a visit.
#[derive(Debug)]
pub struct Visit {
    /// The name that the registry knows us by, and how long the token exchange took.
    pub token: Result<(PeerId, Duration), Refusal>,
    /// The `Date` header of the answer, whatever its status, and when it came.
    pub date: Option<(String, SystemTime)>,
    /// How many others the registry says are online, and the time from the beginning of the connection
    /// to that answer; an error is for a person. `None` when we were not to register, or have no token.
    pub register: Option<Result<(usize, Duration), String>>,
}

/// The reason why there is no token, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The registry could not be asked, or gave no proper answer.
    Unreachable(String),
    /// It refused the API key or device token.
    Refused(String),
}

/// Gets a token, and if we are to be seen, opens the WebSocket and registers. Blocks for twice
/// [`Times::handshake`](super::Times::handshake) and once [`Times::close`](super::Times::close) at
/// most, beside what the resolver takes.
///
/// To be seen means to take the place of another connection under our name.
///
/// # Errors
/// The credential can't be sent, or the system gives no poll.
pub fn visit(settings: &Settings, is_to_be_seen: bool) -> Result<Visit, String> {
    // Nobody tells this one of changes, or asks it to stop.
    let (wakeups, _control) =
        Wakeups::new(settings.local_addresses).map_err(|error| error.to_string())?;
    let tokens = TokenClient::new(settings, &wakeups)?;
    let began = Instant::now();
    let mut date = None;
    let answer = tokens.ask().and_then(|Asked { answer, .. }| {
        let told = answer.headers().get("date");
        let told = told.and_then(|date| date.to_str().ok());
        date = told.map(|date| (date.to_owned(), SystemTime::now()));
        tokens.take(answer)
    });
    let elapsed = began.elapsed();
    let register = answer.as_ref().ok().filter(|_| is_to_be_seen);
    let register = register.map(|grant| register_once(settings, grant, &wakeups));
    let token = match answer {
        Ok(grant) => Ok((grant.peer_id, elapsed)),
        Err(Failure { kind, why }) => Err(match kind {
            Kind::Refused => Refusal::Refused(why),
            Kind::Unreachable
            | Kind::PathLost
            | Kind::Silent
            | Kind::NameTaken
            | Kind::Busy(_)
            | Kind::Closed => Refusal::Unreachable(why),
        }),
    };
    Ok(Visit {
        token,
        date,
        register,
    })
}

fn register_once(
    settings: &Settings,
    grant: &Grant,
    wakeups: &Wakeups,
) -> Result<(usize, Duration), String> {
    let place = settings.shown(&settings.signaling_url);
    let failed = |what: String| format!("WebSocket at {place}: {what}");
    let began = Instant::now();
    let times = &settings.times;
    let opened = Connection::open(settings, &grant.token, wakeups);
    let mut connection = opened.map_err(|lost| failed(lost.to_string()))?;
    let deadline = began + times.handshake;
    let peers = await_list(&mut connection, &grant.peer_id, wakeups, deadline);
    let elapsed = began.elapsed();
    connection.close(wakeups, Instant::now() + times.close);
    peers.map(|peers| (peers, elapsed)).map_err(failed)
}

/// Registers and waits for the registry's list of peers. Returns how many there are.
fn await_list(
    connection: &mut Connection,
    own: &PeerId,
    wakeups: &Wakeups,
    deadline: Instant,
) -> Result<usize, String> {
    connection.send(Outgoing::Register.to_text(own))?;
    while Instant::now() < deadline {
        match connection.receive().map_err(|lost| lost.to_string())? {
            Some(Received::Text(text)) => {
                if let Ok(Incoming::PeerList { peers, .. }) = Incoming::parse(&text) {
                    return Ok(peers.len());
                }
            }
            Some(Received::Unusable(_) | Received::SignOfLife) => {}
            None => wakeups.wait(deadline),
        }
    }
    Err("open, but \"register\" was not answered".to_owned())
}
