//! The answering side of `Request` objects: each is answered as a command on the socket is, into its status.
//!
//! The status shows a window of the answers; it moves on when the client says what it read. The client deletes the
//! object; one that it leaves behind is deleted after [`KEPT`].

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt as _;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::task::TaskTracker;

use super::kinds::REQUESTED_BY;
use crate::control::{Asker, Handler, Reply, Request, Response};

/// Bytes of answers in one status. Quoted in JSON they become at most six times as many, and usually a tenth more; an
/// API server stores 1.5 MiB in one object (etcd's `--max-request-bytes`).
const WINDOW_BYTES: usize = 256 << 10;

/// How long a request is kept that nobody deletes, or of which nobody reads on.
const KEPT: Duration = Duration::from_secs(600);

/// Requests that are answered at the same time; more wait.
const OPEN_MAX: usize = 64;

/// Answers requests for as long as it runs.
pub(super) async fn run(api: Api<DynamicObject>, handler: Arc<dyn Handler>, tasks: TaskTracker) {
    let mut open: HashMap<String, watch::Sender<u64>> = HashMap::new();
    let mut listed = HashSet::new();
    let events = watcher(api.clone(), watcher::Config::default()).default_backoff();
    let mut events = std::pin::pin!(events);
    let slots = Arc::new(Semaphore::new(OPEN_MAX));
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(watcher::Event::InitDone) => {
                // Deleted while nobody looked.
                open.retain(|uid, _| listed.contains(uid));
                continue;
            }
            Ok(watcher::Event::Delete(object)) => {
                // Dropping the sender ends the work on it: nobody waits for its answers.
                open.remove(object.metadata.uid.as_deref().unwrap_or_default());
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(object.metadata.uid.clone().unwrap_or_default());
                object
            }
            Ok(watcher::Event::Apply(object)) => object,
            Err(error) => {
                tracing::debug!(%error, "the watch of requests was interrupted");
                continue;
            }
        };
        let uid = object.metadata.uid.clone().unwrap_or_default();
        let read = object.data.pointer("/spec/read").and_then(Value::as_u64);
        let read = read.unwrap_or(0);
        if let Some(known) = open.get(&uid) {
            known.send_if_modified(|known| std::mem::replace(known, read) != read);
            continue;
        }
        let (sender, reads) = watch::channel(read);
        open.insert(uid, sender);
        let letter = Letter {
            api: api.clone(),
            object,
            reads,
        };
        let (handler, slots) = (Arc::clone(&handler), Arc::clone(&slots));
        tasks.spawn(async move {
            let mut gone = letter.reads.clone();
            tokio::select! {
                () = letter.answer(handler, &slots) => {}
                () = closed(&mut gone) => {}
            }
        });
    }
}

/// Resolves when the object is gone.
async fn closed(reads: &mut watch::Receiver<u64>) {
    while reads.changed().await.is_ok() {}
}

/// One request.
struct Letter {
    api: Api<DynamicObject>,
    object: DynamicObject,
    reads: watch::Receiver<u64>,
}

/// The answers, from what was read on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answers {
    offset: u64,
    text: String,
}

impl Answers {
    fn push(&mut self, response: &Response) {
        match serde_json::to_string(response) {
            Ok(line) => self.text.push_str(&line),
            Err(error) => tracing::error!(%error, "an answer cannot be written as JSON"),
        }
        self.text.push('\n');
    }

    /// Lets go of what was read.
    fn read(&mut self, upto: u64) {
        let count = upto.saturating_sub(self.offset);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count <= self.text.len() && self.text.is_char_boundary(count) {
            self.text.drain(..count);
            self.offset = upto.max(self.offset);
        }
    }

    /// What is shown of them, and whether that is all.
    fn window(&self) -> (&str, bool) {
        if self.text.len() <= WINDOW_BYTES {
            return (&self.text, true);
        }
        let end = (0..=WINDOW_BYTES).rev();
        let end = end.into_iter().find(|at| self.text.is_char_boundary(*at));
        (&self.text[..end.unwrap_or(0)], false)
    }
}

impl Letter {
    async fn answer(mut self, handler: Arc<dyn Handler>, slots: &Semaphore) {
        let phase = self.object.data.pointer("/status/phase");
        match phase.and_then(Value::as_str) {
            None => {
                // Given back before it is waited for somebody to delete the object.
                let slot = slots.acquire().await;
                if !self.work(handler).await {
                    return;
                }
                drop(slot);
            }
            Some("Done") => {}
            Some(_) => self.interrupted().await,
        }
        let gone = tokio::time::timeout(KEPT, closed(&mut self.reads)).await;
        if gone.is_err() {
            self.delete().await;
        }
    }

    fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    /// Somebody else began with it and did not end.
    async fn interrupted(&self) {
        let status = &self.object.data["status"];
        let mut answers = Answers {
            offset: status["offset"].as_u64().unwrap_or(0),
            text: status["text"].as_str().unwrap_or_default().to_owned(),
        };
        answers.push(&Response::Error {
            message: "the reconciler stopped meanwhile; ask again".to_owned(),
        });
        self.show(&answers.text, answers.offset, "Done").await;
    }

