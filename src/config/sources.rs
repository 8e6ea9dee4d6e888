//! The places that settings come from beside the flags: the environment, over a `.env` file, over the file that
//! `join` writes.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::env_file::EnvFile;
use super::settings::{self, Flags, Kind, Setting};

/// The file that is looked for in the working directory and above.
const ENV_FILE_NAME: &str = ".env";

/// The name of the file that `join` writes, in [`DIRECTORY`].
const CONFIG_FILE_NAME: &str = "config";

/// The directory of our files, below the user's directory for configuration.
const DIRECTORY: &str = "chatixia-sidecar";

/// The end of the name of a setting that names a file with the value of another.
const FILE_SUFFIX: &str = "_FILE";

/// The value of `ENV_FILE` and `CONFIG_FILE` for which no file is read.
pub(super) const NO_FILE: &str = "none";

/// Settings of a file that count for nothing if a place above it gives the other, which would give way to them.
const OUTDONE_BY: [(&str, &Setting); 3] = [
    (settings::DEVICE_TOKEN.name, &settings::API_KEY),
    (settings::SIGNALING_URL.name, &settings::REGISTRY_URL),
    (settings::TOKEN_URL.name, &settings::REGISTRY_URL),
];

/// The program's surroundings, as far as settings come from them.
pub trait Surroundings {
    /// Returns a variable of the environment.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Returns the working directory.
    fn directory(&self) -> Option<PathBuf>;

    /// Reads a file of settings.
    ///
    /// # Errors
    /// It is not there, not readable, no text, or too long.
    fn read(&self, path: &Path) -> io::Result<String>;
}

/// An environment alone: there are no files.
impl<F: Fn(&str) -> Option<OsString>> Surroundings for F {
    fn variable(&self, name: &str) -> Option<OsString> {
        self(name)
    }

    fn directory(&self) -> Option<PathBuf> {
        None
    }

    fn read(&self, _path: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The environment, and the files below it.
pub struct Sources<'a, S> {
    surroundings: &'a S,
    flags: &'a Flags,
    /// The files; the ones that win come first.
    files: Vec<EnvFile>,
    /// Settings whose values come from files of their own.
    secrets: Vec<(&'static str, String)>,
    known: &'a [&'static Setting],
    /// Lines that say which file gave which settings, never their values.
    pub notes: Vec<String>,
    /// Lines about files of which something can't be read.
    pub doubts: Vec<String>,
}

impl<'a, S: Surroundings> Sources<'a, S> {
    /// Reads the files, if these settings may come from files at all. Of a file only they count.
    ///
    /// # Errors
    /// A line about a file that was named and can't be read.
    pub fn read(
        flags: &'a Flags,
        known: &'a [&'static Setting],
        surroundings: &'a S,
    ) -> Result<Self, Vec<String>> {
        let mut sources = Sources {
            surroundings,
            flags,
            files: Vec::new(),
            secrets: Vec::new(),
            known,
            notes: Vec::new(),
            doubts: Vec::new(),
        };
        let files = [&settings::ENV_FILE, &settings::CONFIG_FILE].into_iter();
        let files = files.filter(|setting| known.contains(setting));
        let mut errors: Vec<_> = files
            .filter_map(|setting| sources.add(setting).err())
            .collect();
        let secrets = known.iter().filter(|setting| setting.kind == Kind::Secret);
        errors.extend(secrets.filter_map(|secret| sources.add_secret(secret).err()));
        if errors.is_empty() {
            Ok(sources)
        } else {
            Err(errors)
        }
    }

