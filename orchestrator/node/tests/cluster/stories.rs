//! The stories that every driver tells.

use kube::api::LogParams;
use ordain_orchestrator_node::RuntimeChoice;
use serde_json::json;

use crate::bench::Cluster;
use crate::suite::Suite;

pub(crate) async fn run(suite: &mut Suite, runtime: RuntimeChoice, name: &str) {
    suite
        .test(&format!("{name}_pod_lives_and_is_deleted"), life(runtime))
        .await;
    suite
        .test(&format!("{name}_work_is_done_once"), work(runtime))
        .await;
    suite
        .test(&format!("{name}_crash_and_missing_image"), trouble(runtime))
        .await;
    suite
        .test(
            &format!("{name}_pods_come_back_with_the_node"),
            comes_back(runtime),
        )
        .await;
}

async fn life(runtime: RuntimeChoice) {
    let cluster = Cluster::start(runtime).await;
    let script = "echo up; mkdir -p $SRV; echo answer > $SRV/index.html; \
                  exec httpd -f -p $POD_IP:18080 -h $SRV";
    cluster
        .pod(
            "web",
            json!({
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "web",
                    "image": "IMAGE",
                    "command": ["sh", "-c", script],
                    "env": [
                        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        {"name": "SRV", "value": "/data/www"},
                    ],
                    "ports": [{"containerPort": 18080, "name": "http"}],
                    "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 1},
                    "livenessProbe": {"tcpSocket": {"port": 18080}, "periodSeconds": 1},
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
                "volumes": [{"name": "data", "emptyDir": {}}],
            }),
        )
        .await;
    let pod = cluster.until_ready("web").await;
    let status = pod.status.expect("a status");
    let address = status.pod_ip.expect("an address");
    let connected = tokio::net::TcpStream::connect(format!("{address}:18080")).await;
    assert!(connected.is_ok(), "the host reaches the pod");
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.host_ip.as_deref(), Some("127.0.0.1"));
    let one = &status.container_statuses.expect("statuses")[0];
    assert!(
        one.container_id
            .as_ref()
            .is_some_and(|id| id.starts_with("ordain://"))
    );
    assert!(one.image_id.starts_with("sha256:"));

    let log = cluster
        .pods()
        .logs("web", &LogParams::default())
        .await
        .expect("a log");
    assert!(log.starts_with("up\n"), "{log}");
    let (out, err, status) = cluster
        .exec("web", &["sh", "-c", "echo out; echo err >&2; exit 3"], None)
        .await;
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");
    let (out, _, status) = cluster
        .exec("web", &["head", "-c", "5"], Some("typed"))
        .await;
    assert_eq!(
        (out.as_str(), &status["status"]),
        ("typed", &json!("Success"))
    );

    let reasons = cluster.reasons("web").await;
    for expect in ["Pulled", "Created", "Started"] {
        assert!(reasons.iter().any(|reason| reason == expect), "{reasons:?}");
    }
    cluster.delete("web").await;
    let left = std::fs::read_dir(cluster.folder.path().join("node/containers")).expect("there");
    assert_eq!(left.count(), 0, "nothing is left of the pod");
    cluster.stop().await;
}

