//! The registry's data directory (`REGISTRY_DATA`): one file with the state that outlives the process, which
//! is replaced as a whole and readable by its owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::limits;
use super::secrets::hash;
use super::store::Lasting;

/// The name of the control socket in the directory.
pub const CONTROL_SOCKET: &str = "control.sock";

const FILE: &str = "registry.json";
const NEW_FILE: &str = "registry.json.new";
const LOCK_FILE: &str = "lock";

/// The version of the file's form.
const FORMAT: u32 = 1;

/// The file's content. The state is checked before it is parsed.
#[derive(Serialize, Deserialize)]
struct Content {
    format: u32,
    /// The hash of the state's text.
    sha256: String,
    state: Box<RawValue>,
}

/// Opens the directory, which is made if it is not there, and reads the state in it.
///
/// # Errors
/// Says why it can't be used: a damaged file is never taken for an empty one.
pub(super) fn open(path: &Path) -> Result<(Saver, Lasting), String> {
    let lock = lock(path)?;
    let file = path.join(FILE);
    let lasting = match File::open(&file) {
        Ok(opened) => read(opened).map_err(|why| {
            format!(
                "its file {FILE} {why}; put a copy from a backup in its place, or remove it to begin \
                 without keys and devices"
            )
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Lasting::default(),
        Err(error) => return Err(failed(&format!("its file {FILE} cannot be read"), error)),
    };
    // A directory that can't be written to is told now, not when the first key is lost.
    write(
        path,
        &content(&lasting).map_err(|error| failed("its state", error))?,
    )
    .map_err(|error| failed(&format!("its file {FILE} cannot be written"), error))?;
    let saver = Saver::start(path.to_owned(), lock)
        .map_err(|error| failed("there is no thread to write it", error))?;
    Ok((saver, lasting))
}

/// Makes the directory if it is not there, and locks it until the file that is returned is closed.
///
/// # Errors
/// Says why it can't be used.
pub(super) fn lock(path: &Path) -> Result<File, String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| failed("it cannot be made", error))?;
    let lock = owner_only(&path.join(LOCK_FILE))
        .map_err(|error| failed("its lock file cannot be made", error))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| "another registry uses it".to_owned())?;
    Ok(lock)
}

fn failed(what: &str, error: io::Error) -> String {
    format!("{what}: {error}")
}

fn read(file: File) -> Result<Lasting, String> {
    let mut text = String::new();
    let read = file.take(limits::DATA_FILE_BYTES).read_to_string(&mut text);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    // The parser's own text may quote what it found, which may be a secret.
    let damaged = |error: serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        format!("is damaged (line {line}, column {column})")
    };
    let content: Content = serde_json::from_str(&text).map_err(damaged)?;
    if content.format != FORMAT {
        let format = content.format;
        return Err(format!(
            "has the form {format}, and this release knows {FORMAT}"
        ));
    }
    if hash(content.state.get()) != content.sha256 {
        return Err("is damaged: it is not as it was written".to_owned());
    }
    serde_json::from_str(content.state.get()).map_err(damaged)
}

/// Returns the file's content for a state.
fn content(lasting: &Lasting) -> io::Result<Vec<u8>> {
    let state = serde_json::value::to_raw_value(lasting)?;
    let content = Content {
        format: FORMAT,
        sha256: hash(state.get()),
        state,
    };
    Ok(serde_json::to_vec(&content)?)
}

/// Replaces the file. Whenever the machine fails, there is the old file or the new one.
fn write(directory: &Path, content: &[u8]) -> io::Result<()> {
    let (new, file) = (directory.join(NEW_FILE), directory.join(FILE));
    // One that was left behind may be readable for others.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = owner_only(&new)?;
    written.write_all(content)?;
    written.sync_all()?;
    fs::rename(&new, &file)?;
    File::open(directory)?.sync_all()
}

/// Opens a file for writing, which is made readable by its owner only if it is not there.
fn owner_only(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// A state to write, and where to tell how that went if somebody waits for it.
struct Job {
    lasting: Lasting,
    told: Option<Sender<io::Result<()>>>,
}

/// Writes the file on a thread of its own, because a disk may take long, and a large state as well.
pub(super) struct Saver {
    jobs: Sender<Job>,
    has_failed: Arc<AtomicBool>,
}

impl Saver {
    fn start(directory: PathBuf, lock: File) -> io::Result<Self> {
        let (jobs, waiting) = bounded::<Job>(1);
        let has_failed = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&has_failed);
        thread::Builder::new()
            .name("registry data".to_owned())
            .spawn(move || {
                // The directory is ours until the last job is done.
                let _lock = lock;
                write_all(&directory, &waiting, &failing);
            })?;
        Ok(Saver { jobs, has_failed })
    }

    /// Writes a state and waits until it is on the disk.
    pub(super) fn save_now(&self, lasting: &Lasting) -> io::Result<()> {
        let (told, outcome) = bounded(1);
        let job = Job {
            lasting: lasting.clone(),
            told: Some(told),
        };
        let has_ended = || io::Error::other("the thread that writes it has ended");
        self.jobs.send(job).map_err(|_| has_ended())?;
        outcome.recv().map_err(|_| has_ended())?
    }

    /// Has a state written soon. Returns whether it will be: an earlier one may still be waiting.
    pub(super) fn save_soon(&self, lasting: &Lasting) -> bool {
        if self.jobs.is_full() {
            return false;
        }
        let job = Job {
            lasting: lasting.clone(),
            told: None,
        };
        self.jobs.try_send(job).is_ok()
    }

    /// Returns whether the last writing has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }
}

