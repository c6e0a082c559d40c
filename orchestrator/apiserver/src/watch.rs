//! Watches: what changes, as it changes.
//!
//! Every watch is a cursor over the store's one history. The frame of an event is encoded once,
//! by the first watch that wants it whole, and shared by all others; only watches with selectors,
//! Tables or another version decode anything.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use ordain_orchestrator_store::{Error as StoreError, Event, Watch};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::{
    body::{self, Answer, BodyError},
    convert,
    core::store_failure,
    negotiate::{self, Form},
    object,
    pipeline::Call,
    read::{self, Filter},
    status::Failure,
    table,
};

/// A bookmark a minute, as upstream's `defaultBookmarkFrequency`.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch without `timeoutSeconds` lasts from 30 minutes to an hour, as `--min-request-timeout`.
const TIMEOUT_MIN_SECONDS: u64 = 1800;
/// Events that are ready together go out together, up to this many bytes.
const BATCH_BYTES: usize = 64 << 10;

/// Counts an open watch for as long as it lives.
struct Counted(Arc<crate::core::Core>);

impl Counted {
    fn new(core: Arc<crate::core::Core>) -> Counted {
        core.watches
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Counted(core)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0
            .watches
            .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// One open watch.
struct Open {
    call: Call,
    filter: Filter,
    form: Form,
    watch: Option<Watch>,
    /// What is to be sent before the next event.
    ready: VecDeque<Bytes>,
    deadline: Instant,
    bookmarks: Option<Interval>,
    /// Column definitions go out with the first Table alone.
    columns_sent: bool,
    _counted: Counted,
}

/// Answers a watch.
pub(crate) async fn start(call: Call) -> Result<Answer, Failure> {
    let filter = Filter::of(&call)?;
    let form = negotiate::form(&call.headers)?;
    let version = call.query.get("resourceVersion").to_owned();
    let initial = call.query.get("sendInitialEvents").to_owned();
    let wants_initial = call.query.flag("sendInitialEvents");
    if !initial.is_empty() && call.query.get("resourceVersionMatch") != "NotOlderThan" {
        return Err(Failure::bad_request(
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let seconds = match call.query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => seconds.unsigned_abs(),
        _ => TIMEOUT_MIN_SECONDS + u64::from(call.core.salt()) % TIMEOUT_MIN_SECONDS,
    };
    let counted = Counted::new(call.core.clone());
    let mut open = Open {
        filter,
        form,
        watch: None,
        ready: VecDeque::new(),
        deadline: Instant::now() + Duration::from_secs(seconds),
        bookmarks: None,
        columns_sent: false,
        _counted: counted,
        call,
    };
    let store = open.call.core.store.clone();
    let prefix = open.call.resource.prefix_in(&open.call.target.namespace);
    let list_first = wants_initial || (initial.is_empty() && matches!(version.as_str(), "" | "0"));
    let after = if list_first {
        read::wait_for_revision(&open.call).await?;
        // The list of the start is complete whatever the client's limit says.
        let page = store
            .list(ordain_orchestrator_store::Range::prefix(&prefix))
            .await
            .map_err(store_failure)?;
        for entry in &page.entries {
            let object = read::load(&open.call.resource, entry)?;
            if open.filter.selects(&object) {
                let frame = open.frame("ADDED", &object);
                open.ready.push_back(frame);
            }
        }
        if wants_initial && bookmarks {
            let frame = open.bookmark(page.revision.0, true);
            open.ready.push_back(frame);
        }
        page.revision
    } else if initial.is_empty() || !matches!(version.as_str(), "" | "0") {
        ordain_orchestrator_store::Revision(read::parse_revision(&version)?)
    } else {
        store.revision().await.map_err(store_failure)?
    };
    match store.watch(&prefix, Some(after)).await {
        Ok(watch) => open.watch = Some(watch),
        Err(error) => open.ready.push_back(error_frame(error)),
    }
    if bookmarks {
        let mut interval =
            tokio::time::interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        open.bookmarks = Some(interval);
    }
    let stream = futures::stream::unfold(open, |mut open| async move {
        let chunk = open.next().await?;
        Some((Ok::<_, BodyError>(chunk), open))
    });
    let mut answer = body::bytes(200, "application/json", Bytes::new());
    *answer.body_mut() = body::stream(stream);
    Ok(answer)
}

fn error_frame(error: StoreError) -> Bytes {
    let status = store_failure(error).to_value();
    frame_bytes("ERROR", &status)
}

fn frame_bytes(kind: &str, object: &Value) -> Bytes {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()
}

impl Open {
    /// Returns the next bytes to send; `None` when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.ready.is_empty() {
                return Some(self.batch());
            }
            let watch = self.watch.as_mut()?;
            let tick = async {
                match &mut self.bookmarks {
                    Some(interval) => drop(interval.tick().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.call.core.shutdown.cancelled() => return None,
                event = watch.next() => match event {
                    None => return None,
                    Some(Ok(event)) => self.push(&event),
                    Some(Err(error)) => {
                        self.watch = None;
                        self.ready.push_back(error_frame(error));
                    }
                },
                () = tick => {
                    let revision = watch.progress().0;
                    let frame = self.bookmark(revision, false);
                    return Some(frame);
                }
                () = tokio::time::sleep_until(self.deadline) => return None,
            }
        }
    }

    /// Joins the frames that are ready into one chunk.
    fn batch(&mut self) -> Bytes {
        let first = self.ready.pop_front().unwrap_or_default();
        if self.ready.is_empty() {
            return first;
        }
        let mut chunk = first.to_vec();
        while chunk.len() < BATCH_BYTES {
            match self.ready.pop_front() {
                Some(frame) => chunk.extend_from_slice(&frame),
                None => break,
            }
        }
        chunk.into()
    }

    /// Turns an event of the store into a frame, if this watch wants it.
    fn push(&mut self, event: &Event) {
        if self.filter.is_everything() && self.form == Form::Plain && !self.call.resource.converts()
        {
            self.ready.push_back(event.encoded_once(|| encode(event)));
            return;
        }
        let revision = event.revision.0;
        let load = |entry: &ordain_orchestrator_store::Entry| {
            object::decode(&entry.value, revision)
                .map(|o| convert::to_version(&self.call.resource, o))
        };
        let new = event.new.as_deref().and_then(load);
        let old = event.old.as_deref().and_then(load);
        let is = new.as_ref().is_some_and(|o| self.filter.selects(o));
        let was = old.as_ref().is_some_and(|o| self.filter.selects(o));
        // A change that moves an object into or out of the selection is an addition or a removal.
        let (kind, object) = match (was, is) {
            (false, true) => ("ADDED", new),
            (true, true) => ("MODIFIED", new),
            (true, false) => ("DELETED", old),
            (false, false) => return,
        };
        if let Some(object) = object {
            let frame = self.frame(kind, &object);
            self.ready.push_back(frame);
        }
    }

    fn frame(&mut self, kind: &str, object: &Value) -> Bytes {
        match self.form {
            Form::Plain => frame_bytes(kind, object),
            Form::Metadata { beta } => frame_bytes(kind, &read::partial(object, beta)),
            Form::Table { beta } => {
                let resource = &self.call.resource;
                let row = table::row(resource, object, read::include(&self.call));
                let metadata = json!({"resourceVersion": object::revision_of(object)});
                let value = table::wrap(resource, vec![row], metadata, beta, !self.columns_sent);
                self.columns_sent = true;
                frame_bytes(kind, &value)
            }
        }
    }

    fn bookmark(&mut self, revision: u64, end_of_initial: bool) -> Bytes {
        let resource = &self.call.resource;
        let mut metadata =
            json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
        if end_of_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form {
            Form::Plain => {
                json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata})
            }
            Form::Metadata { beta } => read::partial(&json!({"metadata": metadata}), beta),
            Form::Table { beta } => {
                let object = json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata});
                let row = json!({"cells": [], "object": read::partial(&object, beta)});
                let metadata = json!({"resourceVersion": revision.to_string()});
                table::wrap(resource, vec![row], metadata, beta, false)
            }
        };
        frame_bytes("BOOKMARK", &object)
    }
}

/// Encodes an event for watches that want everything as it is stored.
fn encode(event: &Event) -> Bytes {
    let (kind, entry) = match (&event.new, &event.old) {
        (Some(new), None) => ("ADDED", new),
        (Some(new), Some(_)) => ("MODIFIED", new),
        (None, Some(old)) => ("DELETED", old),
        (None, None) => return Bytes::new(),
    };
    let mut out = Vec::with_capacity(entry.value.len() + 80);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    // A deleted object carries the revision of its deletion.
    object::splice_into(&mut out, &entry.value, event.revision.0);
    out.extend_from_slice(b"}\n");
    out.into()
}
