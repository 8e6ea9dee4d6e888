//! The settings that say which certificates are trusted.

use std::ffi::OsString;
use std::path::PathBuf;

use super::settings::{self, Reader};
use super::values;

/// The certificates that are trusted beside the public roots in the binary. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// `CA_FILE`: authorities, and servers' own certificates.
    pub ca_file: Option<PathBuf>,
    /// The system's authorities.
    pub system: SystemStore,
}

/// The place of the system's authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SystemStore {
    /// None is read.
    #[default]
    None,
    /// Where distributions have it.
    Usual,
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    Named {
        /// A file of certificates in PEM form.
        file: Option<PathBuf>,
        /// Directories of such files.
        directories: Vec<PathBuf>,
    },
}

impl Trust {
    pub(super) fn read(reader: &mut Reader<'_, impl Fn(&str) -> Option<OsString>>) -> Self {
        let file = reader.read(&settings::SSL_CERT_FILE, values::optional_path);
        let directories = reader.read(&settings::SSL_CERT_DIR, |text| {
            let named = text.split(':').filter(|path| !path.is_empty());
            Ok(named.map(PathBuf::from).collect::<Vec<_>>())
        });
        let is_named = file.is_some() || !directories.is_empty();
        Trust {
            ca_file: reader.read(&settings::CA_FILE, values::optional_path),
            system: match is_named {
                true => SystemStore::Named { file, directories },
                false => SystemStore::Usual,
            },
        }
    }
}
