//! The forms of a diff: read by people as snapshots, and by programs against their schemas.

use std::collections::BTreeMap;

use ordain_reconciler_diff::{
    After, Diff, DigestKey, Facts, Input, Live, LiveSource, Look, MarkdownOptions, Side, Snapshot,
    SnapshotApp, TextOptions, Verb, compare, markdown, sarif, text,
};
use ordain_reconciler_plan::{ObjectKey, SetObject, prepare};
use ordain_schemas::KubeVersion;
use proptest::prelude::*;
use serde_json::{Value, json};

const CANARY: &str = "Y2FuYXJ5LTQyNDI=";

fn object(env: &str, app: &str, object: Value, line: usize) -> SetObject {
    SetObject {
        env: env.to_owned(),
        app: app.to_owned(),
        object,
        at: Some(format!("apps/{app}.ord:{line}")),
    }
}

fn deployment(name: &str, image: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": name, "image": image}]}}},
    })
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, "data": {"password": value}})
}

fn config(text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "site", "namespace": "shop"}, "data": {"index.html": text}})
}

fn claim(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "shop"}})
}

/// As the reconciler applies it.
fn applied(object: Value) -> Value {
    let desired = prepare(object, None, true, "shop", "prod/shop");
    desired.expect("an identity").object
}

fn facts() -> Facts {
    let known = |namespace: &str| (KubeVersion::DEFAULT, namespace.to_owned());
    Facts {
        envs: BTreeMap::from([
            ("dev".to_owned(), known("shop")),
            ("prod".to_owned(), known("shop")),
        ]),
        ..Facts::default()
    }
}

fn side(name: &str, digit: char) -> Side {
    Side {
        name: name.to_owned(),
        commit: Some(digit.to_string().repeat(40)),
    }
}

fn few() -> Vec<SetObject> {
    vec![
        object(
            "prod",
            "shop",
            deployment("web", "registry.local/web:1.0", 2),
            3,
        ),
        object("prod", "shop", secret(CANARY), 20),
        object("prod", "shop", config("<h1>\nWelcome\n</h1>\n"), 30),
        object("prod", "shop", claim("old"), 40),
    ]
}

fn fewer() -> Vec<SetObject> {
    vec![
        object(
            "prod",
            "shop",
            deployment("web", "registry.local/web:1.1", 5),
            3,
        ),
        object("prod", "shop", secret("b3RoZXI="), 20),
        object("prod", "shop", config("<h1>\nWelcome back\n</h1>\n"), 30),
        object("prod", "shop", claim("new"), 44),
    ]
}

/// Compares, and cites a line for every field.
fn diff(before: &[SetObject], after: &[SetObject], live: Option<&Live>) -> Diff {
    let (base, head) = (side("main", 'a'), side("HEAD", 'b'));
    let facts = facts();
    let mut diff = compare(&Input {
        base: Some((&base, before)),
        head: (&head, after),
        live,
        facts: &facts,
    });
    let line = |_: &_| Some("lib.ord:12".to_owned());
    diff.cite(
        |fields| fields.iter().map(line).collect(),
        |fields| {
            fields
                .iter()
                .map(|_| Some("lib.ord:10".to_owned()))
                .collect()
        },
    );
    diff
}

/// An app for each number: most get another image, some more.
fn many(apps: usize, image: &str, replicas: u32) -> Vec<SetObject> {
    let app = |at: usize| {
        let name = format!("app-{at:04}");
        let odd = if at.is_multiple_of(100) { replicas } else { 2 };
        let image = format!("registry.local/{name}:{image}");
        object("prod", &name, deployment(&name, &image, odd), 5)
    };
    (0..apps).map(app).collect()
}

