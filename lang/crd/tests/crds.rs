//! Definitions and objects: what is read, what is told, what an object breaks.
#![allow(
    clippy::print_stderr,
    reason = "the extra suite says how many cases ran"
)]

use ordain_lang_crd::{Problem, check_object, parse};
use serde_json::{Value as Json, json};

const WIDGETS: &str = include_str!("crds/widgets.yaml");

/// A problem as lines, with the text of each place.
fn show(text: &str, problem: &Problem) -> String {
    let kind = if problem.is_warning { "warning " } else { "" };
    let mut out = format!("{kind}{}: {}\n", problem.code, problem.message);
    for (place, label) in &problem.labels {
        let line = text[..(place.start as usize).min(text.len())]
            .matches('\n')
            .count()
            + 1;
        let at = text
            .get(place.range())
            .unwrap_or("?")
            .lines()
            .next()
            .unwrap_or_default();
        out.push_str(&format!("  {line} `{at}` {label}\n"));
    }
    if let Some(help) = &problem.help {
        out.push_str(&format!("  help: {help}\n"));
    }
    out
}

/// What an object of the first definition breaks, as lines.
fn broken(version: &str, object: &Json) -> String {
    let (crds, problems) = parse(WIDGETS);
    assert!(problems.is_empty(), "{problems:?}");
    let version = crds[0].version(version).expect("it is there");
    let mut out = String::new();
    for found in check_object(version, object) {
        let line = WIDGETS[..found.rule.start as usize].matches('\n').count() + 1;
        let at = WIDGETS[found.rule.range()]
            .lines()
            .next()
            .unwrap_or_default();
        out.push_str(&format!(
            "{} {}: {} ({line} `{at}` {})\n",
            found.code,
            found.field(),
            found.message,
            found.label
        ));
        for note in found.notes {
            out.push_str(&format!("  note: {note}\n"));
        }
    }
    out
}

fn widget(spec: Json) -> Json {
    json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": { "name": "one" }, "spec": spec })
}

#[test]
fn names_scope_and_versions_are_read() {
    let (crds, problems) = parse(WIDGETS);
    assert!(problems.is_empty(), "{problems:?}");
    let crd = &crds[0];
    assert_eq!(
        (&*crd.group, &*crd.kind, &*crd.plural, crd.namespaced),
        ("example.com", "Widget", "widgets", true)
    );
    let versions: Vec<(&str, bool, bool)> = crd
        .versions
        .iter()
        .map(|v| (&*v.name, v.served.0, v.deprecated.is_some()))
        .collect();
    assert_eq!(
        versions,
        [
            ("v1", true, false),
            ("v1beta1", true, true),
            ("v1alpha1", false, false)
        ]
    );
    assert_eq!(&*crd.preferred().expect("one is served").name, "v1");
}

#[test]
fn a_good_object_breaks_nothing() {
    let spec = json!({
        "size": "small", "replicas": 3, "limit": 5, "min": 1, "max": 2, "even": 4, "ratio": 0.5, "code": "ABC",
        "port": "http", "memory": "512Mi", "note": null, "address": "10.0.0.1", "notBefore": "2026-01-31T12:00:00Z",
        "labels": {"a": "b"}, "tags": ["x", "y"],
        "parts": [{"name": "a"}, {"name": "a", "protocol": "UDP", "weight": 2}],
        "source": {"git": "https://example.com"}, "settings": {"level": 1, "more": [1]}, "values": {"any": [1, "b"]},
        "template": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}},
    });
    assert_eq!(broken("v1", &widget(spec)), "");
}

#[test]
fn rules_of_values_are_told_all_at_once() {
    let spec = json!({
        "size": "medium", "replicas": 11, "even": 3, "ratio": 1, "code": "abc", "port": true, "memory": "much",
        "address": "here", "notBefore": "soon", "labels": {"a": "", "b": "x", "c": "x"}, "tags": ["x", "x", "y", "z"],
        "parts": [{"name": "a"}, {"name": "a", "protocol": "TCP"}, {"weight": "1"}],
        "source": {"git": "a", "image": "b"}, "settings": {"level": "high"}, "template": {"kind": "ConfigMap"},
        "colour": "red", "limit": "many",
    });
    insta::assert_snapshot!(broken("v1", &widget(spec)));
}

#[test]
fn cel_rules_are_told_at_their_field() {
    let spec = json!({
        "size": "small", "min": 3, "max": 2, "limit": 1, "replicas": 2,
        "parts": [{"name": "a", "weight": 0}],
    });
    let mut object = widget(spec);
    object["metadata"]["name"] = "a-name-that-is-far-too-long".into();
    insta::assert_snapshot!(broken("v1", &object));
}

