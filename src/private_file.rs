//! Files that only their owner can read, written as a whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Puts a file in place of the one that may be there. Makes its directory.
///
/// # Errors
/// What the system says. The old file is untouched then.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, |new| fs::rename(new, path))
}

/// Makes a file where none is. Makes its directory.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] if there is a file, which is untouched then.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    put(path, text, |new| {
        let linked = fs::hard_link(new, path);
        let _ = fs::remove_file(new);
        linked
    })
}

/// Makes the directory of a file, readable by its owner only, if it is not there.
///
/// # Errors
/// What the system says.
pub fn make_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory),
        None => Ok(()),
    }
}

/// Writes a file beside the one that is meant, and has `place` give it its name.
fn put(path: &Path, text: &str, place: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    make_directory_of(path)?;
    let new = beside(path);
    let mut file = create_new(&new)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| place(&new));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Returns a name beside the file that nobody else writes to.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{count}.new", std::process::id()));
    path.with_file_name(name)
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_made_once_and_replaced_as_a_whole() {
        let name = format!("chatixia-private-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let path = directory.join("below/file");
        create(&path, "first").unwrap();
        let error = create(&path, "second").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        replace(&path, "third").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let count = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(count, 1, "nothing is left beside it");
        fs::remove_dir_all(&directory).unwrap();
    }
}
