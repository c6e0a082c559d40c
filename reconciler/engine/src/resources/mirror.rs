//! Keeps `App` and `Source` objects as the engine's state is. What is applied to the cluster goes first: states that
//! pass are skipped, a few objects are written at a time, and an app that is as it was costs nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use jiff::Timestamp;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use ordain_reconciler_journal::{AppRef, Digest};
use ordain_reconciler_plan::MANAGED_BY_LABEL;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    app::{self, Known, Look, News},
    events::{About, Events},
    kinds::{self, RECONCILE},
};
use crate::{
    SourceStatus, Sync,
    control::Handler,
    shared::{Shared, now_ms},
};

/// How long changes gather before they are shown.
const GATHER: Duration = Duration::from_millis(300);

/// How long a state that usually passes has to last before it is shown.
const PASSING: Duration = Duration::from_secs(3);

/// While more apps than this are on their way, only their ends are shown …
const BUSY_APPS: usize = 20;

/// … for so long at most.
const BUSY_MAX: Duration = Duration::from_secs(20);

/// Objects that are written at the same time.
const WRITES_AT_ONCE: usize = 4;

/// Objects of one round; between two rounds it listens.
const ROUND: usize = 64;

/// How often the source is looked at, and an app whose object could not be written.
const TICK: Duration = Duration::from_secs(2);

/// How long the object of an app is kept that is not known (yet) after a start.
const UNKNOWN_KEPT: Duration = Duration::from_secs(60);

/// The name of the one `Source`.
const SOURCE_NAME: &str = "repository";

/// What is known of an app's object.
#[derive(Default)]
struct Entry {
    uid: String,
    generation: i64,
    /// What it shows, when it shows something.
    known: Option<Known>,
    /// Of the status as it was written.
    digest: Option<Digest>,
    /// `spec.suspend`, when it says something.
    suspend: Option<bool>,
    /// The annotation that asks for a look, and the value that was acted upon.
    asked: Option<String>,
    handled: Option<String>,
}

/// Shows the engine's state as objects.
pub(super) struct Mirror {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Arc<Mutex<SourceStatus>>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) apps: Api<DynamicObject>,
    pub(super) sources: Api<DynamicObject>,
    pub(super) events: Events,
    objects: HashMap<AppRef, Entry>,
    /// Since when apps wait to be shown, and when they are tried again.
    waiting: BTreeMap<AppRef, (Instant, Instant)>,
    shown_source: Option<SourceStatus>,
    source_ready: Option<(bool, String)>,
}

/// What came of showing an app.
enum Shown {
    Written {
        uid: String,
        generation: i64,
        known: Known,
        digest: Digest,
        news: Vec<News>,
    },
    Gone,
    Failed(kube::Error),
}

