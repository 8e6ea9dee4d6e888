//! The registry's side: token, WebSocket and reconnecting, on a thread of its own (contract part 3).
//!
//! The thread asks `TOKEN_URL` for a token, opens the WebSocket with it, sends `register`, and then
//! carries frames both ways until the connection is lost; after a jittered wait it starts over with a
//! new token. It tells the event loop what happens in [`Notice`]s, and logs it.
//!
//! * [`tls`]: the TLS configuration, with `CA_FILE`.
//! * `token`, `https`: the token exchange.
//! * `dial`, `race`, `look_up`: the TCP connection under both, with all addresses tried side by side.
//! * `tunnel`: that connection, straight or through an HTTP proxy.
//! * `websocket`, `stream`, `wakeups`: the WebSocket on a non-blocking socket, and how to wait.
//! * `news`: what the event loop tells of the network, which cuts every wait short.
//! * `retry_after`, `outage`: what a busy registry asks for; what has been told of an outage.
//! * `reconnect`, `contest`, `waits`, `keepalive`: decisions, without clock or I/O.
//! * `thread`: the parts put together. `visit`, `proxy_check`: the same once, for `doctor`.

mod contest;
mod current_tls;
mod dial;
mod failure;
mod https;
mod ice_servers;
mod keepalive;
mod look_up;
mod news;
mod notice;
mod outage;
mod pairing;
mod proxy_check;
mod race;
mod reconnect;
mod retry_after;
mod settings;
pub(super) mod stream;
mod thread;
pub mod tls;
mod token;
pub(super) mod tunnel;
mod visit;
mod waiting_stream;
mod waits;
mod wakeups;
mod way;
mod websocket;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

pub use self::current_tls::CurrentTls;
pub use self::ice_servers::IceServersClient;
pub use self::keepalive::KeepaliveTimes;
pub use self::notice::Notice;
pub use self::pairing::{Device, PairingClient, PairingError};
pub use self::proxy_check::{ProxyAnswer, ask_proxy};
pub use self::settings::{Settings, Times};
pub use self::visit::{Refusal, Visit, visit};
pub use self::wakeups::LocalAddresses;

use self::news::News;
use self::notice::NumberedFrame;
use self::reconnect::Reconnect;
use self::thread::{NOT_CONNECTED, Thread};
use self::token::TokenClient;
use self::wakeups::{Control, Wakeups};
use crate::config::Credential;
use crate::limits;
use crate::log_limit::RateLimited;
use crate::protocol::signaling::Outgoing;
use crate::runtime::wake::LoopWaker;

/// The event loop's handle of the signaling thread, which ends when this is dropped.
pub struct Handle {
    outgoing: Sender<NumberedFrame>,
    connection: Arc<AtomicU64>,
    control: Control,
    /// Nothing is ever sent; it is disconnected when the thread has ended.
    ended: Receiver<()>,
}

/// Starts the thread. Notices go into `notices`, which is bounded by
/// [`limits::SIGNALING_QUEUE_FRAMES`]; `waker` is woken after each. When the thread ends and nothing
/// more will come from it, `notices` is disconnected.
///
/// Fails when the credential can't be sent, or when the system gives no thread or poll.
pub fn start(settings: Settings, notices: Sender<Notice>, waker: LoopWaker) -> io::Result<Handle> {
    let (wakeups, control) = Wakeups::new(settings.local_addresses)?;
    let tokens = TokenClient::new(&settings, &wakeups)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let (outgoing_sender, outgoing) = bounded(limits::SIGNALING_QUEUE_FRAMES);
    let (alive, ended) = bounded(0);
    let connection = Arc::new(AtomicU64::new(NOT_CONNECTED));
    let thread = Thread {
        reconnect: Reconnect::new(
            &settings.times,
            matches!(settings.credential, Credential::ApiKey(_)),
            Instant::now(),
        ),
        settings,
        tokens,
        wakeups,
        notices,
        loop_waker: waker,
        outgoing,
        connection: Arc::clone(&connection),
        connections: 0,
        bad_frames: RateLimited::new(limits::BAD_FRAME_WARNINGS),
    };
    std::thread::Builder::new()
        .name("signaling".to_owned())
        .spawn(move || {
            let _alive: Sender<()> = alive;
            thread.run();
        })?;
    Ok(Handle {
        outgoing: outgoing_sender,
        connection,
        control,
        ended,
    })
}

impl Handle {
    /// Queues a frame for the connection that is open now. Never blocks.
    ///
    /// Returns `false` and drops the frame when there is no connection, or when
    /// [`limits::SIGNALING_QUEUE_FRAMES`] are waiting. A frame that is still waiting when its
    /// connection is lost is dropped too.
    pub fn send(&self, frame: Outgoing) -> bool {
        let connection = self.connection.load(Ordering::Acquire);
        let queued =
            connection != NOT_CONNECTED && self.outgoing.try_send((connection, frame)).is_ok();
        if queued {
            self.control.wake();
        }
        queued
    }

    /// Asks the thread to send what is queued, close the WebSocket and end. Never blocks; may be called
    /// again.
    ///
    /// The thread ends within [`Times::close`] when connected, and otherwise at once.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Tells the thread that the machine's addresses or routes have changed. Never blocks.
    ///
    /// If the address of a connection is gone, another connection is made at once; otherwise the open one is
    /// asked for a sign of life, and replaced if there is none within [`KeepaliveTimes::answer`]. A wait
    /// before the next try ends.
    pub fn network_changed(&self) {
        self.control.tell(News::changed);
    }

    /// Tells the thread that our address outside, as a router tells it to the world, is another. Never blocks.
    /// The connection is replaced at once.
    pub fn moved(&self) {
        self.control.tell(News::moved);
    }

    /// Tells the thread that others have fallen silent. Never blocks. The open connection is asked for a sign
    /// of life, as after a change.
    pub fn in_doubt(&self) {
        self.control.tell(News::in_doubt);
    }

    /// Tells the thread that the machine has slept for so long. Never blocks. After more than
    /// [`limits::REGISTRY_SLEEP`] the connection is replaced at once; otherwise it is asked for a sign of
    /// life, as after a change.
    pub fn slept(&self, duration: Duration) {
        if duration > limits::REGISTRY_SLEEP {
            self.control.tell(News::slept);
        } else {
            self.network_changed();
        }
    }

    /// Waits until the thread has ended. Returns `false` when it has not within `timeout`.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.ended.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("signaling::Handle")
    }
}
