//! Blobs by digest. New ones are appended to a pack; a full pack is sealed: similar blobs compressed together.
//!
//! A frame of the pack that is appended to is its stored length, a method, its raw length, its digest, a check
//! and its bytes. A sealed pack is a signed header, an index sorted by digest, a table of blocks, and the blocks.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ed25519_dalek::VerifyingKey;

use crate::{
    Digest, Error,
    entries::{self, ENTRY, PREFIX, numbers},
    files::{Header, numbered, read_header, read_sealed, sync_folder, write_sealed},
    key::Key,
    steps,
};

/// The folder of the packs.
pub(crate) const FOLDER: &str = "packs";

/// A pack is sealed when it is this long.
const PACK_BYTES: u64 = 32 * 1024 * 1024;

/// Blobs of a sealed pack are compressed together up to this many bytes. Larger blocks are smaller on disk,
/// and one of them is unpacked to read one blob.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Unpacked blocks that are kept: eight megabytes, which hold the objects of two thousand apps.
const UNPACKED_MAX: usize = 8;

/// How hard blocks are compressed.
const LEVEL: i32 = 9;

/// How hard a blob is compressed until its pack is sealed: hardly, somebody waits.
const FRAME_LEVEL: i32 = 1;

/// Blobs shorter than this are not compressed alone.
const FRAME_BYTES_MIN: usize = 128;

/// The largest blob: an app's inventory of a million objects is a tenth of it.
const BLOB_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Bytes before a frame's content.
const FRAME_HEAD: usize = 4 + 1 + 4 + 32 + CHECK;

/// Bytes of the digest of a frame as it is stored: packed bytes may differ and unpack to the same.
const CHECK: usize = 8;

/// Sealed packs in which a blob is looked for before it is stored again. A blob that was not used for so
/// long is stored twice, and the second one wins at the next compaction.
const LOOK_BACK: usize = 4;

/// A pack is written again when one in so many of its blobs, or more, is not needed any more.
const SWEEP_SHARE: usize = 10;

/// One entry of the table of blocks: where it begins, and its length packed and unpacked.
const BLOCK_ENTRY: usize = 8 + 4 + 4;

pub(crate) fn active_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.pack"))
}

pub(crate) fn sealed_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.packed"))
}

/// A sealed pack.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    blobs: u64,
    blocks: u32,
    /// Where the payload begins.
    start: u64,
}

/// What can be found where.
#[derive(Debug, Default)]
pub(crate) struct Packs {
    pub(crate) folder: PathBuf,
    /// Oldest first.
    pub(crate) sealed: Vec<Sealed>,
    active: u64,
    /// Where each blob of the active pack begins.
    frames: HashMap<Digest, u64>,
    /// The blocks that were unpacked last, the newest at the end: the objects of a set, and those of many
    /// apps that one commit changed, lie close together.
    unpacked: Mutex<Vec<Unpacked>>,
}

/// A block of a sealed pack.
#[derive(Debug)]
struct Unpacked {
    pack: u64,
    block: u32,
    content: Arc<Vec<u8>>,
}

/// The pack that is appended to.
pub(crate) struct Active {
    file: File,
    path: PathBuf,
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pack_bytes: u64,
}

/// Blobs on their way into the pack.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    bytes: Vec<u8>,
    /// Offsets within `bytes`.
    frames: HashMap<Digest, u64>,
    order: Vec<Digest>,
}