impl Mirror {
    pub(super) fn new(
        shared: Arc<Shared>,
        source: Arc<Mutex<SourceStatus>>,
        handler: Arc<dyn Handler>,
        apps: Api<DynamicObject>,
        sources: Api<DynamicObject>,
        events: Events,
    ) -> Self {
        Self {
            shared,
            source,
            handler,
            apps,
            sources,
            events,
            objects: HashMap::new(),
            waiting: BTreeMap::new(),
            shown_source: None,
            source_ready: None,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        self.shared.changes.begin();
        let shared = Arc::clone(&self.shared);
        let all: Vec<_> = shared.statuses().keys().cloned().collect();
        let now = Instant::now();
        self.waiting
            .extend(all.into_iter().map(|app| (app, (now, now))));
        let events = watcher(self.apps.clone(), watcher::Config::default()).default_backoff();
        let mut events = std::pin::pin!(events);
        let mut listed = HashSet::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Before the objects are known, every app would look like a new one.
        let mut ready = false;
        loop {
            let due = self.waiting.values().map(|(_, next)| *next).min();
            let due = due.map(|due| due.max(Instant::now() + GATHER));
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(watcher::Event::Init)) => listed.clear(),
                    Some(Ok(watcher::Event::InitApply(object))) => {
                        listed.extend(self.seen(&object).await);
                    }
                    Some(Ok(watcher::Event::InitDone)) => {
                        let gone = |app: &AppRef| !listed.contains(app);
                        let gone: Vec<_> = self.objects.keys().filter(|app| gone(app)).cloned().collect();
                        gone.iter().for_each(|app| self.forget(app));
                        ready = true;
                    }
                    Some(Ok(watcher::Event::Apply(object))) => drop(self.seen(&object).await),
                    Some(Ok(watcher::Event::Delete(object))) => {
                        if let Some(app) = reference(&object) {
                            self.forget(&app);
                        }
                    }
                    Some(Err(error)) => tracing::debug!(%error, "the watch of apps was interrupted"),
                    None => return,
                },
                () = shared.changes.noted() => {
                    let (apps, news) = shared.changes.take();
                    let now = Instant::now();
                    for app in apps {
                        self.waiting.entry(app).or_insert((now, now));
                    }
                    for (app, news) in news {
                        self.tell(&app, &news).await;
                    }
                }
                _ = tick.tick() => self.show_source().await,
                () = sleep_until(due), if ready => self.round().await,
            }
        }
    }

    /// Takes note of an object, and of what it asks for.
    async fn seen(&mut self, object: &DynamicObject) -> Option<AppRef> {
        let app = reference(object)?;
        let known = self.shared.statuses().contains_key(&app);
        let entry = self.objects.entry(app.clone()).or_default();
        let generation = object.metadata.generation.unwrap_or(0);
        let fresh = entry.uid != object.metadata.uid.clone().unwrap_or_default();
        if fresh {
            *entry = Entry::default();
            entry.uid = object.metadata.uid.clone().unwrap_or_default();
            let status = object.data.get("status");
            entry.known = status.and_then(app::read);
            entry.handled = status
                .and_then(|status| status.get("lastHandledReconcile")?.as_str())
                .map(str::to_owned);
        }
        let suspend = object
            .data
            .pointer("/spec/suspend")
            .and_then(Value::as_bool);
        let annotations = object.metadata.annotations.as_ref();
        let asked = annotations.and_then(|map| map.get(RECONCILE).cloned());
        let orders = (fresh || entry.suspend != suspend).then_some(suspend);
        let look = asked.is_some() && asked != entry.handled;
        let moved = entry.generation != generation;
        entry.generation = generation;
        entry.suspend = suspend;
        entry.asked.clone_from(&asked);
        if look {
            entry.handled = asked;
        }
        let reason = object.data.pointer("/spec/reason").and_then(Value::as_str);
        let reason = reason.unwrap_or_default().to_owned();
        if fresh || moved || look {
            let now = Instant::now();
            let next = if known { now } else { now + UNKNOWN_KEPT };
            self.waiting.entry(app.clone()).or_insert((now, next));
        }
        if let Some(suspend) = orders {
            super::orders::suspend(&self.shared, &self.handler, &app, suspend, reason).await;
        }
        if look {
            super::orders::sync(&self.handler, &app).await;
        }
        Some(app)
    }

    /// The object is gone; an app that is there gets another one.
    fn forget(&mut self, app: &AppRef) {
        self.objects.remove(app);
        if self.shared.statuses().contains_key(app) {
            let now = Instant::now();
            self.waiting.insert(app.clone(), (now, now));
        }
    }

    /// Shows some of the apps that wait.
    async fn round(&mut self) {
        let now = Instant::now();
        let mut jobs: Vec<BoxFuture<'static, (AppRef, Shown)>> = Vec::new();
        {
            let statuses = self.shared.statuses();
            let passing =
                |sync: Sync| matches!(sync, Sync::Applying | Sync::Unknown | Sync::Applied);
            let on_the_way = self.waiting.keys().filter(|app| {
                statuses
                    .get(app)
                    .is_some_and(|status| matches!(status.sync, Sync::Applying | Sync::Unknown))
            });
            let busy = on_the_way.take(BUSY_APPS + 1).count() > BUSY_APPS;
            let patience = if busy { BUSY_MAX } else { PASSING };
            let mut done = Vec::new();
            for (app, (since, next)) in &mut self.waiting {
                if jobs.len() == ROUND {
                    break;
                }
                if *next > now {
                    continue;
                }
                let status = statuses.get(app);
                let until = *since + patience;
                if status.is_some_and(|status| passing(status.sync) && until > now) {
                    *next = until;
                    continue;
                }
                done.push(app.clone());
                let name = app::name(&app.env, &app.name);
                let api = self.apps.clone();
                let Some(status) = status.cloned() else {
                    if self.objects.contains_key(app) {
                        let app = app.clone();
                        let gone = async move {
                            let gone = api.delete(&name, &DeleteParams::default()).await;
                            match gone {
                                Err(error) if !is_missing(&error) => (app, Shown::Failed(error)),
                                _ => (app, Shown::Gone),
                            }
                        };
                        jobs.push(gone.boxed());
                    }
                    continue;
                };
                let entry = self.objects.get(app);
                let look = look(&self.shared, app, status, entry);
                let job = Job {
                    api,
                    name,
                    look,
                    uid: entry.map(|entry| entry.uid.clone()),
                    generation: entry.map_or(1, |entry| entry.generation),
                    known: entry.and_then(|entry| entry.known.clone()),
                    digest: entry.and_then(|entry| entry.digest),
                };
                let app = app.clone();
                jobs.push(async move { (app, job.run().await) }.boxed());
            }
            for app in done {
                self.waiting.remove(&app);
            }
        }
        let mut results = stream::iter(jobs).buffer_unordered(WRITES_AT_ONCE);
        while let Some((app, shown)) = results.next().await {
            match shown {
                Shown::Written {
                    uid,
                    generation,
                    known,
                    digest,
                    news,
                } => {
                    let about = About {
                        name: app::name(&app.env, &app.name),
                        uid: uid.clone(),
                    };
                    let entry = self.objects.entry(app).or_default();
                    entry.uid = uid;
                    entry.generation = generation;
                    entry.known = Some(known);
                    entry.digest = Some(digest);
                    for news in news {
                        self.events.tell(&about, &news, Timestamp::now()).await;
                    }
                }
                Shown::Gone => drop(self.objects.remove(&app)),
                Shown::Failed(error) => {
                    tracing::debug!(%app, %error, "its object cannot be written");
                    let now = Instant::now();
                    let pause = crate::wire::jittered(TICK * 5);
                    self.waiting.insert(app, (now, now + pause));
                }
            }
        }
    }

    async fn tell(&mut self, app: &AppRef, news: &News) {
        let Some(entry) = self.objects.get(app) else {
            return;
        };
        let about = About {
            name: app::name(&app.env, &app.name),
            uid: entry.uid.clone(),
        };
        self.events.tell(&about, news, Timestamp::now()).await;
    }

    /// Shows the source, when there is something new.
    async fn show_source(&mut self) {
        let source = {
            let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            source.clone()
        };
        if self.shown_source.as_ref() == Some(&source) {
            return;
        }
        let ready = source.message.is_empty() && source.commit.is_some();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let since = match &self.source_ready {
            Some((known, since)) if *known == ready => since.clone(),
            _ => now,
        };
        let reason = match (ready, source.message.is_empty()) {
            (true, _) => "Ready",
            (false, true) => "NoCommit",
            (false, false) => "NotDeployed",
        };
        let commit = source.commit.clone().unwrap_or_default();
        let main = json!({
            "apiVersion": kinds::VERSION, "kind": kinds::SOURCE.kind,
            "metadata": {"name": SOURCE_NAME, "labels": {MANAGED_BY_LABEL: "ordain"}},
            "spec": {"url": source.repository, "ref": source.branch},
        });
        let status = json!({
            "apiVersion": kinds::VERSION, "kind": kinds::SOURCE.kind, "metadata": {"name": SOURCE_NAME},
            "status": {
                "commit": commit, "revision": app::short(&commit), "message": source.message,
                "conditions": [{
                    "type": "Ready", "status": if ready { "True" } else { "False" }, "reason": reason,
                    "message": source.message, "lastTransitionTime": since,
                }],
            },
        });
        let params = apply();
        let written = async {
            self.sources
                .patch(SOURCE_NAME, &params, &Patch::Apply(&main))
                .await?;
            self.sources
                .patch_status(SOURCE_NAME, &params, &Patch::Apply(&status))
                .await
        };
        match written.await {
            Ok(_) => {
                self.shown_source = Some(source);
                self.source_ready = Some((ready, since));
            }
            Err(error) => tracing::debug!(%error, "the source's object cannot be written"),
        }
    }
}

