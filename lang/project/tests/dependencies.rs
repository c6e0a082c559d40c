//! Dependencies: what a vendored one brings, and everything that is not as it is pinned.

use ordain_lang_project::{BuildOptions, Lock, Locked, Memory, Project, Version, build, tree_hash};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A dependency's files, from its own folder.
type Package = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const LIB: Package = (
    "lib",
    "v1.2.0",
    &[
        (
            "ordain.toml",
            "name = \"lib\"\ncrds = [\"crds/*.yaml\"]\n[dependencies]\nutil = { git = \"https://host/util.git\", tag = \"v1.0.0\" }\n",
        ),
        (
            "names.ord",
            "use util.text\nuse parts.suffix\n\n/// A name.\nfn full(name: String) -> String = text.loud(name) + suffix.end\n\nexport shared = k8s.ConfigMap { metadata.name = \"shared\" }\n",
        ),
        (
            "parts/suffix.ord",
            "let end = \"-lib\"\nlet unused_here = 1\n",
        ),
        (
            "main.ord",
            "app lib { objects = [k8s.ConfigMap { metadata.name = \"not-ours\" }] }\nenv lab { cluster = \"lab\" }\nexport k8s.ConfigMap { metadata.name = \"not-ours-either\" }\ntest \"theirs\" { assert false }\n",
        ),
        (
            "rules.ord",
            "policy \"no secrets in names\" {\n  for c in objects.of(k8s.ConfigMap) {\n    warn if c.metadata.name.contains(\"secret\"), \"a name\"\n  }\n}\n",
        ),
        (
            "crds/things.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: { name: things.x.io }\nspec:\n  group: x.io\n  scope: Namespaced\n  names: { kind: Thing, plural: things }\n  versions:\n    - name: v1\n      served: true\n      storage: true\n      schema:\n        openAPIV3Schema:\n          type: object\n          properties:\n            spec: { type: object, properties: { size: { type: integer } } }\n",
        ),
        ("LICENSE", "free\n"),
    ],
);

const UTIL: Package = (
    "util",
    "v1.1.0",
    &[
        ("ordain.toml", "name = \"util\"\n"),
        (
            "text.ord",
            "fn loud(text: String) -> String = text.lower()\n",
        ),
    ],
);

const RING: Package = (
    "ring",
    "v1.0.0",
    &[(
        "ordain.toml",
        "name = \"ring\"\n[dependencies]\nother = { git = \"https://host/other.git\", tag = \"v1.0.0\" }\n",
    )],
);

const OTHER: Package = (
    "other",
    "v1.0.0",
    &[(
        "ordain.toml",
        "name = \"other\"\n[dependencies]\nring = { git = \"https://host/ring.git\", tag = \"v1.0.0\" }\n",
    )],
);

const TAMPERED: Package = (
    "tampered",
    "v1.0.0",
    &[("ordain.toml", "name = \"tampered\"\n")],
);

fn locked((name, tag, files): &Package) -> Locked {
    Locked {
        name: (*name).into(),
        git: format!("https://host/{name}.git"),
        version: Version::Tag((*tag).into()),
        path: String::new(),
        commit: COMMIT.into(),
        hash: tree_hash(files.iter().map(|(path, text)| (*path, text.as_bytes()))),
    }
}

/// A project with everything vendored that it asks for.
fn project(manifest: &str, main: &str) -> Memory {
    let packages = [LIB, UTIL, RING, OTHER, TAMPERED];
    let lock = Lock {
        entries: packages.iter().map(locked).collect(),
    };
    let mut files = Memory::new()
        .with("ordain.toml", manifest)
        .with("ordain.lock", lock.to_text())
        .with("main.ord", main);
    for (name, _, contents) in packages {
        for (path, text) in contents {
            files.insert(format!("vendor/{name}/{path}"), *text);
        }
    }
    files.insert(
        "vendor/tampered/ordain.toml",
        "name = \"tampered\" # changed\n",
    );
    files
}

const USES_LIB: &str =
    "name = \"shop\"\n[dependencies]\nlib = { git = \"https://host/lib.git\", tag = \"v1.0.0\" }\n";

const MAIN: &str = r#"
use lib.names
use lib.names.shared as whole

app shop {
  objects = [
    k8s.ConfigMap { metadata.name = names.full("SECRET") }
    names.shared
    { apiVersion = "x.io/v1", kind = "Thing", metadata = { name = "a" }, spec = { size = 3 } }
  ]
}
"#;

fn said(files: &Memory) -> String {
    let project = Project::load(files);
    let mut out = String::new();
    for found in build(&project, &BuildOptions::default()).diagnostics {
        out.push_str(&format!("{} {}\n", found.code, found.message));
        for label in &found.labels {
            let at = project.sources.line_col(label.span);
            let path = project.sources.path(label.span.file);
            out.push_str(&format!(
                "  {path}:{}:{} {}\n",
                at.line, at.column, label.text
            ));
        }
        for note in &found.notes {
            out.push_str(&format!("  note: {note}\n"));
        }
        if let Some(help) = &found.help {
            out.push_str(&format!("  help: {help}\n"));
        }
    }
    out
}

