//! Binds the agent's socket: it is bound, listening and private before its name appears.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, RenameFlags, fchmod, renameat_with};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::access::Access;
use super::probe::{Occupant, probe};
use super::settings::Settings;
use super::socket_file::{DirectoryLock, Identity, SocketFile, directory_of};
use crate::limits;

/// A socket that is in its place and listening: agents can connect, and wait until it is served. Its
/// file is removed when this is dropped.
#[derive(Debug)]
pub struct BoundSocket {
    pub(super) listener: UnixListener,
    pub(super) file: Arc<SocketFile>,
    pub(super) settings: Settings,
}

/// The reason why the socket cannot be bound.
#[derive(Debug)]
pub enum BindError {
    /// The path is longer than the system allows for a socket, or is no path at all.
    BadPath(PathBuf),
    /// The directory does not exist.
    NoDirectory(PathBuf),
    /// A file that is no socket has the name. It is left as it is.
    NotASocket(PathBuf),
    /// Another sidecar serves an agent there.
    AgentConnected(PathBuf),
    /// Another program listens there; says what it did.
    OtherProgram(PathBuf, &'static str),
    /// The system refused, mostly because of missing rights.
    System(PathBuf, io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::BadPath(path) => write!(
                f,
                "the IPC socket path {path:?} ({} bytes) names no file, or is longer than a Unix socket's \
                 can be: set IPC_SOCKET to the path of a file",
                path.as_os_str().len()
            ),
            BindError::NoDirectory(path) => write!(
                f,
                "cannot make the IPC socket {path:?}: {:?} is not a directory; create it or set \
                 IPC_SOCKET to another path",
                directory_of(path)
            ),
            BindError::NotASocket(path) => write!(
                f,
                "cannot make the IPC socket {path:?}: a file that is no socket is there; remove it \
                 or set IPC_SOCKET to another path"
            ),
            BindError::AgentConnected(path) => write!(
                f,
                "another sidecar with an agent connected has the IPC socket {path:?}: stop it or \
                 set IPC_SOCKET to another path"
            ),
            BindError::OtherProgram(path, what) => write!(
                f,
                "another program has the IPC socket {path:?} ({what}): stop it or set IPC_SOCKET to \
                 another path"
            ),
            BindError::System(path, error) => {
                write!(f, "cannot make the IPC socket {path:?}: {error}")
            }
        }
    }
}

impl std::error::Error for BindError {}

/// Binds the socket and listens on it. To be called before anything else that takes time, so that
/// an agent that waits for the file can connect at once.
///
/// A socket that nobody listens on, or whose sidecar has no agent, is replaced in one step: the name
/// is never without a socket, and never names one that does not listen or that others may use.
pub fn bind(settings: Settings) -> Result<BoundSocket, BindError> {
    let path = settings.socket.clone();
    check_path(&path)?;
    let system = |error| BindError::System(path.clone(), error);
    let _lock = DirectoryLock::wait(directory_of(&path), limits::IPC_START_LOCK_WAIT);
    let (listener, beside) = listen_beside(&path, &settings.access).map_err(system)?;
    for _ in 0..limits::IPC_BIND_ATTEMPTS {
        let identity = match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.file_type().is_socket() => Identity::from(&metadata),
            Ok(_) => return Err(BindError::NotASocket(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match rename_to_new(&beside.path, &path) {
                    Ok(()) => return Ok(beside.in_place(listener, settings)),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) => return Err(system(error)),
                }
            }
            Err(error) => return Err(system(error)),
        };
        // The probing socket is kept until ours is in its place: when it closes, the other sidecar
        // checks its file.
        let _asked = match probe(&path, settings.probe_timeout) {
            Ok(Occupant::Stale) => None,
            Ok(Occupant::IdleSidecar(socket)) => Some(socket),
            Ok(Occupant::BusySidecar) => return Err(BindError::AgentConnected(path)),
            Ok(Occupant::Foreign(what)) => return Err(BindError::OtherProgram(path, what)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(system(error)),
        };
        if Identity::of(&path).is_ok_and(|now| now == identity) {
            fs::rename(&beside.path, &path).map_err(system)?;
            return Ok(beside.in_place(listener, settings));
        }
    }
    Err(BindError::OtherProgram(
        path,
        "it replaces the socket again and again",
    ))
}

/// The file of a socket that is served. It is removed when this is dropped, if it is still ours.
#[derive(Debug)]
pub(in crate::runtime) struct ServedFile(
    #[expect(dead_code, reason = "its drop matters")] SocketFile,
);

