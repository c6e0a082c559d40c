//! Edits of the file with the environments: what an open project says after each is what a run from scratch says, though
//! only the changes that an edit touches are looked at.

#[path = "support/law.rs"]
mod law;

use std::fmt::Write as _;

use ordain_lang_project::{BuildOptions, Memory, Project, Session, build};
use ordain_lang_syntax::Diagnostic;
use proptest::prelude::*;

const APPS: usize = 6;
const ENVS: &str = "envs.ord";
const LIB: &str = "lib.ord";

/// What an environment may say of an app, or of anything else. `I` and `J` stand for numbers of apps.
const LINES: &[&str] = &[
    "app_I.config { replicas = 3, labels { tier = \"a\" } }",
    "app_I.config.replicas = 4",
    "app_I.config.replicas = app_J.config.replicas",
    "app_I.config.replicas = lib.size",
    "app_I.config.replicas = lib.other()",
    "app_I.config.note = \"{helper}\"",
    "app_I.config.note = more.word",
    "app_I.config { web = lib.Web { name = \"x\" } }",
    "app_I.config { pair = Pair { one = 1 } }",
    "app_I.objects += [k8s.ConfigMap { metadata.name = \"more-I\" }]",
    "app_I.objects += [lib.user(\"u-I\", \"map-J\")]",
    "app_I.open = 3",
    "final app_I.config.replicas = 5",
    "app_I.config.name = \"map-J\"",
    "app_I.config.labels { tier = \"b\", zone = \"c\" }",
    // Mistakes.
    "app_I.config.replicas = 77",
    "app_I.config.replicsa = 2",
    "app_I.config.replicas = lib.nothing",
    "app_I.config.replicas = \"x\"",
    "app_I.config.note = \"{1 / 0}\"",
    "app_x.config.replicas = 2",
    "app_I.",
    "app_I.con",
    "app_I.config {",
    "}",
    "env",
    "env more extends base { app_I.config.replicas = 3 }",
    "/*",
    "\"",
    "= 3",
    // What is not about an app.
    "// app_I.config.replicas = 4",
    "/// app_I",
    "cluster = \"c\"",
    "namespace = \"n\"",
    "kubernetes = \"1.34\"",
    "external k8s.ConfigMap \"outside\"",
    "external k8s.ConfigMap \"map-*\"",
    "allow E0603, \"a test\"",
    "app_I.config.replicas = 4 }\nenv next extends base {\n  cluster = \"next\"",
];

/// What begins as the right text; most edits come back to something like it.
fn envs(seed: u8) -> String {
    let mut text =
        String::from("use lib\nuse more\n\nlet helper = \"h\"\ntype Pair { one: Int }\n");
    text.push_str("\nenv base {\n  external k8s.ConfigMap \"outside\"\n}\n");
    text.push_str("\nenv prod extends base {\n  cluster = \"prod\"\n");
    for i in 0..APPS {
        let line = LINES[(usize::from(seed) * i) % 9].replace('J', &((i + 1) % APPS).to_string());
        let _ = writeln!(text, "  {}", line.replace('I', &i.to_string()));
    }
    text.push_str("}\n\nenv dev extends base {\n  cluster = \"dev\"\n");
    for i in 0..APPS {
        let _ = writeln!(text, "  app_{i}.config.replicas = 2");
    }
    text + "}\n\ntest \"t\" in prod { assert app_1.config.replicas < 90, \"{more.word}\" }\n"
}

fn app(i: usize, wish: u8) -> String {
    let field = match wish {
        1 => ", replicas = 3",
        2 => ", replicas = 333",
        3 => ", note = lib.other",
        _ => "",
    };
    let name = if wish == 4 {
        "map-0".to_owned()
    } else {
        format!("map-{i}")
    };
    let open = if wish == 5 {
        "  open: Int\n"
    } else {
        "  open: Int = 1\n"
    };
    let more = if wish == 6 {
        ", lib.user(\"u\", \"outside\")"
    } else {
        ""
    };
    let top = if wish == 7 { "// moved\n" } else { "" };
    format!(
        "{top}use lib\napp app_{i} {{\n  config: lib.App = {{ name = \"{name}\"{field} }}\n{open}  \
         objects = [lib.map(config){more}]\n}}\n"
    )
}