impl Staged {
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.frames.contains_key(digest)
    }

    pub(crate) fn len(&self) -> (usize, usize) {
        (self.bytes.len(), self.order.len())
    }

    /// Forgets what came after [`Staged::len`] was taken.
    pub(crate) fn truncate(&mut self, (bytes, blobs): (usize, usize)) {
        self.bytes.truncate(bytes);
        for digest in self.order.drain(blobs..) {
            self.frames.remove(&digest);
        }
    }

    pub(crate) fn add(&mut self, digest: Digest, bytes: &[u8]) {
        self.frames.insert(digest, self.bytes.len() as u64);
        self.order.push(digest);
        let packed = (bytes.len() >= FRAME_BYTES_MIN)
            .then(|| zstd::bulk::compress(bytes, FRAME_LEVEL).ok())
            .flatten()
            .filter(|packed| packed.len() < bytes.len());
        let (method, stored) = match &packed {
            Some(packed) => (1, packed.as_slice()),
            None => (0, bytes),
        };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.bytes.extend_from_slice(&length(stored));
        self.bytes.push(method);
        self.bytes.extend_from_slice(&length(bytes));
        self.bytes.extend_from_slice(digest.as_bytes());
        let check = Digest::of(stored);
        self.bytes.extend_from_slice(&check.as_bytes()[..CHECK]);
        self.bytes.extend_from_slice(stored);
    }
}

/// Why a frame cannot be read, in words.
type Broken = String;