#[test]
fn a_dependency_brings_modules_policies_and_crds() {
    let main = MAIN.replace("use lib.names.shared as whole\n", "");
    let files = project(USES_LIB, &main);
    let loaded = Project::load(&files);
    let built = build(&loaded, &BuildOptions::default());
    let names: Vec<_> = built.apps[0]
        .objects
        .iter()
        .map(|object| {
            object.json["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["secret-lib", "shared", "a"]);
    assert_eq!(built.apps.len(), 1, "what it deploys itself is not ours");
    insta::assert_snapshot!(said(&files));
    let typo = project(
        USES_LIB,
        &main
            .replace("size = 3", "size = \"3\"")
            .replace("names.full", "names.fulll"),
    );
    insta::assert_snapshot!(said(&typo));
}

#[test]
fn a_dependency_sees_no_module_of_the_project() {
    let mut files = project(
        USES_LIB,
        "use lib.names\nlet a = names.full(\"x\")\nexport names.shared\n",
    );
    files.insert("parts/suffix.ord", "let end = 7\n");
    files.insert("util/text.ord", "let loud = 7\n");
    // The project's own folder `util` and the dependency of the dependency have the same name.
    let told = said(&files);
    assert!(told.contains("E0905") && !told.contains("E0202"), "{told}");
}

#[test]
fn what_is_not_as_it_is_pinned_is_told_with_the_remedy() {
    let mut out = String::new();
    let mut check = |what: &str, files: &Memory| {
        let told = said(files);
        out.push_str(&format!("{what}\n{told}\n"));
        assert!(told.contains("E08"), "{what}: {told}");
    };
    let main = "use lib.names\nexport names.shared\n";
    let base = || project(USES_LIB, main);
    check(
        "a changed file",
        &base().with("vendor/lib/parts/suffix.ord", "let end = \"-evil\"\n"),
    );
    check(
        "a file more",
        &base().with("vendor/lib/extra.ord", "let x = 1\n"),
    );
    check(
        "a file that does not belong there",
        &base().with("vendor/lib/run.sh", "rm"),
    );
    check("no lock", &without(&base(), "ordain.lock"));
    check(
        "a broken lock",
        &base().with("ordain.lock", "version = 1\n<<<<<<< HEAD\n"),
    );
    check(
        "a lock of tomorrow",
        &base().with("ordain.lock", "version = 2\n"),
    );
    check("no vendor folder", &without(&base(), "vendor/lib/"));
    check(
        "no dependency of the dependency",
        &without(&base(), "vendor/util/"),
    );
    let asks = |more: &str| project(&USES_LIB.replace("tag = \"v1.0.0\"", more), main);
    check("a later version", &asks("tag = \"v1.3.0\""));
    check("another kind of version", &asks("tag = \"v2.0.0\""));
    check("a commit", &asks(&format!("commit = \"{COMMIT}\"")));
    check("another folder", &asks("tag = \"v1.0.0\", path = \"sub\""));
    let other = USES_LIB.replace("https://host/lib.git", "https://host/fork.git");
    check("another repository", &project(&other, main));
    for line in [
        "lib = \"v1\"",
        "lib = { git = \"u\" }",
        "lib = { git = \"u\", tag = \"v1\", commit = \"x\" }",
        "lib = { git = \"u\", commit = \"0123\" }",
        "lib = { tag = \"v1.0.0\" }",
        "lib = { git = \"--upload-pack=x\", tag = \"v1.0.0\" }",
        "lib = { git = \"u\", tag = \"--x\" }",
        "lib = { git = \"u\", tag = \"v1.0.0\", path = \"../x\" }",
        "lib = { git = \"u\", tga = \"v1.0.0\" }",
        "lib = { git = 7, tag = \"v1.0.0\" }",
        "std = { git = \"u\", tag = \"v1.0.0\" }",
        "\"../x\" = { git = \"u\", tag = \"v1.0.0\" }",
    ] {
        check(
            line,
            &project(&format!("name = \"shop\"\n[dependencies]\n{line}\n"), ""),
        );
    }
    check(
        "no table",
        &project("name = \"shop\"\ndependencies = [\"lib\"]\n", ""),
    );
    insta::assert_snapshot!(out);
}

fn without(files: &Memory, prefix: &str) -> Memory {
    use ordain_lang_project::Files;
    let mut left = Memory::new();
    for path in files.list().expect("memory") {
        if !path.starts_with(prefix) {
            let content = files.read(&path).expect("it is there");
            left.insert(path, content);
        }
    }
    left
}

#[test]
fn a_dependency_has_no_secrets() {
    let mut files = project(USES_LIB, "use lib.names\nexport names.shared\n");
    let mut lib = LIB.2.to_vec();
    lib.push((
        "vault.ord",
        "use secrets \"secrets/app.enc.yaml\" as vault\nlet x = vault.db.password\n",
    ));
    let package = ("lib", "v1.2.0", lib.as_slice());
    let hash = tree_hash(lib.iter().map(|(path, text)| (*path, text.as_bytes())));
    files.insert(
        "vendor/lib/vault.ord",
        package.2.last().expect("it was pushed").1,
    );
    let mut lock = Lock {
        entries: [LIB, UTIL].iter().map(locked).collect(),
    };
    lock.entries[0].hash = hash;
    files.insert("ordain.lock", lock.to_text());
    let told = said(&files);
    assert!(
        told.contains("E0801") && told.contains("only the project itself has secrets"),
        "{told}"
    );
}

#[test]
fn pages_tell_the_truth() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../types/diagnostics");
    for code in ["E0811", "E0812", "E0814", "E0815"] {
        let page = std::fs::read_to_string(folder.join(format!("{code}.md"))).expect("a page");
        let mut kinds = [0, 0];
        for block in page.split("```toml").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let fails = block.starts_with(" fails\n");
            kinds[usize::from(fails)] += 1;
            let files = project(block.strip_prefix(" fails\n").unwrap_or(block), "");
            let codes: Vec<&str> = build(&Project::load(&files), &BuildOptions::default())
                .diagnostics
                .iter()
                .map(|found| found.code)
                .collect();
            let wanted: &[&str] = if fails { &[code] } else { &[] };
            assert_eq!(codes, wanted, "{code}: {}", said(&files));
        }
        assert!(kinds[0] > 0 && kinds[1] > 0, "{code} has both");
    }
}
