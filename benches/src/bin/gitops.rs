//! Measures the reconciler: a fleet of apps in one commit, ten thousand objects in one app, an edit of one file, a hand
//! edit, a rollback, and ten thousand apps at rest.
//!
//!     cargo build --release && cargo run --release -p ordain-benches --bin gitops [ROW...] [--apps N] [--maps N] [--rest N]
//!
//! The rows are `apps`, `edit`, `drift`, `rollback` (of one fleet), `maps` and `rest`; all of them without a name. The
//! cluster is `ordain up`; the reconciler is a process of its own and speaks to it through its kubeconfig. Run it where
//! nothing else runs.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks to the person who started it"
)]

use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use ordain_benches::counter::{Counter, Counts, client};
use ordain_benches::fleet::Fleet;
use ordain_benches::ordain;
use ordain_benches::running::Running;
use ordain_reconciler_engine::control::{Request, Response, call};
use serde_json::json;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Times of a thing that takes less than a second; the middle one is printed.
const TIMES: usize = 5;

/// How long a fleet is left alone before its rest is measured: longer than the reconciler keeps what it needs only for
/// the next commit.
const SETTLE: Duration = Duration::from_secs(90);

/// How long its rest is measured.
const REST: Duration = Duration::from_secs(60);

/// How long anything may take at all.
const PATIENCE: Duration = Duration::from_secs(600);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gitops: {error}");
            ExitCode::from(3)
        }
    }
}

/// What is asked for.
struct Wanted {
    rows: Vec<String>,
    apps: usize,
    maps: usize,
    rest: usize,
}

impl Wanted {
    fn read() -> Result<Self> {
        let mut wanted = Self {
            rows: Vec::new(),
            apps: 1_000,
            maps: 10_000,
            rest: 10_000,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let number = match &*arg {
                "--apps" => &mut wanted.apps,
                "--maps" => &mut wanted.maps,
                "--rest" => &mut wanted.rest,
                _ => {
                    wanted.rows.push(arg);
                    continue;
                }
            };
            *number = args.next().unwrap_or_default().parse()?;
        }
        Ok(wanted)
    }

    fn has(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|wanted| wanted == row)
    }
}

fn run() -> Result<()> {
    let wanted = Wanted::read()?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new()?;
    let program = ordain()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.trim());
    if ["apps", "edit", "drift", "rollback"]
        .iter()
        .any(|row| wanted.has(row))
    {
        fleet(&wanted, &runtime, &program)?;
    }
    if wanted.has("maps") {
        maps(wanted.maps, &runtime, &program)?;
    }
    if wanted.has("rest") {
        rest(wanted.rest, &runtime, &program)?;
    }
    Ok(())
}

/// A cluster, a reconciler in a process of its own, and a repository.
struct World<'w> {
    program: &'w Path,
    runtime: &'w tokio::runtime::Runtime,
    temp: tempfile::TempDir,
    kubeconfig: PathBuf,
    client: kube::Client,
    fleet: Fleet,
    reconciler: Option<Running>,
    cluster: Running,
}

impl<'w> World<'w> {
    fn start(program: &'w Path, runtime: &'w tokio::runtime::Runtime) -> Result<Self> {
        let temp = tempfile::tempdir()?;
        let data = temp.path().join("cluster");
        let args = "up --runtime process --listen 127.0.0.1:0 --format json --data-dir";
        let args = args.split(' ').map(OsStr::new).chain([data.as_os_str()]);
        let args: Vec<&OsStr> = args.collect();
        let cluster = Running::start(program, &args, &temp.path().join("cluster.log"))?;
        let kubeconfig = PathBuf::from(cluster.text("kubeconfig")?);
        let client = runtime.block_on(client(&kubeconfig))?;
        let fleet = Fleet::new(&temp.path().join("work"))?;
        Ok(Self {
            program,
            runtime,
            temp,
            kubeconfig,
            client,
            fleet,
            reconciler: None,
            cluster,
        })
    }

    fn data(&self) -> PathBuf {
        self.temp.path().join("reconciler")
    }

