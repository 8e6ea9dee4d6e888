//! The pace of what goes between a registry and the store that it shares with others, and its limits.

use std::time::Duration;

pub(in crate::registry) use crate::registry::limits::shared::*;

/// How long a connection to the store may take to be made, and an answer of it; then it counts as away.
pub(in crate::registry) const PATIENCE: Duration = Duration::from_secs(2);

/// From one try to reach the store to the next.
pub(in crate::registry) const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Longest time between two exchanges with the store. Each renews the lease of a registry.
pub(in crate::registry) const TICK: Duration = Duration::from_secs(1);

/// How long a registry counts as there after an exchange with the store; then its peers are offline.
pub(in crate::registry) const LEASE: Duration = Duration::from_secs(3);

/// How long the other registries have to come back after the store has; until then none counts as gone.
pub(in crate::registry) const COMING_BACK: Duration = Duration::from_secs(4);

/// How long the store remembers a session of a registry after its last exchange.
pub(super) const SESSION_KEPT: Duration = Duration::from_secs(60);

/// How long a request waits to hear from the store whether its changes count, when the answer to that was lost.
pub(in crate::registry) const UNSURE: Duration = Duration::from_secs(5);
