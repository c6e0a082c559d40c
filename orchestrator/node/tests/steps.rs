//! The pod state machine on stories: each file in `tests/steps` is a pod and what happens to it;
//! the recorded answer beside it has, for every moment, what is decided and what the status says.

#![allow(missing_docs, reason = "a test program")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ordain_orchestrator_node::images::Image;
use ordain_orchestrator_node::pod::status::status;
use ordain_orchestrator_node::pod::view::Stopping;
use ordain_orchestrator_node::pod::{Action, ImageState, ProbeView, Trouble, World, step};
use ordain_orchestrator_node::runtime::{ContainerRecord, ContainerState, Exit, PodRef, Sandbox};

datatest_stable::harness! {
    { test = story, root = "tests/steps", pattern = r"\.json$" },
}

/// A small world that does what the state machine says, as far as it goes.
struct Stage {
    pod: Pod,
    now: Timestamp,
    sandbox: Option<Sandbox>,
    containers: Vec<ContainerRecord>,
    images: BTreeMap<String, ImageState>,
    probes: BTreeMap<String, ProbeView>,
    troubles: BTreeMap<String, Trouble>,
    stopping: BTreeMap<String, Stopping>,
    out: String,
}

fn story(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let story: serde_json::Value = serde_json::from_str(&text)?;
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let mut pod: Pod = serde_json::from_value(story["pod"].clone())?;
    pod.metadata.name = Some("p".to_owned());
    pod.metadata.namespace = Some("default".to_owned());
    pod.metadata.uid = Some("u".to_owned());
    let mut stage = Stage {
        pod,
        now: start,
        sandbox: None,
        containers: Vec::new(),
        images: BTreeMap::new(),
        probes: BTreeMap::new(),
        troubles: BTreeMap::new(),
        stopping: BTreeMap::new(),
        out: String::new(),
    };
    for event in story["story"].as_array().ok_or("no story")? {
        let words: Vec<&str> = event.as_str().ok_or("not a text")?.split(' ').collect();
        writeln!(stage.out, "# {}", words.join(" "))?;
        stage.happen(&words)?;
        stage.settle();
    }
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .ok_or("no name")?;
    insta::with_settings!({ snapshot_path => "steps", prepend_module_to_snapshot => false,
                            omit_expression => true }, {
        insta::assert_snapshot!(name, stage.out);
    });
    Ok(())
}

impl Stage {
    fn happen(&mut self, words: &[&str]) -> datatest_stable::Result<()> {
        match words {
            ["bound"] => {}
            ["wait", seconds] => self.now += SignedDuration::from_secs(seconds.parse()?),
            ["pulled", name] => {
                self.images
                    .insert((*name).to_owned(), ImageState::Ready(Box::new(image())));
            }
            ["refused", name] => {
                let before = match self.images.get(*name) {
                    Some(ImageState::Pulling {
                        before: Some(trouble),
                    }) => trouble.count,
                    _ => 0,
                };
                let trouble = Trouble {
                    reason: "ErrImagePull",
                    message: "manifest unknown".to_owned(),
                    since: self.now,
                    retry_at: self.now + ordain_orchestrator_node::pod::backoff::pull(before + 1),
                    count: before + 1,
                };
                self.images
                    .insert((*name).to_owned(), ImageState::Failed(trouble));
            }
            ["exits", name, code] => self.exit(name, code.parse()?, "Error"),
            ["killed", name] => self.exit(name, 137, "Error"),
            ["ready", name] => self.probe(name, |view| view.ready = true),
            ["started", name] => self.probe(name, |view| view.started = true),
            ["sick", name] => self.probe(name, |view| {
                view.failed = Some("Container failed liveness probe, will be restarted".to_owned());
            }),
            ["deleted", seconds] => {
                let grace: i64 = seconds.parse()?;
                let at = self.now + SignedDuration::from_secs(grace);
                self.pod.metadata.deletion_timestamp = Some(Time(at));
                self.pod.metadata.deletion_grace_period_seconds = Some(grace);
            }
            other => return Err(format!("unknown event {other:?}").into()),
        }
        Ok(())
    }

    fn probe(&mut self, name: &str, change: impl FnOnce(&mut ProbeView)) {
        let own = self.containers.iter().filter(|record| record.name == name);
        if let Some(record) = own.max_by_key(|record| record.attempt) {
            change(self.probes.entry(record.id.clone()).or_default());
        }
    }

    fn exit(&mut self, name: &str, code: i32, reason: &str) {
        let now = self.now;
        for record in self
            .containers
            .iter_mut()
            .filter(|record| record.name == name)
        {
            if let ContainerState::Running { started_at, .. } = record.state {
                record.state = ContainerState::Exited(Exit {
                    code,
                    signal: None,
                    reason: if code == 0 { "Completed" } else { reason }.to_owned(),
                    message: None,
                    started_at: Some(started_at),
                    finished_at: now,
                });
                self.stopping.remove(&record.id);
            }
        }
    }

