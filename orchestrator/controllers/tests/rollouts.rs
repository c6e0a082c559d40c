//! Whole rollouts, played out in memory: the Deployment and ReplicaSet steps act on a world where
//! pods become ready one look later, unless their image is `bad`.
//!
//! Each `rollouts/*.yaml` is a story of changes; the `.txt` beside it is what happens.
//! `INSTA_UPDATE=always` rewrites the expectations. A property test plays random stories.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, sync::Arc};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::Pod,
    },
    jiff::{SignedDuration, Timestamp},
};
use ordain_orchestrator_controllers::{Action, steps};
use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Looks after which a world that never rests is wrong.
const LOOKS_MAX: usize = 200;

struct World {
    now: Timestamp,
    /// By kind and name.
    objects: BTreeMap<(String, String), Value>,
    counter: usize,
    trace: String,
    /// Bounds that a rolling update must keep, once it has been available.
    bounds: Option<(i32, i32)>,
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

impl World {
    fn new(deployment: Value) -> World {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let objects = BTreeMap::new();
        let mut world = World {
            now,
            objects,
            counter: 0,
            trace: String::new(),
            bounds: None,
        };
        world.create("Deployment", deployment);
        world
    }

    fn create(&mut self, kind: &str, mut object: Value) {
        self.counter += 1;
        let meta = &mut object["metadata"];
        if let Some(prefix) = meta["generateName"].as_str() {
            meta["name"] = json!(format!("{prefix}{}", self.counter));
        }
        meta["uid"] = json!(format!("u{}", self.counter));
        meta["generation"] = json!(1);
        meta["creationTimestamp"] = json!(self.now.to_string());
        let name = meta["name"].as_str().unwrap().to_owned();
        if kind == "Pod" {
            object["status"] = json!({ "phase": "Pending" });
        }
        let before = self.objects.insert((kind.to_owned(), name), object);
        assert!(before.is_none(), "a name was used twice: {before:?}");
    }

    fn patch(&mut self, kind: &str, name: &str, body: &Value) {
        let object = self
            .objects
            .get_mut(&(kind.to_owned(), name.to_owned()))
            .unwrap();
        let spec = object["spec"].clone();
        merge(object, body);
        if object["spec"] != spec {
            let generation = object["metadata"]["generation"].as_i64().unwrap();
            object["metadata"]["generation"] = json!(generation + 1);
        }
    }

    fn all<T: DeserializeOwned>(&self, kind: &str) -> Vec<Arc<T>> {
        let objects = self.objects.iter().filter(|((other, _), _)| other == kind);
        objects
            .map(|(_, object)| Arc::new(serde_json::from_value(object.clone()).unwrap()))
            .collect()
    }

    fn deployment(&self) -> Arc<Deployment> {
        self.all("Deployment").remove(0)
    }

    /// Carries actions out; returns whether there were any but to wait.
    fn carry_out(&mut self, actions: Vec<Action>) -> bool {
        let mut acted = false;
        for action in actions {
            acted |= !matches!(action, Action::After(_) | Action::Event { .. });
            match action {
                Action::Create {
                    resource, object, ..
                } => self.create(&resource.kind, object),
                Action::Patch { target, body, .. } => {
                    self.patch(&target.resource.kind, &target.key.name, &body);
                }
                Action::Delete { target, .. } => {
                    let key = (target.resource.kind, target.key.name.to_string());
                    self.objects.remove(&key);
                    if key.0 == "ReplicaSet" {
                        writeln!(self.trace, "  deleted {}", key.1).unwrap();
                    }
                }
                Action::Event { message, .. } => writeln!(self.trace, "  {message}").unwrap(),
                Action::After(_) => {}
            }
        }
        acted
    }

