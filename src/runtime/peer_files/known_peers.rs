//! `KNOWN_PEERS`: reads the file, and has a thread add a line for each peer that is met for the first time.
//!
//! Several sidecars may share the file. What one adds the others know when they are started, or get SIGHUP.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::{FlockOperation, flock};

use crate::limits;
use crate::mesh::trust::known_peers::{Familiarity, KnownPeer, KnownPeers};
use crate::private_file;

/// The bits of a file's mode that let others than its owner change it.
const OTHERS_MAY_WRITE: u32 = 0o022;

/// Reads the file. One that is not there knows nobody.
///
/// # Errors
/// A line for a person, with the number of the line that can't be read.
pub(crate) fn load(path: &Path) -> Result<KnownPeers, String> {
    let problem = |why: String| format!("KNOWN_PEERS={}: {why}", path.display());
    let found = super::read(path, limits::KNOWN_PEERS_FILE_BYTES);
    let found = found.map_err(|error| problem(format!("it can't be read: {error}")))?;
    let mode = found.as_ref().map(|found| found.mode);
    if let Some(mode) = mode.filter(|mode| mode & OTHERS_MAY_WRITE != 0) {
        let why = format!(
            "others can change it (mode {:04o}), and so whom we trust; make it 0644 or 0600",
            mode & 0o7777
        );
        return Err(problem(why));
    }
    let text = found.map(|found| found.text).unwrap_or_default();
    KnownPeers::parse(path.display().to_string(), &text)
        .map_err(|why| format!("KNOWN_PEERS: {why}"))
}

/// The thread that adds lines. When this is dropped, what waits is written if that takes no longer than a moment.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `None` only while it is being dropped.
    new: Option<Sender<KnownPeer>>,
    ended: Receiver<()>,
    unwritten: Unwritten,
    refused: Receiver<Refused>,
}

/// A peer that was met for the first time by one certificate, while another process has written another into the file.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) known: KnownPeer,
    /// What the file has.
    pub(crate) file: KnownPeers,
}

/// The peers that were to be added and are not in the file, for as long as this process runs.
type Unwritten = Arc<Mutex<Vec<KnownPeer>>>;

fn lock(unwritten: &Unwritten) -> MutexGuard<'_, Vec<KnownPeer>> {
    unwritten.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the end of the process waits for what is still to be written.
const LAST_LINES: Duration = Duration::from_millis(300);

impl Writer {
    /// Starts the thread. It calls `notify` when there is a [`Refused`] to be taken.
    ///
    /// # Errors
    /// If the system has none.
    pub(crate) fn start(path: PathBuf, notify: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (new, lines) = bounded::<KnownPeer>(limits::KNOWN_PEERS_TO_WRITE);
        let (is_refused, refused) = bounded(limits::KNOWN_PEERS_TO_WRITE);
        let (has_ended, ended) = bounded(0);
        let unwritten = Unwritten::default();
        let of_thread = unwritten.clone();
        thread::Builder::new()
            .name("known peers".to_owned())
            .spawn(move || {
                for known in lines {
                    let Some(added) = write(&path, &known) else {
                        continue;
                    };
                    lock(&of_thread).retain(|other| *other != known);
                    if let Added::Differs(file) = added {
                        // If there are many, this waits for the loop. At the end there is nobody to take it.
                        let _ = is_refused.send(Refused { known, file });
                        notify();
                    }
                }
                drop(has_ended);
            })?;
        Ok(Writer {
            new: Some(new),
            ended,
            unwritten,
            refused,
        })
    }

    /// Returns the next peer that is not the one in the file.
    pub(crate) fn next_refused(&self) -> Option<Refused> {
        self.refused.try_recv().ok()
    }

    /// Has a peer added. Returns at once.
    pub(crate) fn add(&self, known: KnownPeer) {
        let mut unwritten = lock(&self.unwritten);
        if unwritten.len() < limits::KNOWN_PEERS {
            unwritten.push(known.clone());
        }
        drop(unwritten);
        let sent = self.new.as_ref().map(|new| new.try_send(known));
        if let Some(Err(error)) = sent {
            let known = error.into_inner();
            log::warn!("{} is not remembered: too many are new", known.peer);
        }
    }

    /// Returns the peers that are not in the file, or not yet.
    pub(crate) fn unwritten(&self) -> Vec<KnownPeer> {
        lock(&self.unwritten).clone()
    }
}

