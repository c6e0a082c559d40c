//! A session after any edits says what a run from scratch says: findings, objects and texts.

#[path = "support/law.rs"]
mod law;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use ordain_lang_project::{BuildOptions, Files, FilesError, Project, Session, build};
use ordain_lang_syntax::Diagnostic;
use proptest::prelude::*;

use law::shown;

/// Files that change under an open session.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<BTreeMap<String, String>>>);

impl Files for Shared {
    fn list(&self) -> Result<Vec<String>, FilesError> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        let files = self.0.lock().unwrap();
        let text = files.get(path);
        text.map(|text| text.clone().into_bytes())
            .ok_or_else(|| FilesError::NotFound(path.to_owned()))
    }
}

impl Shared {
    fn set(&self, path: &str, text: Option<String>) {
        let mut files = self.0.lock().unwrap();
        match text {
            Some(text) => files.insert(path.to_owned(), text),
            None => files.remove(path),
        };
    }
}

/// A text of a file with pieces chosen by a number.
struct Choose(u64);

impl Choose {
    /// One of the pieces; the first one is the most likely.
    fn one<'a>(&mut self, pieces: &[&'a str]) -> &'a str {
        let at = (self.0 % 16) as usize;
        self.0 = self.0.rotate_right(4);
        let at = at.saturating_sub(10);
        pieces[at.min(pieces.len() - 1)]
    }
}

fn manifest(mut c: Choose) -> String {
    let version = c.one(&["1.36", "1.35", "1.36", "9.9"]);
    format!("name = \"p\"\nkubernetes = \"{version}\"\n")
}

fn lib(mut c: Choose) -> String {
    let mut text = String::new();
    text.push_str(c.one(&["", "// moved\n\n", "use std.web\n", "let a = \n"]));
    let _ = write!(
        text,
        "type Web {{\n  name: k8s.Name\n  replicas: {} = {}\n  image: k8s.Image = \"r/{{name}}:1\"\n{}}}\n",
        c.one(&["Int(1..=20)", "Int(1..=5)", "String"]),
        c.one(&["2", "3", "50"]),
        c.one(&[
            "",
            "  note: String?\n",
            "  must: Int\n",
            "  assert replicas < 9, \"few\"\n"
        ]),
    );
    text.push_str(c.one(&[
        "let size = 1\n",
        "let size = 2\n",
        "let size = 1 / 0\n",
        "let size: Int = \"x\"\n",
    ]));
    let _ = write!(
        text,
        "fn map(w: Web) -> k8s.ConfigMap = {}k8s.ConfigMap {{\n  metadata.name = w.name\n  data = {{ replicas = \"{{w.replicas}}\", image = w.image{} }}\n}}\n",
        c.one(&["", "let unused = 1 in ", "let _unused = 1 in "]),
        c.one(&["", ", size = \"{size}\"", ", more = nothing"]),
    );
    text.push_str(c.one(&[
        "type Pair<A> { one: A, two: A? }\n",
        "type Pair<A> { one: A = 1, two: A? }\n",
        "",
    ]));
    text
}

fn more(mut c: Choose) -> String {
    let mut text = String::new();
    text.push_str(c.one(&["use lib\n", "use lib as lib\n// c\n", "use gone\n"]));
    let _ = writeln!(
        text,
        "fn two(w: lib.Web) -> List<k8s.Object> = [lib.map(w), lib.map(w {{ name = \"{{w.name}}{}\" }})]",
        c.one(&["-two", "-zwei", ""]),
    );
    text.push_str(c.one(&[
        "",
        "export shared = lib.map(lib.Web { name = \"shared\" })\n",
    ]));
    text
}

fn app(name: &str, mut c: Choose) -> String {
    let mut text = String::new();
    text.push_str(c.one(&[
        "use lib\n",
        "use lib\nuse more\n",
        "use more\nuse lib\nuse std.web\n",
    ]));
    text.push_str(c.one(&["", "// a line\n", "/* never ends\n", "let extra = 1\n"]));
    let app = match c.one(&["same", "same", "twin"]) {
        "twin" => "app_a",
        _ => name,
    };
    let _ = writeln!(
        text,
        "app {app} {{\n  config: lib.Web = {{ name = \"{}\"{}{} }}",
        c.one(&[name, name, "clash"]).replace('_', "-"),
        c.one(&[
            "",
            ", replicas = 4",
            ", replicas = 0",
            ", replicsa = 4",
            ", replicas = lib.size"
        ]),
        c.one(&["", ", image = \"x/y:2\"", ", image = \"x/y:{1 / 0}\""]),
    );
    text.push_str(c.one(&["", "  pair: lib.Pair<Int> = { one = 3 }\n", "  open: Int\n"]));
    let _ = writeln!(
        text,
        "  objects = [{}]\n}}",
        c.one(&[
            "lib.map(config)",
            "lib.map(config), pod",
            "...more.two(config)",
            "lib.map(config), 3",
            "lib.map(conf)",
        ]),
    );
    let _ = writeln!(
        text,
        "let pod = k8s.Pod {{\n  metadata.name = \"pod-{}\"\n  spec.containers = [{{ name = \"a\", image = \"a:1\", \
         envFrom = [{{ configMapRef.name = \"{}\" }}] }}]\n}}",
        name.replace('_', "-"),
        c.one(&["app-a", "outside"]),
    );
    text.push_str(c.one(&["", "external k8s.ConfigMap \"outside\"\n"]));
    text
}