fn valid(schema: &str, value: &Value) {
    let schema: Value = serde_json::from_str(schema).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Everything that a diff is shown as.
fn forms(diff: &Diff) -> Vec<String> {
    let json = serde_json::to_value(diff).expect("plain JSON");
    valid(include_str!("../schema/diff.v1.json"), &json);
    let log = sarif(diff, "deploy/shop");
    // The schema beside the command says besides how codes of the language look; ours are words.
    let schema = include_str!("../../../cli/tests/sarif-2.1.0.json");
    valid(&schema.replace("^[EW][0-9]{4}$", "^[a-z-]+$"), &log);
    vec![
        text(diff, TextOptions::default()),
        text(diff, TextOptions { color: true }),
        markdown(diff, &MarkdownOptions::default()),
        json.to_string(),
        log.to_string(),
    ]
}

#[test]
fn a_small_change_reads_well() {
    let diff = diff(&few(), &fewer(), None);
    let forms = forms(&diff);
    insta::assert_snapshot!("small-text", forms[0]);
    insta::assert_snapshot!("small-markdown", forms[2]);
    insta::assert_json_snapshot!(
        "small-sarif",
        sarif(&diff, "deploy/shop")["runs"][0]["results"][0]
    );
}

#[test]
fn one_object_is_a_short_comment() {
    let before = [object("dev", "shop", deployment("web", "web:1", 2), 3)];
    let after = [object("dev", "shop", deployment("web", "web:1", 3), 3)];
    let diff = diff(&before, &after, None);
    let options = MarkdownOptions {
        source_url: Some("https://example.org/shop/blob/b/".to_owned()),
        bytes_max: None,
    };
    insta::assert_snapshot!("one-markdown", markdown(&diff, &options));
    let same = self::diff(&before, &before, None);
    insta::assert_snapshot!("none-markdown", markdown(&same, &options));
    assert_eq!(
        text(&same, TextOptions::default()),
        "no changes (1 objects)\n"
    );
}

#[test]
fn five_hundred_objects_are_a_few_groups() {
    let diff = diff(&many(500, "v1", 2), &many(500, "v2", 4), None);
    let page = markdown(&diff, &MarkdownOptions::default());
    assert!(
        page.contains("<b>495 Deployments</b>: image v1 → v2"),
        "{page}"
    );
    insta::assert_snapshot!("many-markdown", page);
}

#[test]
fn five_hundred_different_changes_fit_and_the_rest_is_told() {
    let different = |text: &str| -> Vec<SetObject> {
        let one = |at: usize| {
            let mut config = config(&format!("{text} {at}\n").repeat(30));
            config["metadata"]["name"] = format!("c{at}").into();
            config["data"][format!("key{at}")] = text.repeat(20).into();
            object("prod", &format!("app{at}"), config, 5)
        };
        (0..500).map(one).collect()
    };
    let diff = diff(&different("one"), &different("two"), None);
    let page = markdown(&diff, &MarkdownOptions::default());
    assert!(page.len() <= MarkdownOptions::BYTES_MAX, "{}", page.len());
    let end: Vec<&str> = page.lines().rev().take(1).collect();
    insta::assert_snapshot!("full-end", end[0]);
}

#[test]
fn the_live_state_is_told_beside_the_change() {
    let (before, after) = (few(), fewer());
    let look = |at: usize, now: Option<Value>, after: After| {
        let head: &SetObject = &fewer()[at];
        let key = ObjectKey::of(&head.object).expect("an identity");
        let look = Look {
            app: "shop".to_owned(),
            now,
            after,
            not_compared: 0,
            at: head.at.clone(),
        };
        (("prod".to_owned(), key), look)
    };
    let mut hand = deployment("web", "registry.local/web:1.0", 9);
    hand["status"] = json!({"replicas": 9});
    let old = ObjectKey::of(&claim("old")).expect("an identity");
    let gone = Look {
        app: "shop".to_owned(),
        now: Some(claim("old")),
        after: After::Gone(Verb::Held, "deletes data".to_owned()),
        not_compared: 0,
        at: None,
    };
    let refused = After::Refused {
        message: "admission webhook \"policy\" denied the request: no <b>claims</b> for @ada"
            .to_owned(),
        immutable: Vec::new(),
    };
    let live = Live {
        side: Side::named("cluster prod"),
        source: LiveSource::Cluster,
        looks: BTreeMap::from([
            look(0, Some(hand), After::Would(fewer()[0].object.clone())),
            look(3, None, refused),
            (("prod".to_owned(), old), gone),
        ]),
        held: Vec::new(),
        not_compared: 0,
    };
    let diff = diff(&before, &after, Some(&live));
    let forms = forms(&diff);
    insta::assert_snapshot!("live-text", forms[0]);
    insta::assert_snapshot!("live-markdown", forms[2]);
}

#[test]
fn a_snapshot_tells_what_is_applied_and_no_secret() {
    let key = DigestKey::derive(b"private");
    let objects = few().into_iter().map(|one| applied(one.object)).collect();
    let apps = vec![SnapshotApp {
        env: "prod".to_owned(),
        app: "shop".to_owned(),
        commit: None,
        objects,
    }];
    let snapshot = Snapshot::new("prod", "2026-11-22T20:00:00Z", apps, &key);
    let facts = facts();
    for (key, unknown) in [(Some(&key), 0), (None, 1)] {
        let head = fewer();
        let live = Live::of_snapshot(&snapshot, &head, &facts, None, key);
        assert_eq!(live.not_compared, unknown);
        let side = Side::named("HEAD");
        let diff = compare(&Input {
            base: None,
            head: (&side, &head),
            live: Some(&live),
            facts: &facts,
        });
        let shown = forms(&diff).concat();
        assert!(
            !shown.contains(CANARY) && !shown.contains("b3RoZXI"),
            "{shown}"
        );
        let told = diff.objects.iter().any(|object| {
            object.key.kind == "Secret"
                && object
                    .fields
                    .iter()
                    .any(|field| field.path == "data.password")
        });
        assert_eq!(told, unknown == 0, "{shown}");
    }
}

#[test]
fn what_was_not_compared_is_not_called_equal() {
    let key = DigestKey::derive(b"private");
    let apps = vec![SnapshotApp {
        env: "prod".to_owned(),
        app: "shop".to_owned(),
        commit: None,
        objects: vec![applied(secret(CANARY))],
    }];
    let snapshot = Snapshot::new("prod", "2026-11-22T20:00:00Z", apps, &key);
    let before = [object("prod", "shop", secret(CANARY), 20)];
    let after = [object("prod", "shop", secret("b3RoZXI="), 20)];
    let live = Live::of_snapshot(&snapshot, &after, &facts(), None, None);
    let forms = forms(&diff(&before, &after, Some(&live)));
    assert!(
        forms[0].contains("it may be like this already (1 secret value could not be compared)"),
        "{}",
        forms[0]
    );
    assert!(
        forms[2].contains("may be like this already: 1 secret value could not be compared"),
        "{}",
        forms[2]
    );
}

#[test]
fn no_form_shows_a_secret() {
    let annotated = |value: &str| {
        let mut secret = secret(value);
        secret["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": CANARY});
        secret["stringData"] = json!({"token": CANARY});
        secret
    };
    let cases = [
        (vec![], vec![annotated(CANARY)]),
        (vec![annotated(CANARY)], vec![]),
        (vec![secret("b3RoZXI=")], vec![annotated(CANARY)]),
        (vec![annotated(CANARY)], vec![secret("b3RoZXI=")]),
    ];
    for (before, after) in cases {
        let set = |objects: Vec<Value>| -> Vec<SetObject> {
            let all = objects.into_iter();
            all.map(|one| object("dev", "shop", one, 1)).collect()
        };
        let shown = forms(&diff(&set(before), &set(after), None)).concat();
        assert!(
            !shown.contains(CANARY) && !shown.contains("b3RoZXI"),
            "{shown}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_comment_never_passes_its_limit(apps in 1_usize..40, limit in 1_usize..20_000, text in "[a-z`<>\n]{0,200}") {
        let set = |text: &str| -> Vec<SetObject> {
            let one = |at: usize| {
                let mut config = config(&format!("{text}{at}"));
                config["metadata"]["name"] = format!("c{at}").into();
                object("prod", &format!("app{at}"), config, 5)
            };
            (0..apps).map(one).collect()
        };
        let diff = diff(&set("a"), &set(&text), None);
        let options = MarkdownOptions { bytes_max: Some(limit), source_url: None };
        prop_assert!(markdown(&diff, &options).len() <= limit);
    }
}
