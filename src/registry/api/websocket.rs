//! The server's side of the WebSocket handshake (RFC 6455, 4.2), without I/O.

use tungstenite::handshake::derive_accept_key;

use crate::registry::http::Request;
use crate::registry::response::Response;

/// Returns the answer with which the connection becomes a WebSocket, or the refusal of a request that is no whole
/// handshake.
pub(super) fn accept(request: &Request) -> Result<Response, Response> {
    let upgrades = request.lists("connection", "upgrade") && request.lists("upgrade", "websocket");
    if !upgrades || request.header("sec-websocket-version") != Some("13") {
        let refusal = Response::error(426, "this path speaks WebSocket, version 13")
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13");
        return Err(refusal);
    }
    let Some(key) = request.header("sec-websocket-key") else {
        return Err(Response::error(400, "Sec-WebSocket-Key is missing"));
    };
    let accept_key = derive_accept_key(key.as_bytes());
    Ok(Response::switching_to_websocket(accept_key))
}
