//! Keeps `App` objects as the engine's state is. What is applied to the cluster goes first: states that pass are
//! skipped, few objects are written at a time meanwhile, and an app that is as it was costs nothing, not even at a start.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
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
use ordain_reconciler_plan::{MANAGED_BY_LABEL, canonical};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    app::{self, Known, Look, News},
    events::{About, Events},
    kinds::{self, RECONCILE},
    source::ShownSource,
};
use crate::{
    AppStatus, Sync,
    control::Handler,
    observe::sleep_until,
    shared::{Shared, now_ms},
};

/// How long changes gather before they are shown.
const GATHER: Duration = Duration::from_millis(300);

/// How long a state that usually passes has to last before it is shown.
const PASSING: Duration = Duration::from_secs(3);

/// While more apps than this are on their way, only their ends are shown …
const BUSY_APPS: usize = 20;

/// … for so long at most.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// How long an app is compared, with what its object shows already, before it is shown that nothing is known.
const COMPARED: Duration = Duration::from_secs(300);

/// Objects that are written at the same time while apps are on their way …
const WRITES_AT_ONCE_BUSY: usize = 4;

/// … and when none is.
const WRITES_AT_ONCE: usize = 16;

/// Objects of one round; between two rounds it listens.
const ROUND: usize = 256;

/// How often the source is looked at.
const TICK: Duration = Duration::from_secs(2);

/// When an app is tried again whose object could not be written.
const AGAIN: Duration = Duration::from_secs(10);

/// When one is tried again whose object the server refused: a policy or a missing right, which passes when people act.
const REFUSED_AGAIN: Duration = Duration::from_secs(300);

/// Says by its value which repository and branch an `App` is from. Where two reconcilers show their apps in one namespace,
/// neither takes the other's for leftovers.
const SOURCE_LABEL: &str = "ordain.dev/source";

/// How long the object of an app is kept that is not known (yet) after a start.
const UNKNOWN_KEPT: Duration = Duration::from_secs(60);

/// What is known of an app's object.
#[derive(Default)]
struct Entry {
    uid: Box<str>,
    generation: i64,
    /// What it shows, when it shows something.
    known: Option<Known>,
    /// Of its status as it was written, or found.
    digest: Option<Digest>,
    /// `spec.suspend`, when it says something.
    suspend: Option<bool>,
    /// The annotation that asks for a look, and the value that was acted upon.
    asked: Option<Box<str>>,
    handled: Option<Box<str>>,
}

/// Shows the engine's state as objects.
pub(super) struct Mirror {
    shared: Arc<Shared>,
    source: ShownSource,
    handler: Arc<dyn Handler>,
    apps: Api<DynamicObject>,
    events: Events,
    /// Whose objects are ours: see [`SOURCE_LABEL`].
    own: String,
    /// Boxed: a map keeps room for many more than it has.
    objects: HashMap<AppRef, Box<Entry>>,
    /// Since when apps wait to be shown, and when they are tried again.
    waiting: BTreeMap<AppRef, (Instant, Instant)>,
    /// When the next round begins.
    due: Option<Instant>,
}

/// What came of showing an app.
enum Shown {
    Written {
        uid: Box<str>,
        generation: i64,
        known: Box<Known>,
        digest: Digest,
        news: Vec<News>,
    },
    Gone,
    Failed(kube::Error),
}

