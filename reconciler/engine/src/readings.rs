//! Answers questions to the journal, for commands that have no access to its folder.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ordain_reconciler_journal::{Error as JournalError, Exporter, Journal, Query, verify};

use crate::{
    Error,
    control::{
        ExportForm, JournalAnswer, JournalAsk, MESSAGES_MAX, RECORDS_MAX, Reply, Response, asked_by,
    },
    engine::blocking,
    past::{Lookup, look_back},
    requests::Requests,
    shared::now_ms,
};

/// Records of one piece of an answer: some forty kilobytes.
const RECORDS_AT_ONCE: usize = 50;

/// Sends pieces from a thread where it may wait for whoever reads them.
struct Pieces(Reply);

impl Pieces {
    /// False when nobody reads on.
    fn send(&self, answer: JournalAnswer) -> bool {
        self.0.send_waiting(Response::Journal { answer })
    }
}

impl Requests {
    /// Answers one question.
    pub(crate) async fn read_journal(&self, ask: JournalAsk, reply: &Reply) -> Result<(), Error> {
        let pieces = Pieces(reply.clone());
        match ask {
            JournalAsk::Records { query } => {
                self.read(move |journal| records(journal, query, &pieces))
                    .await
            }
            JournalAsk::Objects { lookup } => {
                let object = move |found| {
                    let found = Box::new(found);
                    pieces.send(JournalAnswer::Object { found })
                };
                self.read(move |journal| look_back(journal, &lookup, object))
                    .await
            }
            JournalAsk::Blame { lookup, field } => self.blame(lookup, field, pieces).await,
            JournalAsk::Chain => {
                let part = move |part: ordain_reconciler_journal::Part| {
                    let bytes = STANDARD.encode(&part.bytes);
                    let name = part.name;
                    pieces.send(JournalAnswer::File { name, bytes })
                };
                self.read(move |journal| Ok(journal.chain(part)?)).await
            }
            JournalAsk::Verify => {
                self.read(move |journal| {
                    pieces.send(check(journal)?);
                    Ok(())
                })
                .await
            }
            JournalAsk::Messages { commits } => {
                let origin = self.origin.clone();
                blocking(move || {
                    let repository = origin.repository();
                    let commits = commits.into_iter().take(MESSAGES_MAX);
                    let messages = commits.filter_map(|name| {
                        let commit = repository.commit(&name.parse().ok()?).ok()?;
                        Some((name, commit.message))
                    });
                    let messages = messages.collect();
                    pieces.send(JournalAnswer::Messages { messages });
                })
                .await;
                Ok(())
            }
            JournalAsk::Export { form, since_ms } => {
                self.read(move |journal| export(journal, form, since_ms, &pieces))
                    .await
            }
            JournalAsk::Key => {
                self.read(move |journal| {
                    let key = journal.public_key()?;
                    let ed25519 = key.iter().map(|byte| format!("{byte:02x}")).collect();
                    pieces.send(JournalAnswer::Key { ed25519 });
                    Ok(())
                })
                .await
            }
            JournalAsk::Compact { before_ms, by } => {
                let by = asked_by(by, reply.asker());
                self.read(move |journal| {
                    let done = journal.compact(before_ms, now_ms(), &by)?;
                    pieces.send(JournalAnswer::Compacted { done });
                    Ok(())
                })
                .await
            }
        }
    }

    async fn read(
        &self,
        act: impl FnOnce(&Journal) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        self.shared.journal(act).await
    }

    async fn blame(&self, lookup: Lookup, field: String, pieces: Pieces) -> Result<(), Error> {
        let kind = lookup.kind.clone().unwrap_or_default();
        let object = match &lookup.name {
            Some(name) => format!("{kind}/{name}"),
            None => kind,
        };
        let found = self.shared.journal(move |journal| {
            let mut found = Vec::new();
            look_back(journal, &lookup, |one| {
                found.push(one);
                true
            })?;
            Ok::<_, Error>(found)
        });
        let found = found.await?;
        let (origin, compiler) = (self.origin.clone(), Arc::clone(self.compile.compiler()));
        let blame =
            blocking(move || compiler.blame(origin.repository(), found, &object, &field)).await;
        let blame = blame.map_err(|message| Error::Refused { message })?;
        let answer = JournalAnswer::Blame { blame };
        blocking(move || pieces.send(answer)).await;
        Ok(())
    }
}

fn records(journal: &Journal, query: Query, pieces: &Pieces) -> Result<(), Error> {
    let limit = query.limit.unwrap_or(RECORDS_MAX).min(RECORDS_MAX);
    let query = Query {
        limit: Some(limit),
        ..query
    };
    let records = journal.records(&query)?;
    for records in records.chunks(RECORDS_AT_ONCE) {
        let records = records.to_vec();
        if !pieces.send(JournalAnswer::Records { records }) {
            break;
        }
    }
    Ok(())
}

fn check(journal: &Journal) -> Result<JournalAnswer, Error> {
    let mut findings = Vec::new();
    let (mut blobs, mut bytes) = (0, 0);
    match verify(journal.folder(), |_, _| {}) {
        Ok(verified) => (blobs, bytes) = (verified.blobs, verified.bytes),
        Err(error) if is_finding(&error) => findings.push(error.to_string()),
        Err(error) => return Err(error.into()),
    }
    Ok(JournalAnswer::Verified {
        findings,
        blobs,
        bytes,
    })
}

/// True when a check says that the journal is not what was written, rather than not readable.
#[must_use]
pub fn is_finding(error: &JournalError) -> bool {
    matches!(
        error,
        JournalError::Corrupt { .. }
            | JournalError::Changed { .. }
            | JournalError::CutOff { .. }
            | JournalError::BlobChanged { .. }
            | JournalError::NoBlob { .. }
            | JournalError::NotASet { .. }
            | JournalError::NotADigest { .. }
            | JournalError::Key { .. }
    )
}

/// Gives each record since a time to `each` in another form, oldest first; ends when that returns false.
///
/// # Errors
/// When the journal or its key cannot be read.
pub fn export_each(
    journal: &Journal,
    form: ExportForm,
    since_ms: Option<i64>,
    mut each: impl FnMut(serde_json::Value) -> bool,
) -> Result<(), Error> {
    let mut exporter = Exporter::new(journal);
    let mut failed = None;
    journal.each(0, |record| {
        exporter.see(&record);
        if since_ms.is_some_and(|since| record.time_ms < since) {
            return true;
        }
        let document = match form {
            ExportForm::Cdevents => exporter.cdevent(&record),
            ExportForm::InToto => match exporter.envelope(&exporter.statement(&record)) {
                Ok(envelope) => Some(envelope),
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            },
        };
        document.is_none_or(&mut each)
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn export(
    journal: &Journal,
    form: ExportForm,
    since_ms: Option<i64>,
    pieces: &Pieces,
) -> Result<(), Error> {
    let send = |document| pieces.send(JournalAnswer::Exported { document });
    export_each(journal, form, since_ms, send)
}
