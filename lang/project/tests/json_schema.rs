//! JSON Schema of types: what the language accepts validates, what it refuses does not.

use ordain_lang_project::{Memory, Project, Scratch, json_schema};
use serde_json::{Value, json};

const TYPES: &str = r#"
/// A web shop.
type Shop {
  /// What it is called.
  name: k8s.Name
  replicas: Int(1..=100) = 2
  share: Float(0.0..=1.0) = 0.5
  tier: "frontend" | "backend" = "backend"
  version: String(/^[0-9.]+$/, length = 1..=8)?
  memory: Quantity = 256Mi
  wait: Duration = 30s
  env: Map<k8s.EnvName, String> = {}
  hosts: List<k8s.Hostname>(..=2) = []
  password: Secret<String>?
  image: k8s.Image = "registry.local/{name}:1"
  port: Int | String = 80
  even: Int(multiple = 2) = 2
  parts: List<Part> = []
  note: String?
  final kind: String = "Shop"
  assert replicas > 1 or tier == "backend", "a frontend needs two replicas"
}

/// It may hold parts again.
type Part { size: Int, parts: List<Part> = [] }
type Pair<A, B> { first: A, second: B }
"#;

fn project() -> Project {
    let files = Memory::new()
        .with("ordain.toml", "name = \"shop\"\n")
        .with("apps/shop.ord", TYPES);
    Project::load(&files)
}

fn schema(ty: &str) -> Value {
    match json_schema(project(), ty, None) {
        Ok(schema) => schema,
        Err(none) => panic!("{ty}: {:#?}", none.diagnostics),
    }
}

/// JSON as the language reads it: braces in strings are text.
fn ord(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}").replace('{', "\\{"),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(ord).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{key:?}: {}", ord(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// Both the language and the schema must say the same of every value.
fn check(ty: &str, cases: &[(bool, Value)]) {
    let schema = schema(ty);
    jsonschema::meta::validate(&schema).expect("it is a schema");
    let validator = jsonschema::options()
        .build(&schema)
        .expect("it is a schema");
    let mut scratch = Scratch::new(project());
    scratch.enter(None, "use apps.shop");
    let shown = ty
        .replace("Shop", "shop.Shop")
        .replace("Part", "shop.Part")
        .replace("Pair", "shop.Pair");
    scratch.enter(None, &format!("fn same(value: {shown}) -> {shown} = value"));
    for (is_good, value) in cases {
        let answer = scratch.enter(None, &format!("same({})", ord(value)));
        let accepted = !answer.diagnostics.iter().any(|d| d.is_error());
        let told: Vec<_> = answer.diagnostics.iter().map(|d| &d.message).collect();
        assert_eq!(accepted, *is_good, "the language on {value}: {told:?}");
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(
            errors.is_empty(),
            *is_good,
            "the schema on {value}: {errors:?}"
        );
    }
}

#[test]
fn a_type_of_the_project() {
    let with = |key: &str, value: Value| json!({ "name": "web", key: value });
    check(
        "Shop",
        &[
            (true, json!({ "name": "web" })),
            (false, json!({})),
            (false, json!({ "name": "Web" })),
            (false, with("nam", json!(1))),
            (true, with("replicas", json!(100))),
            (false, with("replicas", json!(101))),
            (false, with("replicas", json!("2"))),
            (false, with("replicas", json!(1.5))),
            (true, with("share", json!(1))),
            (false, with("share", json!(1.5))),
            (true, with("tier", json!("frontend"))),
            (false, with("tier", json!("middle"))),
            (true, with("version", json!("1.2"))),
            (true, with("version", Value::Null)),
            (false, with("version", json!("a"))),
            (false, with("version", json!("123456789"))),
            (true, with("memory", json!("1.5Gi"))),
            (true, with("memory", json!(2))),
            (false, with("memory", json!("1.5GB"))),
            (true, with("wait", json!("1h30m"))),
            (false, with("wait", json!("1 hour"))),
            (true, with("env", json!({ "LOG_LEVEL": "info" }))),
            (false, with("env", json!({ "1A": "info" }))),
            (false, with("env", json!({ "A": 1 }))),
            (
                true,
                with("hosts", json!(["a.example.com", "*.b.example.com"])),
            ),
            (false, with("hosts", json!(["a", "b", "c"]))),
            (false, with("hosts", json!(["-a"]))),
            (
                true,
                with(
                    "image",
                    json!(
                        "registry.local:5000/team/web:1.2@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                    ),
                ),
            ),
            (false, with("image", json!("Web:1"))),
            (true, with("port", json!("http"))),
            (true, with("port", json!(80))),
            (false, with("port", json!(true))),
            (true, with("even", json!(4))),
            (false, with("even", json!(3))),
            (
                true,
                with("parts", json!([{ "size": 1, "parts": [{ "size": 2 }] }])),
            ),
            (false, with("parts", json!([{ "size": 1, "parts": [{}] }]))),
            (true, with("note", json!("{x}"))),
        ],
    );
    assert_eq!(
        schema("Shop")["$defs"]["Shop"]["properties"]["password"]["anyOf"][0]["writeOnly"],
        true
    );
    insta::assert_json_snapshot!(schema("Shop"));
}

#[test]
fn kinds_of_kubernetes() {
    let service = |spec: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" }, "spec": spec });
    check(
        "k8s.Service",
        &[
            (
                true,
                service(json!({ "ports": [{ "port": 80, "targetPort": "http" }] })),
            ),
            (false, service(json!({ "ports": [{ "port": 0 }] }))),
            (false, service(json!({ "prots": [] }))),
            (
                false,
                service(json!({ "ports": [{ "port": 80 }], "type": "LoadBalance" })),
            ),
            (
                false,
                json!({ "apiVersion": "v2", "kind": "Service", "metadata": { "name": "web" } }),
            ),
        ],
    );
    let deployment = schema("k8s.Deployment");
    jsonschema::meta::validate(&deployment).expect("it is a schema");
    assert!(deployment["$defs"]["k8s.PodSpec"]["properties"]["containers"].is_object());
}

#[test]
fn types_made_of_others() {
    check(
        "List<Part>",
        &[
            (true, json!([{ "size": 1 }])),
            (false, json!([{ "size": "1" }])),
            (false, json!({})),
        ],
    );
    check(
        "Map<String, Int(1..)>",
        &[(true, json!({ "a": 1 })), (false, json!({ "a": 0 }))],
    );
    check(
        "\"small\" | \"large\"",
        &[(true, json!("small")), (false, json!("Small"))],
    );
    check(
        "Pair<Int, String?>",
        &[
            (true, json!({ "first": 1 })),
            (false, json!({ "first": "a" })),
        ],
    );
    assert!(schema("shop.Part")["$ref"].is_string());
    assert!(schema("apps.shop.Part")["$ref"].is_string());
}

#[test]
fn what_is_no_type_is_told() {
    for ty in ["Shp", "apps.shop.Nope", "Shop<", "k8s.Deploymnt", ""] {
        let none = json_schema(project(), ty, None).expect_err(ty);
        assert!(!none.diagnostics.is_empty(), "{ty}");
    }
}
