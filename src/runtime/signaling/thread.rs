//! The signaling thread: connects, serves the connection until it ends, and starts over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};

use super::failure::{Failure, Kind};
use super::keepalive::{Due, Keepalive};
use super::notice::{Notice, NumberedFrame};
use super::reconnect::Reconnect;
use super::settings::Settings;
use super::token::{Grant, TokenClient};
use super::wakeups::Wakeups;
use super::websocket::{Connection, Received};
use crate::limits;
use crate::log_limit::RateLimited;
use crate::protocol::PeerId;
use crate::protocol::signaling::{Incoming, Outgoing};
use crate::runtime::wake::LoopWaker;

/// The value of [`Thread::connection`] while there is no connection.
pub(super) const NOT_CONNECTED: u64 = 0;

/// Everything that the thread owns.
pub(super) struct Thread {
    pub(super) settings: Settings,
    pub(super) tokens: TokenClient,
    pub(super) reconnect: Reconnect,
    pub(super) wakeups: Wakeups,
    pub(super) notices: Sender<Notice>,
    pub(super) loop_waker: LoopWaker,
    pub(super) outgoing: Receiver<NumberedFrame>,
    /// The number of the connection that is open, shared with the [`Handle`](super::Handle).
    pub(super) connection: Arc<AtomicU64>,
    /// How many connections were opened so far.
    pub(super) connections: u64,
    pub(super) bad_frames: RateLimited<()>,
}

impl Thread {
    /// Runs until asked to stop, or until the API key is refused for good.
    pub(super) fn run(mut self) {
        loop {
            let ended = self.connect_and_serve();
            self.connection.store(NOT_CONNECTED, Ordering::Release);
            // Frames for that connection must not fill the queue of the next one.
            while self.outgoing.try_recv().is_ok() {}
            let Some(failure) = ended else {
                return;
            };
            let verdict = self
                .reconnect
                .failed(failure, Instant::now(), fastrand::f64());
            if let Some(line) = &verdict.log {
                log::warn!("registry: {line}");
            }
            let told = verdict.notice.is_none_or(|notice| self.tell(notice));
            let Some(wait) = verdict.retry_in.filter(|_| told) else {
                return;
            };
            if !self.pause(wait) {
                return;
            }
        }
    }

    /// Waits before the next try. A change of the network ends the wait. Returns `false` when asked to end.
    fn pause(&mut self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        while !self.wakeups.stopped() && Instant::now() < deadline {
            self.wakeups.wait(deadline);
            if self.wakeups.news().take_any() && self.reconnect.network_changed(Instant::now()) {
                log::debug!("registry: the network has changed; trying again at once");
                break;
            }
        }
        !self.wakeups.stopped()
    }

    /// Connects, and serves the connection until it fails. Returns `None` when asked to stop.
    fn connect_and_serve(&mut self) -> Option<Failure> {
        let failure = self.try_to_serve().err();
        // Being asked to stop cuts short what is being done.
        failure.filter(|_| !self.wakeups.stopped())
    }

    /// Connects, and serves the connection until asked to stop.
    fn try_to_serve(&mut self) -> Result<(), Failure> {
        let (Grant { token, peer_id }, round_trip) = self.tokens.exchange()?;
        self.reconnect.accepted();
        if !self.tell(Notice::Measured { round_trip }) {
            return Ok(());
        }
        let place = self.settings.shown(&self.settings.signaling_url);
        let lost = |failure: Failure| failure.of(&format_args!("WebSocket at {place}"));
        let opened = Connection::open(&self.settings, &token, &self.wakeups);
        let mut connection = opened.map_err(lost)?;
        self.serve(&mut connection, &peer_id).map_err(lost)?;
        connection.close(&self.wakeups, Instant::now() + self.settings.times.close);
        Ok(())
    }