    /// One look of every controller, and of the node's agent.
    fn look(&mut self) -> bool {
        let (sets, pods) = (self.all("ReplicaSet"), self.all("Pod"));
        let mut acted = self.carry_out(steps::deployment(
            &self.deployment(),
            &sets,
            &pods,
            self.now,
        ));
        for set in self.all::<ReplicaSet>("ReplicaSet") {
            acted |= self.carry_out(steps::replica_set(&set, &self.all("Pod"), self.now));
        }
        self.check_bounds();
        let now = self.now.to_string();
        for pod in self.all::<Pod>("Pod") {
            let ready = pod
                .status
                .as_ref()
                .is_some_and(|status| status.conditions.is_some());
            let image = pod.spec.as_ref().unwrap().containers[0].image.clone();
            if !ready && image.as_deref() != Some("bad") {
                acted = true;
                let body = json!({ "status": { "phase": "Running", "conditions": [
                    { "type": "Ready", "status": "True", "lastTransitionTime": now }
                ] } });
                self.patch("Pod", pod.metadata.name.as_ref().unwrap(), &body);
            }
        }
        self.now += SignedDuration::from_secs(1);
        acted
    }

    fn settle(&mut self) {
        for _ in 0..LOOKS_MAX {
            if !self.look() {
                return;
            }
        }
        panic!("the world does not come to rest:\n{}", self.trace);
    }

    fn check_bounds(&mut self) {
        let Some((available_min, pods_max)) = self.bounds else {
            return;
        };
        let pods = self.all::<Pod>("Pod");
        let ready = pods.iter().filter(|pod| {
            pod.status
                .as_ref()
                .is_some_and(|status| status.conditions.is_some())
        });
        let (ready, all) = (ready.count() as i32, pods.len() as i32);
        assert!(
            ready >= available_min,
            "{ready} available, {available_min} wanted\n{}",
            self.trace
        );
        assert!(
            all <= pods_max,
            "{all} pods, {pods_max} allowed\n{}",
            self.trace
        );
    }

    /// Writes what is there, with letters for the hashes of the templates.
    fn summary(&self) -> String {
        let deployment = self.deployment();
        let status = deployment.status.clone().unwrap_or_default();
        let mut text = String::new();
        for set in self.by_age() {
            let annotations = set.metadata.annotations.clone().unwrap_or_default();
            let revision = &annotations["deployment.kubernetes.io/revision"];
            let history = annotations.get("deployment.kubernetes.io/revision-history");
            let history = history
                .map(|history| format!(" (was {history})"))
                .unwrap_or_default();
            let ready = set
                .status
                .as_ref()
                .and_then(|s| s.available_replicas)
                .unwrap_or(0);
            let wanted = set.spec.as_ref().unwrap().replicas.unwrap();
            let name = set.metadata.name.as_ref().unwrap();
            writeln!(
                text,
                "  = {name}: {ready}/{wanted} revision {revision}{history}"
            )
            .unwrap();
        }
        for condition in status.conditions.into_iter().flatten() {
            let (type_, status) = (condition.type_, condition.status);
            let (reason, message) = (condition.reason.unwrap(), condition.message.unwrap());
            writeln!(text, "  = {type_} {status} {reason}: {message}").unwrap();
        }
        text
    }

    fn by_age(&self) -> Vec<Arc<ReplicaSet>> {
        let mut sets = self.all::<ReplicaSet>("ReplicaSet");
        sets.sort_by_key(|set| {
            set.metadata.uid.as_ref().unwrap()[1..]
                .parse::<usize>()
                .unwrap()
        });
        sets
    }