/// Reads the frame at the beginning of `bytes`; returns its digest, its content and its length.
fn read_frame(bytes: &[u8]) -> Result<(Digest, Vec<u8>, usize), Broken> {
    let head = bytes.get(..FRAME_HEAD).ok_or("a frame is cut off")?;
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (stored, method, raw) = (number(0) as usize, head[4], number(5) as usize);
    if stored > BLOB_BYTES_MAX || raw > BLOB_BYTES_MAX {
        return Err("a frame is too long".to_owned());
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(&head[9..41]);
    let digest = Digest::from_bytes(digest);
    let content = bytes
        .get(FRAME_HEAD..FRAME_HEAD + stored)
        .ok_or("a frame is cut off")?;
    if Digest::of(content).as_bytes()[..CHECK] != head[41..] {
        return Err(format!("blob {} was changed", digest.short()));
    }
    let content = match method {
        0 if stored == raw => content.to_vec(),
        1 => zstd::bulk::decompress(content, raw).map_err(|error| error.to_string())?,
        _ => return Err("a frame's method is unknown".to_owned()),
    };
    if content.len() != raw || Digest::of(&content) != digest {
        return Err(format!("blob {} was changed", digest.short()));
    }
    Ok((digest, content, FRAME_HEAD + stored))
}

/// Reads whole frames from `at` on; returns where the first thing begins that is none, and what is wrong there.
pub(crate) fn scan(
    bytes: &[u8],
    mut at: usize,
    mut each: impl FnMut(Digest, usize, Vec<u8>),
) -> (usize, Option<Broken>) {
    while at < bytes.len() {
        match read_frame(&bytes[at..]) {
            Ok((digest, content, length)) => {
                each(digest, at, content);
                at += length;
            }
            Err(what) => return (at, Some(what)),
        }
    }
    (at, None)
}

impl Packs {
    /// Opens what is there. `durable` is the number and length of the active pack that are known to be whole.
    pub(crate) fn open(
        journal: &Path,
        durable: Option<(u64, u64)>,
        key: Option<&VerifyingKey>,
    ) -> Result<(Self, u64), Error> {
        let folder = journal.join(FOLDER);
        let mut packs = Self {
            folder: folder.clone(),
            ..Self::default()
        };
        for number in numbered(&folder, ".packed")? {
            packs.sealed.push(open_sealed(&folder, number, key)?);
        }
        let last = packs.sealed.last().map_or(0, |pack| pack.number);
        packs.active = last + 1;
        let path = active_path(&folder, packs.active);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((packs, 0)),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        // Up to the length that was durable once, the frames' heads are enough.
        let trusted = durable
            .filter(|(number, _)| *number == packs.active)
            .map_or(0, |(_, length)| length);
        let mut at = 0;
        while (at as u64) < trusted {
            let Some(head) = bytes.get(at..at + FRAME_HEAD) else {
                break;
            };
            let stored = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let mut digest = [0; 32];
            digest.copy_from_slice(&head[9..41]);
            packs.frames.insert(Digest::from_bytes(digest), at as u64);
            at += FRAME_HEAD + stored;
        }
        let at = at.min(bytes.len());
        let (end, _) = scan(&bytes, at, |digest, at, _| {
            packs.frames.insert(digest, at as u64);
        });
        Ok((packs, end as u64))
    }

    /// True when the blob is stored and near enough to be found quickly.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.frames.contains_key(digest)
            || self
                .sealed
                .iter()
                .rev()
                .take(LOOK_BACK)
                .any(|pack| matches!(self.find(pack, digest), Ok(Some(_))))
    }

    /// Reads a blob and checks it.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let changed = || Error::BlobChanged { digest: *digest };
        if let Some(at) = self.frames.get(digest) {
            let path = active_path(&self.folder, self.active);
            let read = || {
                let mut file = File::open(&path)?;
                file.seek(SeekFrom::Start(*at))?;
                let mut head = [0; FRAME_HEAD];
                file.read_exact(&mut head)?;
                let stored = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
                let mut bytes = head.to_vec();
                file.take(u64::from(stored)).read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            let bytes = read().map_err(Error::io("read", &path))?;
            return match read_frame(&bytes) {
                Ok((found, content, _)) if found == *digest => Ok(Some(content)),
                _ => Err(changed()),
            };
        }
        for pack in self.sealed.iter().rev() {
            let Some((block, offset, length)) = self.find(pack, digest)? else {
                continue;
            };
            let block = self.block(pack, block)?;
            let content = block
                .get(offset as usize..offset as usize + length as usize)
                .ok_or_else(changed)?;
            return match Digest::of(content) == *digest {
                true => Ok(Some(content.to_vec())),
                false => Err(changed()),
            };
        }
        Ok(None)
    }

    /// Looks an entry up in a sealed pack's index.
    fn find(&self, pack: &Sealed, digest: &Digest) -> Result<Option<(u32, u32, u32)>, Error> {
        let path = sealed_path(&self.folder, pack.number);
        entries::find(&path, pack.start, pack.blobs, digest)
    }

    fn block(&self, pack: &Sealed, number: u32) -> Result<Arc<Vec<u8>>, Error> {
        let mut known = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let at = known
            .iter()
            .position(|one| (one.pack, one.block) == (pack.number, number));
        if let Some(at) = at {
            let found = known.remove(at);
            let content = Arc::clone(&found.content);
            known.push(found);
            return Ok(content);
        }
        let path = sealed_path(&self.folder, pack.number);
        let read = || {
            let mut file = File::open(&path)?;
            let table = pack.start + pack.blobs * ENTRY as u64;
            let mut entry = [0; BLOCK_ENTRY];
            file.seek(SeekFrom::Start(
                table + u64::from(number) * BLOCK_ENTRY as u64,
            ))?;
            file.read_exact(&mut entry)?;
            let (low, high, packed) = numbers(&entry);
            let start = u64::from(low) | u64::from(high) << 32;
            let raw = u32::from_le_bytes([entry[12], entry[13], entry[14], entry[15]]);
            let blocks = table + u64::from(pack.blocks) * BLOCK_ENTRY as u64;
            file.seek(SeekFrom::Start(blocks + start))?;
            let mut bytes = Vec::new();
            file.take(u64::from(packed)).read_to_end(&mut bytes)?;
            zstd::bulk::decompress(&bytes, raw as usize)
        };
        let block = Arc::new(read().map_err(Error::io("read", &path))?);
        if known.len() == UNPACKED_MAX {
            known.remove(0);
        }
        known.push(Unpacked {
            pack: pack.number,
            block: number,
            content: Arc::clone(&block),
        });
        Ok(block)
    }

    /// Makes blobs known that were written durably at `at` of the active pack.
    pub(crate) fn publish(&mut self, staged: Staged, at: u64) {
        let frames = staged.frames.into_iter();
        self.frames
            .extend(frames.map(|(digest, offset)| (digest, at + offset)));
    }

    /// Writes a sealed pack again with fewer blobs. Returns how many are gone.
    pub(crate) fn sweep(
        &mut self,
        at: usize,
        key: &Key,
        is_live: impl Fn(&Digest) -> bool,
    ) -> Result<usize, Error> {
        let pack = self.sealed[at].clone();
        let mut blobs = self.blobs_of(&pack)?;
        let before = blobs.len();
        blobs.retain(|(digest, _)| is_live(digest));
        let gone = before - blobs.len();
        // A pack with little to gain is left alone: writing it again costs as much as a large one.
        if gone * SWEEP_SHARE < before || gone == 0 {
            return Ok(0);
        }
        // An empty pack stays as a file: the next pack's number follows from the last one.
        write_pack(&self.folder, pack.number, &blobs, key)?;
        self.sealed[at] = open_sealed(&self.folder, pack.number, Some(&key.public()))?;
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        unpacked.clear();
        drop(unpacked);
        Ok(gone)
    }

    /// Goes on with the next pack, after the active one was sealed.
    pub(crate) fn sealed_active(&mut self, key: &Key) -> Result<(), Error> {
        let pack = open_sealed(&self.folder, self.active, Some(&key.public()))?;
        self.sealed.push(pack);
        self.frames = HashMap::new();
        self.active += 1;
        Ok(())
    }

    /// Every blob of a sealed pack, in the order in which they were put.
    pub(crate) fn blobs_of(&self, pack: &Sealed) -> Result<Vec<(Digest, Vec<u8>)>, Error> {
        let path = sealed_path(&self.folder, pack.number);
        let (_, payload) = read_sealed(&path, None)?;
        let mut blobs = Vec::new();
        let entries = payload.chunks_exact(ENTRY).take(pack.blobs as usize);
        let mut entries: Vec<_> = entries
            .map(|entry| (numbers(&entry[PREFIX..]), entry))
            .collect();
        entries.sort_unstable();
        for ((block, offset, length), entry) in entries {
            let block = self.block(pack, block)?;
            let content = block.get(offset as usize..offset as usize + length as usize);
            let content = content.unwrap_or_default();
            let digest = Digest::of(content);
            if digest.as_bytes()[..PREFIX] != entry[..PREFIX] {
                return Err(Error::Changed {
                    path,
                    what: "a blob does not have the digest it is listed under".to_owned(),
                });
            }
            blobs.push((digest, content.to_vec()));
        }
        Ok(blobs)
    }
}

