//! The `process` driver: works without root, and as root.

use std::sync::Arc;

use ordain_orchestrator_node::images::ImageStore;
use ordain_orchestrator_node::runtime::StopSignal;
use ordain_orchestrator_node::runtime::process::ProcessRuntime;

use crate::suite::Suite;
use crate::support::{Bench, busybox_image, wait_for};

fn bench() -> Bench {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().to_owned();
    let mut bench = open(&folder);
    bench._temporary = Some(temporary);
    bench
}

fn open(folder: &std::path::Path) -> Bench {
    let store = ImageStore::open(folder.join("images")).expect("a store");
    let image = busybox_image(&store, folder);
    let program = std::env::current_exe().expect("this program");
    let (exits, _) = tokio::sync::mpsc::unbounded_channel();
    let range = "127.42.0.0/16".parse().expect("a range");
    let runtime = ProcessRuntime::open(folder, program, store, range, exits).expect("a driver");
    Bench {
        runtime: Arc::new(runtime),
        folder: folder.to_owned(),
        image,
        _temporary: None,
    }
}

pub(crate) async fn run(suite: &mut Suite) {
    suite
        .test("process_output_and_exit_code_are_kept", output())
        .await;
    suite
        .test("process_pods_have_addresses_of_their_own", addresses())
        .await;
    suite
        .test("process_stops_when_asked_and_when_not", stop())
        .await;
    suite
        .test("process_exec_runs_beside_the_program", exec())
        .await;
    suite
        .test("process_missing_program_is_a_start_error", missing())
        .await;
    suite
        .test("process_containers_survive_the_agent", adopt())
        .await;
}

async fn output() {
    let bench = bench();
    let sandbox = bench.sandbox("out").await;
    let script = "echo $GREETING; echo oops >&2; echo at $POD_IP; exit 3";
    let container = bench.container(&sandbox, script);
    bench.start(&container).await;
    let exit = bench.exit(&container.spec.id).await;
    assert_eq!((exit.code, exit.reason.as_str()), (3, "Error"));
    let mut log = bench.log(&container);
    log.sort();
    let at = format!("stdout F at {}", sandbox.address);
    assert_eq!(log, ["stderr F oops", at.as_str(), "stdout F hello"]);
    bench
        .runtime
        .remove(&container.spec.id)
        .await
        .expect("removed");
    assert!(bench.runtime.containers().is_empty());
}

async fn addresses() {
    let bench = bench();
    let (one, two) = (bench.sandbox("one").await, bench.sandbox("two").await);
    assert_ne!(one.address, two.address);
    assert_eq!(
        bench.sandbox("one").await,
        one,
        "the same pod keeps its address"
    );
    bench
        .runtime
        .remove_sandbox("uid-one")
        .await
        .expect("removed");
    assert_eq!(bench.runtime.find_sandbox("uid-one"), None);
}

async fn stop() {
    let bench = bench();
    let sandbox = bench.sandbox("stop").await;
    let script = "trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.05; done";
    let container = bench.container(&sandbox, script);
    bench.start(&container).await;
    wait_for("the first line", || {
        (!bench.log(&container).is_empty()).then_some(())
    })
    .await;
    bench
        .runtime
        .stop(&container.spec.id, StopSignal::Ask)
        .expect("asked");
    assert_eq!(bench.exit(&container.spec.id).await.code, 0);
    assert_eq!(
        bench.log(&container).last().map(String::as_str),
        Some("stdout F bye")
    );

    let sandbox = bench.sandbox("kill").await;
    let container = bench.container(&sandbox, "trap '' TERM; while true; do sleep 0.05; done");
    bench.start(&container).await;
    bench
        .runtime
        .stop(&container.spec.id, StopSignal::Kill)
        .expect("killed");
    let exit = bench.exit(&container.spec.id).await;
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
}

async fn exec() {
    let bench = bench();
    let sandbox = bench.sandbox("exec").await;
    let container = bench.container(&sandbox, "sleep 1000");
    bench.start(&container).await;
    let id = &container.spec.id;
    let (code, out, err) = bench
        .exec(
            id,
            &["sh", "-c", "echo $GREETING; echo no >&2; exit 7"],
            None,
            false,
        )
        .await;
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Ok(7), "hello\n", "no\n")
    );
    let (code, out, _) = bench.exec(id, &["cat"], Some("typed"), false).await;
    assert_eq!((code, out.as_str()), (Ok(0), "typed"));
    let (code, out, _) = bench
        .exec(id, &["sh", "-c", "tty && stty size"], Some(""), true)
        .await;
    assert_eq!(code, Ok(0), "{out}");
    assert!(out.starts_with("/dev/pts/"), "{out}");
    let (code, _, _) = bench.exec(id, &["no-such-program"], None, false).await;
    assert!(code.expect_err("refused").contains("not found in $PATH"));
    bench.runtime.stop(id, StopSignal::Kill).expect("killed");
    bench.exit(id).await;
}

async fn missing() {
    let bench = bench();
    let sandbox = bench.sandbox("missing").await;
    let mut container = bench.container(&sandbox, "");
    container.spec.args = vec!["/no/such/program".to_owned()];
    let error = bench
        .runtime
        .start(container.spec.clone(), &bench.image)
        .await;
    assert!(
        error
            .expect_err("refused")
            .to_string()
            .contains("not found in $PATH")
    );
}

async fn adopt() {
    let first = bench();
    let sandbox = first.sandbox("adopt").await;
    let container = first.container(&sandbox, "sleep 1000");
    first.start(&container).await;
    let id = container.spec.id.clone();
    // A second driver on the same folder stands for the agent's next run.
    let second = open(&first.folder);
    assert!(second.record(&id).expect("found again").is_live());
    assert_eq!(second.sandbox("adopt").await, sandbox);
    assert_ne!(second.sandbox("new").await.address, sandbox.address);
    second.runtime.stop(&id, StopSignal::Kill).expect("killed");
    assert_eq!(second.exit(&id).await.code, 137);
}
