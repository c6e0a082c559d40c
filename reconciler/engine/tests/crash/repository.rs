//! The hosted repository, written to while no engine runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ordain_reconciler_source::{Hosted, Repository};
use serde_json::{Value, json};

use crate::random::Random;

/// Names of what an app may have; each is an object of another kind, or two that need each other.
const NAMES: [&str; 9] = [
    "one", "two", "three", "web", "job", "service", "claim", "thing", "space",
];

/// Says what an object's value is, whatever its kind.
pub(crate) const VALUE: &str = "example.com/value";

/// What an app's file says: the objects by name, with a value each.
pub(crate) type Declared = BTreeMap<String, u64>;

#[derive(Clone)]
pub(crate) struct Repo {
    data_dir: PathBuf,
    path: PathBuf,
}

impl Repo {
    pub(crate) fn create(data_dir: &Path) -> Self {
        let hosted = Hosted::open_or_create(data_dir, "unused".as_ref(), "main").expect("created");
        Self {
            data_dir: data_dir.to_owned(),
            path: hosted.path().to_owned(),
        }
    }

    /// A bare repository that no engine hosts.
    pub(crate) fn at(path: &Path, data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            path: path.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Frees what a killed child left locked. The process that serves a remote is not killed with its clients.
    pub(crate) fn unlock(&self) {
        for lock in ["refs/heads/main.lock", "packed-refs.lock", "HEAD.lock"] {
            let _ = std::fs::remove_file(self.path.join(lock));
        }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Copies nothing but the repository to another data directory.
    pub(crate) fn copy(&self, data_dir: &Path) -> Self {
        let path = data_dir.join("git").join("ordain.git");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        let copied = Command::new("git")
            .args(["clone", "--quiet", "--bare"])
            .args([&self.path, &path])
            .status();
        assert!(copied.expect("git is there").success());
        Self {
            data_dir: data_dir.to_owned(),
            path,
        }
    }

    /// Puts a commit on the branch.
    pub(crate) fn commit(&self, number: u64, apps: &BTreeMap<String, Declared>) {
        // As every start does: a child that is killed while it writes a reference leaves it locked.
        Hosted::open_or_create(&self.data_dir, "unused".as_ref(), "main").expect("it opens");
        let mut text = String::from("commit refs/heads/main\n");
        let subject = format!("change {number}");
        text.push_str(&format!(
            "committer Ada <ada@example.com> {} +0000\ndata {}\n{subject}\n",
            1_700_000_000 + number,
            subject.len()
        ));
        if self.tip().is_some() {
            text.push_str("from refs/heads/main^0\n");
        }
        for (app, declared) in apps {
            let objects: Vec<Value> = declared
                .iter()
                .flat_map(|(name, value)| objects(app, name, *value))
                .collect();
            let json = serde_json::to_string_pretty(&objects).expect("plain JSON");
            text.push_str(&format!(
                "M 100644 inline apps/{app}.json\ndata {}\n{json}\n",
                json.len()
            ));
        }
        let mut import = Command::new("git")
            .arg("-C")
            .arg(&self.path)
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("git is there");
        let mut stdin = import.stdin.take().expect("it is piped");
        stdin.write_all(text.as_bytes()).expect("written");
        drop(stdin);
        assert!(import.wait().expect("it ends").success());
    }

    pub(crate) fn tip(&self) -> Option<String> {
        let repository = Repository::open(&self.path).expect("it exists");
        let tip = repository.reference("refs/heads/main").expect("it reads")?;
        Some(tip.to_string())
    }

    /// The commits of the branch, newest first.
    pub(crate) fn commits(&self) -> Vec<String> {
        let repository = Repository::open(&self.path).expect("it exists");
        let mut next = repository.reference("refs/heads/main").expect("it reads");
        let mut commits = Vec::new();
        while let Some(id) = next {
            let commit = repository.commit(&id).expect("it reads");
            commits.push(id.to_string());
            next = commit.parents.into_iter().next();
        }
        commits
    }

    /// What the tip declares.
    pub(crate) fn declared(&self) -> BTreeMap<String, Vec<Value>> {
        let repository = Repository::open(&self.path).expect("it exists");
        let Some(tip) = repository.reference("refs/heads/main").expect("it reads") else {
            return BTreeMap::new();
        };
        let files = repository.files(&tip).expect("it reads");
        let apps = files.list().filter(|path| path.starts_with("apps/"));
        apps.map(|path| {
            let bytes = files.read(path).expect("it reads");
            let app = path.trim_start_matches("apps/").trim_end_matches(".json");
            (
                app.to_owned(),
                serde_json::from_slice(&bytes).expect("a list"),
            )
        })
        .collect()
    }

    /// The keys of all objects that the tip declares, as the fake server spells them.
    pub(crate) fn wanted(&self) -> BTreeSet<String> {
        self.declared().values().flatten().map(key).collect()
    }

    /// The images of the Jobs that the tip declares, by key.
    pub(crate) fn jobs(&self) -> BTreeMap<String, String> {
        let declared = self.declared();
        let jobs = declared
            .values()
            .flatten()
            .filter(|object| object["kind"] == "Job");
        jobs.map(|job| (key(job), image(job))).collect()
    }
}

/// What a workload runs.
pub(crate) fn image(object: &Value) -> String {
    let image = object.pointer("/spec/template/spec/containers/0/image");
    image.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The fake server's key of an object.
pub(crate) fn key(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").unwrap_or_default();
    let kind = text("/kind").unwrap_or_default();
    let version = text("/apiVersion").unwrap_or_default();
    let namespace = match kind {
        "Namespace" | "CustomResourceDefinition" => "",
        _ => text("/metadata/namespace").unwrap_or("shop"),
    };
    format!("{version}/{}s/{namespace}/{name}", kind.to_lowercase())
}

/// The objects of one name, with a value.
fn objects(app: &str, name: &str, value: u64) -> Vec<Value> {
    let full = format!("{app}-{name}");
    let metadata = json!({"name": full, "annotations": {VALUE: value.to_string()}});
    let template = json!({
        "metadata": {"labels": {"app": full}},
        "spec": {"containers": [{"name": "web", "image": format!("web:{value}")}]},
    });
    match name {
        "web" => vec![json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": full}}, "template": template},
        })],
        // Its template cannot be changed: another value is another Job.
        "job" => vec![json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template},
        })],
        "service" => vec![json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": {"app": format!("{app}-web")}, "ports": [{"port": 8000 + value}]},
        })],
        "claim" => vec![json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        })],
        "thing" => {
            let plural = format!("{app}things");
            let mut kind = plural.trim_end_matches('s').to_owned();
            kind[..1].make_ascii_uppercase();
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.example.com")},
                "spec": {
                    "group": "example.com", "scope": "Namespaced",
                    "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": plural},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                        "type": "object", "properties": {"spec": {"type": "object",
                            "properties": {"size": {"type": "integer"}}}}}}}],
                },
            });
            let thing = json!({
                "apiVersion": "example.com/v1", "kind": kind, "metadata": metadata, "spec": {"size": value},
            });
            vec![thing, definition]
        }
        "space" => {
            let inner = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": format!("in-{full}"), "namespace": full}, "data": {"value": value.to_string()},
            });
            let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
            vec![inner, space]
        }
        _ => vec![json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value.to_string()},
        })],
    }
}

/// Changes what an app declares: some objects come, some go, some get another value; one is always left.
pub(crate) fn change(declared: &mut Declared, random: &mut Random) {
    for name in NAMES {
        if random.percent(45) {
            continue;
        }
        if declared.len() > 1 && declared.contains_key(name) && random.percent(40) {
            declared.remove(name);
        } else {
            declared.insert(name.to_owned(), random.below(3));
        }
    }
    if declared.is_empty() {
        declared.insert(NAMES[0].to_owned(), random.below(3));
    }
}