fn write_all(directory: &Path, jobs: &Receiver<Job>, has_failed: &AtomicBool) {
    for job in jobs {
        let written = content(&job.lasting).and_then(|content| write(directory, &content));
        if has_failed.swap(written.is_err(), Ordering::Relaxed) != written.is_err() {
            match &written {
                Ok(()) => log::info!("the data file can be written again"),
                Err(error) => log::error!("the data file cannot be written: {error}"),
            }
        }
        if let Some(told) = job.told {
            // Who has asked may have gone.
            let _ = told.send(written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::PeerId;
    use crate::registry::store::Store;
    use crate::registry::store::keys::Keys;
    use crate::registry::unix_time::UnixTime;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, Instant};

    /// A directory that is removed at the end.
    struct Place(PathBuf);

    impl Place {
        fn new(test: &str) -> Self {
            let name = format!("chatixia-data-{test}-{}", std::process::id());
            Place(std::env::temp_dir().join(name))
        }

        fn file(&self) -> PathBuf {
            self.0.join(FILE)
        }

        /// Opens it when the thread of an earlier one has let go.
        fn open(&self) -> Result<(Saver, Lasting), String> {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                match open(&self.0) {
                    Err(why) if why.contains("another registry") && Instant::now() < deadline => {
                        thread::yield_now();
                    }
                    opened => return opened,
                }
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn store(lasting: Lasting) -> Store {
        let keys = Keys::Listed([].into());
        Store::new(keys, Duration::from_secs(300), lasting)
    }

    fn with_key(key: &str) -> Store {
        let mut store = store(Lasting::default());
        let peer = PeerId::new("a-sidecar").unwrap();
        store.add_key(UnixTime::now(), "a", peer, key).unwrap();
        store
    }

    #[test]
    fn what_was_saved_is_there_again_and_readable_by_its_owner_only() {
        let place = Place::new("saved");
        let (saver, lasting) = place.open().unwrap();
        assert!(store(lasting).member("ak_1").is_none());
        saver.save_now(with_key("ak_1").lasting()).unwrap();
        drop(saver);
        let mode = fs::metadata(place.file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mode = fs::metadata(&place.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let text = fs::read_to_string(place.file()).unwrap();
        assert!(!text.contains("ak_1"), "only the hash is kept: {text}");
        let (_, lasting) = place.open().unwrap();
        let member = store(lasting).member("ak_1").unwrap();
        assert_eq!(member.peer_id.as_str(), "a-sidecar");
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_as_it_is() {
        let place = Place::new("damaged");
        let (saver, _) = place.open().unwrap();
        saver.save_now(with_key("ak_1").lasting()).unwrap();
        drop(saver);
        let good = fs::read_to_string(place.file()).unwrap();
        for damaged in [
            String::new(),
            good[..good.len() / 2].to_owned(),
            good.replace("a-sidecar", "b-sidecar"),
            good.replace("\"format\":1", "\"format\":2"),
        ] {
            fs::write(place.file(), &damaged).unwrap();
            let why = place.open().err().unwrap();
            assert!(why.starts_with("its file registry.json "), "{why}");
            assert_eq!(fs::read_to_string(place.file()).unwrap(), damaged);
        }
        fs::write(place.file(), good).unwrap();
        assert!(place.open().is_ok());
    }

    #[test]
    fn two_registries_do_not_share_a_directory() {
        let place = Place::new("shared");
        let (_saver, _) = place.open().unwrap();
        let why = open(&place.0).err().unwrap();
        assert_eq!(why, "another registry uses it");
    }

    #[test]
    fn a_failure_is_told_and_passes() {
        let place = Place::new("failing");
        let (saver, lasting) = place.open().unwrap();
        let moved = place.0.with_extension("moved");
        fs::rename(&place.0, &moved).unwrap();
        assert!(saver.save_now(&lasting).is_err());
        assert!(saver.has_failed());
        fs::rename(&moved, &place.0).unwrap();
        assert!(saver.save_now(&lasting).is_ok());
        assert!(!saver.has_failed());
    }
}
