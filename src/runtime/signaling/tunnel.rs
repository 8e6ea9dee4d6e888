//! A TCP connection to a host: straight, or through an HTTP proxy that is asked for it (`CONNECT`).

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mio::net::TcpStream;

use crate::config::proxy::Proxy;
use crate::protocol::connect::{self, Answer, Status};

/// The connection. With a proxy its first reads and writes carry what the proxy is asked and answers.
pub(in crate::runtime) struct Tunnel {
    socket: TcpStream,
    asking: Option<Box<Asking>>,
    /// What the proxy has answered.
    said: Option<String>,
    /// Whether what is read is acknowledged at once.
    is_prompt: bool,
}

/// A question to a proxy.
struct Asking {
    proxy: Proxy,
    target: String,
    request: Vec<u8>,
    sent: usize,
    answer: Answer,
}

impl Tunnel {
    /// Makes one of a connection to the host itself.
    pub(in crate::runtime) fn straight(socket: TcpStream) -> Self {
        Tunnel {
            socket,
            asking: None,
            said: None,
            is_prompt: false,
        }
    }

    /// Makes it acknowledge at once what is read (on Linux). Some servers hold the second of two small
    /// frames back until the first is acknowledged, and the system delays that by 40 ms.
    pub(super) fn prompt(self) -> Self {
        Tunnel {
            is_prompt: true,
            ..self
        }
    }

    /// Makes one to a host and port of a connection to a proxy, which is asked for them.
    pub(in crate::runtime) fn through(self, proxy: &Proxy, (host, port): (&str, u16)) -> Self {
        let login = proxy
            .login()
            .map(|(user, password)| STANDARD.encode(format!("{user}:{}", password.reveal())));
        let asking = Asking {
            proxy: proxy.clone(),
            target: format!("{host}:{port}"),
            request: connect::request(host, port, login.as_deref()),
            sent: 0,
            answer: Answer::default(),
        };
        Tunnel {
            asking: Some(Box::new(asking)),
            ..self
        }
    }

    /// Returns the TCP connection, to the host or the proxy.
    pub(in crate::runtime) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Returns what the proxy has answered, once it has connected us.
    pub(super) fn said(&self) -> Option<&str> {
        self.said.as_deref()
    }

    /// Continues to ask the proxy. Returns `WouldBlock` until it has connected us.
    pub(in crate::runtime) fn open(&mut self) -> io::Result<()> {
        if let Some(asking) = &mut self.asking {
            let status = asking.advance(&mut self.socket)?;
            self.said = Some(status);
            self.asking = None;
        }
        Ok(())
    }
}

impl Asking {
    /// Returns the proxy's status line when it has connected us.
    fn advance(&mut self, socket: &mut TcpStream) -> io::Result<String> {
        while let Some(rest) = self
            .request
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())
        {
            self.sent += socket.write(rest)?;
        }
        loop {
            // Byte by byte, because what follows the answer is the host's.
            let mut byte = [0];
            let read = match socket.read(&mut byte) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                let proxy = &self.proxy;
                let why = format!("the HTTP proxy {proxy} closed the connection without an answer");
                return Err(io::Error::other(why));
            }
            let [byte] = byte;
            if let Some(status) = self.answer.push(byte) {
                return match status.is_connected() {
                    true => Ok(status.line),
                    false => Err(io::Error::other(self.refusal(&status))),
                };
            }
        }
    }

    fn refusal(&self, status: &Status) -> String {
        let Asking { proxy, target, .. } = self;
        let variable = proxy.variable();
        let line = &status.line;
        let what = format!("the HTTP proxy {proxy} answered {line:?} when asked for {target}");
        match status.code {
            None => format!("{what}, which is no HTTP; is {variable} right?"),
            Some(407) => {
                let takes_basic = status
                    .schemes
                    .iter()
                    .any(|s| s.eq_ignore_ascii_case("basic"));
                if !takes_basic && !status.schemes.is_empty() {
                    let asked = status.schemes.join(", ");
                    format!("{what}; it asks for a login by {asked}, and only Basic is supported")
                } else if proxy.login().is_some() {
                    format!("{what}; are the name and password in {variable} right?")
                } else {
                    format!("{what}; it wants http://name:password@... in {variable}")
                }
            }
            Some(_) => format!(
                "{what}; it must allow this host and port, or NO_PROXY name the host if it is reached without"
            ),
        }
    }
}

impl Read for Tunnel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.open()?;
        let read = self.socket.read(buffer)?;
        if self.is_prompt {
            acknowledge(&self.socket);
        }
        Ok(read)
    }
}

impl Write for Tunnel {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.open()?;
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open()?;
        self.socket.flush()
    }
}

/// Sends the acknowledgement that the system would delay. The system goes back to delaying by itself, so
/// this is done after each read.
fn acknowledge(socket: &TcpStream) {
    // Without it only time is lost.
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Returns our address once the TCP connection is established, be it to the host or to a proxy.
pub(in crate::runtime) fn connected(socket: &TcpStream) -> io::Result<Option<SocketAddr>> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => socket.local_addr().map(Some),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(None),
        Err(error) => Err(error),
    }
}
