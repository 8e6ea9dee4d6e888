//! The `pair` subcommand: redeems the code of an invitation, waits until a person at the registry approves,
//! and writes the device token to a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use crate::config::{Credential, PairConfig};
use crate::limits;
use crate::output;
use crate::runtime::signaling::{Device, PairingClient, PairingError, Settings, tls};
use crate::secret::Secret;

/// The reason why there is no token, for a person, and the exit code.
struct Failure(String, u8);

/// Pairs this machine. Prints what happens, and what to do next.
pub fn run(config: &PairConfig) -> ExitCode {
    match pair(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(why, code)) => {
            let _ = writeln!(io::stderr(), "chatixia-sidecar: {why}");
            ExitCode::from(code)
        }
    }
}

fn pair(config: &PairConfig) -> Result<(), Failure> {
    let tls = tls::client_config(&config.trust).map_err(|error| Failure(error.to_string(), 2))?;
    // No token is asked for here, so there is no key.
    let no_key = Credential::ApiKey(Secret::new(String::new()));
    let url = config.token_url.clone();
    let settings = Settings::new(url.clone(), url, no_key, tls);
    let client = PairingClient::new(&settings.with_proxies(config.proxies.clone()));
    let name = config.name.clone().unwrap_or_else(host_name);
    // A code is good for one try, so it is not redeemed for a token that can't be written.
    let place = TokenFile::reserve(&config.file).map_err(|why| Failure(why, 2))?;
    let device = client.redeem(&config.code, &name).map_err(failed)?;
    let peer_id = &device.peer_id;
    output::print(&format!(
        "paired with {} as {peer_id}, agent {name:?}; waiting for approval\n\
         on the registry's machine: chatixia-sidecar registry approve {peer_id}\n",
        client.place()
    ));
    let token = await_approval(&client, &device)?;
    let file = place
        .fill(&token)
        .map_err(|why| Failure(format!("the token is lost, pair again: {why}"), 1))?;
    output::print(&format!(
        "approved; the device token is in {file}\n\
         start the sidecar with it: DEVICE_TOKEN=\"$(cat {file})\" chatixia-sidecar\n",
        file = file.display()
    ));
    Ok(())
}

fn await_approval(client: &PairingClient, device: &Device) -> Result<Secret, Failure> {
    let deadline = Instant::now() + limits::PAIRING_PATIENCE;
    while Instant::now() < deadline {
        match client.state(&device.id) {
            Ok(now) => match (now.status.as_str(), now.token()) {
                ("pending_approval", _) => {}
                ("approved", Some(token)) => return Ok(token),
                ("approved", None) => {
                    let why = "approved, but the registry no longer tells the token; pair again";
                    return Err(Failure(why.to_owned(), 1));
                }
                (status, _) => {
                    let why = format!("the registry says: {}", status.escape_debug());
                    return Err(Failure(why, 1));
                }
            },
            Err(PairingError::Refused(why)) => return Err(Failure(why, 1)),
            // It may be back before anybody approves.
            Err(PairingError::Failed(why)) => log::warn!("asking again: {why}"),
        }
        thread::sleep(limits::PAIRING_INTERVAL);
    }
    Err(Failure("nobody has approved within a day".to_owned(), 1))
}

fn failed(error: PairingError) -> Failure {
    match error {
        PairingError::Refused(why) | PairingError::Failed(why) => Failure(why, 1),
    }
}

/// Returns this machine's name.
fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// A file beside that of the token, which takes its place once it holds the token. It is removed if that
/// does not happen.
struct TokenFile {
    file: File,
    new: PathBuf,
    path: PathBuf,
}

impl TokenFile {
    /// Makes it, readable by its owner only. An existing token is not touched.
    fn reserve(path: &Path) -> Result<TokenFile, String> {
        let shown = path.display();
        if path.exists() {
            return Err(format!(
                "{shown} is there already; move it away, or name another DEVICE_TOKEN_FILE"
            ));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&new);
        let file = made.map_err(|error| format!("{shown} cannot be written: {error}"))?;
        Ok(TokenFile {
            file,
            new,
            path: path.to_owned(),
        })
    }

    /// Writes the token and gives the file its name.
    fn fill(mut self, token: &Secret) -> Result<PathBuf, String> {
        let written = self
            .file
            .write_all(token.reveal().as_bytes())
            .and_then(|()| self.file.write_all(b"\n"))
            .and_then(|()| self.file.sync_all())
            .and_then(|()| fs::rename(&self.new, &self.path));
        written
            .map(|()| self.path.clone())
            .map_err(|error| format!("{} cannot be written: {error}", self.path.display()))
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // After `fill` it has another name.
        let _ = fs::remove_file(&self.new);
    }
}