    /// Starts the reconciler, or starts it anew, against the server itself or through a counting proxy.
    fn reconcile(&mut self, is_counted: bool) -> Result<Option<Counter>> {
        if let Some(running) = self.reconciler.take() {
            running.stop()?;
        }
        let mut counter = None;
        let mut kubeconfig = self.kubeconfig.clone();
        if is_counted {
            let started = self.runtime.block_on(Counter::start(&kubeconfig))?;
            kubeconfig = self.temp.path().join("counted");
            std::fs::write(&kubeconfig, started.kubeconfig())?;
            counter = Some(started);
        }
        let data = self.data();
        let args = "run --cluster local --format json --kubeconfig".split(' ');
        let args = args.map(OsStr::new);
        let places = [
            kubeconfig.as_os_str(),
            "--data-dir".as_ref(),
            data.as_os_str(),
        ];
        let args: Vec<&OsStr> = args.chain(places).collect();
        let log = self.temp.path().join("reconciler.log");
        self.reconciler = Some(Running::start(self.program, &args, &log)?);
        Ok(counter)
    }

    fn reconciler(&self) -> Result<&Running> {
        Ok(self.reconciler.as_ref().ok_or("no reconciler")?)
    }

    /// Pushes the last commit and waits until it is rolled out.
    fn push(&self) -> Result<Duration> {
        let remote = self.reconciler()?.text("git")?.to_owned();
        let start = Instant::now();
        self.fleet.push(&remote)?;
        Ok(start.elapsed())
    }

    /// Waits until every app is healthy.
    fn settled(&self, apps: usize) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for answer in call(self.data(), &Request::Status, |_| {})? {
                let Response::Status { status } = answer else {
                    continue;
                };
                let healthy = status.apps.iter().filter(|app| app.health == "healthy");
                if healthy.count() >= apps {
                    return Ok(());
                }
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Err("the apps do not become healthy".into())
    }