#[test]
fn alternatives_are_explained() {
    let spec = json!({ "size": "small", "parts": [{"name": "a"}], "source": {} });
    insta::assert_snapshot!(broken("v1", &widget(spec)));
}

#[test]
fn broken_definitions_are_told() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|e| e.expect("readable").path())
        .collect();
    files.sort();
    assert!(files.len() > 5, "there are cases");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let (_, problems) = parse(&text);
        let shown: String = problems
            .iter()
            .map(|problem| show(&text, problem))
            .collect();
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn lists_and_other_documents() {
    let indented: String = WIDGETS
        .lines()
        .skip(1)
        .map(|line| format!("    {line}\n"))
        .collect();
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n  -\n{indented}---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n"
    );
    let (crds, problems) = parse(&list);
    assert_eq!((crds.len(), problems), (1, Vec::new()));
}

#[test]
fn nesting_and_size_are_bounded() {
    let start = WIDGETS
        .find("spec:\n              description")
        .expect("it is there");
    let head = &WIDGETS[..start];
    let around = |schema: &str| format!("{head}spec: {schema}\n");
    for (open, close) in [
        ("{type: object, properties: {a: ", "}}"),
        ("{not: ", "}"),
        ("{type: array, items: ", "}"),
        ("{allOf: [", "]}"),
        ("{type: object, additionalProperties: ", "}"),
    ] {
        for depth in [40, 70, 140, 5000] {
            let text = around(&format!(
                "{}{{type: object}}{}",
                open.repeat(depth),
                close.repeat(depth)
            ));
            let (crds, problems) = parse(&text);
            for crd in &crds {
                let object = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "spec": {"a": {"a": []}} });
                let _ = check_object(&crd.versions[0], &object);
            }
            assert!(depth < 1000 || !problems.is_empty());
        }
    }
}

#[test]
fn wide_schemas_are_read_and_their_problems_limited() {
    let start = WIDGETS
        .find("spec:\n              description")
        .expect("it is there");
    let mut text = format!(
        "{}spec:\n              type: object\n              properties:\n",
        &WIDGETS[..start]
    );
    for at in 0..2_000 {
        text.push_str(&format!(
            "                p{at}: {{type: string, typ{at}: x}}\n"
        ));
    }
    let (crds, problems) = parse(&text);
    assert_eq!(
        crds[0].versions[0]
            .schema
            .property("spec")
            .map(|p| p.schema.properties.len()),
        Some(2_000)
    );
    assert!(problems.len() <= ordain_lang_crd::MAX_PROBLEMS);
}

/// How many CEL rules a schema has.
fn rules_of(schema: &ordain_lang_crd::Schema) -> usize {
    let inner = schema.properties.iter().map(|p| &p.schema);
    let inner = inner.chain(schema.items.as_deref());
    let of_map = match &schema.additional {
        Some(ordain_lang_crd::Additional::Schema(inner)) => Some(&**inner),
        _ => None,
    };
    schema.rules.len() + inner.chain(of_map).map(rules_of).sum::<usize>()
}

/// An extra suite: the definitions beside the checkout, when they are there.
#[test]
fn definitions_of_known_projects_import() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/crds");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("left out: there is no folder {}", folder.display());
        return;
    };
    let (mut read, mut rules) = (0, 0);
    for entry in entries {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let (crds, problems) = parse(&text);
        let shown: String = problems
            .iter()
            .map(|problem| show(&text, problem))
            .collect();
        assert_eq!(shown, "", "{}", path.display());
        assert!(!crds.is_empty(), "{}", path.display());
        read += 1;
        let versions = crds.iter().flat_map(|crd| &crd.versions);
        rules += versions.map(|v| rules_of(&v.schema)).sum::<usize>();
    }
    eprintln!("{read} files read, {rules} CEL rules hold against their types");
    assert!(rules > 0, "the definitions have rules");
}

proptest::proptest! {
    #[test]
    fn any_text_is_safe(text in "[a-zA-Z0-9:{}\\[\\]&*!|>'\" \\n-]{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_damage_is_safe(at in 0usize..6000, put in "[ -~\\n]{0,6}", cut in 0usize..40) {
        let mut text = WIDGETS.to_owned();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &put);
        }
        let (crds, _) = parse(&text);
        for crd in &crds {
            for version in &crd.versions {
                let _ = check_object(version, &widget(json!({ "size": "small", "parts": [{}] })));
            }
        }
    }
}
