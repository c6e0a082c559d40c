//! Sealed files: a signed header line and a payload whose digest it holds. Written whole, never changed.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{
    Digest, Error,
    digest::{from_hex, to_hex},
    key::Key,
};

/// Longest header line that is read: headers have a dozen short fields.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

/// What stands in the first line of a sealed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// `segment`, `state` or `pack`.
    pub(crate) kind: String,
    /// First record, or the pack's number.
    pub(crate) first: u64,
    /// Last record, or the number of blobs.
    pub(crate) last: u64,
    /// The hash before the first record.
    pub(crate) before: Digest,
    /// The hash of the last record.
    pub(crate) head: Digest,
    /// When the first record was written.
    pub(crate) from_ms: i64,
    /// When the last record was written.
    pub(crate) to_ms: i64,
    /// The number of blocks of a pack.
    #[serde(default)]
    pub(crate) blocks: u32,
    /// Bytes of the payload before it was compressed.
    pub(crate) raw: u64,
    /// Bytes of the payload.
    pub(crate) bytes: u64,
    /// The payload's digest.
    pub(crate) payload: Digest,
}

/// Makes a sealed file durable under its final name.
pub(crate) fn write_sealed(
    path: &Path,
    header: &Header,
    payload: &[u8],
    key: &Key,
) -> Result<(), Error> {
    let text = serde_json::to_string(header).expect("plain fields");
    let signature = key.sign(Digest::of(text.as_bytes()).as_bytes());
    let mut bytes = format!("{text} {}\n", to_hex(&signature)).into_bytes();
    bytes.extend_from_slice(payload);
    write_durably(path, &bytes).map_err(Error::io("write", path))
}

/// Writes what is known of a segment beside it: compressed JSON, with a header of its own kind.
pub(crate) fn write_beside(
    path: &Path,
    kind: &str,
    value: &impl Serialize,
    level: i32,
    (segment, key): (&Header, &Key),
) -> Result<(), Error> {
    let text = serde_json::to_vec(value).expect("plain JSON");
    let payload = zstd::encode_all(&text[..], level).map_err(Error::io("compress", path))?;
    let header = Header {
        kind: kind.to_owned(),
        raw: text.len() as u64,
        bytes: payload.len() as u64,
        payload: Digest::of(&payload),
        ..segment.clone()
    };
    write_sealed(path, &header, &payload, key)
}

/// Reads the header alone; the signature is checked when a key is given. Returns where the payload begins too.
pub(crate) fn read_header(path: &Path, key: Option<&VerifyingKey>) -> Result<(Header, u64), Error> {
    let changed = |what: &str| Error::Changed {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut line = Vec::new();
    BufReader::new(file.take(HEADER_BYTES_MAX))
        .read_until(b'\n', &mut line)
        .map_err(Error::io("read", path))?;
    let start = line.len() as u64;
    if line.pop() != Some(b'\n') {
        return Err(changed("its first line has no end"));
    }
    let line = String::from_utf8(line).map_err(|_| changed("its first line is not text"))?;
    let (text, signature) = line
        .rsplit_once(' ')
        .ok_or_else(|| changed("its first line has no signature"))?;
    if let Some(key) = key {
        let signature =
            from_hex::<64>(signature).ok_or_else(|| changed("its signature is unreadable"))?;
        let digest = Digest::of(text.as_bytes());
        key.verify_strict(digest.as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| changed("its signature does not fit"))?;
    }
    let header = serde_json::from_str(text).map_err(|error| changed(&error.to_string()))?;
    Ok((header, start))
}

/// Reads header and payload, and checks the payload.
pub(crate) fn read_sealed(
    path: &Path,
    key: Option<&VerifyingKey>,
) -> Result<(Header, Vec<u8>), Error> {
    let (header, start) = read_header(path, key)?;
    let mut bytes = fs::read(path).map_err(Error::io("read", path))?;
    let start = usize::try_from(start)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let payload = bytes.split_off(start);
    if payload.len() as u64 != header.bytes || Digest::of(&payload) != header.payload {
        return Err(Error::Changed {
            path: path.to_owned(),
            what: "its content does not fit its first line".to_owned(),
        });
    }
    Ok((header, payload))
}

/// Writes beside `path`, syncs, renames and syncs the folder: after this returns, a power cut loses nothing.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = beside(path);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(folder)
}

/// The name a file has until it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// A renamed file survives a power cut only when its folder is synced too. Windows offers no such call.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

/// Creates a folder that its owner alone can enter: compiled objects are nobody else's business.
pub(crate) fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// The numbers of a folder's files with an ending, sorted.
pub(crate) fn numbered(folder: &Path, ending: &str) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let name = entry.map_err(Error::io("read", folder))?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_suffix(ending)?.parse().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}
