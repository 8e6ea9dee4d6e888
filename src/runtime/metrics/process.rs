//! Numbers of the process, as the kernel tells them. Other systems than Linux tell fewer.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The numbers of one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ProcessNumbers {
    /// When it started, in seconds of Unix time.
    pub(super) start_seconds: f64,
    /// The processor time that it has used.
    pub(super) cpu_seconds: f64,
    /// The memory that it has.
    pub(super) resident_bytes: Option<u64>,
    /// Its threads.
    pub(super) threads: Option<u64>,
    /// The files and sockets that it has open.
    pub(super) open_files: Option<u64>,
    /// How many it may have open.
    pub(super) most_open_files: Option<u64>,
}

impl ProcessNumbers {
    /// Reads the numbers of this process, which was started at this time.
    pub(super) fn read(started: SystemTime) -> Self {
        let since_epoch = started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The one that lists them is among them.
        let files = fs::read_dir("/proc/self/fd").map(|files| files.count().saturating_sub(1));
        ProcessNumbers {
            start_seconds: since_epoch.as_secs_f64(),
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: field(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
            threads: field(&status, "Threads:"),
            open_files: files.ok().map(|files| files as u64),
            most_open_files: getrlimit(Resource::Nofile).current,
        }
    }
}

/// Returns the number in a line of the kernel's account of a process, `status` in proc(5).
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_account_is_read() {
        let status = "Name:\tx\nVmRSS:\t    8364 kB\nThreads:\t6\nVmData:\tx\n";
        assert_eq!(field(status, "VmRSS:"), Some(8364));
        assert_eq!(field(status, "Threads:"), Some(6));
        assert_eq!(field(status, "VmData:"), None);
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