async fn work(runtime: RuntimeChoice) {
    let cluster = Cluster::start(runtime).await;
    let map = json!({"metadata": {"name": "conf"}, "data": {"key": "from the map"}});
    let map = serde_json::from_value(map).expect("a map");
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(cluster.client.clone(), "default");
    maps.create(&Default::default(), &map)
        .await
        .expect("created");
    cluster
        .pod(
            "work",
            json!({
                "restartPolicy": "Never",
                "initContainers": [{
                    "name": "init",
                    "image": "IMAGE",
                    "command": ["sh", "-c", "echo prepared > /data/state"],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
                "containers": [{
                    "name": "work",
                    "image": "IMAGE",
                    "command": ["sh", "-c"],
                    "args": ["cat /data/state /conf/key; echo; echo $(KEY) $0", "arg"],
                    "env": [{
                        "name": "KEY",
                        "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "key"}},
                    }],
                    "volumeMounts": [
                        {"name": "data", "mountPath": "/data"},
                        {"name": "conf", "mountPath": "/conf"},
                    ],
                }],
                "volumes": [
                    {"name": "data", "emptyDir": {}},
                    {"name": "conf", "configMap": {"name": "conf"}},
                ],
            }),
        )
        .await;
    let pod = cluster.until_phase("work", "Succeeded").await;
    let status = pod.status.expect("a status");
    let one = &status.container_statuses.expect("statuses")[0];
    let ended = one
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref())
        .expect("ended");
    assert_eq!(
        (ended.exit_code, ended.reason.as_deref()),
        (0, Some("Completed"))
    );
    let log = cluster
        .pods()
        .logs("work", &LogParams::default())
        .await
        .expect("a log");
    assert_eq!(log, "prepared\nfrom the map\nfrom the map arg\n");
    let last = LogParams {
        tail_lines: Some(1),
        ..LogParams::default()
    };
    let log = cluster.pods().logs("work", &last).await.expect("a log");
    assert_eq!(log, "from the map arg\n");
    cluster.stop().await;
}

async fn trouble(runtime: RuntimeChoice) {
    let cluster = Cluster::start(runtime).await;
    let container = |image: &str, script: &str| {
        json!({"containers": [{
            "name": "c", "image": image, "command": ["sh", "-c", script],
        }]})
    };
    cluster
        .pod("crash", container("IMAGE", "echo run; exit 4"))
        .await;
    cluster
        .pod("missing", container("registry.local/no/such:1", "true"))
        .await;
    cluster
        .pod(
            "config",
            json!({"containers": [{
                "name": "c",
                "image": "IMAGE",
                "envFrom": [{"configMapRef": {"name": "gone"}}],
            }]}),
        )
        .await;
    let waits = |reason: &'static str| {
        move |pod: &k8s_openapi::api::core::v1::Pod| {
            let statuses = pod
                .status
                .as_ref()
                .and_then(|s| s.container_statuses.as_ref());
            let state = statuses.and_then(|list| list.first()?.state.clone());
            state.and_then(|state| state.waiting?.reason).as_deref() == Some(reason)
        }
    };
    let pod = cluster
        .until("crash", "waiting", waits("CrashLoopBackOff"))
        .await;
    let status = pod
        .status
        .expect("a status")
        .container_statuses
        .expect("statuses")
        .remove(0);
    let last = status
        .last_state
        .and_then(|last| last.terminated)
        .expect("it ended");
    assert_eq!((last.exit_code, status.restart_count), (4, 1));
    let previous = LogParams {
        previous: true,
        ..LogParams::default()
    };
    let log = cluster
        .pods()
        .logs("crash", &previous)
        .await
        .expect("a log");
    assert_eq!(log, "run\n");
    cluster
        .until("missing", "refused", waits("ImagePullBackOff"))
        .await;
    cluster
        .until("config", "refused", waits("CreateContainerConfigError"))
        .await;
    let refused = cluster.pods().logs("missing", &LogParams::default()).await;
    let words = refused.expect_err("no log").to_string();
    assert!(words.contains("is waiting to start"), "{words}");
    for pod in ["crash", "missing", "config"] {
        cluster.delete(pod).await;
    }
    cluster.stop().await;
}

async fn comes_back(runtime: RuntimeChoice) {
    let mut cluster = Cluster::start(runtime).await;
    let script = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
    let spec = json!({"containers": [{
        "name": "c", "image": "IMAGE", "command": ["sh", "-c", script],
    }]});
    cluster.pod("stays", spec).await;
    cluster.until_ready("stays").await;
    cluster.stop_node().await;
    let node = cluster.folder.path().join("node");
    assert_eq!(
        std::fs::read_dir(node.join("containers"))
            .expect("there")
            .count(),
        0
    );
    let below = ordain_orchestrator_node::runtime::host::mounts_below(cluster.folder.path());
    assert!(below.is_empty(), "{below:?}");
    cluster.start_node().await;
    let again = cluster.until("stays", "restarted", |pod| {
        let statuses = pod
            .status
            .as_ref()
            .and_then(|s| s.container_statuses.as_ref());
        statuses.is_some_and(|list| list.iter().any(|one| one.ready && one.restart_count == 1))
    });
    again.await;
    cluster.stop().await;
}