fn open_sealed(folder: &Path, number: u64, key: Option<&VerifyingKey>) -> Result<Sealed, Error> {
    let path = sealed_path(folder, number);
    let (header, start) = read_header(&path, key)?;
    Ok(Sealed {
        number,
        blobs: header.last,
        blocks: header.blocks,
        start,
    })
}

impl Active {
    /// Opens the pack that is appended to, and cuts off what is behind `bytes`.
    pub(crate) fn open(packs: &Packs, bytes: u64, pack_bytes: Option<u64>) -> Result<Self, Error> {
        let path = active_path(&packs.folder, packs.active);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        sync_folder(&packs.folder).map_err(Error::io("sync", &packs.folder))?;
        file.set_len(bytes).map_err(Error::io("write", &path))?;
        for left in numbered(&packs.folder, ".pack")? {
            if left < packs.active {
                let left = active_path(&packs.folder, left);
                fs::remove_file(&left).map_err(Error::io("remove", &left))?;
            }
        }
        Ok(Self {
            file,
            path,
            number: packs.active,
            bytes,
            pack_bytes: pack_bytes.unwrap_or(PACK_BYTES),
        })
    }

    /// Appends blobs and syncs once. On an error nothing was appended. Returns where they begin.
    pub(crate) fn append(&mut self, staged: &Staged) -> Result<u64, Error> {
        let at = self.bytes;
        if staged.bytes.is_empty() {
            return Ok(at);
        }
        steps::at("pack-write");
        steps::fail(&self.path)?;
        let (one, two) = staged.bytes.split_at(staged.bytes.len() / 2);
        self.file
            .set_len(at)
            .and_then(|()| self.file.seek(SeekFrom::Start(at)))
            .and_then(|_| self.file.write_all(one))
            .and_then(|()| {
                steps::at("pack-half");
                self.file.write_all(two)
            })
            .map_err(Error::io("write", &self.path))?;
        steps::at("pack-sync");
        self.file
            .sync_data()
            .map_err(Error::io("write", &self.path))?;
        steps::at("pack-done");
        self.bytes += staged.bytes.len() as u64;
        Ok(at)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.pack_bytes
    }