fn lib(wish: u8) -> String {
    let size = if wish == 1 { "50" } else { "2" };
    let top = if wish == 2 { "\n" } else { "" };
    let other = if wish == 3 {
        ""
    } else {
        "fn other() -> Int = 3\n"
    };
    format!(
        "{top}type Web {{ name: String }}\nlet size = {size}\n{other}\
         type App {{\n  name: k8s.Name\n  replicas: Int(1..=20) = 1\n  note: String?\n  web: Web?\n  pair: Any?\n  labels: Map<String, String> = {{}}\n}}\n\
         fn map(app: App) -> k8s.ConfigMap = k8s.ConfigMap {{\n  metadata = {{ name = app.name, labels = app.labels }}\n  \
         data = {{ replicas = \"{{app.replicas}}\" }}\n}}\n\
         fn user(name: String, map: String) -> k8s.Pod = k8s.Pod {{\n  metadata.name = name\n  \
         spec.containers = [{{ name = \"a\", image = \"a:1\", envFrom = [{{ configMapRef.name = map }}] }}]\n}}\n"
    )
}

#[derive(Clone, Debug)]
enum Edit {
    /// The text of the start, with other lines in the environments.
    Right(u8),
    /// Another line in place of one, before one, or none.
    Replace(usize, usize, usize),
    Insert(usize, usize, usize),
    Remove(usize),
    /// One of the words of a line typed half, or a character put into it.
    Cut(usize, usize),
    Type(usize, usize, char),
    Rename,
    /// Of an app's file, and of that which all use.
    App(usize, u8),
    Lib(u8),
    Glance,
    Look,
    Build,
    Write,
}

fn edit() -> impl Strategy<Value = Edit> {
    let line = || prop_oneof![3 => 0..15_usize, 2 => 0..LINES.len()];
    prop_oneof![
        6 => prop_oneof![3 => Just(0_u8), 1 => any::<u8>()].prop_map(Edit::Right),
        8 => (0..40_usize, line(), any::<usize>()).prop_map(|(at, line, apps)| Edit::Replace(at, line, apps)),
        6 => (0..40_usize, line(), any::<usize>()).prop_map(|(at, line, apps)| Edit::Insert(at, line, apps)),
        4 => (0..40_usize).prop_map(Edit::Remove),
        3 => (0..40_usize, 0..60_usize).prop_map(|(at, cut)| Edit::Cut(at, cut)),
        3 => (0..40_usize, 0..60_usize, prop::sample::select(vec![' ', '\n', 'x', '{', '}', '"', '.', '3', '/', 'é']))
            .prop_map(|(at, column, c)| Edit::Type(at, column, c)),
        1 => Just(Edit::Rename),
        3 => (0..APPS, prop_oneof![2 => Just(0_u8), 3 => 0..8_u8]).prop_map(|(i, wish)| Edit::App(i, wish)),
        1 => prop_oneof![2 => Just(0_u8), 1 => 0..4_u8].prop_map(Edit::Lib),
        4 => Just(Edit::Glance),
        12 => Just(Edit::Look),
        12 => Just(Edit::Build),
        5 => Just(Edit::Write),
    ]
}

fn line(at: usize, apps: usize) -> String {
    let (one, other) = (apps % APPS, apps / APPS % APPS);
    let line = LINES[at % LINES.len()].replace('I', &one.to_string());
    format!("  {}\n", line.replace('J', &other.to_string()))
}

/// Edits a text by its lines.
fn edited(text: &str, edit: &Edit) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let count = lines.len().max(1);
    lines.resize(count, String::new());
    match *edit {
        Edit::Replace(at, piece, apps) => lines[at % count] = line(piece, apps),
        Edit::Insert(at, piece, apps) => lines.insert(at % count, line(piece, apps)),
        Edit::Remove(at) => _ = lines.remove(at % count),
        Edit::Cut(at, cut) => {
            let line = &mut lines[at % count];
            let cut = boundary(line, cut);
            line.truncate(cut);
            line.push('\n');
        }
        Edit::Type(at, column, c) => {
            let line = &mut lines[at % count];
            let column = boundary(line, column);
            line.insert(column, c);
        }
        Edit::Rename => {
            return text
                .replace("env prod", "env live")
                .replace("in prod", "in live");
        }
        _ => {}
    }
    lines.concat()
}