fn envs(mut c: Choose) -> String {
    let mut text = String::new();
    text.push_str(c.one(&["", "// moved\n", "use lib\n"]));
    let _ = writeln!(
        text,
        "env base {{ namespace = \"{}\" }}",
        c.one(&["one", "two", "No"])
    );
    let _ = writeln!(
        text,
        "env dev extends base {{ cluster = \"dev\"{}{} }}",
        c.one(&["", ", app_a.config.replicas = 5", ", app_b.open = 3"]),
        c.one(&["", ", kubernetes = \"1.34\""]),
    );
    let _ = writeln!(
        text,
        "env prod extends {} {{\n  cluster = \"prod\"\n{}{}{}}}",
        c.one(&["base", "dev", "nobody"]),
        c.one(&[
            "  app_a.config { replicas = 6 }\n",
            "  app_a.config { replicas = 7, image = \"z:{app_b.config.replicas}\" }\n",
            "  app_a.config.replicas = 77\n",
        ]),
        c.one(&[
            "",
            "  app_b.config.replicas = app_a.config.replicas\n",
            "  app_c.config.image = \"{lib.size}\"\n",
            "  app_d.config.replicas = 3\n",
        ]),
        c.one(&[
            "",
            "  app_c.objects += [k8s.Secret { metadata.name = \"s\" }]\n",
            "  app_c.open = 1\n"
        ]),
    );
    text.push_str(c.one(&[
        "",
        "test \"t\" in prod { assert app_a.config.replicas > 2 }\n",
        "test \"t\" in prod { assert app_b.confg.replicas > 2 }\n",
    ]));
    text.push_str(c.one(&[
        "",
        "",
        "policy \"p\" { for o in objects.of(k8s.ConfigMap) { warn if o.metadata.name == \"app-a\", \"that one\" } }\n",
        "policy \"p\" { for o in objects.of(k8s.ConfigMap) { deny if o.metadata.name == \"clash\", \"that one\" } }\n",
    ]));
    text
}

const PATHS: [&str; 8] = [
    "ordain.toml",
    "lib.ord",
    "more.ord",
    "apps/a.ord",
    "apps/b.ord",
    "apps/c.ord",
    "envs.ord",
    "apps/d.ord",
];

fn text(path: &str, seed: u64) -> String {
    let c = Choose(seed);
    match path {
        "ordain.toml" => manifest(c),
        "lib.ord" => lib(c),
        "more.ord" => more(c),
        "envs.ord" => envs(c),
        path => app(&format!("app_{}", &path[5..6]), c),
    }
}

#[derive(Clone, Debug)]
enum Edit {
    /// A new text on disk.
    Disk(usize, u64),
    /// An editor's unsaved text.
    Unsaved(usize, u64),
    /// The editor closes the file without saving.
    Close(usize),
    Remove(usize),
    /// A blank line in front: nothing changes but places.
    Shift(usize),
    Look,
    Build,
    Write,
}

/// Mostly one piece of a text that is not the usual one.
fn seed() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => (11..16_u64, 0..10_u32).prop_map(|(piece, at)| piece << (4 * at)),
        6 => (0..10_u32).prop_map(|at| 11 << (4 * at)),
        2 => (11..13_u64, 0..10_u32, 11..13_u64, 0..10_u32)
            .prop_map(|(a, i, b, k)| (a << (4 * i)) | (b << (4 * k))),
        8 => Just(0),
        1 => any::<u64>(),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let file = || 0..PATHS.len();
    prop_oneof![
        8 => (1..7_usize, seed()).prop_map(|(at, seed)| Edit::Disk(at, seed)),
        1 => (file(), seed()).prop_map(|(at, seed)| Edit::Disk(at, seed)),
        2 => (1..7_usize, seed()).prop_map(|(at, seed)| Edit::Unsaved(at, seed)),
        1 => file().prop_map(Edit::Close),
        1 => (2..PATHS.len()).prop_map(Edit::Remove),
        2 => (1..7_usize).prop_map(Edit::Shift),
        6 => Just(Edit::Look),
        6 => Just(Edit::Build),
        4 => Just(Edit::Write),
    ]
}

