//! Limits of the process: its files of settings, its log, its end, the clock, the service manager, the doctor.

use std::time::Duration;

use super::table::limits;

limits! {
    "the process: its settings, its log, its end, the doctor" as pub(super) PROCESS;

    /// Longest line in the log; the message of a longer one is cut. It is as much as a pipe takes at once without
    /// blocking (`PIPE_BUF`).
    pub const LOG_LINE_BYTES: usize = 4096;

    /// Lines a second that one part of the program may log at one level, for each level from `info` up; further ones
    /// are left out and counted.
    pub const LOG_LINES_PER_SECOND: u32 = 50;

    /// Pairs of level and part of the program that the log counts apart for [`LOG_LINES_PER_SECOND`]; further ones
    /// share one count.
    pub const LOG_KEYS: usize = 64;

    /// Items that a thread takes from one source (datagrams of a socket, frames of the registry, requests of the
    /// agent); then the others have their turn.
    pub const SOURCE_BUDGET: usize = 64;

    /// First step of the shutdown, in which the agent's last requests are read and peers have time to take what was
    /// accepted for them; then the next step comes.
    pub const FAREWELL_TIMEOUT: Duration = Duration::from_millis(300);

    /// Second step of the shutdown, in which peers that need longer may still acknowledge what was sent to them; then
    /// they are left. Nothing new is sent.
    pub const SETTLING_TIMEOUT: Duration = Duration::from_millis(300);

    /// Last step of the shutdown, for the agent's last events and the goodbye to the registry; then the process ends.
    pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(1000);

    /// Time in which `doctor` reports; what is not known then is reported as such.
    pub const DOCTOR_TIME: Duration = Duration::from_secs(10);

    /// Addresses that `doctor` names in one line; further ones are counted.
    pub const DOCTOR_LISTED: usize = 16;

    /// How long a full socket of the service manager may keep the event loop waiting; then the notice is lost.
    pub const NOTIFY_TIMEOUT: Duration = Duration::from_millis(100);

    /// Largest `.env` file, or file of settings that `join` wrote, in bytes; a larger one is not read.
    pub const SETTINGS_FILE_BYTES: u64 = 64 * 1024;
}

/// Interval at which it is looked whether the process that started us is still there, until the first agent comes.
pub const PARENT_CHECK: Duration = Duration::from_secs(1);

/// How much later than it was meant to the event loop may wake; if it is more, the machine slept or the process was
/// stopped, and that time does not count.
pub const UNLIVED_AFTER: Duration = Duration::from_secs(2);

/// Difference between the clock and the time that has passed at which the clock counts as having been set.
pub const CLOCK_STEP: Duration = Duration::from_secs(5);

/// Part of [`DOCTOR_TIME`]: how long connecting to the registry may take, and then each of its answers.
pub const DOCTOR_REGISTRY_TIME: (Duration, Duration) =
    (Duration::from_millis(2500), Duration::from_millis(3500));

/// Part of [`DOCTOR_TIME`]: the time from the start by which the names of servers must be resolved, those that the
/// registry names included.
pub const DOCTOR_NAMES_TIME: Duration = Duration::from_millis(4500);

/// Part of [`DOCTOR_TIME`]: how long the STUN servers may take together, and a TURN server for an allocation.
pub const DOCTOR_SERVER_TIME: Duration = Duration::from_millis(3500);

/// Part of [`DOCTOR_TIME`], after the allocation: how long a packet that the TURN server relays to itself is awaited,
/// and the interval between such packets.
pub const DOCTOR_RELAY_TIME: (Duration, Duration) =
    (Duration::from_millis(1500), Duration::from_millis(250));

/// Part of [`DOCTOR_TIME`], at the end: how long giving the relayed address back may take.
pub const DOCTOR_FAREWELL: Duration = Duration::from_millis(300);

/// Difference between the machine's clock and the registry's up to which `doctor` does not warn.
pub const DOCTOR_CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

/// How often a STUN server is asked to answer from another address, which most routers keep out.
pub const DOCTOR_ELSEWHERE_TRANSMISSIONS: u32 = 2;

/// Least time between two signs of life to the service manager.
pub const WATCHDOG_INTERVAL: Duration = Duration::from_millis(10);
