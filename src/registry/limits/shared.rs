//! Limits of what goes between a registry and the store that it shares with others (`REGISTRY_STORE`).

use crate::limits::table::limits;

limits! {
    "registries that share a store" as pub(super) TABLE;

    /// Changes that the store remembers, for registries that have missed some; who has missed more reads everything.
    pub(in crate::registry) const STORE_LOG_CHANGES: usize = 256;

    /// Changes that were heard before those that precede them; with more they are forgotten, and the next exchange with
    /// the store brings them.
    pub(in crate::registry) const EARLY_CHANGES: usize = 1024;

    /// Bytes of the changes that were heard before those that precede them; with more they are forgotten, and the next
    /// exchange with the store brings them.
    pub(in crate::registry) const EARLY_CHANGES_BYTES: usize = 16 * 1024 * 1024;

    /// Requests and other actions that are done before the store has taken their changes; the others wait.
    pub(in crate::registry) const ACTIONS_AT_ONCE: usize = 512;

    /// Bytes of the answers that wait until the store has taken the changes; with more, further actions wait.
    pub(in crate::registry) const EFFECTS_BYTES: usize = 16 * 1024 * 1024;

    /// Frames for peers at other registries that wait for the store; further ones are dropped.
    pub(in crate::registry) const STORE_FRAMES: usize = 4096;

    /// Frames that are sent to the store before its answers are read; the others wait.
    pub(in crate::registry) const STORE_FRAMES_AT_ONCE: usize = 256;

    /// News of the store that wait for the registry; with more, the store waits, and at last it closes the connection.
    pub(in crate::registry) const STORE_NEWS: usize = 4096;

    /// Bytes of what was published at the store and waits for the registry; beyond it frames are dropped, and changes
    /// come with the next exchange.
    pub(in crate::registry) const STORE_NEWS_BYTES: usize = 32 * 1024 * 1024;

    /// News of the store that are heard in one turn; then connections have theirs.
    pub(in crate::registry) const STORE_NEWS_PER_TURN: usize = 256;

    /// Longest text of the store, in bytes; a longer one ends the connection to it.
    pub(in crate::registry) const STORE_TEXT_BYTES: usize = 64 * 1024 * 1024;

    /// Longest line of the store, in bytes; a longer one ends the connection to it.
    pub(in crate::registry) const STORE_LINE_BYTES: usize = 64 * 1024;

    /// Elements of a list of the store; more end the connection to it.
    pub(in crate::registry) const STORE_ELEMENTS: usize = 1024 * 1024;

    /// Lists in lists of the store; deeper ones end the connection to it.
    pub(in crate::registry) const STORE_DEPTH: usize = 4;
}