    fn with_letters(&self, names: &mut Vec<String>, text: &str) -> String {
        for set in self.by_age() {
            let hash = set.metadata.labels.as_ref().unwrap()["pod-template-hash"].clone();
            if !names.contains(&hash) {
                names.push(hash);
            }
        }
        let letters = names.iter().zip('A'..);
        letters.fold(text.to_owned(), |text, (hash, letter)| {
            text.replace(hash.as_str(), &letter.to_string())
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    deployment: Value,
    then: Vec<Chapter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Chapter {
    /// What happens, in words.
    what: String,
    /// A merge patch of the Deployment.
    patch: Option<Value>,
    /// Let only this many looks pass instead of waiting for rest.
    looks: Option<usize>,
    /// Then let this time pass.
    wait_seconds: Option<i64>,
}

fn play(story: Story) -> String {
    let mut world = World::new(story.deployment);
    let mut text = String::new();
    let mut names = Vec::new();
    let first = Chapter {
        what: "created".into(),
        patch: None,
        looks: None,
        wait_seconds: None,
    };
    for chapter in std::iter::once(first).chain(story.then) {
        if let Some(patch) = &chapter.patch {
            let name = world.deployment().metadata.name.clone().unwrap();
            world.patch("Deployment", &name, patch);
        }
        if let Some(seconds) = chapter.wait_seconds {
            world.now += SignedDuration::from_secs(seconds);
        }
        match chapter.looks {
            None => world.settle(),
            Some(looks) => (0..looks).for_each(|_| {
                world.look();
            }),
        }
        let trace = std::mem::take(&mut world.trace);
        let told = format!("{}\n{trace}{}", chapter.what, world.summary());
        text += &world.with_letters(&mut names, &told);
    }
    text
}

#[test]
fn rollouts_go_as_written() {
    let update = std::env::var("INSTA_UPDATE").is_ok_and(|mode| mode == "always");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rollouts");
    let mut stories = 0;
    let mut wrong = String::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        stories += 1;
        let story = serde_yaml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let played = play(story);
        let expectation = path.with_extension("txt");
        if update {
            fs::write(&expectation, &played).unwrap();
        }
        let expected = fs::read_to_string(&expectation).unwrap_or_default();
        if played != expected {
            writeln!(
                wrong,
                "{}\nexpected:\n{expected}played:\n{played}",
                path.display()
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(stories > 4, "only {stories} stories found");
}

fn deployment(replicas: i32, image: &str, surge: &Value, unavailable: &Value) -> Value {
    json!({
        "metadata": { "name": "web", "namespace": "shop" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable },
            },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": image }] },
            },
        },
    })
}

/// A count, or a percentage up to 100.
fn share() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..4i32).prop_map(|count| json!(count)),
        (0..101u32).prop_map(|percent| json!(format!("{percent}%"))),
    ]
}

fn resolved(share: &Value, replicas: i32, up: bool) -> i32 {
    match share.as_str() {
        None => i32::try_from(share.as_i64().unwrap()).unwrap(),
        Some(text) => {
            let part = text.trim_end_matches('%').parse::<i32>().unwrap() * replicas;
            if up { (part + 99) / 100 } else { part / 100 }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_rolling_update_keeps_its_promises_and_arrives(
        replicas in 0..8i32,
        surge in share(),
        unavailable in share(),
        images in prop::collection::vec(prop_oneof![Just("v1"), Just("v2"), Just("v3"), Just("bad")], 1..4),
    ) {
        let mut world = World::new(deployment(replicas, "v0", &surge, &unavailable));
        world.settle();
        let up = resolved(&surge, replicas, true);
        let mut down = resolved(&unavailable, replicas, false);
        if up == 0 && down == 0 {
            down = 1;
        }
        world.bounds = Some(((replicas - down).max(0), replicas + up));
        for image in images.iter().chain([&"last"]) {
            let containers = json!([{ "name": "c", "image": image }]);
            let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
            world.patch("Deployment", "web", &patch);
            world.settle();
        }
        let pods = world.all::<Pod>("Pod");
        prop_assert_eq!(pods.len() as i32, replicas);
        for pod in pods {
            let image = pod.spec.as_ref().unwrap().containers[0].image.clone();
            prop_assert_eq!(image.as_deref(), Some("last"));
        }
        let status = world.deployment().status.clone().unwrap();
        prop_assert_eq!(status.available_replicas, Some(replicas));
        prop_assert_eq!(status.observed_generation, world.deployment().metadata.generation);
    }
}
