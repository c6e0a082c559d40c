//! What was when, by whom and why: asked of a reconciler beside its data directory, and with nothing but a kubeconfig.

use crate::cluster::text;
use crate::run::Far;
use base64::Engine as _;
use serde_json::Value;

/// The value of the Secret must be nowhere in what is told.
const PROJECT: &str = r#"
app hello {
  objects = [
    k8s.ConfigMap {
      metadata.name = "greeting"
      data = { text = "hello" }
    }
    k8s.Secret {
      metadata.name = "token"
      stringData = { token = "CANARY" }
    }
  ]
}

env prod { cluster = "far", namespace = "default" }
"#;

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

#[test]
fn whoever_has_a_kubeconfig_alone_is_told_the_same() {
    let far = Far::start(PROJECT);
    let first = far.head();
    far.settled(&first);
    let second = far.commit(
        "hello.ord",
        &PROJECT.replace("\"hello\" }", "\"bye\" }"),
        "say bye",
    );
    far.settled(&second);

    // By the object that carries the question, and by the files: the same words, the same exit code.
    for args in [
        &["log"][..],
        &["log", "hello", "-n", "3", "--format", "json"],
        &["log", "--env", "dev"],
        &["at", "now", "get"],
        &["at", "now", "get", "secret/token", "-o", "yaml"],
        &["at", "2020-01-01", "get"],
        &["blame", "configmap/greeting", "data.text"],
        &["blame", "cm/greeting", "data.text", "--format", "json"],
        &["audit", "key"],
        &["audit", "export"],
        &["audit", "export", "--format", "cdevents"],
        &["history", "hello"],
        &["why", "hello"],
    ] {
        far.up
            .eventually(&format!("both ways of {args:?} tell the same"), || {
                let (here, there) = (far.here(args), far.there(args));
                let same = here.stdout == there.stdout && here.status.code() == there.status.code();
                // Times of day move on between two questions in a few of them; nothing else may.
                (same || text(&here) == text(&there)).then_some(())
            });
        let there = far.there(args);
        assert!(!text(&there).contains("CANARY"), "{}", text(&there));
    }
    let log = text(&far.there(&["log"]));
    assert!(log.contains("say bye") && log.contains("unsigned"), "{log}");
    let blamed = text(&far.there(&["blame", "cm/greeting", "data.text"]));
    assert!(
        blamed.contains("say bye") && blamed.contains("hello.ord:"),
        "{blamed}"
    );
    // What cannot be meant is a failure of the command line, wherever it is found out.
    for (args, why) in [
        (
            ["blame", "cm/nothing", "data.text"],
            "no cm/nothing is deployed",
        ),
        (
            ["blame", "cm/greeting", "data.nothing"],
            "has no field `data.nothing`",
        ),
    ] {
        for refused in [far.here(&args), far.there(&args)] {
            assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
            assert!(text(&refused).contains(why), "{}", text(&refused));
        }
    }

    // The chain is checked by whoever asks, the objects by the reconciler.
    let verified = json(&far.there(&["audit", "verify", "--format", "json"]));
    assert_eq!(
        (&verified["intact"], &verified["blobs_checked"]),
        (&true.into(), &"reconciler".into())
    );
    assert!(
        verified["last"].as_u64() > Some(4) && verified["blobs"].as_u64() > Some(2),
        "{verified}"
    );
    let own = json(&far.here(&["audit", "verify", "--format", "json"]));
    assert_eq!(
        (&own["intact"], &own["blobs_checked"]),
        (&true.into(), &"here".into())
    );
    assert_eq!(own["key"], verified["key"]);
    let other = far.there(&["audit", "verify", "--key", &"0".repeat(64)]);
    assert_eq!(other.status.code(), Some(1), "{}", text(&other));
    let head = format!(
        "{}:{}",
        verified["last"],
        verified["head"].as_str().expect("a hash")
    );
    let kept = far.there(&["audit", "verify", "--head", &head]);
    assert_eq!(kept.status.code(), Some(0), "{}", text(&kept));

    // A rollback that is asked for over the API server: who asked is recorded, and the trailers fit.
    let back = far.there(&["rollback", "hello", "--to", &first, "--reason", "too short"]);
    assert_eq!(back.status.code(), Some(0), "{}", text(&back));
    let records = json(&far.there(&["log", "hello", "--format", "json"]));
    let records = records["records"].as_array().expect("records");
    let intent = records
        .iter()
        .find(|one| !one["rollback"].is_null() && one["event"] == "intent");
    let intent = intent.expect("the rollback's deploy");
    let actor = intent["actor"].as_str().expect("somebody asked");
    assert!(actor.starts_with("cluster user "), "{actor}");
    let verified = json(&far.there(&["audit", "verify", "--format", "json"]));
    assert_eq!(
        (&verified["intact"], &verified["rollbacks"]),
        (&true.into(), &1.into()),
        "{verified}"
    );
    let exported = far.there(&["audit", "export"]);
    let statements = String::from_utf8_lossy(&exported.stdout).into_owned();
    let told = statements.lines().any(|line| {
        let envelope: Value = serde_json::from_str(line).expect("an envelope");
        let payload = envelope["payload"].as_str().expect("a payload");
        let payload = base64::engine::general_purpose::STANDARD.decode(payload);
        let statement: Value =
            serde_json::from_slice(&payload.expect("base64")).expect("a statement");
        statement["predicate"]["actor"] == actor
    });
    assert!(told, "{statements}");

    // Old records go while the reconciler runs, and nothing that is needed goes with them.
    let compacted = far.there(&["audit", "compact", "--before", "2020-01-01"]);
    assert_eq!(compacted.status.code(), Some(0), "{}", text(&compacted));
    let compacted = far.here(&["audit", "compact", "--before", "now"]);
    assert_eq!(compacted.status.code(), Some(0), "{}", text(&compacted));
    let verified = far.here(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));

    // Nothing is left behind.
    far.up.eventually("no request is left", || {
        let left = far
            .up
            .kubectl(&["get", "requests.ordain.dev", "-A", "-o", "name"]);
        left.trim().is_empty().then_some(())
    });
}
