//! Gives the HTTP client our own connections: dialled, secured and cut short as we say.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::StreamOwned;
use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Body, Error};

use super::dial::dial;
use super::failure::Failure;
use super::settings::Settings;
use super::stream;
use super::waiting_stream::WaitingStream;
use super::wakeups::Wakeups;
use crate::config::url::Url;
use crate::limits;

/// The size of the pieces in which HTTP headers and body are handled; an answer has a few hundred
/// bytes.
const BUFFER_BYTES: usize = 4 * 1024;

/// An HTTP agent for one request, on a connection that is open.
pub(super) struct Connected {
    pub(super) agent: ureq::Agent,
    /// The round trip of the TCP connection when it was opened.
    pub(super) round_trip: Duration,
}

/// Connects to the host of `url`.
///
/// Redirects are not followed, since they would carry the key elsewhere. A proxy is asked for the same as
/// for the WebSocket, a connection to the host, so the client itself knows of none.
pub(super) fn connect(
    url: &Url,
    settings: &Settings,
    wakeups: &Wakeups,
) -> Result<Connected, Failure> {
    let dialled = dial(url, settings, wakeups)?;
    let round_trip = dialled.round_trip;
    let mut socket = WaitingStream::new(dialled, &settings.times, wakeups);
    let stream: Box<dyn Stream> = if url.is_secure() {
        let mut client = stream::tls_client(url.host(), settings.tls.get())?;
        let secured = client.complete_io(&mut socket);
        secured.map_err(|error| io_lost(&error))?;
        Box::new(StreamOwned::new(client, socket))
    } else {
        Box::new(socket)
    };
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .user_agent(concat!("chatixia-sidecar/", env!("CARGO_PKG_VERSION")))
        .build();
    let connection = Connection {
        buffers: LazyBuffers::new(BUFFER_BYTES, BUFFER_BYTES),
        stream,
        is_tls: url.is_secure(),
    };
    let handover = Handover(Mutex::new(Some(connection)));
    Ok(Connected {
        agent: ureq::Agent::with_parts(config, handover, NoResolver),
        round_trip,
    })
}

/// Reads the body of an answer, at most [`limits::REGISTRY_RESPONSE_BYTES`].
pub(super) fn body(response: &mut Response<Body>) -> Result<Vec<u8>, Error> {
    let limited = response.body_mut().with_config();
    limited.limit(limits::REGISTRY_RESPONSE_BYTES).read_to_vec()
}

/// Describes an error of the HTTP client.
pub(super) fn lost(error: &Error) -> Failure {
    if let Error::Io(error) = error {
        io_lost(error)
    } else if let Error::BodyExceedsLimit(limit) = error {
        format!("the answer is longer than {limit} bytes").into()
    } else {
        error.to_string().into()
    }
}

/// Describes an error of its connection.
pub(super) fn io_lost(error: &io::Error) -> Failure {
    match Failure::inside(error) {
        Some(failure) => failure.clone(),
        None => stream::describe(error).into(),
    }
}

/// A resolver that looks up nothing: the connection is there.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// A connector that gives the HTTP client the one connection that was made for it.
struct Handover(Mutex<Option<Connection>>);

impl Connector for Handover {
    type Out = Connection;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}

/// TCP or TLS.
trait Stream: Read + Write + Send + Sync {}
impl<T: Read + Write + Send + Sync> Stream for T {}

struct Connection {
    buffers: LazyBuffers,
    stream: Box<dyn Stream>,
    is_tls: bool,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        self.stream.flush()?;
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // It is used once.
        false
    }

    fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