/// Applies edits to a session and compares it, where a look is taken, with a run from scratch.
fn check_edits(first: u64, edits: &[Edit]) {
    let disk = Shared::default();
    for (at, path) in PATHS.iter().enumerate().take(7) {
        // Most begin without a mistake.
        let is_first = !first.is_multiple_of(3) || first & (8 << at) == 0;
        let seed = first.rotate_left(at as u32 * 7);
        disk.set(path, Some(text(path, if is_first { 0 } else { seed })));
    }
    let unsaved = Shared::default();
    let mut session = Session::new(disk.clone());
    for edit in edits
        .iter()
        .chain([&Edit::Look, &Edit::Build, &Edit::Write])
    {
        match edit {
            Edit::Disk(at, seed) => {
                disk.set(PATHS[*at], Some(text(PATHS[*at], *seed)));
                session.refresh(&[PATHS[*at].to_owned()]);
            }
            Edit::Unsaved(at, seed) => {
                let text = text(PATHS[*at], *seed);
                unsaved.set(PATHS[*at], Some(text.clone()));
                session.set_text(PATHS[*at], Some(text));
            }
            Edit::Close(at) => {
                unsaved.set(PATHS[*at], None);
                session.set_text(PATHS[*at], None);
            }
            Edit::Remove(at) => {
                disk.set(PATHS[*at], None);
                session.refresh(&[PATHS[*at].to_owned()]);
            }
            Edit::Shift(at) => {
                let Ok(bytes) = disk.read(PATHS[*at]) else {
                    continue;
                };
                let text = format!("\n{}", String::from_utf8(bytes).unwrap());
                disk.set(PATHS[*at], Some(text));
                session.refresh(&[PATHS[*at].to_owned()]);
            }
            Edit::Look | Edit::Build | Edit::Write => {
                let now = Shared::default();
                now.0.lock().unwrap().extend(disk.0.lock().unwrap().clone());
                now.0
                    .lock()
                    .unwrap()
                    .extend(unsaved.0.lock().unwrap().clone());
                let project = Project::load(&now);
                match edit {
                    Edit::Look => law::looks_the_same(&mut session, &project),
                    Edit::Build => law::builds_the_same(&mut session, &project),
                    _ => law::writes_the_same(&mut session, &project),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_session_says_what_a_run_from_scratch_says(
        first in any::<u64>(),
        edits in prop::collection::vec(edit(), 1..32),
    ) {
        check_edits(first, &edits);
    }
}

/// The first text of each file is without mistakes, so that the law is about more than errors.
#[test]
fn the_first_texts_build() {
    let disk = Shared::default();
    for path in PATHS.iter().take(7) {
        disk.set(path, Some(text(path, 0)));
    }
    let project = Project::load(&disk);
    let built = build(&project, &BuildOptions::default());
    let errors: Vec<Diagnostic> = built
        .diagnostics
        .into_iter()
        .filter(Diagnostic::is_error)
        .collect();
    assert_eq!(shown(&errors), Vec::<String>::new());
    assert_eq!(built.apps.len(), 6);
}

/// An edit costs what it reaches: this is what the law above must not be bought with.
#[test]
fn an_edit_of_an_app_checks_a_slice_and_evaluates_that_app() {
    let disk = Shared::default();
    for path in PATHS.iter().take(7) {
        disk.set(path, Some(text(path, 0)));
    }
    let mut session = Session::new(disk.clone());
    let all = BuildOptions::default();
    assert_eq!(session.build(&all).apps.len(), 6);
    let first = session.effort();
    assert_eq!((first.wholes, first.slices, first.evaluated), (1, 0, 6));
    let edited = text("apps/b.ord", 0).replace("name = \"app-b\"", "name = \"other\"");
    session.set_text("apps/b.ord", Some(edited.clone()));
    assert_eq!(session.affected(&["apps/b.ord".to_owned()]), ["app_b"]);
    let built = session.build(&all);
    let changed: Vec<&str> = built
        .changed
        .iter()
        .map(|at| &*built.apps[*at].name)
        .collect();
    assert_eq!(changed, ["app_b", "app_b"]);
    let second = session.effort();
    assert_eq!((second.wholes, second.slices, second.evaluated), (1, 1, 8));
    // A comment changes nothing, and a look evaluates nothing.
    session.set_text("apps/b.ord", Some(format!("// b\n{edited}")));
    session.check();
    assert_eq!(session.effort().evaluated, 8);
    assert_eq!(session.effort().slices, 2);
    // A mistake is found in a slice, and looked for in the whole; putting it right costs no more than an edit.
    let before = session.effort();
    session.set_text("apps/b.ord", Some(edited.replace("name =", "nmae =")));
    let early = session.glance().expect("it is a mistake");
    assert!(early.iter().all(|one| session.check().contains(one)));
    session.set_text("apps/b.ord", Some(edited.clone()));
    assert!(session.build(&all).is_ok());
    let after = session.effort();
    assert_eq!(after.wholes, before.wholes + 1);
    assert_eq!(after.evaluated, before.evaluated + 2);
    session.set_text("apps/b.ord", Some(edited.replace("app app_b {", "app {")));
    assert!(!session.check().is_empty());
    session.set_text("apps/b.ord", Some(edited));
    assert!(session.build(&all).is_ok());
    assert_eq!(session.effort().wholes, after.wholes + 1);
    // What all use is everybody's.
    let lib = text("lib.ord", 0).replace("= 2", "= 3");
    session.set_text("lib.ord", Some(lib));
    assert_eq!(session.affected(&["lib.ord".to_owned()]).len(), 3);
    session.build(&all);
    assert_eq!(session.effort().evaluated, 18);
}
