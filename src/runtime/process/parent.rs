//! Watches whether the process that started us is still there.

use rustix::process::{Pid, getppid};

/// The process that was our parent at the start. When it ends, the system gives us another: the first
/// process, or one that has asked to take in orphans.
///
/// A parent that was gone before we looked is not noticed. Daemons are started like that, and processes of
/// service managers and containers have a parent that stays.
#[derive(Debug)]
pub(crate) struct Parent(Option<Pid>);

impl Parent {
    /// Looks who started us.
    pub(crate) fn new() -> Self {
        Parent(getppid())
    }

    /// Returns whether it has ended. There is no answer for one outside our container: it counts as there.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_some() && getppid() != self.0
    }
}
