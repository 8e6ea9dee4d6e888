//! Time: deadlines of calls, progress, and the end after the host has left.

use std::time::Instant;

use crate::limits;
use crate::protocol::json::{shorten, write_object};

use super::Server;
use super::asking::unanswered;
use super::calls::{Call, Outcome, Work, seconds};
use super::tool::Tool;

impl Server {
    /// Returns when [`Server::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let calls = self.calls.values();
        let deadlines = calls.clone().filter_map(|call| call.deadline);
        let progress = calls.filter_map(|call| Some(call.progress.as_ref()?.next));
        let restart = self
            .sidecar
            .next_restart()
            .filter(|_| self.leaving.is_none());
        deadlines
            .chain(progress)
            .chain(restart)
            .chain(self.subscriptions.next_notice())
            .chain(self.leaving.filter(|_| !self.calls.is_empty()))
            .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.restart_sidecar(now);
        self.tell_news(now);
        if self.leaving.is_some_and(|at| at <= now) {
            self.drop_calls(|_| true);
        }
        let calls = self.calls.iter();
        let due = calls.filter(|(_, call)| call.deadline.is_some_and(|at| at <= now));
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            self.expire(number, now);
        }
        self.tell_progress(now);
    }

    /// Takes note that the host has closed the input. What only waits ends at once, other calls have a moment left.
    pub fn host_ended(&mut self, now: Instant) {
        self.leaving = Some(now + limits::MCP_FAREWELL);
        self.close_streams();
        self.drop_calls(|call| matches!(call.work, Work::Message | Work::Doctor));
    }

    /// Ends calls without an answer, as nobody waits for it.
    fn drop_calls(&mut self, is_dropped: impl Fn(&Call) -> bool) {
        let calls = self.calls.iter().filter(|(_, call)| is_dropped(call));
        let dropped: Vec<u64> = calls.map(|(number, _)| *number).collect();
        for number in dropped {
            self.end_call(number);
        }
    }

    /// Returns whether the host has left and no call is open, so that the sidecar can go, too.
    pub fn is_done(&self) -> bool {
        self.leaving.is_some() && self.calls.is_empty()
    }

    /// Ends a call whose time is up, or starts it if that is what it has waited for.
    fn expire(&mut self, number: u64, now: Instant) {
        let Some(call) = self.calls.get(&number) else {
            return;
        };
        let waited = now.saturating_duration_since(call.began);
        let text = match &call.work {
            Work::Start(_) => {
                self.start(number, now);
                return;
            }
            Work::Message => {
                self.give_messages(number, now);
                return;
            }
            Work::Answer(question) => unanswered(question, waited, self.is_allowed(Tool::Inbox)),
            Work::Receipt { peer, .. } => {
                let peer = shorten(peer);
                format!(
                    "It is not known yet whether \"{peer}\" has it; it is still being delivered, for as long as \
                     the peer may come back. Do not send it again before you have asked."
                )
            }
            Work::Receipts => {
                "Some peers have not taken it yet; it is still being delivered.".to_owned()
            }
            Work::Statistics => "It took too long; try again.".to_owned(),
            Work::Doctor => format!(
                "The network was not checked within {}. Try again, or without the check: check false.",
                seconds(waited)
            ),
        };
        self.end(number, Outcome::Failed(text));
    }

    /// Tells the host of calls that go on, if that is due.
    pub(super) fn tell_progress(&mut self, now: Instant) {
        let mut told = Vec::new();
        for call in self.calls.values_mut() {
            let Some(progress) = call.progress.as_mut().filter(|due| due.next <= now) else {
                continue;
            };
            progress.next = now + limits::MCP_PROGRESS_INTERVAL;
            let waited = now.saturating_duration_since(call.began).as_secs_f64();
            // It has to grow each time.
            progress.last = waited.max(progress.last + 0.001);
            let message = match &call.work {
                Work::Answer(question) if question.has_arrived => {
                    format!("{} has the question", shorten(&question.peer))
                }
                Work::Answer(question) => {
                    format!("the question is on its way to {}", shorten(&question.peer))
                }
                Work::Receipt { peer, .. } => {
                    format!("the message is on its way to {}", shorten(peer))
                }
                Work::Start(_) => "waiting for the registry".to_owned(),
                Work::Message => "waiting for a message".to_owned(),
                Work::Receipts => "waiting for the peers".to_owned(),
                Work::Statistics => "waiting for the sidecar".to_owned(),
                Work::Doctor => "checking the network".to_owned(),
            };
            let mut params = String::new();
            write_object(&mut params, |out| {
                out.raw("progressToken", progress.token.as_json());
                out.number("progress", format!("{:.3}", progress.last));
                if let Some(deadline) = call.deadline {
                    let total = deadline.saturating_duration_since(call.began);
                    out.number("total", format!("{:.3}", total.as_secs_f64()));
                }
                out.string("message", &message);
            });
            told.push(params);
        }
        for params in told {
            self.notify("notifications/progress", &params);
        }
    }
}
