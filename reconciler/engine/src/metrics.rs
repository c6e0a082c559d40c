//! What is counted, under Prometheus' names. Knows no HTTP; whoever does something counts it here.
//!
//! Nothing has a label per object, and only the state of apps has one per app: 10,000 apps are 10,000 lines.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ordain_reconciler_journal::AppRef;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// How something went.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Went {
    result: &'static str,
}

/// One kind of request to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: String,
    code: String,
}

/// One kind of call from a git host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    host: &'static str,
    result: &'static str,
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    fetches: Family<Went, Counter>,
    fetch_seconds: Histogram,
    compiles: Family<Went, Counter>,
    compile_seconds: Histogram,
    passes: Family<Went, Counter>,
    pass_seconds: Histogram,
    requests: Family<Asked, Counter>,
    /// All of them.
    sent: AtomicU64,
    hooks: Family<Called, Counter>,
    drifts: Counter,
    rollbacks: Family<Went, Counter>,
    host_calls: Family<Went, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics(…)")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        // From a millisecond to half a minute: what is slower is not told apart.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("ordain")),
            fetches: Family::default(),
            fetch_seconds: seconds(),
            compiles: Family::default(),
            compile_seconds: seconds(),
            passes: Family::default(),
            pass_seconds: seconds(),
            requests: Family::default(),
            sent: AtomicU64::new(0),
            hooks: Family::default(),
            drifts: Counter::default(),
            rollbacks: Family::default(),
            host_calls: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.lock();
        let add = &mut *registry;
        add.register("git_fetch", "Looks at the repository", self.fetches.clone());
        add.register_with_unit(
            "git_fetch_duration",
            "Time of a look at the repository",
            Unit::Seconds,
            self.fetch_seconds.clone(),
        );
        add.register(
            "compile",
            "Commits that were compiled",
            self.compiles.clone(),
        );
        add.register_with_unit(
            "compile_duration",
            "Time to compile a commit",
            Unit::Seconds,
            self.compile_seconds.clone(),
        );
        add.register("reconcile", "Passes over an app", self.passes.clone());
        add.register_with_unit(
            "reconcile_duration",
            "Time of a pass over an app",
            Unit::Seconds,
            self.pass_seconds.clone(),
        );
        add.register(
            "k8s_requests",
            "Requests to API servers, watches not counted",
            self.requests.clone(),
        );
        add.register("git_hooks", "Calls of git hosts", self.hooks.clone());
        add.register(
            "drift",
            "Objects that somebody changed and that were put right",
            self.drifts.clone(),
        );
        add.register(
            "rollbacks",
            "Rollbacks, asked for or automatic",
            self.rollbacks.clone(),
        );
        add.register(
            "host_calls",
            "Calls of the git host: commit statuses, and requests to merge a rollback",
            self.host_calls.clone(),
        );
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository was looked at.
    pub(crate) fn fetched(&self, is_ok: bool, took: Duration) {
        self.fetches.get_or_create(&went(is_ok)).inc();
        self.fetch_seconds.observe(took.as_secs_f64());
    }

    /// A commit was compiled.
    pub(crate) fn compiled(&self, is_ok: bool, took: Duration) {
        self.compiles.get_or_create(&went(is_ok)).inc();
        self.compile_seconds.observe(took.as_secs_f64());
    }

    /// An app was compared, and written where it differed.
    pub(crate) fn passed(&self, is_ok: bool, took: Duration) {
        self.passes.get_or_create(&went(is_ok)).inc();
        self.pass_seconds.observe(took.as_secs_f64());
    }

    /// How many requests were answered so far, or were not.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// An API server answered, or did not (`code` 0).
    pub(crate) fn asked(&self, method: &http::Method, code: u16) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let (method, code) = (method.to_string(), code.to_string());
        self.requests.get_or_create(&Asked { method, code }).inc();
    }

    /// A git host called.
    pub(crate) fn called(&self, host: &'static str, result: &'static str) {
        self.hooks.get_or_create(&Called { host, result }).inc();
    }

    /// Objects were put right.
    pub(crate) fn drifted(&self, objects: usize) {
        self.drifts.inc_by(objects as u64);
    }

    /// A rollback was made.
    pub(crate) fn rolled_back(&self, is_ok: bool) {
        self.rollbacks.get_or_create(&went(is_ok)).inc();
    }

    /// The git host was called.
    pub(crate) fn told_host(&self, is_ok: bool) {
        self.host_calls.get_or_create(&went(is_ok)).inc();
    }

    /// Adds what is looked up at each scrape.
    pub(crate) fn collect(&self, states: impl Fn() -> States + Send + Sync + 'static) {
        self.lock().register_collector(Box::new(Looked(states)));
    }

    /// Everything in the text format of OpenMetrics 1.0.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.lock());
        text
    }
}

fn went(is_ok: bool) -> Went {
    let result = if is_ok { "ok" } else { "error" };
    Went { result }
}

/// What is told of the apps at a scrape.
#[derive(Debug, Default)]
pub(crate) struct States {
    /// Each app with its sync and its health.
    pub(crate) apps: BTreeMap<AppRef, (String, String)>,
}

struct Looked<F>(F);

impl<F> fmt::Debug for Looked<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Looked(…)")
    }
}

impl<F: Fn() -> States + Send + Sync + 'static> Collector for Looked<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let states = (self.0)();
        let one = ConstGauge::new(1_i64);
        let mut family = encoder.encode_descriptor(
            "app_info",
            "Apps with their sync and health",
            None,
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for (app, (sync, health)) in &states.apps {
            let labels = [
                ("app", app.name.as_str()),
                ("env", app.env.as_str()),
                ("sync", sync.as_str()),
                ("health", health.as_str()),
            ];
            one.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric() {
        let metrics = Metrics::default();
        metrics.fetched(true, Duration::from_millis(3));
        metrics.compiled(false, Duration::from_millis(40));
        metrics.passed(true, Duration::from_secs(1));
        metrics.asked(&http::Method::PATCH, 200);
        metrics.called("GitHub", "accepted");
        metrics.drifted(2);
        metrics.rolled_back(true);
        metrics.told_host(false);
        metrics.collect(|| {
            let (env, name) = ("prod".to_owned(), "we\"b".to_owned());
            let state = ("synced".to_owned(), "healthy".to_owned());
            let apps = BTreeMap::from([(AppRef { env, name }, state)]);
            States { apps }
        });
        let text = metrics.text();
        let shown: Vec<_> = text
            .lines()
            .filter(|line| !line.contains("_bucket"))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
