//! The files of trust: our own certificate, and those of the peers that we know.

pub(crate) mod identity;
pub(crate) mod known_peers;

use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

use super::small_file::{self, Found};

/// Reads a file of trust of at most `most` bytes; `None` if there is none.
fn read(path: &Path, most: u64) -> io::Result<Option<Found>> {
    match small_file::read(path, most) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            Err(io::Error::other("it is no regular file"))
        }
        Err(error) => Err(error),
    }
}

/// What is wrong with a file that can neither be read nor be made.
const LEADS_NOWHERE: &str = "it is a link to a file that is not there";

/// Looks whether a file that is not there could be made, with its directory. Makes nothing.
///
/// # Errors
/// What the system would say.
pub(crate) fn can_be_made(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        return Err(io::Error::other(LEADS_NOWHERE));
    }
    match path.parent() {
        Some(directory) if directory.as_os_str().is_empty() => can_be_filled(Path::new(".")),
        Some(directory) if directory.exists() => can_be_filled(directory),
        Some(directory) => can_be_made(directory),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

fn can_be_filled(directory: &Path) -> io::Result<()> {
    if !directory.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// The same for a file that is written to, whether it is there or not.
///
/// # Errors
/// What the system would say.
pub(crate) fn can_be_written(path: &Path) -> io::Result<()> {
    match path.exists() {
        true => Ok(access(path, Access::WRITE_OK)?),
        false => can_be_made(path),
    }
}

/// A directory for the files of a test; removed when dropped.
#[cfg(test)]
struct TestDirectory(std::path::PathBuf);

#[cfg(test)]
impl TestDirectory {
    fn new(name: &str) -> Self {
        let name = format!("chatixia-peer-files-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TestDirectory(path)
    }
}

#[cfg(test)]
impl Drop for TestDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
