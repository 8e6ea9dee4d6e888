//! The surroundings of this process, from which settings come.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::small_file;
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
        Ok(small_file::read(path, limits::SETTINGS_FILE_BYTES)?.text)
    }
}
