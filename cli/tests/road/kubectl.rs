//! The installed `kubectl`, unmodified, against a cluster with real containers: deploy, look, log in, scale, roll, undo.

use crate::cluster::{Driver, Up, is_root, text};
use ordain_orchestrator_node::images::build::ImageBuilder;
use std::process::Command;

/// Returns why the suite cannot run here.
fn missing() -> Option<&'static str> {
    if !is_root() {
        return Some("it needs root");
    }
    if Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_err()
    {
        return Some("kubectl is not installed");
    }
    None
}

#[test]
fn kubectl_works_unmodified() {
    if let Some(why) = missing() {
        return crate::left_out("kubectl against real containers", why);
    }
    let up = Up::start(Driver::Oci);
    load_image(&up);
    up.kubectl(&[
        "create",
        "deployment",
        "web",
        "--image=localhost/web:1",
        "--replicas=2",
        "--port=8080",
    ]);
    up.kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"]);
    up.kubectl(&[
        "expose",
        "deployment",
        "web",
        "--port=80",
        "--target-port=8080",
    ]);

    let wide = up.kubectl(&["get", "pods", "-o", "wide", "-l", "app=web"]);
    assert_eq!(
        wide.lines()
            .filter(|l| l.contains("1/1") && l.contains("Running"))
            .count(),
        2,
        "{wide}"
    );
    let pod = up.kubectl(&[
        "get",
        "pods",
        "-l",
        "app=web",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    ]);

    // The Service answers on its cluster address, from the host and from a pod.
    let address = up.kubectl(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"]);
    let page = up.eventually("the Service answers", || {
        let output = up
            .command("curl")
            .args([
                "-sf",
                "--max-time",
                "5",
                &format!("http://{address}/index.html"),
            ])
            .output();
        output.ok().filter(|o| o.status.success()).map(|o| text(&o))
    });
    assert_eq!(page, "hello from a pod\n");
    let inside = up.kubectl(&[
        "exec",
        &pod,
        "--",
        "wget",
        "-q",
        "-O-",
        "http://web.default.svc.cluster.local/index.html",
    ]);
    assert_eq!(inside, "hello from a pod\n");

    // Logs and a shell.
    let logs = up.kubectl(&["logs", &pod]);
    assert!(logs.contains("web starts"), "{logs}");
    let output = up
        .command("kubectl")
        .arg("--kubeconfig")
        .arg(&up.kubeconfig)
        .args([
            "exec",
            &pod,
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 7",
        ])
        .output()
        .expect("kubectl starts");
    assert_eq!(output.status.code(), Some(7), "{}", text(&output));
    assert!(
        text(&output).contains("out\n") && text(&output).contains("err\n"),
        "{}",
        text(&output)
    );

    // A bad image leaves the old pods, and undo goes back.
    up.kubectl(&[
        "set",
        "image",
        "deployment/web",
        "web=localhost/web:nobody-built-this",
    ]);
    up.eventually("the new pod says why it waits", || {
        let pods = up.kubectl(&["get", "pods", "-l", "app=web"]);
        (pods.contains("ErrImagePull") || pods.contains("ImagePullBackOff")).then_some(())
    });
    let ready = up.kubectl(&[
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.status.readyReplicas}",
    ]);
    assert_eq!(ready, "2", "the old pods are still ready");
    up.kubectl(&["rollout", "undo", "deployment/web"]);
    up.kubectl(&["rollout", "status", "deployment/web", "--timeout=90s"]);

    // A dead container comes back; scaling and deletion end where they should.
    up.kubectl(&["exec", &pod, "--", "kill", "1"]);
    up.eventually("the container is restarted", || {
        let count = up.kubectl(&[
            "get",
            "pod",
            &pod,
            "-o",
            "jsonpath={.status.containerStatuses[0].restartCount}",
        ]);
        (count == "1").then_some(())
    });
    up.kubectl(&["scale", "deployment", "web", "--replicas=1"]);
    up.eventually("one pod is left", || {
        let pods = up.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]);
        (pods.lines().count() == 1).then_some(())
    });
    let described = up.kubectl(&["describe", "deployment", "web"]);
    assert!(
        described.contains("ScalingReplicaSet") || described.contains("Scaled"),
        "{described}"
    );
    up.kubectl(&["delete", "deployment", "web", "--timeout=60s"]);
    up.eventually("its pods are gone", || {
        let pods = up.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]);
        pods.is_empty().then_some(())
    });
    up.stop();
}

/// Loads an image made of this machine's busybox, as `docker save` would have written it.
fn load_image(up: &Up) {
    let serve = "echo web starts; trap 'exit 0' TERM; httpd -f -p 8080 -h /srv & wait $!";
    let image = ImageBuilder::new()
        .busybox()
        .expect("busybox is installed: .ci/run and CONTRIBUTING.md say how")
        .file("/srv/index.html", "hello from a pod\n", 0o644)
        .entrypoint(["/bin/sh", "-c", serve])
        .port(8080)
        .build();
    let archive = up.dir.path().join("web.tar");
    image
        .save("localhost/web:1", &archive)
        .expect("the folder is writable");
    let archive = archive.display().to_string();
    let output = up.ordain(&["image", "load", &archive]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("localhost/web:1"),
        "{}",
        text(&output)
    );
}
