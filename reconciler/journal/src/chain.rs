//! The files that prove the chain of records, for somebody who has no access to the folder. Objects and the private key
//! are not among them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error, Journal, format, head, key,
    log::{FOLDER, Segments, active_path, sealed_path, state_path},
};

/// Bytes of a part. In base64 three of them fit into one window of answers.
const PART_BYTES: usize = 64 << 10;

/// Endings of the files in the folder of the segments.
const ENDINGS: [&str; 3] = [".sealed", ".log", ".state"];

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The file, below the journal's folder, with `/`.
    pub name: String,
    /// Its next bytes.
    pub bytes: Vec<u8>,
}

/// True for the names of files that prove the chain, and for no other: not for one outside of the folder.
#[must_use]
pub fn is_of_chain(name: &str) -> bool {
    if [format::FILE, key::PUBLIC, head::FILE].contains(&name) {
        return true;
    }
    let Some(file) = name
        .strip_prefix(FOLDER)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return false;
    };
    let number = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending));
    number.is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

impl Journal {
    /// Gives the files that [`crate::verify_chain`] reads, part by part, as they are at one moment; ends when `part`
    /// returns false. Appending waits only while the newest segment is read.
    ///
    /// # Errors
    /// When a file cannot be read; also when records were cut off meanwhile.
    pub fn chain(&self, mut part: impl FnMut(Part) -> bool) -> Result<(), Error> {
        let folder = self.folder();
        let segments_folder = folder.join(FOLDER);
        let read = |path: &Path| fs::read(path).map_err(Error::io("read", path));
        let (small, segments, active) = {
            let _writer = self.writer()?;
            let mut small = Vec::new();
            for name in [format::FILE, key::PUBLIC, head::FILE] {
                let path = folder.join(name);
                // A journal without records has no head.
                if path.exists() {
                    small.push((name.to_owned(), read(&path)?));
                }
            }
            let segments = Segments::list(&segments_folder)?;
            let active = segments
                .active
                .map(|first| active_path(&segments_folder, first));
            let active = active.map(|path| Ok((file(&path), read(&path)?)));
            (small, segments, active.transpose()?)
        };
        let first = segments.sealed.first().or(segments.active.as_ref());
        let state = first.filter(|first| **first > 1);
        let state = state.map(|first| state_path(&segments_folder, first - 1));
        let sealed = segments.sealed.iter();
        let sealed = sealed.map(|first| sealed_path(&segments_folder, *first));
        let large = state.into_iter().chain(sealed);
        let large = large.map(|path: PathBuf| Ok((file(&path), read(&path)?)));
        for file in small.into_iter().chain(active).map(Ok).chain(large) {
            let (name, bytes) = file?;
            // A file without content is a file too.
            let mut rest = &bytes[..];
            loop {
                let (now, later) = rest.split_at(rest.len().min(PART_BYTES));
                let sent = Part {
                    name: name.clone(),
                    bytes: now.to_vec(),
                };
                if !part(sent) {
                    return Ok(());
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A segment's file as the other side names it.
fn file(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("{FOLDER}/{name}")
}

#[cfg(test)]
mod tests {
    use super::is_of_chain;

    #[test]
    fn only_files_of_the_chain_are_named() {
        for name in [
            "format",
            "key.pub",
            "head",
            "segments/0000000000000001.sealed",
        ] {
            assert!(is_of_chain(name), "{name}");
        }
        for name in [
            "key",
            "../head",
            "segments/../../0000000000000001.log",
            "segments/1.log",
            "segments/0000000000000001.about",
            "packs/00000001.pack",
            "",
        ] {
            assert!(!is_of_chain(name), "{name}");
        }
    }
}