    /// Lets the machine act until it has nothing to do, writing down what it does and then says.
    fn settle(&mut self) {
        for _ in 0..20 {
            let world = World {
                pod: &self.pod,
                sandbox: self.sandbox.as_ref(),
                containers: &self.containers,
                images: &self.images,
                probes: &self.probes,
                troubles: &self.troubles,
                stopping: &self.stopping,
                crash_base: &BTreeMap::new(),
                messages: &BTreeMap::new(),
                node_stopping: false,
                now: self.now,
            };
            let decision = step(&world);
            let again = step(&world);
            assert_eq!(decision, again, "asking twice decides the same");
            let says = status(&world, IpAddr::V4(Ipv4Addr::LOCALHOST));
            let mut changed = false;
            for action in decision.actions {
                let _ = writeln!(self.out, "  {}", self.describe(&action));
                changed |= self.apply(action);
            }
            self.pod.status = Some(says);
            if !changed {
                if let Some(at) = decision.wake {
                    let _ = writeln!(
                        self.out,
                        "  look again in {}s",
                        at.duration_since(self.now).as_secs()
                    );
                }
                break;
            }
        }
        let summary = self.pod.status.as_ref().map(summarize).unwrap_or_default();
        self.out.push_str(&summary);
    }

    fn describe(&self, action: &Action) -> String {
        match action {
            Action::Ask { id, deadline, why } => {
                format!(
                    "ask {id} to stop within {}s: {why}",
                    deadline.duration_since(self.now).as_secs()
                )
            }
            Action::Start { container, attempt } => format!("start {container} ({attempt})"),
            Action::Pull { container } => format!("pull for {container}"),
            Action::Kill { id } => format!("kill {id}"),
            Action::Remove { id } => format!("remove {id}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    fn apply(&mut self, action: Action) -> bool {
        match action {
            Action::Prepare => {
                self.sandbox = Some(Sandbox {
                    pod: pod_ref(),
                    address: Ipv4Addr::new(10, 42, 0, 2),
                    host_network: false,
                    namespaces: None,
                    host_interface: None,
                });
            }
            Action::Pull { container } => {
                let before = match self.images.remove(&container) {
                    Some(ImageState::Failed(trouble)) => Some(trouble),
                    _ => None,
                };
                self.images
                    .insert(container, ImageState::Pulling { before });
            }
            Action::Start { container, attempt } => {
                self.images.remove(&container);
                let id = format!("{container}-{attempt}");
                let spec = self.pod.spec.as_ref().expect("a spec");
                let all = spec
                    .containers
                    .iter()
                    .chain(spec.init_containers.iter().flatten());
                let own = all
                    .into_iter()
                    .find(|one| one.name == container)
                    .expect("known");
                let view = ProbeView {
                    started: own.startup_probe.is_none(),
                    ready: own.startup_probe.is_none() && own.readiness_probe.is_none(),
                    failed: None,
                };
                self.probes.insert(id.clone(), view);
                self.containers.push(ContainerRecord {
                    id,
                    pod: pod_ref(),
                    name: container,
                    attempt,
                    image: "img".to_owned(),
                    image_id: "sha256:1".to_owned(),
                    log: "/log".into(),
                    state: ContainerState::Running {
                        pid: 1,
                        started_at: self.now,
                    },
                });
            }
            Action::Ask { id, deadline, .. } => {
                let killed = deadline <= self.now;
                self.stopping.insert(id, Stopping { deadline, killed });
            }
            Action::Kill { id } => {
                if let Some(known) = self.stopping.get_mut(&id) {
                    known.killed = true;
                }
            }
            Action::Remove { id } => self.containers.retain(|record| record.id != id),
            Action::TearDown => {
                self.sandbox = None;
                return false;
            }
            Action::Delete => return false,
        }
        true
    }
}

fn summarize(status: &PodStatus) -> String {
    let mut out = format!("  = {}", status.phase.as_deref().unwrap_or_default());
    let conditions = status.conditions.iter().flatten();
    for condition in conditions.filter(|condition| condition.status == "True") {
        if matches!(condition.type_.as_str(), "Initialized" | "Ready") {
            let _ = write!(out, " {}", condition.type_);
        }
    }
    out.push('\n');
    let lists = [&status.init_container_statuses, &status.container_statuses];
    for one in lists.into_iter().flatten().flatten() {
        let state = one.state.clone().unwrap_or_default();
        let word = if let Some(waiting) = state.waiting {
            let message = waiting
                .message
                .map(|text| format!(": {text}"))
                .unwrap_or_default();
            format!("waiting {}{message}", waiting.reason.unwrap_or_default())
        } else if let Some(ended) = state.terminated {
            format!(
                "terminated {} {}",
                ended.reason.unwrap_or_default(),
                ended.exit_code
            )
        } else {
            "running".to_owned()
        };
        let last = one
            .last_state
            .as_ref()
            .and_then(|last| last.terminated.as_ref());
        let last = last
            .map(|last| format!(", last {}", last.exit_code))
            .unwrap_or_default();
        let ready = if one.ready { ", ready" } else { "" };
        let _ = writeln!(
            out,
            "    {}: {word}{ready}, restarts {}{last}",
            one.name, one.restart_count
        );
    }
    out
}

fn pod_ref() -> PodRef {
    PodRef {
        namespace: "default".into(),
        name: "p".into(),
        uid: "u".into(),
    }
}

fn image() -> Image {
    Image {
        id: "sha256:1".to_owned(),
        manifest: "sha256:2".to_owned(),
        diff_ids: Vec::new(),
        layers: Vec::new(),
        config: ordain_orchestrator_node::images::model::ImageDefaults::default(),
        size: 0,
    }
}
