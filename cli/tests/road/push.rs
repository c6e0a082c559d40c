//! A push deploys, a wrong push is refused with its mistakes, a bad one leaves the old pods, a rollback is a commit.

use crate::cluster::{Driver, Up, Work, is_root, text};

/// A project whose pods need no image but what every machine has, for the process driver.
const PROJECT: &str = r#"
app hello {
  replicas: Int = 1
  image: String = "localhost/hello:1"
  objects = [
    k8s.ConfigMap {
      metadata.name = "greeting"
      data = { text = "hello" }
    }
  ]
}

env dev { cluster = "local", namespace = "hello" }
"#;

#[test]
fn a_push_goes_all_the_way_and_back() {
    let up = Up::start(if is_root() {
        Driver::Oci
    } else {
        Driver::Process
    });
    let work = Work::new(
        &up,
        &[
            ("ordain.toml", "name = \"hello\"\n"),
            ("hello.ord", PROJECT),
        ],
    );
    let first = work.commit("first");
    let (ok, said) = work.push();
    assert!(
        ok && said.contains("greeting"),
        "the push shows the plan: {said}{}",
        up.log()
    );

    let status = up.json(&["status"]);
    assert_eq!(status["apps"][0]["name"], "hello", "{status}");
    assert_eq!(status["apps"][0]["health"], "healthy", "{status}");
    assert_eq!(status["apps"][0]["commit"], *first, "{status}");

    // A mistake is refused with the place, and nothing moves.
    work.write(
        "hello.ord",
        &PROJECT.replace("metadata.name", "metadata.nmae"),
    );
    work.commit("a mistake");
    let (ok, said) = work.push();
    assert!(!ok, "a push that does not compile is refused: {said}");
    assert!(
        said.contains("nmae") && said.contains("hello.ord") && said.contains("name"),
        "{said}"
    );
    assert_eq!(up.json(&["status"])["apps"][0]["commit"], *first);
    work.git(&["reset", "--hard", "--quiet", &first]);

    // A change, and back again by a commit.
    work.write(
        "hello.ord",
        &PROJECT.replace("\"hello\" }\n    }", "\"goodbye\" }\n    }"),
    );
    let second = work.commit("say goodbye");
    let (ok, said) = work.push();
    assert!(
        ok && said.contains("goodbye"),
        "the push shows the changed field: {said}"
    );
    let output = up.ordain(&[
        "rollback",
        "hello",
        "--to",
        &first,
        "--reason",
        "too sad",
        "--author",
        "Ada <ada@example.com>",
    ]);
    assert!(output.status.success(), "{}{}", text(&output), up.log());
    let status = up.json(&["status"]);
    assert_ne!(
        status["apps"][0]["commit"], *second,
        "the rollback is a commit of its own: {status}"
    );
    work.git(&["pull", "--quiet", "ordain", "main"]);
    let log = work.git(&["log", "-1", "--format=%an%n%B"]);
    for part in [
        "Ada",
        "too sad",
        "Rollback-Of: ",
        "Rollback-To: ",
        "Plan-Hash: ",
    ] {
        assert!(log.contains(part), "no `{part}` in: {log}");
    }
    let history = up.json(&["history", "hello"]);
    let deploys = history["deploys"].as_array().expect("a list").len();
    assert_eq!(deploys, 3, "{history}");
    up.stop();
}

#[test]
fn what_was_pushed_survives_a_kill() {
    let up = Up::start(Driver::Process);
    let work = Work::new(
        &up,
        &[
            ("ordain.toml", "name = \"hello\"\n"),
            ("hello.ord", PROJECT),
        ],
    );
    let commit = work.commit("first");
    assert!(work.push().0);
    let (dir, namespace) = up.kill();
    let up = Up::start_in(dir, Driver::Process, &[], namespace);
    let status = up.eventually("the app is healthy again", || {
        let status = up.json(&["status"]);
        (status["apps"][0]["health"] == "healthy").then_some(status)
    });
    assert_eq!(status["apps"][0]["commit"], *commit, "{status}");
    assert_eq!(
        up.json(&["history", "hello"])["deploys"]
            .as_array()
            .map(Vec::len),
        Some(1),
        "nothing was deployed twice"
    );
    up.stop();
}
