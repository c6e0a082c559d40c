//! How two compiled commits differ, as text and as JSON.

use ordain_reconciler_plan::{SetObject, diff_sets};
use serde_json::{Value, json};

fn object(app: &str, object: Value, at: &str) -> SetObject {
    SetObject {
        env: "dev".to_owned(),
        app: app.to_owned(),
        object,
        at: Some(at.to_owned()),
    }
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}},
    })
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
}

#[test]
fn objects_fields_lines_and_moves_are_told() {
    let before = [
        object("web", deployment("web:1"), "web.ord:3"),
        object("web", config("gone"), "web.ord:20"),
        object("web", config("moved"), "web.ord:30"),
        object("web", config("same"), "web.ord:40"),
    ];
    let after = [
        object("web", deployment("web:2"), "web.ord:4"),
        object("db", config("moved"), "db.ord:1"),
        object("web", config("same"), "web.ord:41"),
        object("web", config("new"), "web.ord:50"),
    ];
    let diff = diff_sets(&before, &after);
    insta::assert_snapshot!("text", diff);
    insta::assert_json_snapshot!("json", diff.objects.last());
    assert!(diff_sets(&after, &after).is_empty());
    assert_eq!(
        diff_sets(&after, &after).to_string(),
        "no changes (4 objects)\n"
    );
}
