//! Reads files that somebody else writes: regular ones, of a limited size.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

const NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// A file's text and its mode, the bits that say who may do what.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) mode: u32,
}

/// Reads a regular file of at most `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Found> {
    // Opening a pipe would wait for its writer. The file that was opened is asked, since the path may soon lead to
    // another.
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    file.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    let mode = metadata.permissions().mode();
    Ok(Found { text, mode })
}