/// Adds peers that are not in the file to what it has, except where it knows them by another certificate.
pub(crate) fn add_unwritten(read: &mut KnownPeers, unwritten: &[KnownPeer]) {
    for known in unwritten {
        let familiarity = read.familiarity(&known.peer, &known.certificate);
        if familiarity == Familiarity::New && read.has_room() {
            read.add(known.clone());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.new = None;
        // The thread may wait for somebody to take what it has to tell.
        self.refused = crossbeam_channel::never();
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}

/// Adds a peer. Returns what became of it; `None`: the file can't be read or written.
fn write(path: &Path, known: &KnownPeer) -> Option<Added> {
    let shown = path.display();
    match add(path, known) {
        Ok(added) => {
            if added == Added::Line {
                log::info!("{shown} now has {known}");
            }
            Some(added)
        }
        Err(error) => {
            log::warn!(
                "{} is not remembered beyond our end: {shown}: {error}",
                known.peer
            );
            None
        }
    }
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
enum Added {
    Line,
    /// It was there already.
    Nothing,
    /// The file has another certificate for the peer, and this is all that it has.
    Differs(KnownPeers),
}

/// Adds a line, unless another sidecar has added one for the same peer meanwhile.
fn add(path: &Path, known: &KnownPeer) -> io::Result<Added> {
    private_file::make_directory_of(path)?;
    let mut options = OpenOptions::new();
    let options = options.read(true).append(true).create(true).mode(0o600);
    let mut file = options.open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    let text = text_of(&file)?;
    let there = KnownPeers::parse(path.display().to_string(), &text).map_err(io::Error::other)?;
    match there.familiarity(&known.peer, &known.certificate) {
        Familiarity::Known => return Ok(Added::Nothing),
        Familiarity::Other { .. } => return Ok(Added::Differs(there)),
        Familiarity::New => {}
    }
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let length = file.metadata()?.len();
    let line = format!("{end}{known}\n");
    let written = file.write_all(line.as_bytes());
    if let Err(error) = written.and_then(|()| file.sync_data()) {
        // On a full disk half the line may be there, which would be a damaged file, or another's name.
        let _ = file.set_len(length);
        return Err(error);
    }
    Ok(Added::Line)
}

fn text_of(file: &File) -> io::Result<String> {
    let mut text = String::new();
    file.take(limits::KNOWN_PEERS_FILE_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::TestDirectory;
    use super::*;
    use crate::protocol::PeerId;

    fn known(name: &str, byte: &str) -> KnownPeer {
        KnownPeer {
            peer: PeerId::new(name).unwrap(),
            certificate: vec![byte; 32].join(":"),
        }
    }

    #[test]
    fn who_could_not_be_written_is_still_known_when_the_file_is_read_again() {
        let directory = TestDirectory::new("known-unwritten");
        // No file can be made below a file.
        let blocked = directory.0.join("file");
        fs::write(&blocked, "").unwrap();
        let path = blocked.join("known_peers");
        let writer = Writer::start(path, || {}).unwrap();
        writer.add(known("a", "01"));
        writer.add(known("b", "02"));
        let text = format!("{}\n", known("b", "03"));
        let mut read = KnownPeers::parse("file".to_owned(), &text).unwrap();
        add_unwritten(&mut read, &writer.unwritten());
        for (peer, familiarity) in [(known("a", "01"), true), (known("b", "02"), false)] {
            let found = read.familiarity(&peer.peer, &peer.certificate);
            assert_eq!(found == Familiarity::Known, familiarity);
        }
    }

    #[test]
    fn a_file_that_others_can_change_is_refused() {
        let directory = TestDirectory::new("known-open");
        let path = directory.0.join("known_peers");
        fs::write(&path, "").unwrap();
        for (mode, is_good) in [(0o620, false), (0o602, false), (0o644, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let loaded = load(&path);
            assert_eq!(loaded.is_ok(), is_good, "{loaded:?}");
        }
    }

    #[test]
    fn a_peer_is_added_once_and_never_beside_another_certificate() {
        let name = format!("chatixia-known-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let path = directory.join("known_peers");
        assert_eq!(load(&path).unwrap().file(), path.display().to_string());
        assert_eq!(add(&path, &known("a", "01")).unwrap(), Added::Line);
        assert_eq!(add(&path, &known("a", "01")).unwrap(), Added::Nothing);
        let differs = add(&path, &known("a", "02")).unwrap();
        assert_eq!(differs, Added::Differs(load(&path).unwrap()));
        // An editor may have left the last line without its end.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.trim_end()).unwrap();
        let writer = Writer::start(path.clone(), || {}).unwrap();
        writer.add(known("b", "03"));
        drop(writer);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(KnownPeer::parse).collect();
        assert_eq!(lines, [Some(known("a", "01")), Some(known("b", "03"))]);

        fs::write(&path, "nonsense\n").unwrap();
        assert!(load(&path).unwrap_err().contains("line 1 "));
        let refused = add(&path, &known("c", "04")).unwrap_err();
        assert!(refused.to_string().contains("line 1 "), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense\n");
        fs::remove_dir_all(&directory).unwrap();
    }
}