    /// Waits until the object of every app says that it is ready.
    fn shown(&self, apps: usize) -> Result<()> {
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk("ordain.dev", "v1alpha1", "App"));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), "ordain-system", &resource);
        let is_ready = |object: &DynamicObject| {
            let conditions = object.data.pointer("/status/conditions")?.as_array()?;
            let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
            Some(ready["status"] == "True")
        };
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let list = self.runtime.block_on(api.list(&ListParams::default()))?;
            let ready = list.items.iter().filter(|one| is_ready(one) == Some(true));
            if ready.count() >= apps {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        Err("not every app is shown as ready".into())
    }

    fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), "fleet", &resource)
    }

    /// How many objects of a kind there are.
    fn count(&self, group: &str, version: &str, kind: &str) -> Result<usize> {
        let api = self.api(group, version, kind);
        let list = self
            .runtime
            .block_on(api.list_metadata(&ListParams::default()))?;
        Ok(list.items.len())
    }

    /// Waits until an object is as wanted; returns since `start`.
    fn until(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        start: Instant,
        is_wanted: impl Fn(&DynamicObject) -> bool,
    ) -> Result<Duration> {
        while start.elapsed() < PATIENCE {
            let object = self.runtime.block_on(api.get_opt(name))?;
            if object.is_some_and(|object| is_wanted(&object)) {
                return Ok(start.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("{name} does not become as it should be").into())
    }

    fn stop(mut self) -> Result<()> {
        if let Some(running) = self.reconciler.take() {
            running.stop()?;
        }
        self.cluster.stop()?;
        Ok(())
    }
}

fn image(object: &DynamicObject) -> &str {
    let image = object
        .data
        .pointer("/spec/template/spec/containers/0/image");
    image.and_then(|image| image.as_str()).unwrap_or_default()
}

/// The rows about a fleet of apps with four objects each.
fn fleet(wanted: &Wanted, runtime: &tokio::runtime::Runtime, program: &Path) -> Result<()> {
    let number = wanted.apps;
    let mut world = World::start(program, runtime)?;
    world.reconcile(false)?;
    (0..number).try_for_each(|app| world.fleet.app(app, "1"))?;
    world.fleet.commit("all apps")?;
    let cpu = (world.reconciler()?.cpu()?, world.cluster.cpu()?);
    let took = world.push()?;
    let kinds = [
        ("apps", "v1", "Deployment"),
        ("", "v1", "Service"),
        ("networking.k8s.io", "v1", "Ingress"),
    ];
    for (group, version, kind) in kinds {
        let found = world.count(group, version, kind)?;
        if found != number {
            return Err(format!("{found} of {number} {kind}s are there").into());
        }
    }
    row(
        &format!("{number} apps of 4 objects, one commit to all healthy"),
        took,
        10.0,
    );
    peer(
        "Flux",
        256.0 * number as f64 / 1_000.0,
        took,
        "2 CPU of a 16-core runner, its own result",
    );
    used(&world, cpu)?;

    let counter = world.reconcile(true)?.ok_or("no counter")?;
    let start = Instant::now();
    world.settled(number)?;
    println!(
        "  started again, everything compared: {:.2} s; {}",
        start.elapsed().as_secs_f64(),
        text(&counter.take())
    );
    if wanted.has("edit") {
        edits(&world, &counter)?;
    }
    if wanted.has("drift") {
        drift(&world)?;
    }
    if wanted.has("rollback") {
        rollback(&world)?;
    }
    world.stop()
}

fn edits(world: &World<'_>, counter: &Counter) -> Result<()> {
    let mut times = Vec::new();
    let mut asked = Counts::new();
    let api = world.api("apps", "v1", "Deployment");
    for edit in 0..TIMES {
        let tag = format!("2.{edit}");
        world.fleet.app(7, &tag)?;
        world.fleet.commit("one app")?;
        drop(counter.take());
        times.push(world.push()?);
        asked = counter.take();
        let wanted = |object: &DynamicObject| image(object).ends_with(&format!(":{tag}"));
        world.until(&api, "app-00007", Instant::now(), wanted)?;
    }
    row("one file changed, push to healthy", middle(&mut times), 1.0);
    println!("  requests for it: {}", text(&asked));
    Ok(())
}

fn drift(world: &World<'_>) -> Result<()> {
    let mut times = Vec::new();
    let api = world.api("apps", "v1", "Deployment");
    for edit in 0..TIMES {
        let patch = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "main", "image": format!("example.com/by-hand:{edit}")}]}}}});
        // One app for each: who changes the same object again and again is slowed down.
        let name = format!("app-{:05}", 20 + edit);
        let params = PatchParams::default();
        world
            .runtime
            .block_on(api.patch(&name, &params, &Patch::Strategic(patch)))?;
        let start = Instant::now();
        times.push(world.until(&api, &name, start, |object| {
            !image(object).contains("by-hand")
        })?);
    }
    row("hand edit to reverted", middle(&mut times), 1.0);
    Ok(())
}

fn rollback(world: &World<'_>) -> Result<()> {
    let mut times = Vec::new();
    let api = world.api("apps", "v1", "Deployment");
    let remote = world.reconciler()?.text("git")?.to_owned();
    for number in 0..TIMES {
        let app = 40 + number;
        world.fleet.pull(&remote)?;
        world.fleet.app(app, "bad")?;
        world.fleet.commit("a bad one")?;
        world.push()?;
        let name = format!("app-{app:05}");
        let request = Request::Rollback {
            sign: false,
            app: format!("app_{app:05}"),
            env: None,
            to: "last-healthy".to_owned(),
            reason: "measured".to_owned(),
            author: "Bench <bench@example.com>".to_owned(),
            wait: false,
        };
        let start = Instant::now();
        call(world.data(), &request, |_| {})?;
        times.push(world.until(&api, &name, start, |object| image(object).ends_with(":1"))?);
    }
    row("rollback to objects live", middle(&mut times), 2.0);
    Ok(())
}

