//! An HTTP proxy for tests: it connects whoever asks with one place, whatever the name, or answers as a
//! script says. It records what it is asked.

#![allow(dead_code)]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

/// The answer of the proxy.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Connects with this place.
    Connect(SocketAddr),
    /// Sends this and closes.
    Say(&'static str),
    /// Says nothing.
    Hang,
}

/// A running proxy. It ends with the process.
pub(crate) struct ScriptedProxy {
    pub(crate) address: SocketAddr,
    asked: Receiver<String>,
}

impl ScriptedProxy {
    /// Starts one on the loopback interface.
    pub(crate) fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::channel();
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let (reply, sender) = (reply.clone(), sender.clone());
                // An error is a client that went away.
                thread::spawn(move || serve(socket, &reply, &sender));
            }
        });
        ScriptedProxy { address, asked }
    }

    /// The head of the next request that was not asked for yet.
    pub(crate) fn next(&self) -> String {
        self.asked
            .recv_timeout(DEADLINE)
            .expect("the proxy was not asked")
    }

    /// Returns whether there was a request that was not asked for yet.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked.try_recv().is_ok()
    }
}

fn serve(mut client: TcpStream, reply: &Reply, asked: &Sender<String>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let _ = asked.send(String::from_utf8_lossy(&head).into_owned());
    match reply {
        Reply::Say(text) => client.write_all(text.as_bytes()),
        Reply::Hang => client.read(&mut [0]).map(|_| ()),
        Reply::Connect(place) => {
            let mut host = TcpStream::connect(place)?;
            // The first bytes of the host may follow at once.
            client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")?;
            let (mut from_client, mut to_host) = (client.try_clone()?, host.try_clone()?);
            let up = thread::spawn(move || {
                let _ = io::copy(&mut from_client, &mut to_host);
                let _ = to_host.shutdown(Shutdown::Write);
            });
            let _ = io::copy(&mut host, &mut client);
            let _ = client.shutdown(Shutdown::Both);
            let _ = up.join();
            Ok(())
        }
    }
}
