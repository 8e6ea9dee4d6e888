//! The threads of the scripted registry: one that accepts, one for each client.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

use super::{Command, DEADLINE, Request, Seen, Shared, SocketScript, TokenReply};

/// The interval at which a thread that waits for its client looks at whether it has something else to do.
pub(super) const TICK: Duration = Duration::from_millis(5);

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut clients = Vec::new();
    while let Ok((socket, _)) = listener.accept() {
        if shared.ending.load(Ordering::SeqCst) {
            break;
        }
        let shared = Arc::clone(shared);
        clients.push(thread::spawn(move || {
            // An error is a client that went away.
            let _ = serve_client(socket, &shared);
        }));
    }
    for client in clients {
        client.join().unwrap();
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn serve_client(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_nodelay(!shared.script.lock().unwrap().holds_small_frames)?;
    socket.set_read_timeout(Some(TICK))?;
    socket.set_write_timeout(Some(DEADLINE))?;
    let mut stream: Box<dyn ReadWrite> = match &shared.tls {
        None => Box::new(socket),
        Some(config) => {
            let server = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(server, socket))
        }
    };
    let request = read_request(&mut stream, shared)?;
    if request.header("upgrade").is_some() {
        serve_upgrade(stream, request, shared)
    } else if request.target.ends_with("/config") {
        // It names no ICE servers, and knows nothing of such a question.
        stream.write_all(&http_answer("404 Not Found", "", b""))?;
        stream.flush()
    } else {
        serve_token(stream, request, shared)
    }
}

fn read_request(stream: &mut (impl Read + Write), shared: &Shared) -> io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            stream.write_all(&http_answer("400 Bad Request", "", b""))?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => head.extend(byte),
            Err(error) if is_tick(&error) && !shared.ending.load(Ordering::SeqCst) => {}
            Err(error) => return Err(error),
        }
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut word = || first.next().unwrap_or_default().to_owned();
    Ok(Request {
        method: word(),
        target: word(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect(),
    })
}

