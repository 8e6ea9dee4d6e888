//! Gives the HTTP client our own TLS configuration and the system's resolver.
//!
//! ureq by itself takes certificates and a crypto provider, but no finished rustls configuration,
//! and cannot add a file of certificates to the public roots.

use std::fmt;
use std::io::{Read, Write};
use std::net::ToSocketAddrs;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, TcpConnector,
    Transport, TransportAdapter,
};
use ureq::{Body, Error, Timeout};

use super::settings::Times;
use super::stream;
use crate::config::url::bare_host;
use crate::limits;

/// The size of the pieces in which HTTP headers and body are handled; an answer has a few hundred
/// bytes.
const BUFFER_BYTES: usize = 4 * 1024;

/// Returns an HTTP agent that connects directly over TCP, with `tls` for `https`.
///
/// Redirects are not followed, since they would carry the key elsewhere. Proxies named in the
/// environment (`HTTP_PROXY`, ...) are not used: the WebSocket would not go through them either, and
/// the registry is often on the same host or network.
pub(super) fn agent(times: &Times, tls: Arc<ClientConfig>) -> ureq::Agent {
    let config = Config::builder()
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .user_agent(concat!("chatixia-sidecar/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(times.connect))
        .timeout_global(Some(times.handshake))
        .build();
    let connector = ().chain(TcpConnector::default()).chain(TlsConnector(tls));
    ureq::Agent::with_parts(config, connector, BlockingResolver)
}

/// Reads the body of an answer, at most [`limits::REGISTRY_RESPONSE_BYTES`].
pub(super) fn body(response: &mut Response<Body>) -> Result<Vec<u8>, Error> {
    let limited = response.body_mut().with_config();
    limited.limit(limits::REGISTRY_RESPONSE_BYTES).read_to_vec()
}

impl Times {
    /// Describes an error in plain words.
    pub(super) fn describe(&self, error: &Error) -> String {
        if let Error::Io(error) = error {
            stream::describe(error)
        } else if let Error::Timeout(Timeout::Connect | Timeout::Resolve) = error {
            format!("no connection within {} s", self.connect.as_secs_f64())
        } else if let Error::Timeout(_) = error {
            format!("no answer within {} s", self.handshake.as_secs_f64())
        } else if let Error::BodyExceedsLimit(limit) = error {
            format!("the answer is longer than {limit} bytes")
        } else {
            error.to_string()
        }
    }
}

/// A resolver that asks the system on the calling thread. ureq's own starts a thread for each look-up
/// that may take too long, and leaves it behind.
#[derive(Debug)]
struct BlockingResolver;

impl Resolver for BlockingResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let name = uri
            .scheme()
            .zip(uri.authority())
            .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
            .ok_or_else(|| Error::BadUri("no host".to_owned()))?;
        let mut addresses = self.empty();
        for address in name.to_socket_addrs()?.take(limits::HOST_ADDRESSES) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(addresses)
    }
}

#[derive(Debug)]
struct TlsConnector(Arc<ClientConfig>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = bare_host(details.uri.host().unwrap_or_default()).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| Error::Tls("the host is not a name that TLS can verify"))?;
        let mut client = ClientConnection::new(Arc::clone(&self.0), name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        client.complete_io(&mut socket)?;
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned::new(client, socket),
        })))
    }
}

struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}
