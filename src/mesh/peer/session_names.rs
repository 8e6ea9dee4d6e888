//! The ids of our sessions.

/// The ids under which peers are told of our sessions.
///
/// The id is that of the process, drawn once. A session that is given up goes on under another one, because
/// its numbers can't be sent again: the id of the process with a count. Entries made later begin with that id.
/// So no peer meets an id again after it was given up, and of several processes under one name each is told
/// an id of its own.
#[derive(Debug)]
pub(crate) struct SessionNames {
    process: String,
    given_up: u64,
}

impl SessionNames {
    pub(crate) fn new(process: String) -> Self {
        SessionNames {
            process,
            given_up: 0,
        }
    }

    /// Returns the id for a session that begins.
    pub(crate) fn current(&self) -> String {
        match self.given_up {
            0 => self.process.clone(),
            count => format!("{}-{count}", self.process),
        }
    }

    /// Returns a new id, in place of one that is given up.
    pub(crate) fn next(&mut self) -> String {
        self.given_up += 1;
        self.current()
    }
}