    /// Returns the value of a variable.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        // As with dotenv, an empty variable of the environment is one.
        self.surroundings
            .variable(name)
            .or_else(|| self.in_files(name))
            .or_else(|| self.in_its_file(name))
    }

    fn in_its_file(&self, name: &str) -> Option<OsString> {
        let found = self.secrets.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| OsString::from(value))
    }

    /// Reads a secret from the file that `NAME_FILE` names, if there is such a setting and nothing else gives the
    /// secret. The end of the last line is none of it.
    fn add_secret(&mut self, secret: &'static Setting) -> Result<(), String> {
        let named =
            |setting: &&&Setting| setting.name.strip_suffix(FILE_SUFFIX) == Some(secret.name);
        let Some(setting) = self.known.iter().find(named) else {
            return Ok(());
        };
        let given = self.variable(secret.name);
        if self.flags.has(secret) || given.is_some_and(|given| !given.is_empty()) {
            return Ok(());
        }
        let variable = || self.variable(setting.name)?.into_string().ok();
        let named = self.flags.get(setting).map(str::to_owned).or_else(variable);
        let Some(path) = named.filter(|named| !named.is_empty()) else {
            return Ok(());
        };
        let problem = |why: &str| format!("{}={path}: {why}", setting.name);
        let text = self.surroundings.read(Path::new(&path));
        let text = text.map_err(|error| problem(&error.to_string()))?;
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.is_empty() {
            return Err(problem("the file is empty"));
        }
        self.secrets.push((secret.name, value.to_owned()));
        Ok(())
    }

    fn in_files(&self, name: &str) -> Option<OsString> {
        if !self.known.iter().any(|setting| is_variable(setting, name)) {
            return None;
        }
        let mut values = self.files.iter().filter_map(|file| file.get(name));
        values.next().map(OsString::from)
    }

    /// Returns whether what the next file says of this name counts for nothing, because something above it
    /// takes its place.
    fn is_outdone(&self, name: &str) -> bool {
        let is_given = |setting: &Setting| {
            let value = self.variable(setting.name);
            self.flags.has(setting) || value.is_some_and(|value| !value.is_empty())
        };
        let mut outdone = OUTDONE_BY.iter();
        outdone.any(|(outdone, by)| *outdone == name && is_given(by))
    }

    /// Adds the file that a setting names, or the one that is looked for without it.
    fn add(&mut self, setting: &Setting) -> Result<(), String> {
        let variable = || self.surroundings.variable(setting.name)?.into_string().ok();
        let named = self.flags.get(setting).map(str::to_owned).or_else(variable);
        let found = match named.filter(|named| !named.is_empty()) {
            Some(named) if named == NO_FILE => None,
            Some(named) => {
                let path = PathBuf::from(named);
                let text = self
                    .surroundings
                    .read(&path)
                    .map_err(|error| format!("{}={}: {error}", setting.name, path.display()))?;
                Some((path, text))
            }
            None if *setting == settings::ENV_FILE => self.nearest(),
            None => self.usual(),
        };
        if let Some((path, text)) = found {
            self.take(&path, &text);
        }
        Ok(())
    }

    /// Returns the nearest `.env`, in the working directory or above.
    fn nearest(&mut self) -> Option<(PathBuf, String)> {
        let directory = self.surroundings.directory()?;
        let mut paths = directory.ancestors().map(|above| above.join(ENV_FILE_NAME));
        paths.find_map(|path| self.read_if_there(path))
    }

    /// Returns the file that `join` writes.
    fn usual(&mut self) -> Option<(PathBuf, String)> {
        let path = usual_config_file(|name| self.surroundings.variable(name))?;
        self.read_if_there(path)
    }

    fn read_if_there(&mut self, path: PathBuf) -> Option<(PathBuf, String)> {
        match self.surroundings.read(&path) {
            Ok(text) => Some((path, text)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) =>
            {
                None
            }
            Err(error) => {
                let doubt = format!("{} is not read: {error}", path.display());
                self.doubts.push(doubt);
                None
            }
        }
    }

    fn take(&mut self, path: &Path, text: &str) {
        let environment = |name: &str| self.surroundings.variable(name)?.into_string().ok();
        let mut file = EnvFile::parse(text, environment);
        file.values.retain(|(name, _)| !self.is_outdone(name));
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &file.values {
            let is_new = self.variable(name).is_none() && !names.contains(&name.as_str());
            let setting = self.known.iter().find(|setting| is_variable(setting, name));
            if is_new && setting.is_some_and(|setting| !self.flags.has(setting)) {
                names.push(name);
            }
        }
        if !names.is_empty() {
            let note = format!("settings from {}: {}", path.display(), names.join(", "));
            self.notes.push(note);
        }
        if let Some(line) = file.bad_line {
            self.doubts.push(format!(
                "{}: line {line} is no NAME=value; it is ignored, and so is what follows",
                path.display()
            ));
        }
        self.files.push(file);
    }
}

