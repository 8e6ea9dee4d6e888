//! Timers: deadlines by key, soonest first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// One deadline for each key; setting it again moves it.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    queue: BTreeSet<(Instant, K)>,
    deadlines: BTreeMap<K, Instant>,
}

impl<K: Ord + Clone> Timers<K> {
    pub(crate) fn new() -> Self {
        Timers {
            queue: BTreeSet::new(),
            deadlines: BTreeMap::new(),
        }
    }

    /// Sets the deadline of `key`, or with `None` forgets it.
    pub(crate) fn set(&mut self, key: K, deadline: Option<Instant>) {
        if self.deadlines.get(&key) == deadline.as_ref() {
            return;
        }
        if let Some(old) = self.deadlines.remove(&key) {
            self.queue.remove(&(old, key.clone()));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert(key.clone(), deadline);
            self.queue.insert((deadline, key));
        }
    }

    /// Returns whether `key` has a deadline.
    pub(crate) fn is_set(&self, key: &K) -> bool {
        self.deadlines.contains_key(key)
    }

    /// Returns whether `key` already has a deadline no later than `deadline`, where `None` is never.
    pub(crate) fn is_set_before(&self, key: &K, deadline: Option<Instant>) -> bool {
        match (self.deadlines.get(key), deadline) {
            (Some(set), Some(deadline)) => *set <= deadline,
            (set, None) => set.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// Returns the soonest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out a key whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (deadline, _) = self.queue.first()?;
        if *deadline > now {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.deadlines.remove(&key);
        Some(key)
    }
}
