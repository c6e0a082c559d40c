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

#[test]
fn what_is_not_there_has_no_origin() {
    check(None, &["spec", "paused"], "nothing");
    check(None, &["spec", "typo", "x"], "nothing");
}
