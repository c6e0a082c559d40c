//! What all loops of the engine have in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ordain_reconciler_journal::{AppRef, Event, Journal};
use ordain_reconciler_plan::{Breaker, Claims, Inventory, ObjectKey};
use tokio::sync::{OnceCell, watch};
use tokio_util::task::TaskTracker;

use crate::{
    AppStatus, Compiler, Config, Error, Ownership, Sync, askers::Askers, cluster::Cluster,
    holds::Holds, live::Live, metrics::Metrics, progress::Progress, resources::changes::Changes,
    scribe::Scribe, stuck::Stuck, target::Target,
};

/// Shared by the workers, the source loop and the control socket.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    pub(crate) live: Live,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) progress: Progress,
    /// What may keep a commit from an app.
    pub(crate) holds: Holds,
    pub(crate) breaker: Breaker,
    pub(crate) health_deadline: Duration,
    pub(crate) ownership: Ownership,
    /// Knows the secrets of objects.
    pub(crate) compiler: Arc<dyn Compiler>,
    pub(crate) scribe: Scribe,
    /// What is new for the reconciler's own objects.
    pub(crate) changes: Changes,
    statuses: Mutex<BTreeMap<AppRef, Box<AppStatus>>>,
    /// Who brought commits here.
    pub(crate) askers: Askers,
    /// Apps that somebody wants compared now.
    compared: Mutex<BTreeSet<AppRef>>,
    /// Looks at the repository.
    looks: watch::Sender<Looks>,
    /// Hashes of approved plans.
    approved: watch::Sender<BTreeSet<String>>,
    /// Counts changes of how apps are synced.
    turns: watch::Sender<u64>,
    /// What every app declares.
    claims: Mutex<BTreeMap<String, Claims>>,
    /// Which apps of their environment apps wait for.
    after: Mutex<BTreeMap<AppRef, BTreeSet<String>>>,
    /// Objects of apps that are not as declared.
    stuck: Mutex<BTreeMap<AppRef, Vec<Stuck>>>,
    /// True when the journal knew no app at the start: a new one, or one that was lost.
    is_new: bool,
    /// What the marks of live objects say, when the journal is new.
    rebuilt: OnceCell<BTreeMap<String, Inventory>>,
}

impl Shared {
    pub(crate) fn new(
        cluster: Cluster,
        live: Live,
        metrics: Arc<Metrics>,
        journal: Journal,
        tasks: TaskTracker,
        config: &Config,
    ) -> Self {
        let is_new = journal.apps().is_empty();
        Self {
            cluster,
            live,
            metrics,
            progress: Progress::default(),
            holds: Holds::default(),
            breaker: Breaker::default(),
            health_deadline: config.health_deadline,
            ownership: config.ownership.clone(),
            compiler: Arc::clone(&config.compiler),
            approved: watch::channel(journal.approvals()).0,
            scribe: Scribe::new(journal, tasks),
            changes: Changes::default(),
            statuses: Mutex::default(),
            askers: Askers::default(),
            compared: Mutex::default(),
            turns: watch::channel(0).0,
            claims: Mutex::default(),
            after: Mutex::default(),
            stuck: Mutex::default(),
            is_new,
            rebuilt: OnceCell::new(),
            looks: watch::channel(Looks::default()).0,
        }
    }