    /// Answers the request; false when nobody listens any more.
    async fn work(&mut self, handler: Arc<dyn Handler>) -> bool {
        let by = self.object.metadata.annotations.as_ref();
        let by = by.and_then(|map| map.get(REQUESTED_BY)).map(String::as_str);
        let asker = by.filter(|by| !by.is_empty());
        let asker = asker.map(|name| Asker::Told {
            name: name.to_owned(),
        });
        let mut answers = Answers::default();
        let request = read(&self.object);
        let request = match request {
            Ok(request) => request,
            Err(message) => {
                answers.push(&Response::Error { message });
                self.show(&answers.text, 0, "Done").await;
                return true;
            }
        };
        tracing::info!(
            request = self.name(),
            by = by.unwrap_or_default(),
            "asked through the API server"
        );
        if !self.show("", 0, "Running").await {
            return false;
        }
        let (sender, mut lines) = mpsc::channel(64);
        let mut work = handler.handle(request, Reply::new(sender).to(asker));
        let (mut last, mut ended) = (None, false);
        let mut shown = (0, 0);
        loop {
            let (window, all) = answers.window();
            let all = all && ended;
            if all || shown != (answers.offset, window.len()) {
                let phase = if all { "Done" } else { "Running" };
                if !self.show(window, answers.offset, phase).await {
                    return false;
                }
                shown = (answers.offset, window.len());
            }
            if all {
                return true;
            }
            tokio::select! {
                biased;
                Ok(()) = self.reads.changed() => {
                    let read = *self.reads.borrow_and_update();
                    answers.read(read);
                }
                // What was answered and not read stays here; the sender waits when there is much of it.
                line = lines.recv(), if !ended && answers.text.len() < 4 * WINDOW_BYTES => match line {
                    Some(line) => {
                        answers.push(&line);
                        while let Ok(line) = lines.try_recv() {
                            answers.push(&line);
                        }
                    }
                    None => {
                        if let Some(last) = last.take() {
                            answers.push(&last);
                            ended = true;
                        } else {
                            answers.push(&(&mut work).await);
                            ended = true;
                        }
                    }
                },
                response = &mut work, if last.is_none() && !ended => last = Some(response),
                () = tokio::time::sleep(KEPT), if !answers.window().1 => {
                    // Nobody reads on.
                    self.delete().await;
                    return false;
                }
            }
        }
    }

    /// Shows a window; false when the object is gone.
    async fn show(&self, text: &str, offset: u64, phase: &str) -> bool {
        let status = json!({"status": {"phase": phase, "offset": offset, "text": text}});
        let patch = Patch::Merge(status);
        let mut pause = Duration::from_millis(200);
        loop {
            let params = PatchParams::default();
            match self.api.patch_status(self.name(), &params, &patch).await {
                Ok(_) => return true,
                Err(kube::Error::Api(status)) if status.code == 404 => return false,
                Err(error) if pause > Duration::from_secs(20) => {
                    tracing::warn!(request = self.name(), %error, "cannot answer a request");
                    return false;
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }

    async fn delete(&self) {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: self.object.metadata.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        // Somebody else may have been faster.
        let _ = self.api.delete(self.name(), &params).await;
    }
}

/// The request of an object.
fn read(object: &DynamicObject) -> Result<Request, String> {
    let request = object.data.pointer("/spec/request").cloned();
    let request = serde_json::from_value(request.unwrap_or_default())
        .map_err(|error| format!("this reconciler knows no such request: {error}"))?;
    match request {
        Request::Hook { .. } => Err("git hooks speak to the reconciler beside them".to_owned()),
        // A status can be read by more people than a Secret.
        Request::Applied => {
            Err("what is applied is told to the data directory's owner alone".to_owned())
        }
        request => Ok(request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_moves_on_with_what_was_read_and_never_splits_a_character() {
        let mut answers = Answers {
            text: "é".repeat(WINDOW_BYTES),
            ..Answers::default()
        };
        let (window, all) = answers.window();
        assert_eq!((window.len(), all), (WINDOW_BYTES, false));
        answers.text.insert(0, 'x');
        let (window, _) = answers.window();
        assert_eq!(window.len(), WINDOW_BYTES - 1);
        let read = window.len() as u64;
        answers.read(read);
        assert_eq!(answers.offset, read);
        answers.read(10);
        assert_eq!(answers.offset, read, "it never goes back");
        answers.read(u64::MAX);
        assert_eq!(answers.offset, read, "what was not shown was not read");
    }

    #[test]
    fn what_is_for_the_machine_alone_is_refused() {
        let object = |request: Value| -> DynamicObject {
            let object = json!({"apiVersion": "ordain.dev/v1alpha1", "kind": "Request",
                "metadata": {"name": "a"}, "spec": {"request": request}});
            serde_json::from_value(object).expect("an object")
        };
        assert_eq!(
            read(&object(json!({"request": "status"}))),
            Ok(Request::Status)
        );
        for refused in [
            json!({"request": "applied"}),
            json!({"request": "no"}),
            json!(null),
        ] {
            assert!(read(&object(refused)).is_err());
        }
    }
}