impl Mirror {
    pub(super) fn new(
        shared: Arc<Shared>,
        source: ShownSource,
        handler: Arc<dyn Handler>,
        apps: Api<DynamicObject>,
        events: Events,
    ) -> Self {
        let own = source.digest();
        Self {
            own,
            shared,
            source,
            handler,
            apps,
            events,
            objects: HashMap::new(),
            waiting: BTreeMap::new(),
            due: None,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self) {
        self.shared.changes.begin();
        let shared = Arc::clone(&self.shared);
        let all: Vec<_> = shared.statuses().keys().cloned().collect();
        let now = Instant::now();
        all.into_iter().for_each(|app| self.wait(app, now));
        let events = watcher(self.apps.clone(), watcher::Config::default()).default_backoff();
        let mut events = std::pin::pin!(events);
        let mut listed = HashSet::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Before the objects are known, every app would look like a new one.
        let mut ready = false;
        loop {
            let due = self.due;
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
                    apps.into_iter().for_each(|app| self.wait(app, now));
                    for (app, news) in news {
                        self.tell(&app, &news).await;
                    }
                }
                _ = tick.tick() => self.source.show().await,
                () = sleep_until(due), if ready => self.round().await,
            }
        }
    }

    /// Lets an app be shown from `next` on, with others that change at the same time.
    fn wait(&mut self, app: AppRef, next: Instant) {
        let now = Instant::now();
        let (_, at) = self.waiting.entry(app).or_insert((now, next));
        *at = next.min(*at);
        let next = next.max(now + GATHER);
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
    }

    /// Takes note of an object, and of what it asks for.
    async fn seen(&mut self, object: &DynamicObject) -> Option<AppRef> {
        let app = reference(object)?;
        if !is_own(object, &self.own) {
            return None;
        }
        let known = self.shared.statuses().contains_key(&app);
        let entry = self.objects.entry(app.clone()).or_default();
        let generation = object.metadata.generation.unwrap_or(0);
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        let fresh = *entry.uid != *uid;
        if fresh {
            **entry = Entry::default();
            entry.uid = uid.into();
            let status = object.data.get("status");
            entry.known = status.and_then(app::read);
            entry.digest = status.map(digest);
            entry.handled = status
                .and_then(|status| status.get("lastHandledReconcile")?.as_str())
                .map(Into::into);
        }
        let suspend = object
            .data
            .pointer("/spec/suspend")
            .and_then(Value::as_bool);
        let annotations = object.metadata.annotations.as_ref();
        let asked = annotations.and_then(|map| map.get(RECONCILE));
        let asked: Option<Box<str>> = asked.map(|asked| asked.as_str().into());
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
            self.wait(app.clone(), next);
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
            self.wait(app.clone(), Instant::now());
        }
    }

    /// Shows some of the apps that wait.
    async fn round(&mut self) {
        let now = Instant::now();
        let mut jobs: Vec<BoxFuture<'static, (AppRef, Shown)>> = Vec::new();
        let mut at_once = WRITES_AT_ONCE_BUSY;
        {
            let statuses = self.shared.statuses();
            let passing =
                |sync: Sync| matches!(sync, Sync::Applying | Sync::Unknown | Sync::Applied);
            let on_the_way = self.waiting.keys().filter(|app| {
                statuses
                    .get(app)
                    .is_some_and(|status| matches!(status.sync, Sync::Applying | Sync::Unknown))
            });
            let on_the_way = on_the_way.take(BUSY_APPS + 1).count();
            let busy = on_the_way > BUSY_APPS;
            if on_the_way == 0 {
                at_once = WRITES_AT_ONCE;
            }
            let mut done = Vec::new();
            for (app, (since, next)) in &mut self.waiting {
                if jobs.len() == ROUND {
                    break;
                }
                if *next > now {
                    continue;
                }
                let status = statuses.get(app);
                let entry = self.objects.get(app).map(Box::as_ref);
                let known = entry.and_then(|entry| entry.known.as_ref());
                let patience = match (status, known) {
                    (Some(status), Some(known))
                        if is_compared(&self.shared, app, status, known) =>
                    {
                        COMPARED
                    }
                    _ if busy => BUSY_MAX,
                    _ => PASSING,
                };
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
                let look = look(&self.shared, app, *status, entry);
                let job = Job {
                    api,
                    name,
                    own: self.own.clone(),
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
        let is_full = jobs.len() == ROUND;
        let mut results = stream::iter(jobs).buffer_unordered(at_once);
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
                        uid: uid.to_string(),
                    };
                    let entry = self.objects.entry(app).or_default();
                    entry.uid = uid;
                    entry.generation = generation;
                    entry.known = Some(*known);
                    entry.digest = Some(digest);
                    for news in news {
                        self.events.tell(&about, &news, Timestamp::now()).await;
                    }
                }
                Shown::Gone => drop(self.objects.remove(&app)),
                Shown::Failed(error) => {
                    tracing::debug!(%app, %error, "its object cannot be written");
                    let pause = if is_lasting(&error) {
                        REFUSED_AGAIN
                    } else {
                        AGAIN
                    };
                    self.wait(app, Instant::now() + crate::wire::jittered(pause));
                }
            }
        }
        let now = Instant::now();
        self.due = match self.waiting.values().map(|(_, next)| *next).min() {
            // It listens in between, and goes on at once.
            Some(_) if is_full => Some(now),
            Some(next) => Some(next.max(now + GATHER)),
            None => None,
        };
    }

    async fn tell(&mut self, app: &AppRef, news: &News) {
        let Some(entry) = self.objects.get(app) else {
            return;
        };
        let about = About {
            name: app::name(&app.env, &app.name),
            uid: entry.uid.to_string(),
        };
        self.events.tell(&about, news, Timestamp::now()).await;
    }
}

