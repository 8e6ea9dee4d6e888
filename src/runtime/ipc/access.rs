//! Who may use the socket: its owner and root, and whom `SOCKET_MODE` and `SOCKET_GROUP` let in.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::limits;

/// The mode of a socket that is its owner's alone, and of one that is a group's, too.
const OWNERS: u32 = 0o600;
const GROUPS: u32 = 0o660;

/// Where the numbers of groups are looked up. Groups that only a directory service knows are given by number.
const GROUP_FILE: &str = "/etc/group";

/// `SOCKET_MODE` and `SOCKET_GROUP`.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The mode of the socket's file; without it that of its owner, and of the group if there is one.
    pub mode: Option<u32>,
    /// The group of the socket's file, by name or number.
    pub group: Option<String>,
}

impl Access {
    /// Returns the mode of the socket's file.
    pub(super) fn mode(&self) -> u32 {
        let usual = if self.group.is_some() { GROUPS } else { OWNERS };
        self.mode.unwrap_or(usual)
    }

    /// Returns the number of the group, if there is one. The error says which group there is not.
    pub(super) fn group_number(&self) -> io::Result<Option<u32>> {
        let Some(group) = &self.group else {
            return Ok(None);
        };
        if let Ok(number) = group.parse() {
            return Ok(Some(number));
        }
        let groups = fs::read_to_string(GROUP_FILE)?;
        let number = number_of(&groups, group).ok_or_else(|| {
            let text = format!(
                "there is no group {group:?} in {GROUP_FILE}: set SOCKET_GROUP to another, or to a number"
            );
            io::Error::new(io::ErrorKind::NotFound, text)
        })?;
        Ok(Some(number))
    }

    /// Gives the file of a socket its group and its mode. It is its owner's alone until then.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        if let Some(group) = self.group_number()? {
            lchown(path, None, Some(group)).map_err(|error| {
                let text = format!(
                    "cannot be given to group {group} (SOCKET_GROUP): {error}; only root and members may do that"
                );
                io::Error::new(error.kind(), text)
            })?;
        }
        if fs::symlink_metadata(path)?.permissions().mode() & 0o777 != self.mode() {
            fs::set_permissions(path, fs::Permissions::from_mode(self.mode()))?;
        }
        Ok(())
    }

    /// Returns whether the process at the other end of a connection may use the socket.
    ///
    /// The system has asked the file's mode already, where it asks it. Of a socket that is its owner's alone no
    /// process of another user but root's has a connection, whatever became of the file.
    pub(super) fn lets_in(&self, stream: &UnixStream, refused: &mut RefusedUsers) -> bool {
        const OTHERS_MAY_WRITE: u32 = 0o022;
        if self.mode() & OTHERS_MAY_WRITE != 0 {
            return true;
        }
        match user_of(stream) {
            Ok(user) => {
                let is_known = user == 0 || user == rustix::process::geteuid().as_raw();
                if !is_known && refused.is_new(user) {
                    log::warn!(
                        "a process of user {user} was refused on the IPC socket, which is ours alone; \
                         SOCKET_GROUP lets others in"
                    );
                }
                is_known
            }
            Err(error) => {
                log::warn!("it is not known whose process is on the IPC socket: {error}");
                false
            }
        }
    }
}

/// The users whose processes were refused, so that it is warned of each only once.
#[derive(Debug, Default)]
pub(super) struct RefusedUsers(BTreeSet<u32>);

impl RefusedUsers {
    /// Returns whether it is to be warned of this user, and remembers that. Of those beyond the limit nothing is said.
    fn is_new(&mut self, user: u32) -> bool {
        self.0.len() < limits::REFUSED_USERS && self.0.insert(user)
    }
}

/// Returns the user of the process at the other end, as of when it connected.
#[cfg(target_os = "linux")]
fn user_of(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// Elsewhere the file's mode has to do.
#[cfg(not(target_os = "linux"))]
fn user_of(_: &UnixStream) -> io::Result<u32> {
    Ok(rustix::process::geteuid().as_raw())
}

/// Returns the number of a group in a text as group(5) describes it.
fn number_of(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nagents:x:1000:a,b\nagent:x:1001:\nodd:x\n";
        assert_eq!(number_of(groups, "agent"), Some(1001));
        assert_eq!(number_of(groups, "agents"), Some(1000));
        assert_eq!(number_of(groups, "odd"), None);
        assert_eq!(number_of(groups, "none"), None);
    }

    #[test]
    fn of_each_user_it_is_warned_once_and_of_many_only_of_some() {
        let mut refused = RefusedUsers::default();
        assert!(refused.is_new(1000));
        assert!(!refused.is_new(1000));
        let warned = (2000..4000).filter(|user| refused.is_new(*user)).count();
        assert_eq!(warned, limits::REFUSED_USERS - 1);
    }

    #[test]
    fn a_group_is_let_in_by_the_mode() {
        let of = |mode, group: Option<&str>| Access {
            mode,
            group: group.map(str::to_owned),
        };
        assert_eq!(of(None, None).mode(), 0o600);
        assert_eq!(of(None, Some("1000")).mode(), 0o660);
        assert_eq!(of(Some(0o666), Some("1000")).mode(), 0o666);
        let unknown = of(None, Some("no such group")).group_number();
        let text = unknown.unwrap_err().to_string();
        assert!(text.contains("no such group"), "{text}");
    }
}