fn is_tick(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// The first of `list`, which stays when it is the last.
fn next_of<T: Clone>(list: &mut Vec<T>) -> T {
    let mut queue = VecDeque::from(std::mem::take(list));
    let first = queue.pop_front().expect("an empty script");
    if queue.is_empty() {
        queue.push_front(first.clone());
    }
    *list = queue.into();
    first
}

fn serve_token(mut stream: impl Read + Write, request: Request, shared: &Shared) -> io::Result<()> {
    let reply = next_of(&mut shared.script.lock().unwrap().tokens);
    let key = ["x-api-key", "x-device-token"]
        .iter()
        .find_map(|name| request.header(name))
        .unwrap_or_default()
        .to_owned();
    let _ = shared.seen.send(Seen::TokenRequest(request));
    let answer = match reply {
        TokenReply::Grant | TokenReply::Created => {
            let number = shared.tokens.fetch_add(1, Ordering::SeqCst);
            let peer_id = key.rsplit('.').next().unwrap_or_default();
            let body = serde_json::json!({
                "token": format!("s3cret/token {number}"),
                "peer_id": peer_id,
                "role": "agent",
            });
            let status = match reply {
                TokenReply::Created => "201 Created",
                _ => "200 OK",
            };
            http_answer(status, "", body.to_string().as_bytes())
        }
        TokenReply::Status(status) => http_answer(&format!("{status} Scripted"), "", b""),
        TokenReply::Headed(status, headers) => {
            http_answer(&format!("{status} Scripted"), &headers, b"")
        }
        TokenReply::Redirect(status, location) => http_answer(
            &format!("{status} Scripted"),
            &format!("Location: {location}\r\n"),
            b"",
        ),
        TokenReply::Body(body) => http_answer("200 OK", "", &body),
        TokenReply::Raw(bytes) => bytes,
        TokenReply::Hang => return until_gone(stream, shared),
    };
    stream.write_all(&answer)?;
    stream.flush()
}

fn http_answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Keeps the connection until the client closes it or the registry ends.
fn until_gone(mut stream: impl Read, shared: &Shared) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while !shared.ending.load(Ordering::SeqCst) {
        match stream.read(&mut ignored) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if is_tick(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn serve_upgrade(
    mut stream: Box<dyn ReadWrite>,
    request: Request,
    shared: &Shared,
) -> io::Result<()> {
    let script = next_of(&mut shared.script.lock().unwrap().sockets);
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let socket = shared.sockets.fetch_add(1, Ordering::SeqCst);
    let _ = shared.seen.send(Seen::Upgrade { socket, request });
    match script {
        SocketScript::HangUpgrade => return until_gone(stream, shared),
        SocketScript::RefuseHeaded(status, headers) => {
            let status = format!("{status} Scripted");
            stream.write_all(&http_answer(&status, &headers, b""))?;
            return stream.flush();
        }
        SocketScript::Refuse(status) => {
            stream.write_all(&http_answer(&format!("{status} Scripted"), "", b""))?;
            return stream.flush();
        }
        _ => {}
    }
    // Before the client can know that it is connected.
    let (sender, commands) = mpsc::channel();
    shared.commands.lock().unwrap().push(sender);
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    stream.flush()?;
    let (peers, first) = match script {
        SocketScript::Serve(peers) => (peers, Vec::new()),
        SocketScript::Send(messages) => (Vec::new(), messages),
        SocketScript::Close => (Vec::new(), vec![Message::Close(None)]),
        SocketScript::Raw(bytes) => {
            // With anything left unread the end would be a reset.
            while !matches!(stream.read(&mut [0; 1024]), Ok(1..)) {
                if shared.ending.load(Ordering::SeqCst) {
                    return Ok(());
                }
            }
            stream.write_all(&bytes)?;
            return stream.flush();
        }
        SocketScript::Stall => {
            while !shared.ending.load(Ordering::SeqCst) {
                thread::sleep(TICK);
            }
            return Ok(());
        }
        SocketScript::Refuse(_) | SocketScript::RefuseHeaded(..) | SocketScript::HangUpgrade => {
            return Ok(());
        }
    };
    let mut websocket = WebSocket::from_raw_socket(stream, Role::Server, None);
    let code = serve_socket(&mut websocket, socket, &peers, first, &commands, shared);
    let _ = shared.seen.send(Seen::Closed { socket, code });
    Ok(())
}

/// Serves until the end; gives the code of the client's close frame.
fn serve_socket(
    websocket: &mut WebSocket<Box<dyn ReadWrite>>,
    socket: usize,
    peers: &[String],
    first: Vec<Message>,
    commands: &Receiver<Command>,
    shared: &Shared,
) -> Option<u16> {
    for message in first {
        websocket.send(message).ok()?;
        thread::sleep(TICK);
    }
    let mut code = None;
    while !shared.ending.load(Ordering::SeqCst) {
        for command in commands.try_iter() {
            match command {
                Command::Send(message) => websocket.send(message).ok()?,
                Command::Drop => return None,
            }
        }
        match websocket.read() {
            Ok(Message::Text(text)) => {
                let text = text.to_string();
                if text.contains(r#""register""#) {
                    let list = serde_json::json!({
                        "type": "peer_list",
                        "peer_id": "registry",
                        "payload": {"peers": peers},
                    });
                    websocket.send(Message::text(list.to_string())).ok()?;
                }
                let _ = shared.seen.send(Seen::Frame { socket, text });
            }
            Ok(Message::Ping(_)) => {
                let _ = shared.seen.send(Seen::Ping { socket });
            }
            Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
            Ok(Message::Pong(_)) => {
                let _ = shared.seen.send(Seen::Pong { socket });
            }
            Ok(Message::Binary(_) | Message::Frame(_)) => {}
            Err(Error::Io(error)) if is_tick(&error) => {}
            Err(_) => break,
        }
    }
    code
}
