//! The files of trust: our own certificate, and those of the peers that we know.

pub(crate) mod identity;
pub(crate) mod known_peers;

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

const NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();

/// A file's text and its mode, the bits that say who may do what.
struct Found {
    text: String,
    mode: u32,
}

/// Reads a regular file of at most `most` bytes; `None` if there is none.
fn read(path: &Path, most: u64) -> io::Result<Option<Found>> {
    // Opening a pipe would wait for its writer. The file that was opened is asked, since the path may soon lead to
    // another.
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut file = file.take(most + 1);
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    let mode = metadata.permissions().mode();
    Ok(Some(Found { text, mode }))
}
