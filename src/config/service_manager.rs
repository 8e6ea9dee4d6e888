//! The environment of a service manager such as systemd: how it wants to hear from a service, as in
//! sd_notify(3), sd_watchdog_enabled(3), systemd.exec(5).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

/// The variable that names the service manager's socket. A program that starts others removes it from
/// their environment.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The address on which the service manager listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotifySocket {
    /// A file.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, without the zero byte in front.
    Abstract(Vec<u8>),
    /// Neither of them, as it stands in the environment: a kind of socket that we do not support.
    Unknown(OsString),
}

/// The service manager's part of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceManager {
    /// `NOTIFY_SOCKET`
    pub socket: NotifySocket,
    /// `WATCHDOG_USEC`: the service manager ends a service that it has not heard from for so long.
    pub watchdog: Option<Duration>,
    /// `WATCHDOG_PID`: the process that the watchdog is meant for.
    watchdog_process: Option<u32>,
    /// `SYSTEMD_EXEC_PID`: the process that the service manager started itself.
    service_process: Option<u32>,
}

impl ServiceManager {
    /// Reads the environment; returns `None` without a service manager. Nothing here is a user's setting,
    /// so a value that can't be read is no error: it is left out.
    pub fn from(environment: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let number = |name| environment(name)?.to_str()?.parse::<u64>().ok();
        let process = |name| number(name).and_then(|id| u32::try_from(id).ok());
        let socket = environment(NOTIFY_SOCKET).filter(|socket| !socket.is_empty())?;
        Some(ServiceManager {
            socket: notify_socket(socket),
            watchdog: number("WATCHDOG_USEC")
                .filter(|microseconds| *microseconds > 0)
                .map(Duration::from_micros),
            watchdog_process: process("WATCHDOG_PID"),
            service_process: process("SYSTEMD_EXEC_PID"),
        })
    }

    /// Returns what of it is meant for the process with the id `process`. A program that is a service may
    /// pass its environment on to those that it spawns, such as an agent to its sidecar; these must not
    /// speak for it.
    pub fn meant_for(mut self, process: u32) -> Option<Self> {
        let is_other = |named: Option<u32>| named.is_some_and(|named| named != process);
        if is_other(self.service_process) {
            return None;
        }
        if is_other(self.watchdog_process) {
            self.watchdog = None;
        }
        Some(self)
    }
}

fn notify_socket(socket: OsString) -> NotifySocket {
    match socket.as_bytes() {
        [b'/', ..] => NotifySocket::Path(PathBuf::from(socket)),
        [b'@', name @ ..] => NotifySocket::Abstract(name.to_vec()),
        _ => NotifySocket::Unknown(socket),
    }
}

impl NotifySocket {
    /// Returns the address as it stands in the environment.
    pub fn shown(&self) -> OsString {
        match self {
            NotifySocket::Path(path) => path.clone().into_os_string(),
            NotifySocket::Abstract(name) => {
                OsString::from_vec([OsStr::new("@").as_bytes(), name].concat())
            }
            NotifySocket::Unknown(text) => text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(environment: &[(&str, &str)]) -> Option<ServiceManager> {
        ServiceManager::from(|name| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn without_a_socket_there_is_none() {
        assert_eq!(manager(&[("WATCHDOG_USEC", "1000")]), None);
        assert_eq!(manager(&[("NOTIFY_SOCKET", "")]), None);
    }

    #[test]
    fn sockets_are_files_or_abstract_names() {
        let socket = |text| manager(&[("NOTIFY_SOCKET", text)]).unwrap().socket;
        assert_eq!(socket("/run/n"), NotifySocket::Path("/run/n".into()));
        assert_eq!(socket("@a/b"), NotifySocket::Abstract(b"a/b".to_vec()));
        assert_eq!(
            socket("vsock:2:1"),
            NotifySocket::Unknown("vsock:2:1".into())
        );
        for text in ["/run/n", "@a/b", "vsock:2:1"] {
            assert_eq!(socket(text).shown(), text);
        }
    }

    #[test]
    fn a_watchdog_has_a_time_above_zero() {
        let watchdog =
            |text| manager(&[("NOTIFY_SOCKET", "/n"), ("WATCHDOG_USEC", text)])?.watchdog;
        assert_eq!(watchdog("30000000"), Some(Duration::from_secs(30)));
        for none in ["0", "", "-1", "soon"] {
            assert_eq!(watchdog(none), None, "{none}");
        }
    }

    #[test]
    fn only_the_process_that_is_meant_speaks() {
        let environment = [
            ("NOTIFY_SOCKET", "/n"),
            ("WATCHDOG_USEC", "5"),
            ("WATCHDOG_PID", "7"),
            ("SYSTEMD_EXEC_PID", "7"),
        ];
        let all = manager(&environment).unwrap();
        assert_eq!(all.clone().meant_for(7), Some(all.clone()));
        assert_eq!(all.meant_for(8), None);
        let of_no_process = manager(&environment[..2]).unwrap();
        assert_eq!(
            of_no_process.clone().meant_for(8),
            Some(of_no_process.clone())
        );
        let watchdog_of_7 = manager(&environment[..3]).unwrap();
        assert_eq!(watchdog_of_7.meant_for(8).unwrap().watchdog, None);
    }
}
