//! Writing of events as lines for an agent.

use super::{CommandId, ErrorReport, Event, Pressure, Receipt, RegistryState, Success};
use crate::protocol::PeerId;
use crate::protocol::json::{ObjectWriter, push_string, write_object};

/// The version of the IPC protocol that `ready` names.
const PROTOCOL: u32 = 1;

/// Approximate length of what surrounds the variable parts of an event, in bytes.
const FRAME_BYTES: usize = 96;

/// Approximate length of a failed peer's entry in a broadcast's answer, its name aside, in bytes.
const FAILURE_BYTES: usize = 40;

type Writer<'a> = ObjectWriter<'a, Vec<u8>>;

impl Event {
    /// Appends the event as one line, `\n` included.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.reserve(self.size_hint());
        match self {
            Event::Ready {
                peer_id,
                fingerprint,
                max_message_bytes,
                max_line_bytes,
                registry_connected,
            } => write_event(out, "ready", None, |payload| {
                payload.number("protocol", PROTOCOL);
                payload.string("version", env!("CARGO_PKG_VERSION"));
                write_or_null(payload, "peer_id", peer_id.as_ref().map(PeerId::as_str));
                write_optional(payload, "fingerprint", fingerprint.as_deref());
                payload.number("max_message_bytes", max_message_bytes);
                payload.number("max_line_bytes", max_line_bytes);
                let registry = if *registry_connected {
                    "connected"
                } else {
                    "connecting"
                };
                payload.string("registry", registry);
            }),
            Event::Message { from_peer, message } => write_event(out, "message", None, |payload| {
                payload.string("from_peer", from_peer.as_str());
                payload.raw("message", message.as_str());
            }),
            Event::PeerConnected { peer_id, resumed } => {
                write_event(out, "peer_connected", None, |payload| {
                    payload.string("peer_id", peer_id.as_str());
                    if *resumed {
                        payload.raw("resumed", "true");
                    }
                });
            }
            Event::PeerDisconnected { peer_id } => {
                write_event(out, "peer_disconnected", None, |payload| {
                    payload.string("peer_id", peer_id.as_str());
                });
            }
            Event::PeerList { id, peers } => {
                write_event(out, "peer_list", id.as_ref(), |payload| {
                    write_peers(payload, "peers", peers);
                })
            }
            Event::Ok { id, payload } => write_event(out, "ok", Some(id), |out| payload.write(out)),
            Event::Error { id, error } => {
                write_event(out, "error", id.as_ref(), |payload| error.write(payload));
            }
            Event::Registry {
                state,
                peer_id,
                reason,
            } => write_event(out, "registry", None, |payload| {
                payload.string("state", state.as_str());
                write_or_null(payload, "peer_id", peer_id.as_ref().map(PeerId::as_str));
                write_or_null(payload, "reason", reason.as_deref());
            }),
            Event::Pressure {
                target_peer,
                state,
                queued_bytes,
            } => write_event(out, "pressure", None, |payload| {
                payload.string("target_peer", target_peer.as_str());
                payload.string("state", state.as_str());
                payload.number("queued_bytes", queued_bytes);
            }),
            Event::Stats { id, payload } => write_line(out, "stats", id.as_ref(), |line| {
                line.raw("payload", payload.get());
            }),
        }
    }

    /// Returns the approximate length of the line in bytes; cheap, for bounding queues.
    pub fn size_hint(&self) -> usize {
        let varying = match self {
            Event::Ready {
                peer_id,
                fingerprint,
                ..
            } => {
                FRAME_BYTES
                    + optional_bytes(peer_id.as_ref())
                    + fingerprint.as_ref().map_or(0, String::len)
            }
            Event::Message { from_peer, message } => peer_bytes(from_peer) + message.size(),
            Event::PeerConnected { peer_id, .. } | Event::PeerDisconnected { peer_id } => {
                peer_bytes(peer_id)
            }
            Event::PeerList { peers, .. } => peers.iter().map(peer_bytes).sum(),
            Event::Ok { payload, .. } => payload.size_hint(),
            Event::Error { error, .. } => {
                error.message.len()
                    + optional_bytes(error.target_peer.as_ref())
                    + error.request_id.as_ref().map_or(0, String::len)
            }
            Event::Registry {
                peer_id, reason, ..
            } => optional_bytes(peer_id.as_ref()) + reason.as_ref().map_or(0, String::len),
            Event::Pressure { target_peer, .. } => peer_bytes(target_peer),
            Event::Stats { payload, .. } => payload.get().len(),
        };
        FRAME_BYTES + varying
    }
}

