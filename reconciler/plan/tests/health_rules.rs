//! Rules of health as data: that those shipped are right in form, what is said of wrong ones, whose rule wins.

use std::{fs, path::Path};

use ordain_reconciler_plan::health::{self, HealthRules, Status, shipped_rules};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

fn shipped_texts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/health/rules");
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("the rules are there")
        .map(|entry| {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().expect("it has one").to_string_lossy();
            (
                name.into_owned(),
                fs::read_to_string(&path).expect("it is text"),
            )
        })
        .collect();
    found.sort();
    found
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// A name that fits a pattern of a rule.
fn example(name: &str) -> (String, String) {
    let (group, kind) = name.split_once('/').expect("it is group/Kind");
    let group = group.replace('*', "any");
    (format!("{group}/v1"), kind.replace('*', "Any"))
}

#[test]
fn every_file_of_rules_is_read_and_shipped() {
    let mut names = Vec::new();
    let mut wrong = Vec::new();
    for (file, text) in shipped_texts() {
        match HealthRules::parse(&text) {
            Ok(rules) => names.extend(rules.names()),
            Err(error) => wrong.push(format!("{file}: {}", chain(&error))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    names.sort();
    let mut shipped: Vec<_> = shipped_rules().collect();
    shipped.sort();
    assert_eq!(names, shipped, "a file is not in the list of `shipped.rs`");
}

/// A controller writes its status bit by bit: whatever is missing, a rule has an answer.
#[test]
fn no_shipped_rule_fails_over_a_field_that_is_missing() {
    let condition = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
    let statuses = [
        json!(null),
        json!({}),
        json!({"another": 1}),
        json!({"conditions": []}),
        json!({"conditions": [{}]}),
        condition("True"),
        condition("False"),
        condition("Unknown"),
        json!({"phase": "Strange", "state": "Strange"}),
        json!({"parents": [{}], "ancestors": [{}], "ingress": [{}], "listeners": [{}], "environments": [{}]}),
    ];
    let mut wrong = Vec::new();
    for name in shipped_rules() {
        let (version, kind) = example(&name);
        for status in &statuses {
            let object = json!({"apiVersion": version, "kind": kind, "status": status});
            let found = health::of(&object);
            if found.message.contains("fails at") || found.message.contains("cannot be made") {
                wrong.push(format!("{name}, {status}: {}", found.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the rules say of an object, as `status message`.
fn judged(rules: &HealthRules, object: &Value) -> String {
    let found = rules.of(object);
    format!("{} {}", found.status, found.message)
}

#[test]
fn an_error_names_the_rule_and_the_place() {
    let check = |text: &str, wanted: &str| {
        let error = HealthRules::parse(text).expect_err("it is wrong");
        assert_eq!(chain(&error), wanted);
    };
    let kind = |rest: &str| format!("group: example.com\nkinds:\n  - kind: Thing\n{rest}");
    check(
        &kind("    steps:\n      - healthy: true\n      - degraded: status.paper ==\n"),
        "rule `example.com/Thing`, steps[1].degraded: at `the end of the line`: expected a value, found the end",
    );
    check(
        &kind("    steps:\n      - healthy: stauts.paper\n"),
        "rule `example.com/Thing`, steps[0].healthy: at `stauts.paper`: there is no variable `stauts`",
    );
    check(
        &kind("    let:\n      a: b\n      b: '1'\n    steps:\n      - healthy: true\n"),
        "rule `example.com/Thing`, let.a: at `b`: there is no variable `b`",
    );
    check(
        &kind("    steps:\n      - healthy: true\n        message: no paper\n"),
        "rule `example.com/Thing`, steps[0].message: at `no paper`: there is no variable `no`",
    );
    check(
        &kind("    steps:\n      - healthy: true\n        degraded: true\n"),
        "rule `example.com/Thing`, steps[0]: a step has exactly one of `healthy`, `suspended`, `progressing`, \
         `missing`, `degraded` and `unknown`",
    );
    check(
        &kind("    steps: []\n"),
        "rule `example.com/Thing`, steps: at least one step is needed",
    );
    check(
        &format!(
            "{}---\ngroup: a\n",
            kind("    steps:\n      - healthy: true\n")
        ),
        "rules of health, document 2: they do not have the form of rules: missing field `kinds` at line 7 column 1",
    );
}

#[test]
fn a_rule_that_fails_gives_unknown_with_the_reason() {
    let rule = |when: &str| {
        let text = format!(
            "{{group: example.com, kinds: [{{kind: Thing, steps: [{{healthy: \"{when}\"}}]}}]}}"
        );
        HealthRules::parse(&text).expect("it is right")
    };
    let object = json!({
        "apiVersion": "example.com/v1", "kind": "Thing", "status": {"text": "x".repeat(3_000)},
    });
    let fails = "unknown the rule `example.com/Thing` fails at `steps[0].healthy`:";
    let check = |when: &str, wanted: &str| {
        assert_eq!(judged(&rule(when), &object), format!("{fails} {wanted}"));
    };
    check("status.paper > 0", "no such key: paper");
    check("status.text", "expected bool, found string");
    let all = "status.text.split('')";
    check(
        &format!("{all}.all(a, {all}.all(b, {all}.all(c, a == b && b == c)))"),
        "the budget is used up",
    );
}

#[test]
fn a_message_that_cannot_be_made_leaves_the_status() {
    let text = "{group: a.b, kinds: [{kind: C, steps: [{degraded: true, message: status.none}]}]}";
    let rules = HealthRules::parse(text).expect("it is right");
    let object = json!({"apiVersion": "a.b/v1", "kind": "C", "status": {"x": 1}});
    let wanted = "degraded (its message cannot be made: no such key: none)";
    assert_eq!(judged(&rules, &object), wanted);
}

#[test]
fn the_rule_that_fits_best_wins() {
    let rules = |text: &str| HealthRules::parse(text).expect("it is right");
    let said = |group: &str, kind: &str, word: &str| {
        rules(&format!(
            "{{group: '{group}', kinds: [{{kind: '{kind}', status: optional, steps: [{{degraded: true, message: \"'{word}'\"}}]}}]}}"
        ))
    };
    let all = said("example.com", "Thing", "exact")
        .and(said("*.example.com", "*", "short"))
        .and(said("*.b.example.com", "*", "long"))
        .and(said("*.b.example.com", "*Route", "kind"))
        .and(said("*.b.example.com", "Known*", "start"));
    let check = |group: &str, kind: &str, wanted: &str| {
        let object = json!({"apiVersion": format!("{group}/v1"), "kind": kind});
        assert_eq!(judged(&all, &object), wanted, "{group}/{kind}");
    };
    check("example.com", "Thing", "degraded exact");
    check("example.com", "Other", "healthy ");
    check("a.example.com", "Thing", "degraded short");
    check("a.b.example.com", "Thing", "degraded long");
    check("a.b.example.com", "HTTPRoute", "degraded kind");
    check("a.b.example.com", "KnownThing", "degraded start");
    check("anexample.com", "Thing", "healthy ");

    // The later of two, and a user's over what is shipped and built in.
    let later = said("example.com", "Thing", "first").and(said("example.com", "Thing", "second"));
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing"});
    assert_eq!(judged(&later, &thing), "degraded second");
    let own = said("cert-manager.io", "Issuer", "mine").and(said("", "ConfigMap", "mine too"));
    let issuer = json!({"apiVersion": "cert-manager.io/v1", "kind": "Issuer"});
    assert_eq!(judged(&own, &issuer), "degraded mine");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    assert_eq!(judged(&own, &map), "degraded mine too");
    assert_eq!(judged(&HealthRules::default(), &map), "healthy ");
}

#[test]
fn deletion_and_an_older_generation_win_over_a_rule() {
    let text = "{group: a.b, kinds: [{kind: C, steps: [{healthy: true}]}]}";
    let rules = HealthRules::parse(text).expect("it is right");
    let metadata = json!({"generation": 2});
    let old = json!({"apiVersion": "a.b/v1", "kind": "C", "metadata": metadata, "status": {"observedGeneration": 1}});
    assert_eq!(
        judged(&rules, &old),
        "progressing generation 2 is not observed yet (1 is)"
    );
    let metadata = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    let deleted =
        json!({"apiVersion": "a.b/v1", "kind": "C", "metadata": metadata, "status": {"x": 1}});
    assert_eq!(judged(&rules, &deleted), "progressing C is being deleted");
}

#[test]
fn a_condition_of_an_older_generation_is_unknown_to_a_rule() {
    let text = "{group: a.b, kinds: [{kind: C, steps: [{healthy: \"'Ready' in isTrue\"}, \
                {progressing: \"'Ready' in isUnknown\", message: conditions.Ready.text}]}]}";
    let rules = HealthRules::parse(text).expect("it is right");
    let object = |observed: u64| {
        let conditions =
            json!([{"type": "Ready", "status": "True", "observedGeneration": observed}]);
        json!({"apiVersion": "a.b/v1", "kind": "C", "metadata": {"generation": 2}, "status": {"conditions": conditions}})
    };
    assert_eq!(judged(&rules, &object(2)), "healthy ");
    assert_eq!(
        judged(&rules, &object(1)),
        "progressing Ready is of an older generation"
    );
}

#[test]
fn when_no_step_is_true_the_conditions_decide() {
    let text = "{group: a.b, kinds: [{kind: C, steps: [{suspended: \"'Held' in isTrue\"}]}]}";
    let rules = HealthRules::parse(text).expect("it is right");
    let object = |kind: &str| {
        let conditions = json!([{"type": kind, "status": "True"}]);
        json!({"apiVersion": "a.b/v1", "kind": "C", "status": {"conditions": conditions}})
    };
    assert_eq!(judged(&rules, &object("Held")), "suspended suspended");
    assert_eq!(judged(&rules, &object("Ready")), "healthy ");
    assert_eq!(judged(&rules, &object("Failed")), "degraded Failed is true");
}

#[test]
fn the_worst_counts_and_a_job_with_a_time_to_live_may_be_gone() {
    let order = [
        Status::Healthy,
        Status::Suspended,
        Status::Progressing,
        Status::Missing,
        Status::Degraded,
        Status::Unknown,
    ];
    for pair in order.windows(2) {
        assert_eq!(health::worst([pair[1], pair[0]]), pair[1]);
    }
    assert_eq!(health::worst([]), Status::Healthy);
    let job =
        json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"ttlSecondsAfterFinished": 60}});
    assert_eq!(health::gone(&job).status, Status::Healthy);
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {}});
    assert_eq!(health::gone(&job).status, Status::Missing);
}

/// `docs/health.md` shows two rules and an error; they are what the page says.
#[test]
fn the_page_shows_rules_that_work() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/health.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let blocks = page.split("```yaml\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert_eq!(blocks.len(), 2);
    let rules = HealthRules::parse(&blocks.join("---\n")).expect("they are right");
    let check = |mut object: Value, kind: &str, wanted: &str| {
        let (version, kind) = kind.split_once(' ').expect("a version and a kind");
        object["apiVersion"] = version.into();
        object["kind"] = kind.into();
        assert_eq!(judged(&rules, &object), wanted);
    };
    let ingress = "networking.k8s.io/v1 Ingress";
    check(json!({}), ingress, "progressing waits for an address");
    let address = json!([{"ip": "192.0.2.1"}]);
    let status = json!({"loadBalancer": {"ingress": address}});
    check(json!({"status": status}), ingress, "healthy ");

    let printer = "office.example.com/v1 Printer";
    let ready = |status: &str| json!([{"type": "Ready", "status": status}]);
    let jammed = json!([{"type": "Jammed", "status": "True", "reason": "Tray", "message": "two sheets at once"}]);
    check(json!({"spec": {}}), printer, "progressing not observed yet");
    check(
        json!({"spec": {"off": true}, "status": {"sheets": 0}}),
        "a.office.example.com/v1 Plotter",
        "suspended switched off",
    );
    check(
        json!({"status": {"sheets": 9, "conditions": jammed}}),
        printer,
        "degraded Tray: two sheets at once",
    );
    check(
        json!({"spec": {"sheetsMin": 5}, "status": {"sheets": 3}}),
        printer,
        "degraded 3 of 5 sheets are left",
    );
    check(
        json!({"status": {"sheets": 3, "conditions": ready("True")}}),
        printer,
        "healthy ",
    );
    check(
        json!({"status": {"sheets": 3, "conditions": ready("False")}}),
        printer,
        "progressing Ready is false",
    );

    let wrong = blocks[1].replace("\"'Jammed' in isTrue\"", "condition.Jammed");
    let error = HealthRules::parse(&wrong).expect_err("there is no such variable");
    let shown = page
        .lines()
        .filter_map(|line| line.strip_prefix("    rule "));
    let wanted: Vec<_> = shown.map(|line| format!("rule {line}")).collect();
    assert_eq!([chain(&error)], wanted[..]);
}

/// A status such as a rule looks for, with anything where something else is expected.
fn any_status() -> impl Strategy<Value = Value> {
    let names = [
        "conditions",
        "type",
        "status",
        "reason",
        "message",
        "phase",
        "state",
        "health",
        "replicas",
        "parents",
        "ancestors",
        "ingress",
        "listeners",
        "statuses",
        "environments",
        "observedGeneration",
        "dry",
        "sha",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![
            "", "True", "False", "Ready", "Failed", "1/2", "/", "é"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let entry = (select(names.to_vec()), inner.clone());
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            vec(entry, 0..6).prop_map(|entries| {
                let entries = entries.into_iter();
                Value::Object(entries.map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_status_makes_a_rule_panic(status in any_status(), spec in any_status()) {
        let names = shipped_rules();
        for name in names.chain(["apps/Deployment", "autoscaling/HorizontalPodAutoscaler"].map(str::to_owned)) {
            let (version, kind) = example(&name);
            let found = health::of(&json!({
                "apiVersion": version, "kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": status,
            }));
            prop_assert!(found.status == Status::Healthy || !found.message.is_empty(), "{name}: {found:?}");
        }
    }
}