/// The boundary of a character at or in front of an offset.
fn boundary(line: &str, offset: usize) -> usize {
    let mut offset = offset.min(line.len());
    while !line.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn files() -> Memory {
    let mut files = Memory::new()
        .with("ordain.toml", "name = \"p\"\nkubernetes = \"1.36\"\n")
        .with("more.ord", "let word = \"w\"\n")
        .with(LIB, lib(0))
        .with(ENVS, envs(0));
    for i in 0..APPS {
        files.insert(format!("app_{i}.ord"), app(i, 0));
    }
    files
}

fn check_edits(edits: &[Edit]) {
    let mut files = files();
    let mut envs_now = envs(0);
    let mut session = Session::new(files.clone());
    let set = |files: &mut Memory, session: &mut Session, path: &str, text: String| {
        files.insert(path, text.clone());
        session.set_text(path, Some(text));
    };
    for edit in edits.iter().chain([&Edit::Look, &Edit::Build]) {
        match edit {
            Edit::Right(seed) => {
                envs_now = envs(*seed);
                set(&mut files, &mut session, ENVS, envs_now.clone());
            }
            Edit::App(i, wish) => {
                set(
                    &mut files,
                    &mut session,
                    &format!("app_{i}.ord"),
                    app(*i, *wish),
                );
            }
            Edit::Lib(wish) => set(&mut files, &mut session, LIB, lib(*wish)),
            Edit::Glance => drop(session.glance()),
            Edit::Look => law::looks_the_same(&mut session, &Project::load(&files)),
            Edit::Build => law::builds_the_same(&mut session, &Project::load(&files)),
            Edit::Write => law::writes_the_same(&mut session, &Project::load(&files)),
            edit => {
                envs_now = edited(&envs_now, edit);
                set(&mut files, &mut session, ENVS, envs_now.clone());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_of_environments_says_what_a_run_from_scratch_says(
        edits in prop::collection::vec(edit(), 1..24),
    ) {
        check_edits(&edits);
    }
}

/// The law is about more than mistakes.
#[test]
fn the_first_texts_build() {
    let built = build(&Project::load(&files()), &BuildOptions::default());
    let errors = built.diagnostics.iter().filter(|one| one.is_error());
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<&Diagnostic>::new());
    assert_eq!(built.apps.len(), 2 * APPS);
}

/// An edit of one line costs what it reaches, wherever the line stands.
#[test]
fn an_edit_of_a_line_checks_a_slice_and_evaluates_its_app() {
    let mut session = Session::new(files());
    let all = BuildOptions::default();
    assert!(session.build(&all).is_ok());
    let first = session.effort();
    let text = envs(0);
    let with = |line: &str| text.replacen("  app_1.", &format!("{line}  app_1."), 1);
    // A new line in front moves all others.
    session.set_text(ENVS, Some(with("  app_5.config.labels.zone = \"z\"\n")));
    let built = session.build(&all);
    assert!(built.is_ok(), "{:#?}", built.diagnostics);
    let changed: Vec<&str> = built
        .changed
        .iter()
        .map(|at| &*built.apps[*at].name)
        .collect();
    assert_eq!(changed, ["app_5"]);
    let second = session.effort();
    assert_eq!(
        (second.wholes, second.slices),
        (first.wholes, first.slices + 1)
    );
    assert_eq!(second.evaluated, first.evaluated + 2);
    // Space and comments are nothing to any app.
    session.set_text(ENVS, Some(with("  // app_4\n\n")));
    assert!(session.build(&all).is_ok());
    assert_eq!(session.effort().wholes, first.wholes);
    assert_eq!(session.effort().evaluated, second.evaluated + 2);
    // A mistake, and half a line, leave it known what there was.
    for wrong in [
        "  app_5.config.lables.zone = \"z\"\n",
        "  app_5.config {\n",
        "  app_5.\n",
    ] {
        let before = session.effort();
        session.set_text(ENVS, Some(with(wrong)));
        let early = session.glance().expect("it is a mistake");
        assert!(early.iter().all(|one| session.check().contains(one)));
        session.set_text(ENVS, Some(text.clone()));
        assert!(session.build(&all).is_ok());
        let after = session.effort();
        assert_eq!(
            (after.wholes, after.evaluated),
            (before.wholes + 1, before.evaluated)
        );
    }
}
