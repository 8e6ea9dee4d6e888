//! The threads that talk to the store: one sends commands and reads their answers, one hears what is published.
//! Each connection to the store is a session; when one of its two connections fails it is over, and another is tried.

use std::convert::Infallible;
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded, select};

use super::exchange::{Exchange, Names, Outcome, Version, outcome, published, text};
use super::limits::{LEASE, RETRY_INTERVAL, STORE_FRAMES_AT_ONCE, TICK};
use super::link::{End, Failure, Link, StoreOptions};
use super::news::{Ended, News, Teller};
use super::resp::{Value, write_command};
use crate::protocol::PeerId;
use crate::registry::secrets::{hex, random};

/// A frame for a peer at another registry.
pub(super) struct Frame {
    pub(super) registry: String,
    /// The peer, the end of a line, and the frame.
    pub(super) content: String,
}

/// What the threads need.
pub(super) struct Courier {
    pub(super) options: StoreOptions,
    pub(super) names: Names,
    pub(super) tables: Vec<&'static str>,
    pub(super) exchanges: Receiver<Exchange>,
    pub(super) frames: Receiver<Frame>,
    pub(super) teller: Teller,
}

/// The two connections of a session.
struct Connections {
    /// Hears what is published.
    heard: Link,
    /// The channels that it hears: of changes, and of frames for peers of ours.
    channels: [String; 2],
    /// Is given commands.
    link: Link,
}

/// The reason why a session is over.
enum Stop {
    /// The registry has ended.
    Ended,
    /// The store can't be used.
    Failed(Failure),
}

