//! A live edit by `kubectl` becomes an edit of the sources: through the binary, with the real compiler, and the cluster has
//! nothing left to put right afterwards.

use crate::cluster::{Driver, Up, Work, text};

const PROJECT: &str = r#"/// Others use it too.
fn workload(name: String, replicas: Int) -> k8s.Deployment = k8s.Deployment {
  metadata.name = name
  spec = {
    replicas = replicas
    selector.matchLabels = { app = name }
    template = {
      metadata.labels = { app = name }
      spec.containers = [
        {
          name = "main"
          image = "localhost/hello:1"
          args = ["--quiet"]
          env = [{ name = "A", value = "1" }, { name = "B", value = "2" }]
        }
      ]
    }
  }
}

app hello {
  objects = [
    k8s.ConfigMap {
      metadata.name = "greeting"
      data = { text = "hello", extra = "x" }
    }
    workload("web", 0)
    workload("other", 0)
  ]
}

env dev {
  cluster = "local"
  namespace = "hello"
}
"#;

/// Edits of the Deployment by hand: a changed, a new and a removed variable, other arguments, another container, a
/// label and a field that the sources do not mention.
const PATCH: &str = r#"[
  {"op": "replace", "path": "/spec/template/spec/containers/0/env", "value": [
    {"name": "B", "value": "two"}, {"name": "C", "value": "3"}]},
  {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["--loud", "--color"]},
  {"op": "add", "path": "/spec/template/spec/containers/-", "value": {
    "name": "log", "image": "localhost/log:1", "ports": [{"containerPort": 9090}]}},
  {"op": "add", "path": "/metadata/labels/team", "value": "shop"},
  {"op": "add", "path": "/spec/minReadySeconds", "value": 5}
]"#;

#[test]
fn a_live_edit_becomes_a_change_of_the_sources() {
    let up = Up::start(Driver::Process);
    let work = Work::new(
        &up,
        &[
            ("ordain.toml", "name = \"hello\"\n"),
            ("hello.ord", PROJECT),
        ],
    );
    work.commit("first");
    let (ok, said) = work.push();
    assert!(ok, "{said}{}", up.log());
    let done = up.ordain(&["suspend", "hello", "--reason", "we try something"]);
    assert!(done.status.success(), "{}", text(&done));

    up.kubectl(&[
        "patch", "configmap", "greeting", "-n", "hello", "--type", "json", "-p",
        r#"[{"op": "remove", "path": "/data/extra"}, {"op": "add", "path": "/data/more", "value": "a {b}\n  c\n"}]"#,
    ]);
    up.kubectl(&[
        "patch",
        "deployment",
        "web",
        "-n",
        "hello",
        "--type",
        "json",
        "-p",
        PATCH,
    ]);
    for object in ["configmap/greeting", "deployment/web"] {
        let adopted = up.ordain(&["adopt", object, "--reason", "it was right"]);
        assert!(adopted.status.success(), "{}{}", text(&adopted), up.log());
    }
    work.git(&["pull", "--quiet", "ordain", "main"]);
    let source = std::fs::read_to_string(work.path().join("hello.ord")).expect("it is there");
    insta::assert_snapshot!("adopted", source);
    let log = work.git(&["log", "-1", "--format=%B"]);
    assert!(log.contains("Adopt-Of: Deployment hello/web"), "{log}");
    let formatted = up
        .command(env!("CARGO_BIN_EXE_ordain"))
        .args(["fmt", "--check"])
        .arg(work.path())
        .output()
        .expect("it starts");
    assert!(formatted.status.success(), "{}", text(&formatted));

    let done = up.ordain(&["resume", "hello"]);
    assert!(done.status.success(), "{}", text(&done));
    let tip = work.git(&["rev-parse", "HEAD"]).trim().to_owned();
    up.eventually("the commit is what stands", || {
        let status = up.json(&["status"]);
        let app = &status["apps"][0];
        (app["commit"] == *tip && app["sync"] == "synced").then_some(())
    });
    // Nothing is left to put right, and the other object that the function makes is as it was.
    for object in ["configmap/greeting", "deployment/web"] {
        let again = up.ordain(&["adopt", object]);
        let said = text(&again);
        assert!(said.contains("is as the sources declare it"), "{said}");
    }
    let args = |name: &str| {
        let path = "jsonpath={.spec.template.spec.containers[*].args}";
        up.kubectl(&["get", "deployment", name, "-n", "hello", "-o", path])
    };
    assert_eq!(args("web"), r#"["--loud","--color"]"#);
    assert_eq!(args("other"), r#"["--quiet"]"#);
}
