//! The state of an `attach` session: which commands wait for their answers, and who we are.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::protocol::ipc::ErrorCode;

/// State shared by the thread that types and the one that shows.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    peer_id: String,
    last_id: u64,
    /// JSON texts of the ids that are waiting for an answer.
    waiting: HashSet<String>,
    /// Whether a command was sent that need not be answered: only the sidecar knows when it is done.
    has_silent: bool,
    failed: bool,
    input_ended: bool,
    quit: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.quit || (self.input_ended && self.waiting.is_empty() && !self.has_silent)
    }
}

impl Ledger {
    /// Returns our own peer id, empty when it is not known.
    pub(super) fn peer_id(&self) -> String {
        self.state().peer_id.clone()
    }

    /// Returns a new id for a command, as JSON text.
    pub(super) fn new_id(&self) -> String {
        let mut state = self.state();
        state.last_id += 1;
        format!("\"attach-{}\"", state.last_id)
    }

    /// Notes that a command is about to be sent.
    pub(super) fn sent(&self, id: Option<String>) {
        let mut state = self.state();
        match id {
            Some(id) => drop(state.waiting.insert(id)),
            None => state.has_silent = true,
        }
    }

    /// Notes that something typed was no command.
    pub(super) fn mistake(&self) {
        self.state().failed = true;
    }

    pub(super) fn quit(&self) {
        self.state().quit = true;
    }

    /// Notes that no further commands follow; returns whether all are answered.
    pub(super) fn end_of_input(&self) -> bool {
        let mut state = self.state();
        state.input_ended = true;
        state.is_settled()
    }

    /// Notes an event that has come.
    pub(super) fn event(&self, line: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else {
            return;
        };
        let text_at = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let kind = text_at("/type");
        let failed = kind == Some("error");

        let mut state = self.state();
        match event.get("id") {
            Some(id) => {
                let expected = state.waiting.remove(&id.to_string());
                state.failed |= expected && failed;
            }
            // It belongs to a command without an id, or to the connection itself.
            None => {
                let of_connection = text_at("/payload/code") == Some(ErrorCode::Busy.as_str());
                state.failed |= failed && (state.has_silent || of_connection);
            }
        }
        if let (Some("ready" | "registry"), Some(peer_id)) = (kind, text_at("/payload/peer_id")) {
            state.peer_id = peer_id.to_owned();
        }
    }

    /// Returns whether nothing is left to wait for.
    pub(super) fn is_settled(&self) -> bool {
        self.state().is_settled()
    }

    /// Returns, after the end of the connection, whether all went well, or, when it ended too early, how
    /// many commands are unanswered.
    pub(super) fn outcome(&self) -> Result<bool, usize> {
        let state = self.state();
        if state.quit || (state.input_ended && state.waiting.is_empty()) {
            Ok(!state.failed)
        } else {
            Err(state.waiting.len())
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