    /// Seals the pack and begins the next one.
    pub(crate) fn seal(&mut self, packs: &mut Packs, key: &Key) -> Result<(), Error> {
        let bytes = fs::read(&self.path).map_err(Error::io("read", &self.path))?;
        let mut blobs = Vec::new();
        let (_, broken) = scan(&bytes, 0, |digest, _, content| {
            blobs.push((digest, content))
        });
        if let Some(what) = broken {
            let path = self.path.clone();
            return Err(Error::Changed { path, what });
        }
        write_pack(&packs.folder, self.number, &blobs, key)?;
        steps::at("pack-sealed");
        packs.sealed_active(key)?;
        let old = self.path.clone();
        *self = Self::open(packs, 0, Some(self.pack_bytes))?;
        // Gone already when opening the next one found it.
        match fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &old)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a sealed pack of blobs, in their order: neighbors are compressed together.
pub(crate) fn write_pack(
    folder: &Path,
    number: u64,
    blobs: &[(Digest, Vec<u8>)],
    key: &Key,
) -> Result<(), Error> {
    let path = sealed_path(folder, number);
    let (mut entries, mut table, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    let mut block = Vec::new();
    let mut raw = 0;
    for (at, (digest, content)) in blobs.iter().enumerate() {
        let block_number = (table.len() / BLOCK_ENTRY) as u32;
        entries.push((
            digest,
            block_number,
            block.len() as u32,
            content.len() as u32,
        ));
        block.extend_from_slice(content);
        if block.len() >= BLOCK_BYTES || at + 1 == blobs.len() {
            let packed =
                zstd::bulk::compress(&block, LEVEL).map_err(Error::io("compress", &path))?;
            table.extend_from_slice(&(blocks.len() as u64).to_le_bytes());
            table.extend_from_slice(&(packed.len() as u32).to_le_bytes());
            table.extend_from_slice(&(block.len() as u32).to_le_bytes());
            blocks.extend_from_slice(&packed);
            raw += block.len() as u64;
            block.clear();
        }
    }
    entries.sort_unstable();
    let mut payload = Vec::with_capacity(entries.len() * ENTRY + table.len() + blocks.len());
    for (digest, block, offset, length) in &entries {
        payload.extend_from_slice(&digest.as_bytes()[..PREFIX]);
        for number in [block, offset, length] {
            payload.extend_from_slice(&number.to_le_bytes());
        }
    }
    let table_bytes = table.len();
    payload.append(&mut table);
    payload.append(&mut blocks);
    let header = Header {
        kind: "pack".to_owned(),
        first: number,
        last: entries.len() as u64,
        before: Digest::default(),
        head: Digest::default(),
        from_ms: 0,
        to_ms: 0,
        blocks: (table_bytes / BLOCK_ENTRY) as u32,
        raw,
        bytes: payload.len() as u64,
        payload: Digest::of(&payload),
    };
    write_sealed(&path, &header, &payload, key)
}
