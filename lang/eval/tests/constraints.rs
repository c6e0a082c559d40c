//! Kubernetes' rules on values that only evaluation knows: every line of the checker's chapter, through an untyped value.
//!
//! `export k8s.X { … }` becomes `let rN: Any = { … }` and `export xN: k8s.X = rN`, so that the checker knows nothing
//! and evaluation finds what the chapter expects, on the same line and with the same code.

mod common;

use common::Program;

/// The programs of the chapters.
fn programs() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../types/tests/chapters");
    let text: String = ["constraints.md", "constraints-more.md"]
        .iter()
        .map(|name| std::fs::read_to_string(folder.join(name)).expect("the checker's chapter"))
        .collect();
    let blocks = text.split("```ord\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// The codes that a line's comments expect.
fn expected(line: &str) -> Vec<&str> {
    let mut codes: Vec<&str> = line
        .split("// error: ")
        .skip(1)
        .map(|rest| &rest[..5])
        .collect();
    codes.sort_unstable();
    codes
}

/// The line as a program of its own, with a value that only evaluation knows.
fn through_any(line: &str) -> String {
    let object = line.split(" // error").next().unwrap_or_default();
    let (kind, body) = object
        .strip_prefix("export k8s.")
        .and_then(|rest| rest.split_once(' '))
        .expect("every line is an export");
    format!("let raw: Any = {body}\nexport made: k8s.{kind} = raw\n")
}

#[test]
fn what_the_checker_finds_in_constants_evaluation_finds_in_values() {
    let mut ran = 0;
    let mut failures = String::new();
    for line in programs().iter().flat_map(|program| program.lines()) {
        let source = through_any(line);
        let program = Program::new(&[("page.ord", &source)]);
        assert_eq!(program.checked(), "", "the checker cannot know:\n{source}");
        let (_, told) = program.build(None);
        let mut codes: Vec<&str> = told
            .lines()
            .filter(|line| line.starts_with('E'))
            .map(|line| &line[..5])
            .collect();
        codes.sort_unstable();
        if codes != expected(line) {
            failures.push_str(&format!("{line}\n{told}\n"));
        }
        ran += 1;
    }
    assert!(ran > 200, "{ran} lines");
    assert_eq!(failures, "", "of {ran} lines");
}

#[test]
fn rules_of_finished_objects_hold_after_every_change() {
    let source = r#"
fn pod(image: String?) -> k8s.PodSpec = k8s.PodSpec {
  containers = [{ name = "main", image = image ?? "a:1", resources.requests.memory = 1Gi }]
}
fn bare() -> k8s.PodSpec = { containers = [{ name = "main" }] }
app shop {
  image: String? = null
  objects = [
    k8s.Pod { metadata.name = "fine", spec = pod(image) },
    k8s.Pod { metadata.name = "none", spec = { containers = [{ name = "main" }] } },
    k8s.Pod { metadata.name = "low", spec = pod(image) { containers["main"].resources.limits.memory = 512Mi } },
    k8s.Pod { metadata.name = "mended", spec = bare() { containers["main"].image = "b:2" } },
  ]
}
"#;
    let program = Program::new(&[("page.ord", source)]);
    assert_eq!(program.checked(), "");
    insta::assert_snapshot!(program.build(None).1);
}

#[test]
fn what_an_environment_breaks_is_shown_where_it_says_it() {
    let source = r#"
type Shop { name: k8s.Name, memory: Quantity = 256Mi }
fn deployment(s: Shop) -> k8s.Deployment = k8s.Deployment {
  metadata.name = s.name
  spec = {
    selector.matchLabels = { app = s.name }
    template.metadata.labels = { app = s.name }
    template.spec.containers = [{
      name = "main"
      image = "a:1"
      resources = { requests.memory = 128Mi, limits.memory = s.memory }
    }]
  }
}
app shop {
  config: Shop = { name = "shop" }
  objects = [deployment(config)]
}
env dev { cluster = "dev", shop.config.memory = 64Mi }
env prod {
  cluster = "prod"
  shop.objects[k8s.Deployment "shop"].spec.template.metadata.labels["app"] = "other"
}
"#;
    let program = Program::new(&[("page.ord", source)]);
    assert_eq!(program.checked(), "");
    let told = ["dev", "prod"].map(|env| program.build(Some(env)).1);
    insta::assert_snapshot!(told.join("\n"));
}
