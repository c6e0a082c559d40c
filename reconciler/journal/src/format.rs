//! The format file: which version wrote the journal, and which versions can read it.
//!
//! A version adds events and fields freely; older ones keep what they do not know. It may change how files are
//! written only by way of the version before, which has to read the new way already. So every version can be
//! replaced by the one before it.

use std::{fs, io, path::Path};

use crate::{Error, journal::write_once};

/// Its name in the journal's folder.
pub(crate) const FILE: &str = "format";

/// The format that this version writes.
const FORMAT: u32 = 2;

/// The oldest format that a version must know to use what this one writes.
const NEEDED: u32 = 2;

/// Refuses a journal of a format that this version does not know. One without the file is of the first format.
pub(crate) fn check(folder: &Path) -> Result<(), Error> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", &path)(error)),
    };
    match needed(&text) {
        Some(needed) if needed <= FORMAT => Ok(()),
        _ => Err(Error::Newer {
            path: folder.to_owned(),
            format: text.trim().to_owned(),
        }),
    }
}

pub(crate) fn check_or_write(folder: &Path) -> Result<(), Error> {
    check(folder)?;
    let path = folder.join(FILE);
    if !path.exists() {
        write_once(&path, &text())?;
    }
    Ok(())
}

fn text() -> String {
    format!("ordain journal {FORMAT} needs {NEEDED}\n")
}

/// Reads `ordain journal F needs N`.
fn needed(text: &str) -> Option<u32> {
    let rest = text.strip_prefix("ordain journal ")?.strip_suffix('\n')?;
    let (format, needed) = rest.split_once(" needs ")?;
    let number = |text: &str| {
        let number: u32 = text.parse().ok()?;
        // One spelling each, so that a changed byte shows.
        (number.to_string() == text).then_some(number)
    };
    number(format)?;
    number(needed)
}
