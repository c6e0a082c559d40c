//! The ed25519 key that signs the log, made on the first start and kept in the journal's folder.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::{
    Error,
    digest::{from_hex, to_hex},
};

/// The private half, readable by its owner alone.
const PRIVATE: &str = "key";

/// The public half, for `audit verify` on another machine.
pub(crate) const PUBLIC: &str = "key.pub";

/// Signs records.
pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn open_or_create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(PRIVATE);
        let key = match fs::read_to_string(&path) {
            Ok(text) => {
                let bytes = from_hex::<32>(text.trim()).ok_or(Error::Key { path })?;
                SigningKey::from_bytes(&bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes).map_err(|error| Error::Entropy {
                    reason: error.to_string(),
                })?;
                let beside = folder.join("key.new");
                write_private(&beside, &to_hex(&bytes))
                    .and_then(|()| fs::rename(&beside, &path))
                    .map_err(Error::io("write", &path))?;
                SigningKey::from_bytes(&bytes)
            }
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let public = folder.join(PUBLIC);
        if !public.exists() {
            let text = format!("{}\n", to_hex(key.verifying_key().as_bytes()));
            fs::write(&public, text).map_err(Error::io("write", &public))?;
        }
        Ok(Self(key))
    }

    /// Opens the key that is there.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(PRIVATE);
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let bytes = from_hex::<32>(text.trim()).ok_or(Error::Key { path })?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    pub(crate) fn public(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Reads the public half.
pub(crate) fn public(folder: &Path) -> Result<VerifyingKey, Error> {
    let path = folder.join(PUBLIC);
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    from_hex::<32>(text.strip_suffix('\n').unwrap_or_default())
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
        .ok_or(Error::Key { path })
}

/// Reads the public half, and checks that the private one belongs to it when it is there.
pub(crate) fn checked_public(folder: &Path) -> Result<VerifyingKey, Error> {
    let key = public(folder)?;
    let path = folder.join(PRIVATE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let private = from_hex::<32>(text.trim_end_matches('\n'));
            let fits =
                private.is_some_and(|bytes| SigningKey::from_bytes(&bytes).verifying_key() == key);
            fits.then_some(key).ok_or(Error::Key { path })
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Error::Key { path }),
        Err(_) => Ok(key),
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