/// Listens at a path, with a file that only its owner can use, in the place of a socket that may be there.
pub(in crate::runtime) fn listen_at(path: &Path) -> io::Result<(UnixListener, ServedFile)> {
    let _lock = DirectoryLock::wait(directory_of(path), limits::IPC_START_LOCK_WAIT);
    let (listener, beside) = listen_beside(path, &Access::default())?;
    fs::rename(&beside.path, path)?;
    let file = SocketFile::new(path.to_owned(), beside.identity);
    Ok((listener, ServedFile(file)))
}

/// Puts a non-blocking socket in the place of one whose file has vanished. Fails when another has taken the place.
pub(super) fn make_anew(file: &SocketFile, access: &Access) -> io::Result<Option<UnixListener>> {
    file.renew(|path| {
        let _lock = DirectoryLock::wait(directory_of(path), limits::IPC_START_LOCK_WAIT);
        let (listener, beside) = listen_beside(path, access)?;
        listener.set_nonblocking(true)?;
        rename_to_new(&beside.path, path)?;
        Ok((listener, beside.identity))
    })
}

/// The state of the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is there.
    Free,
    /// A socket that nobody listens on. It will be replaced.
    Stale,
    /// The socket of a sidecar without an agent. The sidecar will give way.
    Idle,
}

/// Checks what [`bind()`] would find, and leaves everything as it is.
pub fn look(settings: &Settings) -> Result<Standing, BindError> {
    let path = &settings.socket;
    check_path(path)?;
    let system = |error| BindError::System(path.clone(), error);
    listen_beside(path, &settings.access).map_err(system)?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        Ok(_) => return Err(BindError::NotASocket(path.clone())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Free),
        Err(error) => return Err(system(error)),
    }
    match probe(path, settings.probe_timeout).map_err(system)? {
        Occupant::Stale => Ok(Standing::Stale),
        Occupant::IdleSidecar(_) => Ok(Standing::Idle),
        Occupant::BusySidecar => Err(BindError::AgentConnected(path.clone())),
        Occupant::Foreign(what) => Err(BindError::OtherProgram(path.clone(), what)),
    }
}

fn check_path(path: &Path) -> Result<(), BindError> {
    if path.file_name().is_none() || SocketAddr::from_pathname(path).is_err() {
        return Err(BindError::BadPath(path.to_owned()));
    }
    match fs::metadata(directory_of(path)) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(BindError::NoDirectory(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(BindError::NoDirectory(path.to_owned()))
        }
        Err(error) => Err(BindError::System(path.to_owned(), error)),
    }
}

/// Listens on a socket under a random name in the directory of `path`.
fn listen_beside(path: &Path, access: &Access) -> io::Result<(UnixListener, Beside)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // On Linux the file gets the mode of the socket, less the umask, so it is private from its first
    // moment. Elsewhere this fails, and the file is made private before the socket listens.
    if let Err(error) = fchmod(&socket, Mode::RUSR | Mode::WUSR) {
        log::debug!("cannot set a mode on an unbound socket: {error}");
    }
    let mut attempts = 0;
    let beside = loop {
        let beside = name_beside(path);
        if beside == path {
            continue;
        }
        match socket.bind(&SockAddr::unix(&beside)?) {
            Ok(()) => break beside,
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && attempts < limits::IPC_BIND_ATTEMPTS =>
            {
                attempts += 1;
            }
            Err(error) => return Err(error),
        }
    };
    let beside = Beside {
        identity: Identity::of(&beside)?,
        path: beside,
    };
    access.give(&beside.path)?;
    socket.listen(limits::IPC_BACKLOG)?;
    Ok((
        UnixListener::from(std::os::fd::OwnedFd::from(socket)),
        beside,
    ))
}

/// Returns a random name in the directory of `path`, no longer than the name of a socket may be.
fn name_beside(path: &Path) -> PathBuf {
    let random = |length: usize| {
        let name: String = (0..length).map(|_| fastrand::alphanumeric()).collect();
        path.with_file_name(name)
    };
    let name = random(16);
    if SocketAddr::from_pathname(&name).is_ok() {
        return name;
    }
    // The directory's path is so long that 16 letters do not fit. A name as long as the socket's own
    // does.
    random(path.file_name().map_or(1, |name| name.len()))
}

/// Renames a file, but never over another one. If the file system has no such step, the caller's
/// earlier check has to do.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(from, to),
        result => Ok(result?),
    }
}

/// A socket file that does not have its final name yet. Removed when dropped.
#[derive(Debug)]
struct Beside {
    path: PathBuf,
    identity: Identity,
}

impl Beside {
    /// Returns the socket, now that its file has its final name.
    fn in_place(self, listener: UnixListener, settings: Settings) -> BoundSocket {
        BoundSocket {
            listener,
            file: Arc::new(SocketFile::new(settings.socket.clone(), self.identity)),
            settings,
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After the rename there is no file of this name.
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}
