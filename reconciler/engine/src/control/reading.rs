//! What can be asked of the journal from afar, and how it is answered: in pieces, so that neither side nor an API
//! server has to hold much at a time.

use std::collections::BTreeMap;

use ordain_reconciler_journal::{Compacted, Query, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::past::{Deployed, Lookup};

/// Records of one answer to [`JournalAsk::Records`]; a client asks again for more, by [`Query::before_seq`].
pub const RECORDS_MAX: usize = 2_000;

/// Commits of one [`JournalAsk::Messages`].
pub const MESSAGES_MAX: usize = 1_000;

/// A question to the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum JournalAsk {
    /// Records, newest first, [`RECORDS_MAX`] of them at most.
    Records {
        /// Which ones.
        query: Query,
    },
    /// Objects that stood at a time.
    Objects {
        /// Which ones.
        lookup: Lookup,
    },
    /// Who wrote the lines that a field of an object comes from.
    Blame {
        /// The one object.
        lookup: Lookup,
        /// The field, such as `spec.replicas`.
        field: String,
    },
    /// The files that prove the chain of records: whoever asks checks them himself.
    Chain,
    /// A check of everything, objects too, by the reconciler itself.
    Verify,
    /// The messages of commits.
    Messages {
        /// Their names, [`MESSAGES_MAX`] at most.
        commits: Vec<String>,
    },
    /// Records in the form of another system, oldest first.
    Export {
        /// The form.
        form: ExportForm,
        /// Only those of this time or later, in milliseconds since 1970-01-01 UTC.
        since_ms: Option<i64>,
    },
    /// The public key.
    Key,
    /// Removes old records. The one question that changes something.
    Compact {
        /// Removes those before this time, in milliseconds since 1970-01-01 UTC.
        before_ms: i64,
        /// In whose words.
        by: String,
    },
}

impl JournalAsk {
    /// True when nothing is changed by answering it.
    pub(crate) fn only_reads(&self) -> bool {
        !matches!(self, Self::Compact { .. })
    }
}

/// Forms that records are exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportForm {
    /// Statements in signed envelopes.
    InToto,
    /// Events for those who follow deliveries.
    Cdevents,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum JournalAnswer {
    /// Some records.
    Records {
        /// Newest first.
        records: Vec<Record>,
    },
    /// An object.
    Object {
        /// With its deploy.
        found: Box<Deployed>,
    },
    /// What is known of a field, in the form of whoever knows the sources.
    Blame {
        /// As JSON.
        blame: Value,
    },
    /// A piece of a file of the chain.
    File {
        /// The file, below the journal's folder.
        name: String,
        /// Its next bytes, in base64.
        bytes: String,
    },
    /// What a check came to.
    Verified {
        /// What does not fit; nothing when all is well.
        findings: Vec<String>,
        /// Blobs that were checked.
        blobs: u64,
        /// Bytes on disk.
        bytes: u64,
    },
    /// Messages of commits; those of commits that are not there are left out.
    Messages {
        /// By the commit's name.
        messages: BTreeMap<String, String>,
    },
    /// A record in another form.
    Exported {
        /// A JSON document.
        document: Value,
    },
    /// The public key.
    Key {
        /// 32 bytes, hexadecimal.
        ed25519: String,
    },
    /// Old records were removed.
    Compacted {
        /// How many.
        done: Compacted,
    },
}
