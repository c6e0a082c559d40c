//! The index of a sealed pack: where each blob lies, sorted by the first bytes of its digest. Knows nothing of blocks.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::{Digest, Error};

/// One entry: the first bytes of a digest, block, offset and length.
pub(crate) const ENTRY: usize = PREFIX + 4 + 4 + 4;

/// Bytes of a digest that an entry has.
pub(crate) const PREFIX: usize = 16;

/// Three numbers of four bytes.
pub(crate) fn numbers(bytes: &[u8]) -> (u32, u32, u32) {
    let number =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (number(0), number(4), number(8))
}

/// Looks a blob up in the index of `count` entries that begins at `start`; returns its block, offset and length.
///
/// Digests lie as evenly as dice fall, so it is read where the entry should be, with as much around it as chance may move
/// it: one reading nearly always. Every deploy looks for some blobs that are in no pack.
pub(crate) fn find(
    path: &Path,
    start: u64,
    count: u64,
    digest: &Digest,
) -> Result<Option<(u32, u32, u32)>, Error> {
    let mut file = File::open(path).map_err(Error::io("read", path))?;
    let (mut low, mut high) = (0, count);
    let wanted = &digest.as_bytes()[..PREFIX];
    let first = u32::from_be_bytes([wanted[0], wanted[1], wanted[2], wanted[3]]);
    let mut guess = (u64::from(first) * count) >> u32::BITS;
    // Two standard deviations of where the entry is, or more.
    let around = count.isqrt() + 1;
    while low < high {
        let from = guess.saturating_sub(around).max(low);
        let to = (guess + around).min(high);
        let mut bytes = vec![0; (to - from) as usize * ENTRY];
        file.seek(SeekFrom::Start(start + from * ENTRY as u64))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(Error::io("read", path))?;
        let entries: Vec<&[u8]> = bytes.chunks_exact(ENTRY).collect();
        match entries.binary_search_by(|entry| entry[..PREFIX].cmp(wanted)) {
            Ok(at) => return Ok(Some(numbers(&entries[at][PREFIX..]))),
            Err(0) => high = from,
            Err(at) if at == entries.len() => low = to,
            Err(_) => return Ok(None),
        }
        guess = low + (high - low) / 2;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(digests: &[[u8; 32]]) -> (tempfile::NamedTempFile, u64) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut bytes = b"header".to_vec();
        for (at, digest) in digests.iter().enumerate() {
            bytes.extend_from_slice(&digest[..PREFIX]);
            for number in [at as u32, at as u32 + 1, at as u32 + 2] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes.extend_from_slice(b"what comes behind");
        std::fs::write(file.path(), bytes).expect("it is written");
        (file, b"header".len() as u64)
    }

    fn check(mut digests: Vec<[u8; 32]>, others: &[[u8; 32]]) {
        digests.sort_unstable();
        digests.dedup_by_key(|digest| digest[..PREFIX].to_vec());
        let (file, start) = written(&digests);
        let look = |digest: &[u8; 32]| {
            let digest = Digest::from_bytes(*digest);
            find(file.path(), start, digests.len() as u64, &digest).expect("it reads")
        };
        for (at, digest) in digests.iter().enumerate() {
            let at = at as u32;
            assert_eq!(look(digest), Some((at, at + 1, at + 2)));
        }
        for other in others {
            let is_there = digests
                .iter()
                .any(|digest| digest[..PREFIX] == other[..PREFIX]);
            assert_eq!(look(other).is_some(), is_there);
        }
    }

    proptest! {
        #[test]
        fn what_is_there_is_found(
            digests in prop::collection::vec(any::<[u8; 32]>(), 0..300),
            others in prop::collection::vec(any::<[u8; 32]>(), 0..30),
        ) {
            check(digests, &others);
        }
    }

    #[test]
    fn digests_that_lie_together_are_found_too() {
        let of = |high: u8, low: u16| {
            let mut digest = [high; 32];
            digest[14..16].copy_from_slice(&low.to_be_bytes());
            digest
        };
        for high in [0, 1, 255] {
            let digests = (0..1_000).map(|low| of(high, low * 2)).collect();
            check(
                digests,
                &[of(high, 1), of(high, 1_999), of(high, 5_000), of(7, 3)],
            );
        }
    }
}
