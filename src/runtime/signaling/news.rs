//! News of the network, which the event loop tells the signaling thread. Of each kind one is kept until the
//! thread takes it.

use std::sync::atomic::{AtomicBool, Ordering};

/// The news that the thread has not taken yet.
#[derive(Debug, Default)]
pub(super) struct News {
    changed: AtomicBool,
    slept: AtomicBool,
    moved: AtomicBool,
    in_doubt: AtomicBool,
}

impl News {
    /// Notes that addresses or routes have changed.
    pub(super) fn changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Notes that the machine has slept for so long that no connection is expected to have survived.
    pub(super) fn slept(&self) {
        self.slept.store(true, Ordering::Release);
    }

    /// Notes that our address outside is another, so that no connection through the router has survived.
    pub(super) fn moved(&self) {
        self.moved.store(true, Ordering::Release);
    }

    /// Notes that something else that goes over the network has fallen silent.
    pub(super) fn in_doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
    }

    /// Returns whether addresses or routes have changed, and forgets it.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// Returns whether the machine has slept for long, and forgets it.
    pub(super) fn take_slept(&self) -> bool {
        self.slept.swap(false, Ordering::AcqRel)
    }

    /// Returns whether our address outside has changed, and forgets it.
    pub(super) fn take_moved(&self) -> bool {
        self.moved.swap(false, Ordering::AcqRel)
    }

    /// Returns whether there was any news but a doubt, and forgets all of that.
    pub(super) fn take_any(&self) -> bool {
        self.take_changed() | self.take_slept() | self.take_moved()
    }

    /// Returns whether the network is in doubt, and forgets it.
    pub(super) fn take_doubt(&self) -> bool {
        self.in_doubt.swap(false, Ordering::AcqRel)
    }
}