    /// Carries frames both ways. Returns `Ok` when asked to stop, `Err` when the connection ended.
    fn serve(&mut self, connection: &mut Connection, own: &PeerId) -> Result<(), Failure> {
        connection.send(Outgoing::Register.to_text(own))?;
        self.connections += 1;
        self.connection.store(self.connections, Ordering::Release);
        let now = Instant::now();
        let times = self.settings.times.keepalive.on_path(connection.round_trip);
        let mut keepalive = Keepalive::new(times, now);
        self.reconnect.connected(now);
        log::info!(
            "registry: connected to {} as {own}",
            self.settings.shown(&self.settings.signaling_url)
        );
        let peer_id = own.clone();
        if !self.tell(Notice::Connected { peer_id }) {
            return Ok(());
        }
        loop {
            self.send_queued(connection, own)?;
            let mut drained = false;
            for _ in 0..limits::SOURCE_BUDGET {
                let Some(received) = connection.receive()? else {
                    drained = true;
                    break;
                };
                if !self.take(received) {
                    return Ok(());
                }
                // The time is taken here, because the event loop may have been slow to take the frame.
                keepalive.heard(Instant::now());
            }
            if self.wakeups.stopped() {
                // Frames that the event loop sent before it asked to stop still go out.
                return Ok(self.send_queued(connection, own)?);
            }
            let has_changed = self.wakeups.check_news(connection.way)?;
            if self.wakeups.news().take_doubt() || has_changed {
                keepalive.doubt();
            }
            let wake_at = self.keep_alive(&mut keepalive, connection, own)?;
            if drained {
                self.wakeups.wait(wake_at);
            }
        }
    }

    fn send_queued(&mut self, connection: &mut Connection, own: &PeerId) -> Result<(), String> {
        while connection.flush()? {
            let Ok((number, frame)) = self.outgoing.try_recv() else {
                break;
            };
            if number == self.connections {
                connection.send(frame.to_text(own))?;
            }
        }
        Ok(())
    }

    /// Passes a received frame on to the event loop. Returns `false` when asked to stop.
    fn take(&mut self, received: Received) -> bool {
        let parsed = match received {
            Received::Text(text) => Incoming::parse(&text).map_err(|error| error.0),
            Received::Unusable(what) => Err(what.to_owned()),
            Received::SignOfLife => return true,
        };
        match parsed {
            Ok(frame) => {
                if let Incoming::PeerList { .. } = frame {
                    self.reconnect.served();
                }
                self.tell(Notice::Frame(frame))
            }
            Err(why) => {
                if let Some(suppressed) = self.bad_frames.pass((), Instant::now()) {
                    let more = match suppressed {
                        0 => String::new(),
                        n => format!(" ({n} more since the last such line)"),
                    };
                    log::warn!("registry: an unusable frame is ignored: {why}{more}");
                }
                true
            }
        }
    }

    /// Does what is due, and returns when something will be due again.
    fn keep_alive(
        &self,
        keepalive: &mut Keepalive,
        connection: &mut Connection,
        own: &PeerId,
    ) -> Result<Instant, Failure> {
        loop {
            match keepalive.next(Instant::now()) {
                Due::Nothing(until) => return Ok(until),
                Due::Ping => connection.ping()?,
                Due::Heartbeat => connection.send(Outgoing::Heartbeat.to_text(own))?,
                Due::Dead => {
                    let seconds = self.settings.times.keepalive.dead.as_secs_f64();
                    return Err(format!("nothing heard for {seconds} s").into());
                }
                Due::Unanswered => {
                    let seconds = keepalive.answer_time().as_secs_f64();
                    let seconds = (seconds * 10.0).round() / 10.0;
                    let why = format!("no answer to a ping for {seconds} s");
                    return Err(Failure::new(Kind::Silent, why));
                }
            }
        }
    }

    /// Sends a notice to the event loop. Waits while the loop has no room, which slows the registry's
    /// TCP connection. Returns `false` when asked to stop meanwhile.
    fn tell(&self, notice: Notice) -> bool {
        let told = select! {
            send(self.notices, notice) -> sent => sent.is_ok(),
            recv(self.wakeups.stop()) -> _ => false,
        };
        if told {
            self.loop_waker.wake();
        }
        told
    }
}