/// What is known of an app beyond its status.
fn look(shared: &Shared, app: &AppRef, status: crate::AppStatus, entry: Option<&Entry>) -> Look {
    let journal = shared.scribe.known();
    let last = journal.last(app);
    let suspension = journal.suspension(app, now_ms());
    Look {
        cluster: status.cluster.clone(),
        plan: last.as_ref().map(|last| last.plan.clone()),
        rollback: last
            .filter(|last| last.commit == status.commit)
            .and_then(|last| last.rollback.map(|rollback| rollback.to)),
        suspended: suspension.map(|found| match found.reason.as_str() {
            "" => format!("by {}", found.by),
            reason => format!("by {}: {reason}", found.by),
        }),
        quarantined: journal.quarantine(app).map(|found| found.commit),
        handled: entry.and_then(|entry| entry.handled.clone()),
        status,
    }
}

/// One app's object to be written.
struct Job {
    api: Api<DynamicObject>,
    name: String,
    look: Look,
    uid: Option<String>,
    generation: i64,
    known: Option<Known>,
    digest: Option<Digest>,
}

impl Job {
    async fn run(self) -> Shown {
        match self.write().await {
            Ok(shown) => shown,
            // Deleted a moment ago: the watch tells, and it is made anew.
            Err(error) => Shown::Failed(error),
        }
    }

