//! Keeps messages that arrive on a connection before the `hello` that gives them their numbers.

use crate::limits;

/// Messages that came in before the `hello`, in order.
#[derive(Debug, Default)]
pub(crate) struct EarlyMessages {
    messages: Vec<Vec<u8>>,
    bytes: usize,
}

impl EarlyMessages {
    /// Keeps a message and returns `true`, unless all of them would then have more than `most` bytes or
    /// be too many.
    pub(crate) fn keep(&mut self, message: Vec<u8>, most: usize) -> bool {
        let has_room =
            self.bytes + message.len() <= most && self.messages.len() < limits::EARLY_MESSAGES;
        if has_room {
            self.bytes += message.len();
            self.messages.push(message);
        }
        has_room
    }

    /// Takes out all messages, once their numbers are known.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(self).messages
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}
