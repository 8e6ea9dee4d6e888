//! The files of trust: our own certificate, and those of the peers that we know.

pub(crate) mod identity;
pub(crate) mod known_peers;

use std::io;
use std::path::Path;

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
