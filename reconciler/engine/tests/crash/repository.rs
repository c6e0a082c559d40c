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

/// Names of the objects that an app may have. Two of them are Deployments.
const NAMES: [&str; 4] = ["one", "two", "three", "web"];

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
                .map(|(name, value)| object(app, name, *value))
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
}

/// The fake server's key of an object.
pub(crate) fn key(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match object["kind"].as_str() {
        Some("Deployment") => format!("apps/v1/deployments/shop/{name}"),
        _ => format!("v1/configmaps/shop/{name}"),
    }
}

fn object(app: &str, name: &str, value: u64) -> Value {
    let full = format!("{app}-{name}");
    if name == "web" {
        return json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": full},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": full}},
                "template": {
                    "metadata": {"labels": {"app": full}},
                    "spec": {"containers": [{"name": "web", "image": format!("web:{value}")}]},
                },
            },
        });
    }
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": full}, "data": {"value": value.to_string()}})
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
