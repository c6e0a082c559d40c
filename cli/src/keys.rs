//! Where age keys lie: beside the cluster's own keys, and where `sops` looks for them.

use crate::commands::report;
use miette::Result;
use ordain_lang_secrets::{Identity, KeyError, Random, Recipient, identities};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Holds keys, one per line, as `sops` reads it.
const KEY_VARIABLE: &str = "SOPS_AGE_KEY";
/// Names a file with keys, as `sops` reads it.
const FILE_VARIABLE: &str = "SOPS_AGE_KEY_FILE";

/// Keys that cannot be had. No message shows one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error("cannot read the age keys in {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the age key {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the age keys of {place} cannot be used")]
    Parse {
        place: String,
        #[source]
        source: KeyError,
    },
}

/// Where keys are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    data_dir: PathBuf,
}

impl Keys {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
        }
    }

    /// The file of the cluster's own key.
    pub(crate) fn own_file(&self) -> PathBuf {
        self.data_dir.join("age").join("keys.txt")
    }

    /// Makes the cluster's own key when there is none, readable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be written, or what is there is no key.
    pub(crate) fn ensure_own(&self) -> Result<Recipient, KeysError> {
        let path = self.own_file();
        if let Some(first) = read_file(&path)?.first() {
            return Ok(first.recipient());
        }
        let key = Identity::generate(&mut SystemRandom);
        let recipient = key.recipient();
        let text = format!("# public key: {recipient}\n{}\n", key.to_text().as_str());
        let write = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
                options.mode(0o600);
            }
            let mut file = options.open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| KeysError::Write {
            path: path.clone(),
            source,
        })?;
        Ok(recipient)
    }

    /// The keys that are there now: the cluster's own, then those of `sops`.
    ///
    /// # Errors
    /// When a file that is there cannot be read, or holds something else.
    pub(crate) fn load(&self) -> Result<Vec<Identity>, KeysError> {
        let mut keys = read_file(&self.own_file())?;
        if let Some(path) = std::env::var_os(FILE_VARIABLE) {
            keys.extend(read_file(Path::new(&path))?);
        }
        if let Ok(text) = std::env::var(KEY_VARIABLE) {
            keys.extend(parse(&text, &format!("${KEY_VARIABLE}"))?);
        }
        if let Some(path) = sops_file() {
            keys.extend(read_file(&path)?);
        }
        Ok(keys)
    }

    /// Where keys were looked for, in words.
    pub(crate) fn places(&self) -> String {
        format!(
            "{}, ${FILE_VARIABLE}, ${KEY_VARIABLE} and sops/age/keys.txt",
            self.own_file().display()
        )
    }
}

/// Where `sops` keeps keys when it is told nothing.
fn sops_file() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".config")))?;
    Some(config.join("sops").join("age").join("keys.txt"))
}

/// The keys of a file; none when it is not there.
fn read_file(path: &Path) -> Result<Vec<Identity>, KeysError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => ordain_lang_secrets::Wiped::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(KeysError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    parse(&text, &path.display().to_string())
}

fn parse(text: &str, place: &str) -> Result<Vec<Identity>, KeysError> {
    identities(text).map_err(|source| KeysError::Parse {
        place: place.to_owned(),
        source,
    })
}

/// The system's source of chance.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, out: &mut [u8]) {
        getrandom::fill(out).expect("the system gives random bytes");
    }
}

/// Adds the remedy.
pub(crate) fn keys_report(error: KeysError) -> miette::Report {
    let help = match &error {
        KeysError::Parse { .. } => {
            "a key file holds lines that begin with `AGE-SECRET-KEY-1`, and comments".to_owned()
        }
        _ => "make the file readable and writable for the user who runs this".to_owned(),
    };
    report(error, Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_key_is_made_once_and_belongs_to_its_owner() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::new(folder.path());
        let first = keys.ensure_own().expect("made");
        assert_eq!(keys.ensure_own().expect("kept"), first);
        assert!(
            keys.load()
                .expect("read")
                .iter()
                .any(|key| key.recipient() == first)
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(keys.own_file())
                .expect("there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0);
        }
        std::fs::write(keys.own_file(), "AGE-SECRET-KEY-1BROKEN\n").expect("written");
        let error = keys.load().expect_err("broken");
        assert!(!format!("{error:?} {error}").contains("BROKEN"));
    }
}
