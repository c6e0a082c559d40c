//! How commands and git hooks talk to the running engine: JSON lines over a local socket.
//!
//! One request per connection, then any number of answers until `done` or `error`. The socket's
//! address and a token are in `<data-dir>/control.json`, readable by its owner alone. Whoever has a kubeconfig
//! alone asks by an object instead ([`Target::Cluster`]); the answers are the same.

mod asker;
mod client;
mod mailbox;
mod message;
mod reading;
mod server;
mod target;

pub(crate) use asker::{Asker, with as asked_by};
pub use client::{Client, call};
pub use message::{HookUpdate, Request, Response};
pub use reading::{ExportForm, JournalAnswer, JournalAsk, MESSAGES_MAX, RECORDS_MAX};
pub(crate) use server::{Handler, Reply, serve};
pub use target::{NAMESPACE, Target};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file that says where the running engine listens.
const ADDRESS_FILE: &str = "control.json";

/// Bytes in one line of either direction; a longer line ends the connection.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Where the engine listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A loopback port, where Unix sockets are missing or the path is too long for one.
    Tcp(std::net::SocketAddr),
}

/// The content of [`ADDRESS_FILE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Contact {
    address: Address,
    /// Sent back first on each connection: a loopback port is open to every user of the machine.
    token: String,
}

/// The first line of a connection.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    token: String,
    #[serde(flatten)]
    request: Request,
}

fn address_file(data_dir: &Path) -> PathBuf {
    data_dir.join(ADDRESS_FILE)
}
