//! The files between agent and shim: orders in one direction, facts in the other.
//!
//! ```text
//! task.json   what to run            (agent)
//! shim.json   the shim's process     (shim, first of all)
//! pid.json    the container's process and when it started
//! exit.json   how it ended
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::ContainerSpec;
use crate::runtime::host::ProcessRef;

/// The order to run a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) container: ContainerSpec,
    pub(crate) how: How,
}

/// How to run it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum How {
    /// By libcontainer; `bundle/config.json` lies in the folder.
    Oci {
        /// Unpacked layers, lowest first.
        layers: Vec<PathBuf>,
        /// Its control group, from the root of each hierarchy.
        cgroup: String,
        /// The data directory, below which other pods' mounts are not ours.
        data_dir: PathBuf,
    },
    /// As a plain child process.
    Process {
        /// The program, found already.
        program: PathBuf,
        /// Where it starts.
        cwd: PathBuf,
        /// User and group, if the agent may choose.
        user: Option<(u32, u32)>,
    },
}

/// The container's process, once it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) process: ProcessRef,
    pub(crate) started_at: Timestamp,
}

/// Names of the files.
pub(crate) const TASK: &str = "task.json";
pub(crate) const SHIM: &str = "shim.json";
pub(crate) const PID: &str = "pid.json";
pub(crate) const EXIT: &str = "exit.json";

/// Reads one of the files; `None` when it is not there (yet).
pub(crate) fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> io::Result<Option<T>> {
    match fs::read(folder.join(name)) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes one of the files by rename, so that a reader sees all of it or nothing.
pub(crate) fn write<T: Serialize>(folder: &Path, name: &str, value: &T) -> io::Result<()> {
    let text = serde_json::to_vec(value).map_err(io::Error::other)?;
    let scratch = folder.join(format!(".{name}.new"));
    fs::write(&scratch, text)?;
    fs::rename(scratch, folder.join(name))
}