    async fn write(self) -> Result<Shown, kube::Error> {
        let params = apply();
        let (mut uid, mut generation) = (self.uid.clone(), self.generation);
        if uid.is_none() {
            let app = &self.look.status;
            let main = json!({
                "apiVersion": kinds::VERSION, "kind": kinds::APP.kind,
                "metadata": {"name": self.name, "labels": {
                    MANAGED_BY_LABEL: "ordain", "ordain.dev/app": app.name, "ordain.dev/env": app.env,
                }},
                "spec": {"app": app.name, "env": app.env, "cluster": self.look.cluster},
            });
            let made = self
                .api
                .patch(&self.name, &params, &Patch::Apply(&main))
                .await?;
            uid = made.metadata.uid;
            generation = made.metadata.generation.unwrap_or(1);
        }
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let before = self.known.clone().unwrap_or_default();
        let (status, known) = app::status(&self.look, &before, generation, &now);
        let digest = Digest::of(status.to_string().as_bytes());
        let news = app::news(&self.look, self.known.as_ref(), &known);
        if self.digest != Some(digest) {
            let status = json!({
                "apiVersion": kinds::VERSION, "kind": kinds::APP.kind,
                "metadata": {"name": self.name}, "status": status,
            });
            self.api
                .patch_status(&self.name, &params, &Patch::Apply(&status))
                .await?;
        }
        Ok(Shown::Written {
            uid: uid.unwrap_or_default(),
            generation,
            known,
            digest,
            news,
        })
    }
}

/// The app that an object is about, when the object is ours.
fn reference(object: &DynamicObject) -> Option<AppRef> {
    let text = |key: &str| object.data.pointer(key)?.as_str().map(str::to_owned);
    let app = AppRef {
        env: text("/spec/env")?,
        name: text("/spec/app")?,
    };
    let name = object.metadata.name.as_deref();
    (name == Some(app::name(&app.env, &app.name).as_str())).then_some(app)
}

fn apply() -> PatchParams {
    PatchParams::apply("ordain").force()
}

fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Waits for a moment, or for ever when there is none.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
