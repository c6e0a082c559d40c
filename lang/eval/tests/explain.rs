//! Provenance: which lines set a field of an object, newest first.

mod common;

use common::Program;

const SHOP: &str = r#"type Shop {
  name: String
  replicas: Int = 1
  image: String = "shop:1"
}

fn workload(s: Shop) -> k8s.Deployment = k8s.Deployment {
  metadata.name = s.name
  spec = {
    replicas = s.replicas
    selector.matchLabels = { app = s.name }
    template = {
      metadata.labels = { app = s.name }
      spec.containers = [{ name = "main", image = s.image }]
    }
  }
}

app shop {
  config: Shop = { name = "shop" }
  objects = [workload(config)]
}

env base { namespace = "n", shop.config.replicas = 2 }
env prod extends base {
  shop.config.replicas = 6
  shop.objects[k8s.Deployment "shop"].spec.template.spec.containers["main"].image = "shop:2"
}
"#;

#[track_caller]
fn check(env: Option<&str>, path: &[&str], expected: &str) {
    let program = Program::new(&[("shop.ord", SHOP)]);
    assert_eq!(program.checked(), "");
    assert_eq!(program.explain(env, path), expected);
}

#[test]
fn a_derived_field_leads_to_the_layers_that_set_its_origin() {
    check(
        Some("prod"),
        &["spec", "replicas"],
        "6\n\
         set in Value by shop.ord:10 `replicas`\n\
         from Env(1) by shop.ord:26 `config.replicas`\n\
         set in Env(0) by shop.ord:24 `config.replicas`\n\
         set in Default by shop.ord:3 `1`\n",
    );
}

#[test]
fn a_default_is_the_last_link() {
    check(
        None,
        &["spec", "template", "spec", "containers", "main", "image"],
        "\"shop:1\"\n\
         set in Value by shop.ord:14 `image`\n\
         from Default by shop.ord:4 `\"shop:1\"`\n",
    );
}

#[test]
fn an_amended_object_keeps_what_was_there() {
    check(
        Some("prod"),
        &["spec", "template", "spec", "containers", "0", "image"],
        "\"shop:2\"\n\
         set in Env(1) by shop.ord:27 `objects[k8s.Deployment \"shop\"].spec.template.spec.containers[\"main\"].image`\n\
         set in Value by shop.ord:14 `image`\n\
         from Default by shop.ord:4 `\"shop:1\"`\n",
    );
}

const LIBRARY: &str = r#"fn variables(env: Map<String, String>) -> List<k8s.EnvVar> =
  [for k, v in env { name = k, value = v }]

fn account(name: String, team: String = "nobody") -> k8s.ServiceAccount = k8s.ServiceAccount {
  metadata = { name = name, labels = { team = team } }
  automountServiceAccountToken = false
}
"#;

const USER: &str = r#"use lib

type Web { env: Map<String, String> = { A = "1", B = "2" }, names: List<String> = ["x"], note: String? }

app web {
  config: Web = { note = "hello", env { C = "3" } }
  objects = [
    ...config.names.map(n => lib.account(n))
    lib.account("main", team = config.note ?? "")
    k8s.Pod {
      metadata.name = "web"
      spec.containers = [{ name = "main", image = "web:1", env = lib.variables(config.env) }]
    }
    k8s.ConfigMap { metadata.name = "settings", data = { KEEP = "1", DROP = "2" }, immutable = true }
  ]
}

env base { namespace = "n", web.config.env { B = "3" } }
env prod extends base {
  namespace = "p"
  web.config.names += ["y"]
  delete web.objects[k8s.ConfigMap "settings"].immutable
  delete web.objects[k8s.ConfigMap "settings"].data["DROP"]
  delete web.objects[k8s.Pod "web"].spec.containers["main"].env["A"]
}
"#;

/// The origin of a field of an object of the program above.
#[track_caller]
fn library(object: &str, path: &[&str], expected: &str) {
    let program = Program::new(&[("lib.ord", LIBRARY), ("web.ord", USER)]);
    assert_eq!(program.checked(), "");
    assert_eq!(program.explain_of(object, Some("prod"), path), expected);
}

#[test]
fn an_element_made_by_a_function_leads_to_the_entry_it_was_made_of() {
    let path = ["spec", "containers", "main", "env", "B", "value"];
    library(
        "web",
        &path,
        "\"3\"\n\
         set in Value by lib.ord:2 `value`\n\
         from Env(0) by web.ord:18 `B`\n\
         set in Default by web.ord:3 `B`\n",
    );
}

#[test]
fn an_argument_is_the_origin_of_what_a_function_sets() {
    library(
        "main",
        &["metadata", "name"],
        "\"main\"\n\
         set in Value by lib.ord:5 `name`\n\
         from Value by web.ord:9 `\"main\"`\n",
    );
    library(
        "y",
        &["metadata", "name"],
        "\"y\"\n\
         set in Value by lib.ord:5 `name`\n\
         from Env(1) by web.ord:21 `\"y\"`\n",
    );
}

#[test]
fn what_was_deleted_leads_to_who_did_it() {
    library(
        "settings",
        &["immutable"],
        "null\n\
         deleted in Env(1) by web.ord:22 `delete web.objects[k8s.ConfigMap \"settings\"].immutable`\n\
         set in Value by web.ord:14 `immutable`\n",
    );
    library(
        "settings",
        &["data", "DROP"],
        "null\n\
         deleted in Env(1) by web.ord:23 `delete web.objects[k8s.ConfigMap \"settings\"].data[\"DROP\"]`\n\
         set in Value by web.ord:14 `DROP`\n",
    );
    library(
        "web",
        &["spec", "containers", "main", "env", "A"],
        "null\n\
         deleted in Env(1) by web.ord:24 `delete web.objects[k8s.Pod \"web\"].spec.containers[\"main\"].env[\"A\"]`\n\
         set in Value by lib.ord:2 `{ name = k, value = v }`\n",
    );
}

#[test]
fn a_namespace_is_the_environments() {
    library(
        "web",
        &["metadata", "namespace"],
        "\"p\"\n\
         set in Env(1) by web.ord:20 `\"p\"`\n\
         set in Env(0) by web.ord:18 `\"n\"`\n",
    );
    library(
        "web",
        &["kind"],
        "\"Pod\"\nset in Value by web.ord:10 `k8s.Pod {`\n",
    );
}

#[test]
fn what_is_not_there_has_no_origin() {
    check(None, &["spec", "paused"], "nothing");
    check(None, &["spec", "typo", "x"], "nothing");
}
