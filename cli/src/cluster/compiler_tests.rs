//! What the compiler keeps between commits must not show: every commit compiles to what it compiles to from scratch,
//! and only apps whose objects change are others than before.

use super::*;
use ordain_reconciler_source::Repository;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const APPS: usize = 8;

/// A change of one file.
#[derive(Clone, Debug)]
enum Edit {
    /// Another value in one app.
    Value(usize, u8),
    /// A comment in one app, above everything.
    Comment(usize, u8),
    /// A function that the even apps use, or the odd ones.
    Library(bool, u8),
    /// A function that nobody uses.
    Unused(u8),
    /// What the environment says of one app.
    Environment(usize, u8),
    /// An app appears or goes.
    More(bool),
    /// A file that is no part of the project.
    Words(u8),
    /// A file that two apps read.
    Data(u8),
    /// An encrypted file that one app names.
    Secret(u8),
    /// One app becomes wrong, or right again.
    Broken(bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..APPS, any::<u8>()).prop_map(|(app, value)| Edit::Value(app, value)),
        (0..APPS, any::<u8>()).prop_map(|(app, value)| Edit::Comment(app, value)),
        (any::<bool>(), any::<u8>()).prop_map(|(even, value)| Edit::Library(even, value)),
        any::<u8>().prop_map(Edit::Unused),
        (0..APPS, any::<u8>()).prop_map(|(app, value)| Edit::Environment(app, value)),
        any::<bool>().prop_map(Edit::More),
        any::<u8>().prop_map(Edit::Words),
        any::<u8>().prop_map(Edit::Data),
        any::<u8>().prop_map(Edit::Secret),
        any::<bool>().prop_map(Edit::Broken),
    ]
}

fn map_app(name: &str, library: &str, value: u8, comment: &str) -> String {
    format!(
        "{comment}use {library}\n\napp {name} {{\n  value: Int = {value}\n  objects = [k8s.ConfigMap {{ metadata.name = \"{name}\", \
         data = {{ value = \"{{{library}.text(value)}}\" }} }}]\n}}\n",
        name = name.replace('-', "_")
    )
}

fn library(value: u8, unused: u8) -> String {
    format!(
        "fn text(value: Int) -> String = \"{{value}} of {value}\"\n\nfn other(value: Int) -> Int = value + {unused}\n"
    )
}

/// An app that names an encrypted file.
const SAFE: &str = "use secrets \"safe.age\" as key\n\napp safe {\n  objects = [k8s.Secret { metadata.name = \"safe\", \
                    stringData = { key = key } }]\n}\n";

/// An encrypted file (age-encryption.org/v1). Nobody opens it here.
fn sealed(value: u8) -> String {
    format!("age-encryption.org/v1\n-> X25519 a\nb\n--- c\n{value}\n")
}

/// The files of a project, and what was done to them.
struct Project {
    files: BTreeMap<String, String>,
    values: [u8; APPS],
    environment: [Option<u8>; APPS],
    libraries: [(u8, u8); 2],
}

impl Project {
    fn new() -> Self {
        let mut project = Self {
            files: BTreeMap::new(),
            values: [0; APPS],
            environment: [None; APPS],
            libraries: [(0, 0); 2],
        };
        project.put(
            "ordain.toml",
            "name = \"fleet\"\nkubernetes = \"1.36\"\n".into(),
        );
        (0..APPS).for_each(|app| project.app(app, ""));
        project.environments();
        (0..2).for_each(|number| project.library(number));
        project.edit(&Edit::Data(0));
        project.edit(&Edit::Secret(0));
        project.put("safe.ord", SAFE.to_owned());
        project
    }

    fn put(&mut self, path: &str, text: String) {
        self.files.insert(path.to_owned(), text);
    }

    fn app(&mut self, app: usize, comment: &str) {
        let (name, library) = (format!("app{app}"), format!("lib{}", app % 2));
        let text = map_app(&name, &library, self.values[app], comment);
        self.put(&format!("{name}.ord"), text);
    }

    fn environments(&mut self) {
        let changed = self.environment.iter().enumerate();
        let changed = changed.filter_map(|(app, value)| Some((app, (*value)?)));
        let lines = changed.map(|(app, value)| format!("  app{app}.value = {value}\n"));
        let lines: String = lines.collect();
        let text =
            format!("env dev {{\n  cluster = \"local\"\n  namespace = \"fleet\"\n{lines}}}\n");
        self.put("envs.ord", text);
    }

    fn library(&mut self, number: usize) {
        let (value, unused) = self.libraries[number];
        self.put(&format!("lib{number}.ord"), library(value, unused));
    }

    fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Value(app, value) => {
                self.values[*app] = *value;
                self.app(*app, "");
            }
            Edit::Comment(app, value) => self.app(*app, &format!("// {value}\n\n")),
            Edit::Library(even, value) => {
                self.libraries[usize::from(*even)].0 = *value;
                self.library(usize::from(*even));
            }
            Edit::Unused(value) => {
                self.libraries[0].1 = *value;
                self.library(0);
            }
            Edit::Environment(app, value) => {
                self.environment[*app] = Some(*value);
                self.environments();
            }
            Edit::More(true) => self.put("more.ord", map_app("more", "lib0", 1, "")),
            Edit::More(false) => {
                self.files.remove("more.ord");
            }
            Edit::Words(value) => self.put("README.md", format!("words {value}")),
            Edit::Data(value) => self.put("notes/data.txt", format!("data {value}")),
            Edit::Secret(value) => self.put("safe.age", sealed(*value)),
            Edit::Broken(true) => {
                self.put("app0.ord", "app app0 {\n  objects = [missing]\n}\n".into())
            }
            Edit::Broken(false) => self.app(0, ""),
        }
    }

    /// Commits what is there now.
    fn commit(&self, folder: &Path) -> Arc<TreeFiles> {
        let mut input =
            "commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nx\n"
                .to_owned();
        if folder.join("refs/heads/main").exists() {
            input.push_str("from refs/heads/main^0\n");
        }
        input.push_str("deleteall\n");
        for (path, text) in &self.files {
            input.push_str(&format!(
                "M 100644 inline {path}\ndata {}\n{text}\n",
                text.len()
            ));
        }
        let mut git = Command::new("git");
        git.args(["fast-import", "--quiet"]).current_dir(folder);
        let mut git = git
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("git runs");
        let mut stdin = git.stdin.take().expect("it was asked for");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("git reads");
        drop(stdin);
        assert!(git.wait().expect("git ends").success());
        let repository = Repository::open(folder).expect("it exists");
        let tip = repository.branch("main").expect("it was written");
        Arc::new(repository.files(&tip).expect("a tree"))
    }
}

fn compiler() -> ProjectCompiler {
    ProjectCompiler::new(Keys::new(Path::new("nowhere")))
}

type Digests = BTreeMap<String, String>;

fn digests(compiled: &Compiled) -> Digests {
    let apps = compiled.apps.iter();
    apps.map(|app| (app.name.clone(), app.digest().to_string()))
        .collect()
}

fn evaluated(compiler: &ProjectCompiler) -> usize {
    let open = compiler.open.lock().expect("no panic");
    open.as_ref()
        .map_or(0, |open| open.session.effort().evaluated)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn what_is_handed_over_is_what_changed(edits in prop::collection::vec(edit(), 1..12)) {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("git").args(["init", "--quiet", "--bare", "."]).current_dir(folder.path()).status();
        assert!(made.expect("git runs").success());
        let wanted = Wanted { env: None, cluster: Some("local".to_owned()) };
        let kept = compiler();
        let mut project = Project::new();
        let mut last: Option<Compiled> = None;
        for step in 0..=edits.len() {
            if let Some(edit) = step.checked_sub(1).map(|at| &edits[at]) {
                project.edit(edit);
            }
            let tree = project.commit(folder.path());
            let before = evaluated(&kept);
            let now = kept.compile(&tree, &wanted);
            let fresh = compiler().compile(&tree, &wanted);
            match (now, fresh) {
                (Ok(now), Ok(fresh)) => {
                    prop_assert_eq!(digests(&now), digests(&fresh), "{:?}", &edits[..step]);
                    if let Some(last) = &last {
                        let same = |app: &&Arc<App>| last.apps.iter().any(|one| one.digest() == app.digest() && one.name == app.name);
                        let changed = now.apps.iter().filter(|app| !same(app)).count();
                        let is_plain = matches!(&edits[step - 1], Edit::Value(..) | Edit::Words(_) | Edit::Comment(..));
                        if is_plain {
                            // Nothing else is evaluated; an app may be, and come out as it was.
                            let evaluated = evaluated(&kept) - before;
                            prop_assert!(changed <= 1 && evaluated <= 1, "{:?}: {evaluated}", &edits[..step]);
                        }
                    }
                    last = Some(now);
                }
                (Err(now), Err(fresh)) => {
                    prop_assert_eq!(now.text, fresh.text);
                    // What was not evaluated for it is evaluated for the next one.
                    last = None;
                }
                (now, fresh) => prop_assert!(false, "{:?}: {:?} and {:?}", &edits[..step], now.is_ok(), fresh.is_ok()),
            }
        }
    }
}

#[test]
fn a_broken_commit_names_whom_it_concerns() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare", "."])
        .current_dir(folder.path())
        .status();
    assert!(made.expect("git runs").success());
    let wanted = Wanted {
        env: None,
        cluster: None,
    };
    let (compiler, mut project) = (compiler(), Project::new());
    let good = compiler
        .compile(&project.commit(folder.path()), &wanted)
        .expect("it compiles");
    project.put("lib1.ord", "fn text(value: Int) -> String = value\n".into());
    let error = compiler
        .compile(&project.commit(folder.path()), &wanted)
        .expect_err("a type error");
    assert_eq!(error.affected, ["app1", "app3", "app5", "app7"]);
    project.library(1);
    let again = compiler
        .compile(&project.commit(folder.path()), &wanted)
        .expect("it compiles");
    for (before, after) in good.apps.iter().zip(&again.apps) {
        assert_eq!(before.digest(), after.digest());
    }
}

#[test]
fn a_secret_that_comes_with_a_broken_commit_is_taken_with_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare", "."])
        .current_dir(folder.path())
        .status();
    assert!(made.expect("git runs").success());
    let wanted = Wanted {
        env: None,
        cluster: None,
    };
    let (kept, mut project) = (compiler(), Project::new());
    let before = kept
        .compile(&project.commit(folder.path()), &wanted)
        .expect("it compiles");
    project.edit(&Edit::Secret(1));
    project.edit(&Edit::Broken(true));
    let broken = kept.compile(&project.commit(folder.path()), &wanted);
    broken.expect_err("one app is wrong");
    project.edit(&Edit::Broken(false));
    let tree = project.commit(folder.path());
    let after = kept.compile(&tree, &wanted).expect("it compiles");
    let fresh = compiler().compile(&tree, &wanted).expect("it compiles");
    assert_eq!(digests(&after), digests(&fresh));
    assert_ne!(digests(&after)["safe"], digests(&before)["safe"]);
}
