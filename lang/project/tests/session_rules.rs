//! A session finds the same broken rules over the whole set as a build from scratch, after every edit.

use ordain_lang_project::{BuildOptions, Format, Memory, Project, Session, build_text};

const FILES: [(&str, &str); 5] = [
    ("ordain.toml", "name = \"demo\"\n"),
    (
        "lib.ord",
        "fn pod(name: String, map: String) -> k8s.Pod = k8s.Pod {\n  metadata = { name = name, labels = { app = name } }\n  \
         spec.containers = [{ name = \"main\", image = \"web:1\", envFrom = [{ configMapRef.name = map }] }]\n}\n",
    ),
    (
        "a.ord",
        "use lib\n\napp a {\n  map = \"settings\"\n  objects = [lib.pod(\"a\", map)]\n}\n",
    ),
    (
        "b.ord",
        "app b {\n  objects = [\n    k8s.ConfigMap { metadata.name = \"settings\" }\n    k8s.Service { metadata.name = \"a\", \
         spec = { selector = { app = \"a\" }, ports = [{ port = 80 }] } }\n  ]\n}\n",
    ),
    (
        "envs.ord",
        "env base { namespace = \"n\" }\nenv dev extends base { cluster = \"dev\" }\nenv prod extends base { cluster = \"prod\" }\n",
    ),
];

/// Edits one after the other: a file, what is replaced, by what.
const EDITS: [(&str, &str, &str); 20] = [
    ("a.ord", "\"settings\"", "\"setings\""),
    (
        "a.ord",
        "app a {",
        "app a {\n  external k8s.ConfigMap \"set*\"",
    ),
    ("b.ord", "app = \"a\"", "app = \"aa\""),
    (
        "envs.ord",
        "cluster = \"prod\" }",
        "cluster = \"prod\", allow E0601 for k8s.Service \"a\", \"a test\" }",
    ),
    ("b.ord", "app b {", "// a line more\napp b {"),
    ("a.ord", "\"setings\"", "\"settings\""),
    ("b.ord", "app = \"aa\"", "app = \"a\""),
    ("envs.ord", "cluster = \"dev\"", "cluster = \"prod\""),
    (
        "envs.ord",
        "env dev extends base {",
        "env dev extends base { namespace = \"dev\", ",
    ),
    ("lib.ord", "configMapRef.name = map", "secretRef.name = map"),
    (
        "lib.ord",
        "secretRef.name = map",
        "secretRef = { name = map, optional = true }",
    ),
    (
        "b.ord",
        "  objects = [\n",
        "  objects = [\n    k8s.ConfigMap { metadata.name = \"both\", data = { one = \"1\" } }\n",
    ),
    (
        "a.ord",
        "objects = [",
        "objects = [k8s.ConfigMap { metadata.name = \"both\", data = { one = \"1\" } }, ",
    ),
    (
        "a.ord",
        "app a {",
        "app a {\n  allow E0511 for k8s.ConfigMap \"both\", \"a test\"",
    ),
    ("b.ord", "one = \"1\"", "one = \"2\""),
    ("a.ord", "one = \"1\"", "one = \"2\""),
    (
        "lib.ord",
        "fn pod(",
        "fn web() -> k8s.Deployment = k8s.Deployment { metadata.name = \"web\", spec = { selector.matchLabels = { app = \"x\" }, \
         template = { metadata.labels = { app = \"y\" }, spec.containers = [{ name = \"c\", image = \"web:1\" }] } } }\nfn pod(",
    ),
    ("a.ord", "objects = [", "objects = [lib.web(), "),
    (
        "envs.ord",
        "allow E0601",
        "allow E0703 for k8s.Deployment \"web\", \"a test\", allow E0601",
    ),
    (
        "b.ord",
        "app b {",
        "policy \"none\" { for s in objects.of(k8s.Service) { deny if s.metadata.name == \"a\", \"no\" } }\n\napp b {",
    ),
];

#[test]
fn a_session_keeps_the_rules_as_a_build_does() {
    let mut files = Memory::new();
    for (path, text) in FILES {
        files.insert(path, text);
    }
    let mut texts: Vec<(&str, String)> = FILES.map(|(path, text)| (path, text.to_owned())).to_vec();
    let mut session = Session::new(files.clone());
    let all = BuildOptions::default();
    let mut broken = 0;
    for edit in std::iter::once(None).chain(EDITS.iter().map(Some)) {
        if let Some((path, old, new)) = edit {
            let (_, text) = texts
                .iter_mut()
                .find(|(own, _)| own == path)
                .expect("it is one of the files");
            assert!(text.contains(old), "{path} has {old}");
            *text = text.replace(old, new);
            session.set_text(path, Some(text.clone()));
            files.insert(*path, text.clone());
        }
        let fresh = build_text(&Project::load(&files), &all, Format::Yaml);
        let kept = session.build_text(&all, Format::Yaml);
        assert_eq!(&*kept.diagnostics, &*fresh.diagnostics, "after {edit:?}");
        assert!(kept.apps.iter().map(|app| &**app).eq(fresh.apps.iter()));
        broken += usize::from(!fresh.is_ok());
    }
    assert!(
        (4..EDITS.len()).contains(&broken),
        "{broken} edits break rules"
    );
}
