//! The story of `ordain demo`, step by step. Each step does what a user would do, with the real tools, and shows it.

use super::{http, images};
use crate::cluster::{Cluster, Options};
use crate::commands::{diff, history, status};
use crate::terminal::{Progress, say};
use miette::{Context, IntoDiagnostic, miette};
use ordain_reconciler_engine::control::{self, Request, Response};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The project that is deployed: the example of this repository, as it is.
const SHOP: &[(&str, &str)] = &[
    (
        "ordain.toml",
        include_str!("../../../examples/shop/ordain.toml"),
    ),
    (
        "server.ord",
        include_str!("../../../examples/shop/server.ord"),
    ),
    ("shop.ord", include_str!("../../../examples/shop/shop.ord")),
    ("envs.ord", include_str!("../../../examples/shop/envs.ord")),
];
/// The app of that project.
const APP: &str = "shop";
/// The namespace of its development environment, which the local cluster runs.
const NAMESPACE: &str = "shop";
/// How long the front page may take to answer after a rollout.
const ANSWER: Duration = Duration::from_secs(20);

/// Tells the story on a cluster of its own in `dir`.
pub(crate) struct Story {
    cluster: Cluster,
    dir: PathBuf,
    work: PathBuf,
    started: Instant,
}

impl Story {
    /// Starts the cluster and the registry, and writes the project.
    ///
    /// # Errors
    /// Returns an error when a part does not start or git is missing.
    pub(crate) async fn begin(dir: PathBuf, mut options: Options) -> miette::Result<Self> {
        let started = Instant::now();
        chapter(1, "A cluster");
        let program = std::env::current_exe()
            .into_diagnostic()
            .wrap_err("cannot find the running program")?;
        let registry = images::serve(&program)
            .await
            .wrap_err("cannot make the demo's images")?;
        options.registries.push(images::alias(registry.address()));
        options.keep_alive.push(Box::new(registry));
        let cluster = Cluster::start(options).await?;
        let endpoints = cluster.endpoints().clone();
        say(&format!(
            "  ready after {:.1} s, containers by `{}`",
            started.elapsed().as_secs_f64(),
            cluster.runtime()
        ));
        say(&format!(
            "  kubectl --kubeconfig {} get pods -A",
            endpoints.kubeconfig.display()
        ));
        let work = dir.join("shop");
        fs::create_dir_all(&work).into_diagnostic()?;
        for (name, text) in SHOP {
            fs::write(work.join(name), text).into_diagnostic()?;
        }
        let story = Self {
            cluster,
            dir,
            work,
            started,
        };
        story.git(&["init", "--quiet", "--initial-branch=main"])?;
        story.git(&["config", "user.name", "Ada"])?;
        story.git(&["config", "user.email", "ada@example.com"])?;
        story.git(&["remote", "add", "ordain", &endpoints.git])?;
        Ok(story)
    }

    /// Tells everything, and returns how long it took.
    ///
    /// # Errors
    /// Returns the first thing that did not happen as told.
    pub(crate) async fn tell(&self) -> miette::Result<Duration> {
        chapter(2, "A push deploys");
        self.commit("shop: first version")?;
        self.push()?;
        self.pods().await?;
        let first = self.front_page("1.0.0").await?;
        say(&indent(&first));

        chapter(3, "A change, previewed before it is pushed");
        self.replace("1.0.0", "1.1.0")?;
        self.replace("Welcome to the shop", "Welcome back to the shop")?;
        let good = self.commit("shop: version 1.1.0")?;
        say("  $ ordain diff HEAD~1..HEAD");
        say(&indent(&diff::between(
            &self.work,
            "HEAD~1",
            "HEAD",
            Some("dev"),
        )?));
        self.push()?;
        say(&indent(&self.front_page("1.1.0").await?));

        chapter(4, "A bad image does not take the old pods down");
        self.replace("1.1.0", "1.2.0")?;
        self.commit("shop: version 1.2.0, which nobody built")?;
        self.push()?;
        say("  the old pods still answer:");
        say(&indent(&self.front_page("1.1.0").await?));

        chapter(5, "A rollback is a commit");
        say(&format!(
            "  $ ordain rollback {APP} --to {} --reason \"1.2.0 was never built\"",
            status::short(&good)
        ));
        self.rollback(&good).await?;
        say(&indent(&self.front_page("1.1.0").await?));

        chapter(6, "The history says what happened");
        say(&format!("  $ ordain history {APP}"));
        let request = Request::History {
            app: APP.to_owned(),
            env: None,
            limit: None,
        };
        for answer in self.ask(request).await? {
            if let Response::History { deploys } = answer {
                say(&indent(&history::text(&deploys)));
            }
        }
        Ok(self.started.elapsed())
    }

    /// Stops everything that was started.
    ///
    /// # Errors
    /// Returns what could not be stopped.
    pub(crate) async fn end(self) -> miette::Result<()> {
        self.cluster.stop().await
    }