/// True while an app is looked at anew and nothing was deployed since what its object shows.
fn is_compared(shared: &Shared, app: &AppRef, status: &AppStatus, known: &Known) -> bool {
    if !matches!(status.sync, Sync::Applying | Sync::Unknown) || !status.message.is_empty() {
        return false;
    }
    let last = shared.scribe.known().last(app);
    last.is_some_and(|last| *last.commit == *known.commit)
}

/// Of a status, however a server orders its fields.
fn digest(status: &Value) -> Digest {
    Digest::of(canonical(status).as_bytes())
}

/// What is known of an app beyond its status.
fn look(shared: &Shared, app: &AppRef, mut status: AppStatus, entry: Option<&Entry>) -> Look {
    let journal = shared.scribe.known();
    let last = journal.last(app);
    let suspension = journal.suspension(app, now_ms());
    if let Some(deployed) = status.deployed.take() {
        // A commit that changes nothing of an app is no reason to write its object.
        status.commit = deployed;
    }
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
        handled: entry.and_then(|entry| entry.handled.as_deref().map(str::to_owned)),
        status,
    }
}

/// One app's object to be written.
struct Job {
    api: Api<DynamicObject>,
    name: String,
    own: String,
    look: Look,
    uid: Option<Box<str>>,
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
                    SOURCE_LABEL: self.own,
                }},
                "spec": {"app": app.name, "env": app.env, "cluster": self.look.cluster},
            });
            let made = self
                .api
                .patch(&self.name, &params, &Patch::Apply(&main))
                .await?;
            uid = made.metadata.uid.map(Into::into);
            generation = made.metadata.generation.unwrap_or(1);
        }
        // Conditions have whole seconds.
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let before = self.known.clone().unwrap_or_default();
        let (status, known) = app::status(&self.look, &before, generation, now);
        let digest = digest(&status);
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
            known: Box::new(known),
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

/// False for the app of another reconciler in the same cluster. One that says nothing was written before there was the label.
fn is_own(object: &DynamicObject, own: &str) -> bool {
    let labels = object.metadata.labels.as_ref();
    let source = labels.and_then(|labels| labels.get(SOURCE_LABEL));
    source.is_none_or(|source| source == own)
}

/// As whom the reconciler's own objects are applied.
pub(super) fn apply() -> PatchParams {
    PatchParams::apply("ordain").force()
}

fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// True when the same request would be refused again a moment later.
fn is_lasting(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    (400..500).contains(&status.code) && !matches!(status.code, 404 | 408 | 409 | 429)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, labels: &Value) -> DynamicObject {
        let object = json!({
            "apiVersion": kinds::VERSION, "kind": kinds::APP.kind,
            "metadata": {"name": name, "labels": labels},
            "spec": {"app": "web_shop", "env": "prod"},
        });
        serde_json::from_value(object).expect("an object")
    }

    #[test]
    fn apps_of_another_reconciler_are_not_ours() {
        let labels = |source: &str| json!({ SOURCE_LABEL: source });
        assert!(is_own(&object("a", &labels("here")), "here"));
        assert!(!is_own(&object("a", &labels("elsewhere")), "here"));
        assert!(is_own(&object("a", &json!({})), "here"));
    }

    #[test]
    fn an_object_is_known_by_its_own_name_only() {
        let name = app::name("prod", "web_shop");
        assert_ne!(name, app::name("prod", "web-shop"));
        assert!(!name.contains('_'), "{name}");
        let found = reference(&object(&name, &json!({}))).expect("an app");
        assert_eq!((&*found.env, &*found.name), ("prod", "web_shop"));
        assert_eq!(reference(&object("prod.web-shop", &json!({}))), None);
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again_soon() {
        let error = |code: u16| {
            let mut status = kube::core::Status::failure("no", "Reason");
            status.code = code;
            kube::Error::Api(status.boxed())
        };
        for code in [400, 403, 422] {
            assert!(is_lasting(&error(code)), "{code}");
        }
        for code in [404, 408, 409, 429, 500, 503] {
            assert!(!is_lasting(&error(code)), "{code}");
        }
    }
}
