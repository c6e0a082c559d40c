//! Objects that several apps declare: one copy is built, in every form, and its owner is told.

use ordain_lang_project::{
    BuildOptions, FieldRef, Format, Memory, Project, Session, TestOptions, build, build_text,
    deciding_lines, explain, test,
};

/// A project in which three apps declare a namespace, the first and the last one on purpose.
fn files() -> Memory {
    let app = |name: &str, allows: &str| {
        format!(
            "use lib\n\napp {name} {{\n{allows}  objects = [lib.space(), k8s.ConfigMap {{ metadata = {{ name = \"{name}\", \
             namespace = \"shared\" }} }}, lib.space()]\n}}\n"
        )
    };
    let allows = "  allow E0511 for k8s.Namespace \"shared\", \"each team declares it\"\n";
    Memory::new()
        .with("ordain.toml", "name = \"demo\"\n")
        .with(
            "lib.ord",
            "fn space() -> k8s.Namespace = k8s.Namespace { metadata = { name = \"shared\", labels = { team = \"web\" } } }\n",
        )
        .with("a.ord", app("a", allows))
        .with("b.ord", app("b", allows))
        .with(
            "c.ord",
            "use lib\n\napp c {\n  objects = [k8s.ConfigMap { metadata = { name = \"c\", namespace = \"shared\" } }]\n}\n\
             \ntest \"the space is there once\" {\n  assert objects.of(k8s.Namespace).len() == 1\n  must fail \"E0511\" { c.objects \
             += [k8s.ConfigMap { metadata = { name = \"a\", namespace = \"shared\" } }] }\n}\n",
        )
}

/// The objects of each app as `Kind name`.
fn built(project: &Project) -> Vec<String> {
    let built = build(project, &BuildOptions::default());
    assert!(built.is_ok(), "{:?}", built.diagnostics);
    let name = |json: &serde_json::Value| {
        let name = json["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {name}", json["kind"].as_str().unwrap_or_default())
    };
    let apps = built.apps.iter().map(|app| {
        let objects: Vec<String> = app
            .objects
            .iter()
            .map(|object| name(&object.json))
            .collect();
        format!("{}: {}", app.name, objects.join(", "))
    });
    apps.collect()
}

#[test]
fn one_copy_is_built() {
    let project = Project::load(&files());
    let apps = built(&project);
    assert_eq!(
        apps,
        [
            "a: Namespace shared, ConfigMap a",
            "b: ConfigMap b",
            "c: ConfigMap c"
        ]
    );
    // What is written says the same as what is built.
    for format in [Format::Yaml, Format::Json] {
        let texts = build_text(&project, &BuildOptions::default(), format);
        let counts: Vec<usize> = texts.apps.iter().map(|app| app.objects).collect();
        assert_eq!(counts, [2, 1, 1]);
        insta::assert_snapshot!(format!("shared_{format:?}"), texts.joined(format));
    }
}

#[test]
fn an_app_may_be_left_with_nothing() {
    let alone = |app: &str| {
        format!(
            "use lib\n\nallow E0511, \"a test\"\n\napp {app} {{\n  objects = [lib.space()]\n}}\n"
        )
    };
    let files = files().with("a.ord", alone("a")).with("b.ord", alone("b"));
    let project = Project::load(&files);
    for format in [Format::Yaml, Format::Json] {
        let texts = build_text(&project, &BuildOptions::default(), format);
        assert!(texts.is_ok(), "{:?}", texts.diagnostics);
        let only = |at: usize| texts.apps[at].text.clone();
        let empty = if format == Format::Json { "[]\n" } else { "" };
        assert_eq!((only(1), texts.apps[1].objects), (empty.to_owned(), 0));
        assert!(only(0).contains("kind") && !only(0).ends_with("\n\n"));
    }
}

/// The owner is the first that is exempt, or the one that is not; when it goes, the next one takes its place, and an open
/// project says which apps are others than before.
#[test]
fn the_owner_changes() {
    let mut files = files();
    let mut session = Session::new(files.clone());
    let all = BuildOptions::default();
    let mut step = |path: &str, text: Option<(&str, &str)>| {
        let old =
            String::from_utf8(ordain_lang_project::Files::read(&files, path).expect("it is there"))
                .expect("it is a text");
        let new = match text {
            Some((from, to)) => old.replace(from, to),
            None => old,
        };
        files.insert(path, new.clone());
        session.set_text(path, Some(new));
        let kept = session.build(&all);
        let fresh = built(&Project::load(&files));
        let apps = kept
            .apps
            .iter()
            .map(|app| format!("{} {}", app.name, app.objects.len()));
        let changed = kept.changed.iter().map(|at| kept.apps[*at].name.clone());
        (fresh, apps.collect::<Vec<_>>(), changed.collect::<Vec<_>>())
    };
    let (_, counts, changed) = step("a.ord", None);
    assert_eq!(counts, ["a 2", "b 1", "c 1"]);
    assert_eq!(changed, ["a", "b", "c"]);
    // Nothing exempts the copy of c, so it is the owner now.
    let (_, counts, changed) = step("c.ord", Some(("objects = [", "objects = [lib.space(), ")));
    assert_eq!(counts, ["a 1", "b 1", "c 2"]);
    assert_eq!(changed, ["a", "c"]);
    let (_, counts, changed) = step("c.ord", Some(("lib.space(), ", "")));
    assert_eq!(counts, ["a 2", "b 1", "c 1"]);
    assert_eq!(changed, ["a", "c"]);
    // The first one goes; another one of the same app takes its place.
    let (_, counts, changed) = step("a.ord", Some(("[lib.space(), ", "[")));
    assert_eq!(counts, ["a 2", "b 1", "c 1"]);
    assert_eq!(changed, ["a"]);
    let (_, counts, changed) = step("a.ord", Some((", lib.space()]", "]")));
    assert_eq!(counts, ["a 1", "b 2", "c 1"]);
    assert_eq!(changed, ["a", "b"]);
}

#[test]
fn the_owner_is_told() {
    let project = Project::load(&files());
    let found =
        explain(&project, None, "namespace/shared", "metadata.labels.team").expect("it builds");
    let [one] = &found[..] else {
        panic!("one app has it: {found:?}")
    };
    assert_eq!((&*one.app, &*one.value), ("a", "\"web\""));
    assert_eq!(one.copies, ["b at b.ord:5"]);
    let field = FieldRef {
        env: "default".to_owned(),
        kind: "Namespace".to_owned(),
        namespace: None,
        name: "shared".to_owned(),
        path: "metadata.labels.team".to_owned(),
    };
    let lines = deciding_lines(&project, &BuildOptions::default(), &[field]).expect("it builds");
    let places: Vec<&str> = lines.iter().flatten().map(|line| &*line.at).collect();
    assert_eq!(places, ["lib.ord:1"]);
}

#[test]
fn tests_see_it_once() {
    let project = Project::load(&files());
    let run = test(&project, &files(), &TestOptions::default()).expect("it is without mistakes");
    let failures: Vec<String> = run
        .failed()
        .map(|test| format!("{:?}", test.failures))
        .collect();
    assert_eq!(failures, Vec::<String>::new());
    assert_eq!(run.tests.len(), 1);
}
