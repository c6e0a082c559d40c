//! The sample policy of `docs/tenancy.md`, read out of that page: its expressions, evaluated as an API server evaluates those
//! of a ValidatingAdmissionPolicy, over requests as commands send them.

use std::{fs, path::Path};

use ordain_cel::{Program, Value};
use ordain_reconciler_engine::control::{JournalAsk, Request};
use serde::Deserialize as _;
use serde_json::{Value as Json, json};

/// The cost that Kubernetes allows one expression of a policy (`apiserver/pkg/apis/cel/config.go`, `PerCallLimit`).
const BUDGET: u64 = 1_000_000;

/// The documents of the first YAML text of the page that has a policy.
fn sample() -> Vec<Json> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tenancy.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let mut texts = page.split("```yaml\n").skip(1);
    let text = texts
        .find(|text| text.contains("kind: ValidatingAdmissionPolicy\n"))
        .expect("it has a policy");
    let text = text.split("```").next().expect("it ends");
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Json::deserialize(document).expect("it is YAML"))
        .collect()
}

/// Who sends something.
struct User<'a> {
    name: &'a str,
    groups: &'a [&'a str],
}

const ADA: User<'_> = User {
    name: "ada",
    groups: &["system:authenticated", "dev"],
};
const GRACE: User<'_> = User {
    name: "grace",
    groups: &["system:authenticated", "platform"],
};

/// A request's object, as the client writes it.
fn object(request: &Request, by: Option<&str>, read: Option<u64>) -> Json {
    let request = serde_json::to_value(request).expect("plain JSON");
    let mut object = json!({"apiVersion": "ordain.dev/v1alpha1", "kind": "Request",
        "metadata": {"generateName": "ordain-", "namespace": "ordain-system"},
        "spec": {"request": request}});
    if let Some(by) = by {
        object["metadata"]["annotations"] = json!({"ordain.dev/requested-by": by});
    }
    if let Some(read) = read {
        object["spec"]["read"] = read.into();
    }
    object
}

/// The messages of the validations that refuse; one that cannot be evaluated refuses as well (`failurePolicy: Fail`, the
/// default).
fn refusals(policy: &Json, user: &User<'_>, old: Option<&Json>, new: &Json) -> Vec<String> {
    let request = json!({
        "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
        "userInfo": {"username": user.name, "groups": user.groups},
        "namespace": "ordain-system",
    });
    let variables = [
        ("object", Value::from_json(new)),
        ("oldObject", old.map_or(Value::Null, Value::from_json)),
        ("request", Value::from_json(&request)),
    ];
    let validations = policy["spec"]["validations"].as_array();
    let refused = validations.expect("a list").iter().filter(|validation| {
        let text = validation["expression"].as_str().expect("a text");
        let names = ["object", "oldObject", "request"];
        let program = Program::compile(text, &names).expect("it is right");
        let mut budget = BUDGET;
        program.eval(&variables, &mut budget) != Ok(Value::Bool(true))
    });
    let message = |validation: &Json| {
        validation["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    refused.map(message).collect()
}

const NAMES: &str = "a request names the user who makes it";
const CHANGED: &str = "neither a request nor its user is changed afterwards";
const PLATFORM: &str = "only the group platform changes something";

/// Every question that changes nothing and shows no object as a whole.
fn questions() -> Vec<Request> {
    vec![
        Request::Status,
        Request::History {
            app: "web".to_owned(),
            env: None,
            limit: Some(1),
        },
        Request::Rules,
        Request::Journal {
            question: JournalAsk::Chain,
        },
        Request::Journal {
            question: JournalAsk::Key,
        },
    ]
}

/// Commands that change something.
fn commands() -> Vec<Request> {
    vec![
        Request::Sync,
        Request::Resume {
            app: None,
            env: None,
            author: "Ada".to_owned(),
        },
        Request::Approve {
            plan: "abc".to_owned(),
            author: "Ada".to_owned(),
        },
        Request::Journal {
            question: JournalAsk::Compact {
                before_ms: 0,
                by: "Ada".to_owned(),
            },
        },
    ]
}

#[test]
fn the_sample_policy_names_its_binding_and_the_kind_that_there_is() {
    let documents = sample();
    let [policy, binding] = documents.as_slice() else {
        panic!("a policy and its binding: {documents:#?}");
    };
    assert_eq!(binding["kind"], "ValidatingAdmissionPolicyBinding");
    assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
    let rules = &policy["spec"]["matchConstraints"]["resourceRules"];
    assert_eq!(
        rules,
        &json!([{"apiGroups": ["ordain.dev"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
            "resources": ["requests"]}])
    );
}

#[test]
fn whoever_is_not_of_the_platform_asks_and_changes_nothing() {
    let policy = &sample()[0];
    for request in questions() {
        let sent = object(&request, Some("ada"), None);
        assert_eq!(refusals(policy, &ADA, None, &sent), [""; 0], "{request:?}");
    }
    for request in commands() {
        let sent = object(&request, Some("ada"), None);
        assert_eq!(
            refusals(policy, &ADA, None, &sent),
            [PLATFORM],
            "{request:?}"
        );
        let sent = object(&request, Some("grace"), None);
        assert_eq!(
            refusals(policy, &GRACE, None, &sent),
            [""; 0],
            "{request:?}"
        );
    }
}

#[test]
fn nobody_asks_in_anothers_name_and_nobody_changes_it_afterwards() {
    let policy = &sample()[0];
    let status = |by| object(&Request::Status, by, None);
    for by in [Some("grace"), Some(""), None] {
        assert_eq!(refusals(policy, &ADA, None, &status(by)), [NAMES], "{by:?}");
    }
    let old = object(&Request::Sync, Some("grace"), None);
    // A client says how much it has read.
    let read = object(&Request::Sync, Some("grace"), Some(4096));
    assert_eq!(refusals(policy, &GRACE, Some(&old), &read), [""; 0]);
    for new in [
        object(&Request::Sync, Some("ada"), None),
        object(&Request::Sync, None, None),
        object(&Request::Status, Some("grace"), None),
    ] {
        assert_eq!(refusals(policy, &GRACE, Some(&old), &new), [CHANGED]);
    }
    // A question does not become a command, whoever changes it.
    let old = status(Some("ada"));
    let new = object(&Request::Sync, Some("ada"), None);
    assert_eq!(
        refusals(policy, &ADA, Some(&old), &new),
        [CHANGED, PLATFORM]
    );
}

#[test]
fn a_history_without_a_limit_is_a_request_as_well() {
    let asked = json!({"request": "history", "app": "web", "env": null});
    let asked: Request = serde_json::from_value(asked).expect("an older client sends it");
    let wanted = Request::History {
        app: "web".to_owned(),
        env: None,
        limit: None,
    };
    assert_eq!(asked, wanted);
}

#[test]
fn what_has_no_form_is_refused() {
    let policy = &sample()[0];
    for spec in [
        json!({}),
        json!({"request": {}}),
        json!({"request": {"request": "journal"}}),
    ] {
        let sent = json!({"apiVersion": "ordain.dev/v1alpha1", "kind": "Request",
            "metadata": {"annotations": {"ordain.dev/requested-by": "ada"}}, "spec": spec});
        assert_eq!(refusals(policy, &ADA, None, &sent), [PLATFORM], "{spec}");
    }
}