impl From<Ended> for Stop {
    fn from(_: Ended) -> Self {
        Stop::Ended
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl Courier {
    /// Runs until the registry ends.
    pub(super) fn run(&self) {
        let mut session = 0;
        let mut told = None;
        loop {
            session += 1;
            let began = Instant::now();
            let stop = match self.begin(session) {
                Ok(connections) => {
                    // The next outage is another one.
                    told = None;
                    self.serve(session, connections)
                }
                Err(stop) => stop,
            };
            let Stop::Failed(failure) = stop else {
                return;
            };
            if told.as_ref() != Some(&failure) {
                let url = &self.options.url;
                log::warn!(
                    "the store {url} cannot be used: {failure}; it is tried again and again"
                );
            }
            told = Some(failure);
            if self.teller.tell(News::Away).is_err() || self.has_ended(began) {
                return;
            }
        }
    }

    /// Waits until it is time for the next try; what is asked for until then has no effect. Returns whether the
    /// registry has ended.
    fn has_ended(&self, began: Instant) -> bool {
        let next = began + RETRY_INTERVAL;
        loop {
            let failed = select! {
                recv(self.exchanges) -> got => got.is_err(),
                recv(self.frames) -> got => got.is_err(),
                default(next.saturating_duration_since(Instant::now())) => return false,
            };
            if failed {
                return true;
            }
        }
    }

    /// Connects to the store and tells its state.
    fn begin(&self, session: u64) -> Result<Connections, Stop> {
        let mut heard = Link::open(&self.options)?;
        let channels = [self.names.changes(), self.names.frames(&self.names.own)];
        let command = ["SUBSCRIBE", &channels[0], &channels[1]];
        heard.ask(&command)?;
        heard.receive()?;
        heard.wait_for(LEASE)?;
        let mut link = Link::open(&self.options)?;
        let state = self.read_all(session, &mut link)?;
        // They were for an earlier connection.
        self.exchanges.try_iter().for_each(drop);
        self.teller.tell(state)?;
        log::info!("the store {} is there", self.options.url);
        Ok(Connections {
            heard,
            channels,
            link,
        })
    }

    /// Serves one session until it fails, or the registry ends.
    fn serve(&self, session: u64, connections: Connections) -> Stop {
        let Connections {
            mut heard,
            channels,
            mut link,
        } = connections;
        let end = match heard.end() {
            Ok(end) => end,
            Err(failure) => return failure.into(),
        };
        let (lost, is_lost) = bounded(1);
        thread::scope(|scope| {
            // The session may be over already.
            scope.spawn(|| lost.try_send(self.hear(&mut heard, &channels)));
            let Err(stop) = self.command(session, &mut link, &is_lost);
            drop::<End>(end);
            stop
        })
    }

    /// Sends commands and reads their answers.
    fn command(
        &self,
        session: u64,
        link: &mut Link,
        is_lost: &Receiver<Stop>,
    ) -> Result<Infallible, Stop> {
        let own_channel = self.names.frames(&self.names.own);
        let mut next_sign = Instant::now();
        loop {
            let (mut exchange, mut frames) = (None, Vec::new());
            select! {
                recv(self.exchanges) -> got => match got {
                    Ok(got) => exchange = Some(got),
                    Err(_) => {
                        // The others need not wait for the lease to end.
                        link.ask(&["DEL", &self.names.lease(&self.names.own)])?;
                        return Err(Stop::Ended);
                    }
                },
                recv(self.frames) -> got => frames.extend(got),
                // It gives a reason before it ends.
                recv(is_lost) -> stop => return Err(stop.unwrap_or(Stop::Ended)),
                default(next_sign.saturating_duration_since(Instant::now())) => {}
            }
            frames.extend(self.frames.try_iter().take(STORE_FRAMES_AT_ONCE));
            let exchange = exchange.or_else(|| self.exchanges.try_recv().ok());
            let exchange = exchange.filter(|exchange| exchange.session == session);
            let mut commands = Vec::new();
            if let Some(exchange) = &exchange {
                self.names.write_exchange(&mut commands, exchange);
            }
            for Frame { registry, content } in &frames {
                let channel = self.names.frames(registry);
                write_command(&mut commands, &["PUBLISH", &channel, content]);
            }
            let gives_sign = Instant::now() >= next_sign;
            if gives_sign {
                // What is heard on our own channel shows that the other connection is there.
                next_sign = Instant::now() + TICK;
                write_command(&mut commands, &["PUBLISH", &own_channel, ""]);
            }
            link.send(&commands)?;
            let answer = exchange.as_ref().map(|_| link.receive()).transpose()?;
            for _ in 0..frames.len() + usize::from(gives_sign) {
                link.receive()?;
            }
            if let Some(answer) = answer {
                let odd = || Failure("it answers something else than was asked".to_owned());
                let (outcome, gone) = outcome(answer).ok_or_else(odd)?;
                let news = if outcome == Outcome::FarBehind {
                    self.read_all(session, link)?
                } else {
                    News::Exchanged(outcome, gone)
                };
                self.teller.tell(news)?;
            }
        }
    }

    /// Hears what is published, until the connection fails or the registry ends.
    fn hear(&self, link: &mut Link, channels: &[String; 2]) -> Stop {
        loop {
            let message = match link.receive() {
                Ok(Value::List(message)) => message,
                Ok(_) => continue,
                Err(failure) => return failure.into(),
            };
            let message: Option<Vec<String>> = message.iter().map(text).collect();
            let news = match message.as_deref() {
                Some([kind, channel, content]) if kind == "message" => {
                    if *channel == channels[0] {
                        published(content).map(|(number, changes)| News::Changed(number, changes))
                    } else {
                        content.split_once('\n').and_then(|(peer, frame)| {
                            Some(News::Frame(PeerId::new(peer)?, frame.to_owned()))
                        })
                    }
                }
                _ => None,
            };
            if let Some(news) = news
                && let Err(ended) = self.teller.tell(news)
            {
                return ended.into();
            }
        }
    }

    /// Reads the whole state as it is at one moment. What an earlier session has sent has come before, or is not taken.
    fn read_all(&self, session: u64, link: &mut Link) -> Result<News, Failure> {
        let life = self.names.key("life");
        let random = random::<16>().ok_or_else(|| Failure("no random numbers".to_owned()))?;
        link.ask(&["SET", &life, &hex(&random), "NX"])?;
        let mut commands = Vec::new();
        write_command(&mut commands, &["MULTI"]);
        let beginning = self.names.write_beginning(&mut commands, session);
        write_command(&mut commands, &["GET", &self.names.key("version")]);
        write_command(&mut commands, &["GET", &life]);
        for table in &self.tables {
            write_command(&mut commands, &["HGETALL", &self.names.key(table)]);
        }
        write_command(&mut commands, &["EXEC"]);
        link.send(&commands)?;
        for _ in 0..self.tables.len() + beginning + 3 {
            link.receive()?;
        }
        let odd = || Failure("it holds something else than registries write".to_owned());
        let Value::List(answers) = link.receive()? else {
            return Err(odd());
        };
        let mut answers = answers.into_iter();
        let taken = answers.next().as_ref().and_then(text);
        let taken = taken.and_then(|number| number.parse().ok());
        let mut answers = answers.skip(beginning - 1);
        let number = match answers.next() {
            Some(Value::Nothing) => 0,
            Some(number) => text(&number)
                .and_then(|number| number.parse().ok())
                .ok_or_else(odd)?,
            None => return Err(odd()),
        };
        let life = answers.next().as_ref().and_then(text).ok_or_else(odd)?;
        let mut rows = Vec::new();
        for (table, answer) in self.tables.iter().zip(answers) {
            let Value::List(texts) = answer else {
                return Err(odd());
            };
            let pairs = texts.chunks_exact(2).map(|pair| match pair {
                [key, row] => Some((text(key)?, text(row)?)),
                _ => None,
            });
            rows.push((*table, pairs.collect::<Option<_>>().ok_or_else(odd)?));
        }
        Ok(News::Back {
            session,
            version: Version { life, number },
            taken,
            rows,
        })
    }
}