/// The row about one app with very many objects.
fn maps(number: usize, runtime: &tokio::runtime::Runtime, program: &Path) -> Result<()> {
    let mut world = World::start(program, runtime)?;
    world.reconcile(false)?;
    world.fleet.maps(number)?;
    world.fleet.commit("all maps")?;
    let cpu = (world.reconciler()?.cpu()?, world.cluster.cpu()?);
    let took = world.push()?;
    let found = world.count("", "v1", "ConfigMap")?;
    if found < number {
        return Err(format!("{found} of {number} ConfigMaps are there").into());
    }
    row(
        &format!("{number} ConfigMaps in one app, one commit to all healthy"),
        took,
        15.0,
    );
    peer(
        "Config Sync",
        120.0 * number as f64 / 10_000.0,
        took,
        "323 MB, its own result",
    );
    used(&world, cpu)?;
    world.stop()
}

/// The row about very many apps of which nothing changes.
fn rest(number: usize, runtime: &tokio::runtime::Runtime, program: &Path) -> Result<()> {
    let mut world = World::start(program, runtime)?;
    let counter = world.reconcile(true)?.ok_or("no counter")?;
    (0..number).try_for_each(|app| world.fleet.small(app))?;
    world.fleet.commit("all apps")?;
    let cpu = (world.reconciler()?.cpu()?, world.cluster.cpu()?);
    let start = Instant::now();
    let took = world.push()?;
    println!(
        "{number} apps of 1 object, one commit to all healthy: {:.2} s",
        took.as_secs_f64()
    );
    world.shown(number)?;
    println!(
        "  every `App` object shows it: {:.2} s after the push began; {}",
        start.elapsed().as_secs_f64(),
        text(&counter.take())
    );
    used(&world, cpu)?;
    at_rest(&world, &counter, number, "after the first commit")?;

    let counter = world.reconcile(true)?.ok_or("no counter")?;
    let start = Instant::now();
    world.settled(number)?;
    println!(
        "  started again, everything compared: {:.2} s; {}",
        start.elapsed().as_secs_f64(),
        text(&counter.take())
    );
    at_rest(&world, &counter, number, "after a start")?;
    world.stop()
}

/// Lets everything settle, and measures what is used while nothing happens.
fn at_rest(world: &World<'_>, counter: &Counter, number: usize, when: &str) -> Result<()> {
    std::thread::sleep(SETTLE);
    let settling = counter.take();
    let reconciler = world.reconciler()?;
    let before = reconciler.cpu()?;
    std::thread::sleep(REST);
    let share = (reconciler.cpu()? - before) / REST.as_secs_f64() * 100.0;
    let asked = counter.take();
    let (now, peak) = reconciler.memory()?;
    println!(
        "{number} apps at rest {when}: {share:.2} % of a core (bar 2 %), {now:.0} MiB (bar 143 MiB = 150 MB; peak {peak:.0}), \
         requests in {} s: {} (bar: none but watches; in the {} s before: {})",
        REST.as_secs(),
        text(&asked),
        SETTLE.as_secs(),
        text(&settling)
    );
    Ok(())
}

fn middle(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn row(what: &str, took: Duration, bar: f64) {
    let seconds = took.as_secs_f64();
    let verdict = if seconds < bar { "met" } else { "NOT met" };
    println!("{what}: {seconds:.2} s (bar {bar} s: {verdict})");
}

fn peer(name: &str, published: f64, took: Duration, how: &str) {
    let ratio = published / took.as_secs_f64();
    println!("  {name} publishes {published:.0} s ({how}): {ratio:.0}x");
}

fn used(world: &World<'_>, before: (f64, f64)) -> Result<()> {
    let (reconciler, cluster) = (world.reconciler()?, &world.cluster);
    let (memory, of_cluster) = (reconciler.memory()?, cluster.memory()?);
    println!(
        "  processor time: reconciler {:.2} s, cluster {:.2} s; peak memory: reconciler {:.0} MiB, cluster {:.0} MiB",
        reconciler.cpu()? - before.0,
        cluster.cpu()? - before.1,
        memory.1,
        of_cluster.1
    );
    Ok(())
}

fn text(counts: &Counts) -> String {
    if counts.is_empty() {
        return "no request".to_owned();
    }
    let counts = counts.iter().map(|(verb, count)| format!("{count} {verb}"));
    counts.collect::<Vec<_>>().join(", ")
}
