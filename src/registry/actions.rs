//! What is done with the state, one after the other: requests are answered, peers come and go. Where registries
//! share their state (`shared`), an action has effect once the store has taken its changes;
//! until then it can be done again.

use super::api::Origin;
use super::connection::AfterAnswer;
use super::directory::{ConnectionId, Registered};
use super::http::Request;
use super::reports::Reported;
use super::response::Response;
use crate::protocol::PeerId;

/// Something that reads or changes the state.
pub(super) enum Action {
    /// A request is answered.
    Answer {
        id: ConnectionId,
        request: Box<Request>,
        origin: Origin,
    },
    /// A peer registers.
    Register { id: ConnectionId, peer: PeerId },
    /// A peer tells whom it is connected to.
    Report {
        id: ConnectionId,
        peer: PeerId,
        report: Vec<Reported>,
    },
    /// A peer's connection has ended.
    Left { id: ConnectionId, peer: PeerId },
    /// A peer's connection is still there, although the shared state does not have it.
    Stay { id: ConnectionId, peer: PeerId },
    /// The registry of this name is gone, and its connections with it.
    Gone(String),
    /// The registries need a secret of logins to their relays; this is one if there is none.
    MakeLoginSecret(String),
}

impl Action {
    /// Returns the connection that it is about.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Action::Answer { id, .. }
            | Action::Register { id, .. }
            | Action::Report { id, .. }
            | Action::Left { id, .. }
            | Action::Stay { id, .. } => Some(*id),
            Action::Gone(_) | Action::MakeLoginSecret(_) => None,
        }
    }

    /// Returns how long the body of the request is.
    pub(super) fn body_bytes(&self) -> usize {
        match self {
            Action::Answer { request, .. } => request.body.len(),
            _ => 0,
        }
    }
}

/// What an action has outside of the state.
pub(super) enum Effect {
    /// The request is answered.
    Answer(Response, AfterAnswer),
    /// The peer is told who is online.
    Registered(PeerId, Registered),
    /// Nothing.
    Nothing,
}

impl Effect {
    /// Returns how many bytes are to be sent.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Effect::Answer(response, _) => response.body.as_ref().map_or(0, |body| body.len()),
            Effect::Registered(_, registered) => registered.peer_list.len(),
            Effect::Nothing => 0,
        }
    }
}
