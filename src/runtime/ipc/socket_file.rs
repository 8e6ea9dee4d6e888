//! The file of the socket: knows whether it is still ours, and removes it at the end.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

/// The device and inode, which tell a file from another one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Reads the identity of the path itself, not of the target of a symbolic link.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Identity::from(&fs::symlink_metadata(path)?))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(metadata: &fs::Metadata) -> Self {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// A socket file that we made. It is removed when this is dropped, unless it is another's by then.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    identity: Identity,
    /// Whether we have removed it.
    is_removed: bool,
}

/// The file at the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Ours,
    Anothers,
    Nothing,
}

impl SocketFile {
    pub(super) fn new(path: PathBuf, identity: Identity) -> Self {
        SocketFile {
            path,
            state: Mutex::new(State {
                identity,
                is_removed: false,
            }),
        }
    }

    /// Returns whether someone else has removed or replaced the file.
    pub(super) fn is_lost(&self) -> bool {
        let state = self.state();
        !state.is_removed && self.look(&state) != Found::Ours
    }

    /// Returns whether the file has vanished, and nothing has taken its place.
    pub(super) fn has_vanished(&self) -> bool {
        let state = self.state();
        !state.is_removed && self.look(&state) == Found::Nothing
    }

    /// Has `make` put another socket in the place of the one that has vanished; `None` when we are ending.
    pub(super) fn renew<T>(
        &self,
        make: impl FnOnce(&Path) -> io::Result<(T, Identity)>,
    ) -> io::Result<Option<T>> {
        let mut state = self.state();
        if state.is_removed {
            return Ok(None);
        }
        let (made, identity) = make(&self.path)?;
        state.identity = identity;
        Ok(Some(made))
    }

    /// Removes the file if it is still ours.
    pub(super) fn remove(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_removed, true) {
            return;
        }
        // Another sidecar must not take the socket over between this check and the removal.
        let _lock = DirectoryLock::wait(directory_of(&self.path), Duration::from_millis(200));
        if self.look(&state) == Found::Ours
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("cannot remove the socket {}: {error}", self.path.display());
        }
    }

    fn look(&self, state: &State) -> Found {
        match Identity::of(&self.path) {
            Ok(identity) if identity == state.identity => Found::Ours,
            Ok(_) => Found::Anothers,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Found::Nothing,
                // After other errors the file may still be there.
                _ => Found::Ours,
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Returns the directory that a path is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A lock that keeps sidecars from starting or ending at once on sockets of the same directory. It is
/// an advisory lock on the directory itself, which leaves nothing behind.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _directory: File,
}

impl DirectoryLock {
    /// Waits for the lock. Returns `None` when it could not be had in time or at all. Anybody who can
    /// read the directory could hold it, so it is a courtesy among sidecars that nothing may depend on.
    pub(super) fn wait(directory: &Path, patience: Duration) -> Option<Self> {
        let file = File::open(directory).ok()?;
        let deadline = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(DirectoryLock { _directory: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => {
                    log::debug!("no lock on {}: {error}", directory.display());
                    return None;
                }
            }
        }
    }
}