/// Returns whether a file may set this setting by this name.
fn is_variable(setting: &Setting, name: &str) -> bool {
    let names_a_file = [&settings::ENV_FILE, &settings::CONFIG_FILE].contains(&setting);
    match setting.kind {
        Kind::FlagOnly => false,
        Kind::Plain | Kind::Secret => setting.name == name && !names_a_file,
        Kind::Proxy => setting.name == name || setting.name.to_ascii_lowercase() == name,
    }
}

/// Returns where the file that `join` writes is, without `CONFIG_FILE`. `None`: the user has no directory.
pub(super) fn usual_config_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    usual_file(CONFIG_FILE_NAME, variable)
}

/// Returns where a file of ours with this name is, if no setting says so. `None`: the user has no directory.
pub(super) fn usual_file(
    name: &str,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let directory = |name| {
        let path = variable(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let configuration = directory("XDG_CONFIG_HOME")
        .or_else(|| directory("HOME").map(|home| home.join(".config")))?;
    Some(configuration.join(DIRECTORY).join(name))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// Variables, and files by their paths. The working directory is `/a/b`.
    struct Fake {
        variables: Vec<(&'static str, &'static str)>,
        files: Vec<(&'static str, &'static str)>,
    }

    impl Surroundings for Fake {
        fn variable(&self, name: &str) -> Option<OsString> {
            let found = self.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        }

        fn directory(&self) -> Option<PathBuf> {
            Some(PathBuf::from("/a/b"))
        }

        fn read(&self, path: &Path) -> io::Result<String> {
            let found = self
                .files
                .iter()
                .find(|(known, _)| Path::new(known) == path);
            match found {
                Some((_, "unreadable")) => Err(io::ErrorKind::PermissionDenied.into()),
                Some((_, text)) => Ok((*text).to_owned()),
                None => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    static NO_FLAGS: LazyLock<Flags> = LazyLock::new(Flags::default);

    fn sources(fake: &Fake) -> Sources<'_, Fake> {
        Sources::read(&NO_FLAGS, settings::SIDECAR, fake).unwrap()
    }

    #[test]
    fn the_environment_wins_over_env_which_wins_over_what_join_wrote() {
        let fake = Fake {
            variables: vec![("HOME", "/home/me"), ("MESH", "full"), ("IPV6", "")],
            files: vec![
                (
                    "/a/.env",
                    "MESH=lazy\nIPV6=off\nMAX_PEERS=1\nPATH=/evil\nENV_FILE=/x\n",
                ),
                ("/.env", "MAX_PEERS=2\nQUEUE_BYTES=3"),
                (
                    "/home/me/.config/chatixia-sidecar/config",
                    "MAX_PEERS=4\nREGISTRY_URL=https://host\nAPI_KEY=k\n",
                ),
            ],
        };
        let sources = sources(&fake);
        for (name, value) in [
            ("MESH", Some("full")),
            ("IPV6", Some("")),
            ("MAX_PEERS", Some("1")),
            ("QUEUE_BYTES", None),
            ("REGISTRY_URL", Some("https://host")),
            ("PATH", None),
            ("ENV_FILE", None),
        ] {
            assert_eq!(sources.variable(name), value.map(OsString::from), "{name}");
        }
        assert_eq!(
            sources.notes,
            [
                "settings from /a/.env: MAX_PEERS",
                "settings from /home/me/.config/chatixia-sidecar/config: REGISTRY_URL, API_KEY",
            ]
        );
        assert_eq!(sources.doubts, [""; 0]);
    }

    #[test]
    fn other_files_are_named_or_none() {
        let mut fake = Fake {
            variables: vec![("ENV_FILE", "/c"), ("CONFIG_FILE", "none"), ("HOME", "/h")],
            files: vec![
                ("/a/.env", "MESH=lazy"),
                ("/c", "MAX_PEERS=1\nwhat is this"),
                ("/h/.config/chatixia-sidecar/config", "MESH=lazy"),
            ],
        };
        let read = sources(&fake);
        assert_eq!(read.variable("MESH"), None);
        assert_eq!(read.variable("MAX_PEERS"), Some("1".into()));
        let doubt = "/c: line 2 is no NAME=value; it is ignored, and so is what follows";
        assert_eq!(read.doubts, [doubt]);

        fake.variables[0].1 = "/missing";
        let errors = Sources::read(&NO_FLAGS, settings::SIDECAR, &fake).err();
        assert_eq!(errors.unwrap(), ["ENV_FILE=/missing: entity not found"]);
        fake.variables[0].1 = "none";
        assert_eq!(sources(&fake).variable("MAX_PEERS"), None);
    }

    #[test]
    fn a_file_that_was_not_asked_for_and_cannot_be_read_is_a_doubt() {
        let fake = Fake {
            variables: vec![],
            files: vec![("/a/b/.env", "unreadable"), ("/a/.env", "MESH=lazy")],
        };
        let sources = sources(&fake);
        assert_eq!(sources.doubts, ["/a/b/.env is not read: permission denied"]);
    }

    #[test]
    fn a_place_that_gives_a_key_or_a_registry_is_not_outdone_by_one_below() {
        let mut fake = Fake {
            variables: vec![("CONFIG_FILE", "/config")],
            files: vec![
                ("/a/.env", "API_KEY=k\nREGISTRY_URL=https://host\n"),
                (
                    "/config",
                    "DEVICE_TOKEN=dt\nTOKEN_URL=https://other/token\n",
                ),
            ],
        };
        let names = ["DEVICE_TOKEN", "TOKEN_URL"];
        let given = |fake: &Fake| names.map(|name| sources(fake).variable(name).is_some());
        assert_eq!(given(&fake), [false, false]);
        fake.files[0].1 = "";
        assert_eq!(given(&fake), [true, true]);
        fake.variables.push(("API_KEY", "k"));
        assert_eq!(given(&fake), [false, true]);
    }

    #[test]
    fn a_secret_may_be_in_a_file_of_its_own() {
        let mut fake = Fake {
            variables: vec![("ENV_FILE", "/env")],
            files: vec![
                ("/env", "MESH_SECRET_FILE=/secret\n"),
                ("/secret", "two words \r\n"),
                ("/empty", "\n"),
            ],
        };
        let secret = |fake: &Fake| sources(fake).variable("MESH_SECRET");
        assert_eq!(secret(&fake), Some("two words ".into()));
        fake.variables.push(("MESH_SECRET", "nearer"));
        assert_eq!(secret(&fake), Some("nearer".into()));
        for (named, why) in [
            ("/missing", "entity not found"),
            ("/empty", "the file is empty"),
        ] {
            fake.variables[1] = ("MESH_SECRET_FILE", named);
            let errors = Sources::read(&NO_FLAGS, settings::SIDECAR, &fake).err();
            assert_eq!(
                errors.unwrap(),
                [format!("MESH_SECRET_FILE={named}: {why}")]
            );
        }
    }

    #[test]
    fn settings_that_take_no_files_read_none() {
        let fake = Fake {
            variables: vec![],
            files: vec![("/a/b/.env", "PORT=1")],
        };
        let sources = Sources::read(&NO_FLAGS, settings::REGISTRY, &fake).unwrap();
        assert_eq!(sources.variable("PORT"), None);
    }
}
