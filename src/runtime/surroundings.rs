//! The surroundings of this process, from which settings come.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::config::Surroundings;
use crate::limits;

/// The environment and the files of this process.
#[derive(Debug)]
pub struct OfProcess;

impl Surroundings for OfProcess {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn directory(&self) -> Option<PathBuf> {
        std::env::current_dir().ok()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        // Opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut text = String::new();
        let mut limited = File::open(path)?.take(limits::SETTINGS_FILE_BYTES + 1);
        limited.read_to_string(&mut text)?;
        if text.len() as u64 > limits::SETTINGS_FILE_BYTES {
            let most = limits::SETTINGS_FILE_BYTES;
            return Err(io::Error::other(format!("it has more than {most} bytes")));
        }
        Ok(text)
    }
}
