//! A private directory for the demo's sockets: only this user can look into it, and it is removed with the
//! demo.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Longest path of the directory, in bytes, so that `/` and the longest socket name still fit into
/// a socket's address (107 bytes).
const PATH_BYTES: usize = 90;

pub(super) struct PrivateDirectory(PathBuf);

impl PrivateDirectory {
    /// Makes a directory below `TMPDIR`, or below `/tmp` if that path would be too long for sockets.
    pub(super) fn create() -> Result<Self, String> {
        let name = format!(
            "chatixia-demo-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        );
        let preferred = std::env::temp_dir().join(&name);
        let path = if preferred.as_os_str().len() <= PATH_BYTES {
            preferred
        } else {
            Path::new("/tmp").join(&name)
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(PrivateDirectory(path)),
            Err(error) => Err(format!("can't make {}: {error}", path.display())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it; fails when something was left in it.
    pub(super) fn remove(self) -> Result<(), String> {
        fs::remove_dir(&self.0)
            .map_err(|error| format!("can't remove {}: {error}", self.0.display()))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // This removes it after a failure; after `remove` there is nothing to do.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_can_look_into_it_and_it_goes_with_all_that_is_in_it() {
        let directory = PrivateDirectory::create().unwrap();
        let path = directory.path().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(path.join("file"), "").unwrap();
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_left_in_it_is_told() {
        let directory = PrivateDirectory::create().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        assert!(directory.remove().unwrap_err().starts_with("can't remove "));
    }
}