    /// Reads something of the journal, where it may wait for the disk.
    pub(crate) async fn journal<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Journal) -> T + Send + 'static,
    ) -> T {
        self.scribe.read(act).await
    }

    /// How long an app may take to become healthy.
    pub(crate) fn deadline(&self, app: &AppRef) -> Duration {
        let own = self.holds.rules().deadline(&app.name);
        own.unwrap_or(self.health_deadline)
    }

    /// Appends one event and returns its number. See [`Scribe::write`].
    pub(crate) async fn record(&self, event: Event) -> Result<u64, Error> {
        let now = now_ms();
        let record = self
            .scribe
            .write(move |batch| Ok(batch.append(now, event)))
            .await?;
        Ok(record.seq)
    }

    /// What may exist in the cluster for an app, from the journal; and when that is new, from the marks of live
    /// objects: a lost journal leaks nothing.
    pub(crate) async fn inventory(&self, app: &AppRef) -> Result<Inventory, Error> {
        if self.is_new && self.scribe.known().inventory(app).is_none() {
            let rebuilt = self.rebuilt.get_or_try_init(|| self.rebuild()).await?;
            return Ok(rebuilt.get(&app.to_string()).cloned().unwrap_or_default());
        }
        let app = app.clone();
        let bytes = self
            .journal(move |journal| {
                journal
                    .inventory(&app)
                    .map(|digest| journal.get(&digest))
                    .transpose()
            })
            .await?;
        let Some(bytes) = bytes else {
            return Ok(Inventory::default());
        };
        Inventory::from_bytes(&bytes).map_err(|source| Error::Inventory { source })
    }

    async fn rebuild(&self) -> Result<BTreeMap<String, Inventory>, Error> {
        let owned = crate::owned::owned(self.cluster.client()).await?;
        let rebuilt = Inventory::rebuild(owned.iter().map(|owned| &owned.object));
        if !rebuilt.is_empty() {
            let apps = rebuilt.len();
            tracing::warn!(
                apps,
                "the journal is new; inventories are rebuilt from owner marks"
            );
        }
        Ok(rebuilt)
    }

    /// Publishes which objects of an app are not as declared.
    pub(crate) fn set_stuck(&self, app: &AppRef, objects: &[Stuck]) {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.is_empty() {
            stuck.remove(app);
        } else {
            stuck.insert(app.clone(), objects.to_vec());
        }
    }

    /// Objects of an app that are not as declared.
    pub(crate) fn stuck(&self, app: &AppRef) -> Vec<Stuck> {
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.get(app).cloned().unwrap_or_default()
    }

    /// Counts a look at the repository, when it begins and when it is over.
    pub(crate) fn look(&self, count: impl FnOnce(&mut Looks)) {
        self.looks.send_modify(count);
    }

    /// Waits for the end of a look that begins after this call.
    pub(crate) async fn looked(&self) {
        let mut looks = self.looks.subscribe();
        let begun = looks.borrow().begun;
        let _ = looks.wait_for(|looks| looks.done > begun).await;
    }

    pub(crate) fn statuses(&self) -> MutexGuard<'_, BTreeMap<AppRef, Box<AppStatus>>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says nothing of an app any more.
    pub(crate) fn forget(&self, app: &AppRef) {
        self.statuses().remove(app);
        self.set_stuck(app, &[]);
        self.comes_after(app, BTreeSet::new());
        self.changes.app(app);
        self.app_changed();
    }

    /// Lets an app compare everything, although nothing was heard of a change.
    pub(crate) fn compare(&self, app: AppRef) {
        let woken = self.live.owner(&app.to_string());
        let mut asked = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(app);
        drop(asked);
        woken.notify_one();
    }

    /// True when somebody wants an app compared; it is from now on taken as done.
    pub(crate) fn is_to_compare(&self, app: &AppRef) -> bool {
        let mut asked = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(app)
    }

    /// Says of apps that a commit which changes nothing of them is where they are.
    pub(crate) fn moved_on(&self, apps: &[AppRef], commit: &str) {
        let mut statuses = self.statuses();
        for app in apps {
            if let Some(status) = statuses.get_mut(app) {
                commit.clone_into(&mut status.commit);
            }
        }
    }

    /// True when an app has what its commit declares and is healthy.
    pub(crate) fn is_synced(&self, env: &str, name: &str) -> bool {
        let (env, name) = (env.to_owned(), name.to_owned());
        let statuses = self.statuses();
        let status = statuses.get(&AppRef { env, name });
        status.is_some_and(|status| {
            matches!(status.sync, Sync::Synced | Sync::Blocked) && status.health != "degraded"
        })
    }

    /// Notes what an app declares, before any app of the same commit is handed over.
    pub(crate) fn claim(&self, cluster: &str, target: &Target) {
        let objects = target.objects();
        let objects = objects.iter().map(|compiled| &compiled.object);
        let mut claims = self.claims_mut();
        let claims = claims.entry(cluster.to_owned()).or_default();
        claims.set(&target.owner(), &target.namespace, objects);
    }

    /// Notes that an app declares nothing in a cluster any more. It is one of ours all the same.
    pub(crate) fn unclaim(&self, cluster: &str, owner: &str) {
        let mut claims = self.claims_mut();
        let claims = claims.entry(cluster.to_owned()).or_default();
        claims.set(owner, "", []);
    }

    /// Notes apps that are ours although nothing is handed over for them.
    pub(crate) fn know_apps(&self, apps: &[AppRef]) {
        let mut claims = self.claims_mut();
        for claims in claims.values_mut() {
            apps.iter().for_each(|app| claims.know(&app.to_string()));
        }
    }

    /// What other apps declare of these objects in the same cluster.
    pub(crate) fn claims<'a>(
        &self,
        cluster: &str,
        owner: &str,
        keys: impl IntoIterator<Item = &'a ObjectKey>,
    ) -> Claims {
        let mut claims = self.claims_mut();
        let claims = claims.entry(cluster.to_owned()).or_default();
        claims.view(owner, keys)
    }

    fn claims_mut(&self) -> MutexGuard<'_, BTreeMap<String, Claims>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the apps that wait for others.
    pub(crate) fn app_changed(&self) {
        self.turns.send_modify(|turns| *turns += 1);
    }

    pub(crate) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Notes which apps of its environment an app waits for, and returns the circle that this makes, if any.
    pub(crate) fn comes_after(
        &self,
        app: &AppRef,
        others: BTreeSet<String>,
    ) -> Option<Vec<String>> {
        let mut after = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        if others.is_empty() {
            after.remove(app);
            return None;
        }
        after.insert(app.clone(), others);
        let mut way = vec![app.name.clone()];
        let mut seen = BTreeSet::new();
        circle(&after, app, &app.name, &mut way, &mut seen).then_some(way)
    }

    pub(crate) fn approve(&self, plan: &str) {
        self.approved
            .send_if_modified(|approved| approved.insert(plan.to_owned()));
    }

    pub(crate) fn approvals(&self) -> watch::Receiver<BTreeSet<String>> {
        self.approved.subscribe()
    }
}

/// Looks for a way from the last app of `way` back to `wanted`.
fn circle(
    after: &BTreeMap<AppRef, BTreeSet<String>>,
    app: &AppRef,
    wanted: &str,
    way: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    for next in after.get(app).into_iter().flatten() {
        way.push(next.clone());
        if next == wanted {
            return true;
        }
        let reference = AppRef {
            env: app.env.clone(),
            name: next.clone(),
        };
        if seen.insert(next.clone()) && circle(after, &reference, wanted, way, seen) {
            return true;
        }
        way.pop();
    }
    false
}

/// How often the repository was looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Looks {
    pub(crate) begun: u64,
    pub(crate) done: u64,
}

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
