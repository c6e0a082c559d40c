//! Keeps the `Source` object as the branch is. Nothing is written that is there already.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Api,
    api::{DynamicObject, Patch},
};
use ordain_reconciler_journal::Digest;
use ordain_reconciler_plan::MANAGED_BY_LABEL;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{app, kinds, mirror::apply};
use crate::{SourceStatus, words::short};

/// The name of the one `Source`.
const NAME: &str = "repository";

/// How long a branch may have no commit after a start before that is shown: usually nobody has looked yet.
const UNKNOWN: Duration = Duration::from_secs(10);

/// Shows the source.
pub(super) struct ShownSource {
    api: Api<DynamicObject>,
    source: Arc<Mutex<SourceStatus>>,
    begun: Instant,
    shown: Option<SourceStatus>,
    /// Whether it is ready, and since when.
    ready: Option<(bool, String)>,
}

impl ShownSource {
    pub(super) fn new(api: Api<DynamicObject>, source: Arc<Mutex<SourceStatus>>) -> Self {
        Self {
            api,
            source,
            begun: Instant::now(),
            shown: None,
            ready: None,
        }
    }

    /// Stands for the repository and branch where their names are too long.
    pub(super) fn digest(&self) -> String {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}\n{}", source.repository, source.branch);
        Digest::of(text.as_bytes()).short().to_string()
    }

    /// Shows the source, when there is something new.
    pub(super) async fn show(&mut self) {
        let source = {
            let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            source.clone()
        };
        if self.shown.as_ref() == Some(&source) {
            return;
        }
        let is_unknown = source.commit.is_none() && source.message.is_empty();
        if is_unknown && self.shown.is_none() && self.begun.elapsed() < UNKNOWN {
            return;
        }
        if let Err(error) = self.write(source).await {
            tracing::debug!(%error, "the source's object cannot be written");
            // Somebody may have deleted it.
            self.shown = None;
        }
    }

    async fn write(&mut self, source: SourceStatus) -> Result<(), kube::Error> {
        let found = match self.shown {
            Some(_) => None,
            None => self.api.get_opt(NAME).await?,
        };
        if let Some(found) = &found {
            self.ready = stands(found);
        }
        let ready = source.message.is_empty() && source.commit.is_some();
        let since = match &self.ready {
            Some((known, since)) if *known == ready => since.clone(),
            _ => app::time(Timestamp::now()),
        };
        let reason = match (ready, source.message.is_empty()) {
            (true, _) => "Ready",
            (false, true) => "NoCommit",
            (false, false) => "NotDeployed",
        };
        let commit = source.commit.clone().unwrap_or_default();
        let spec = json!({"url": source.repository, "ref": source.branch});
        let status = json!({
            "commit": commit, "revision": short(&commit), "message": source.message,
            "conditions": [{
                "type": "Ready", "status": if ready { "True" } else { "False" }, "reason": reason,
                "message": source.message, "lastTransitionTime": since,
            }],
        });
        let is =
            |found: &DynamicObject, key: &str, wanted: &Value| found.data.get(key) == Some(wanted);
        let same = |key: &str, wanted: &Value| {
            let found = found.as_ref();
            found.is_some_and(|found| is(found, key, wanted))
        };
        let params = apply();
        if self.shown.is_none() && !same("spec", &spec) {
            let main = json!({
                "apiVersion": kinds::VERSION, "kind": kinds::SOURCE.kind,
                "metadata": {"name": NAME, "labels": {MANAGED_BY_LABEL: "ordain"}},
                "spec": spec,
            });
            self.api.patch(NAME, &params, &Patch::Apply(&main)).await?;
        }
        if !same("status", &status) {
            let status = json!({
                "apiVersion": kinds::VERSION, "kind": kinds::SOURCE.kind, "metadata": {"name": NAME},
                "status": status,
            });
            let patch = Patch::Apply(&status);
            self.api.patch_status(NAME, &params, &patch).await?;
        }
        self.shown = Some(source);
        self.ready = Some((ready, since));
        Ok(())
    }
}

/// What an object says that was written earlier: whether the source is ready, and since when.
fn stands(object: &DynamicObject) -> Option<(bool, String)> {
    let condition = object.data.pointer("/status/conditions/0")?;
    let since = condition.get("lastTransitionTime")?.as_str()?;
    Some((condition["status"] == "True", since.to_owned()))
}