impl ErrorReport {
    fn write(&self, payload: &mut Writer<'_>) {
        payload.string("code", self.code.as_str());
        payload.string("message", &self.message);
        let target_peer = self.target_peer.as_ref().map(PeerId::as_str);
        write_optional(payload, "target_peer", target_peer);
        write_optional(payload, "request_id", self.request_id.as_deref());
        if let Some(limit) = self.limit {
            payload.number("limit", limit);
        }
    }
}

impl Success {
    fn write(&self, payload: &mut Writer<'_>) {
        match self {
            Success::Sent {
                target_peer,
                receipt,
            } => {
                payload.string("target_peer", target_peer.as_str());
                payload.string("receipt", receipt.as_str());
            }
            Success::Broadcast { delivered, failed } => {
                write_peers(payload, "delivered", delivered);
                payload.array("failed", failed, |out, (peer_id, code)| {
                    write_object(out, |failure| {
                        failure.string("peer_id", peer_id.as_str());
                        failure.string("code", code.as_str());
                    });
                });
            }
            Success::Connected { target_peer_id } => {
                payload.string("target_peer_id", target_peer_id.as_str());
            }
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Success::Sent { target_peer, .. } => peer_bytes(target_peer),
            Success::Broadcast { delivered, failed } => {
                let delivered: usize = delivered.iter().map(peer_bytes).sum();
                let failed = failed
                    .iter()
                    .map(|(peer_id, _)| FAILURE_BYTES + peer_bytes(peer_id));
                delivered + failed.sum::<usize>()
            }
            Success::Connected { target_peer_id } => peer_bytes(target_peer_id),
        }
    }
}

impl Receipt {
    /// Returns the receipt as the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Receipt::Agent => "agent",
            Receipt::Transport => "transport",
        }
    }
}

impl RegistryState {
    /// Returns the state as the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            RegistryState::Connected => "connected",
            RegistryState::Disconnected => "disconnected",
            RegistryState::Refused => "refused",
        }
    }
}

impl Pressure {
    /// Returns the state as the contract spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Pressure::High => "high",
            Pressure::Normal => "normal",
        }
    }
}

/// Appends a line; `rest` writes its `payload`.
fn write_line(
    out: &mut Vec<u8>,
    kind: &'static str,
    id: Option<&CommandId>,
    rest: impl FnOnce(&mut Writer<'_>),
) {
    write_object(out, |line| {
        line.string("type", kind);
        if let Some(id) = id {
            line.raw("id", id.as_json());
        }
        rest(line);
    });
    out.push(b'\n');
}

/// Appends a line whose payload has the members that `members` writes.
fn write_event(
    out: &mut Vec<u8>,
    kind: &'static str,
    id: Option<&CommandId>,
    members: impl FnOnce(&mut Writer<'_>),
) {
    write_line(out, kind, id, |line| line.object("payload", members));
}

/// Writes a field that is always present, with null for `None`.
fn write_or_null(payload: &mut Writer<'_>, name: &'static str, text: Option<&str>) {
    match text {
        Some(text) => payload.string(name, text),
        None => payload.raw(name, "null"),
    }
}

/// Writes a field that is present only where it applies.
fn write_optional(payload: &mut Writer<'_>, name: &'static str, text: Option<&str>) {
    if let Some(text) = text {
        payload.string(name, text);
    }
}

fn write_peers(payload: &mut Writer<'_>, name: &'static str, peers: &[PeerId]) {
    payload.array(name, peers, |out, peer| push_string(out, peer.as_str()));
}

/// Returns the length of a name with its quotes and comma.
fn peer_bytes(peer: &PeerId) -> usize {
    peer.as_str().len() + 3
}

fn optional_bytes(peer: Option<&PeerId>) -> usize {
    peer.map_or(0, peer_bytes)
}

#[cfg(test)]
mod tests;