    async fn ask(&self, request: Request) -> miette::Result<Vec<Response>> {
        let dir = self.cluster.data_dir().to_owned();
        let call = move || {
            let mut progress = Progress::new();
            control::call(&dir, &request, |line| progress.line(&format!("  {line}")))
        };
        tokio::task::spawn_blocking(call)
            .await
            .into_diagnostic()?
            .into_diagnostic()
    }

    async fn rollback(&self, to: &str) -> miette::Result<()> {
        let request = Request::Rollback {
            sign: false,
            app: APP.to_owned(),
            env: None,
            to: to.to_owned(),
            reason: "1.2.0 was never built".to_owned(),
            author: "Ada <ada@example.com>".to_owned(),
            wait: true,
        };
        let answers = self.ask(request).await?;
        let healthy = answers
            .iter()
            .any(|a| matches!(a, Response::Done { ok: true }));
        if !healthy {
            return Err(miette!("the rollback did not become healthy"));
        }
        self.git(&["pull", "--quiet", "ordain", "main"])?;
        let log = self.git(&["log", "-1", "--format=%an: %s%n%n%b"])?;
        say(&indent(log.trim()));
        Ok(())
    }

    fn git(&self, args: &[&str]) -> miette::Result<String> {
        let output = git(&self.work)
            .args(args)
            .output()
            .into_diagnostic()
            .wrap_err("git is needed for the demo; install it and try again")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(miette!("`git {}` failed: {}", args.join(" "), said.trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn commit(&self, message: &str) -> miette::Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Pushes, and shows what git shows as it comes.
    fn push(&self) -> miette::Result<()> {
        say("  $ git push ordain main");
        let status = tokio::task::block_in_place(|| {
            let mut push = git(&self.work)
                .args(["push", "ordain", "main"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            let mut progress = Progress::new();
            let said = BufReader::new(push.stderr.take().expect("stderr is a pipe"));
            for line in said.lines().map_while(Result::ok) {
                progress.line(&format!("  {line}"));
            }
            push.wait()
        });
        let status = status.into_diagnostic().wrap_err("git does not start")?;
        // A rollout that fails is told in the push's output; the push itself went through.
        if status.success() {
            Ok(())
        } else {
            Err(miette!("the push was refused; its output says why"))
        }
    }

    fn replace(&self, from: &str, to: &str) -> miette::Result<()> {
        let mut changed = false;
        for (name, _) in SHOP.iter().filter(|(name, _)| name.ends_with(".ord")) {
            let path = self.work.join(name);
            let text = fs::read_to_string(&path).into_diagnostic()?;
            changed |= text.contains(from);
            fs::write(&path, text.replace(from, to)).into_diagnostic()?;
        }
        if changed {
            Ok(())
        } else {
            Err(miette!("the shop's sources do not contain `{from}`"))
        }
    }

    async fn pods(&self) -> miette::Result<()> {
        use k8s_openapi::api::core::v1::Pod;
        let pods = kube::Api::<Pod>::namespaced(self.cluster.client(), NAMESPACE);
        let list = pods
            .list(&kube::api::ListParams::default())
            .await
            .into_diagnostic()?;
        for pod in list {
            let status = pod.status.unwrap_or_default();
            let ready = status.container_statuses.iter().flatten().any(|c| c.ready);
            let word = if ready { "ready" } else { "not ready" };
            let name = pod.metadata.name.unwrap_or_default();
            let (phase, ip) = (
                status.phase.unwrap_or_default(),
                status.pod_ip.unwrap_or_default(),
            );
            say(&format!("  {name:<28} {phase:<10} {word:<10} {ip}"));
        }
        Ok(())
    }

    /// Asks the shop's front page over its Service address until it shows `version`.
    async fn front_page(&self, version: &str) -> miette::Result<String> {
        use k8s_openapi::api::core::v1::Service;
        let services = kube::Api::<Service>::namespaced(self.cluster.client(), NAMESPACE);
        let service = services
            .get("web")
            .await
            .into_diagnostic()
            .wrap_err("the shop has no Service `web`")?;
        let spec = service.spec.unwrap_or_default();
        let port = spec.ports.iter().flatten().next().map_or(8080, |p| p.port);
        let url = format!("http://{}:{port}/", spec.cluster_ip.unwrap_or_default());
        let until = Instant::now() + ANSWER;
        let mut last = String::new();
        loop {
            match http::get(&url).await {
                Ok(page) if page.contains(version) => return Ok(format!("$ curl {url}\n{page}")),
                Ok(page) => last = page,
                Err(error) => last = format!("{last}{error}"),
            }
            if Instant::now() > until {
                return Err(miette!(
                    "{url} did not answer with version {version} in time; it said: {last}"
                ));
            }
            last.clear();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns where the project and the cluster's data lie.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

/// A git that reads nobody's configuration but its own, so that the story is the same everywhere.
fn git(work: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(work)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    git
}

fn chapter(number: u32, title: &str) {
    say(&format!("\n{number}. {title}\n"));
}

fn indent(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|l| format!("  {l}"))
        .collect::<Vec<_>>()
        .join("\n")
}
