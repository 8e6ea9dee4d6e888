//! Limits of what goes between a registry and the store that it shares with others.

use std::time::Duration;

/// How long a connection to the store may take to be made, and an answer of it; then it counts as away.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// From one try to reach the store to the next.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Longest time between two exchanges with the store. Each renews the lease of a registry.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// How long a registry counts as there after an exchange with the store; then its peers are offline.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// How long the other registries have to come back after the store has; until then none counts as gone.
pub(super) const COMING_BACK: Duration = Duration::from_secs(4);

/// Changes that the store remembers, for registries that have missed some. Who has missed more reads everything.
pub(super) const LOG_LENGTH: usize = 256;

/// Changes that were heard before those that precede them; with more everything is read again.
pub(super) const EARLY_CHANGES: usize = 1024;

/// Actions that are done together.
pub(super) const ACTIONS_AT_ONCE: usize = 512;

/// Bytes of the answers to them; with more, the rest is done after them.
pub(super) const EFFECTS_BYTES: usize = 16 * 1024 * 1024;

/// Frames for peers at other registries that wait for the store; further ones are dropped.
pub(super) const FRAMES: usize = 4096;

/// Frames that are sent before the answers to them are read.
pub(super) const FRAMES_AT_ONCE: usize = 256;

/// News of the store that wait for the registry. With more, the store waits, and at last it closes the connection.
pub(super) const NEWS: usize = 4096;

/// Longest text of the store, in bytes.
pub(super) const TEXT_BYTES: usize = 64 * 1024 * 1024;

/// Longest line of the store, in bytes.
pub(super) const LINE_BYTES: usize = 64 * 1024;

/// Most elements of a list of the store, and lists in lists.
pub(super) const ELEMENTS: usize = 1024 * 1024;
pub(super) const DEPTH: usize = 4;
