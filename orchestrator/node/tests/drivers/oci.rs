//! The `oci` driver: needs root, and runs in namespaces of its own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ordain_orchestrator_node::images::ImageStore;
use ordain_orchestrator_node::runtime::oci::OciRuntime;
use ordain_orchestrator_node::runtime::{Mount, SandboxSpec, StopSignal, host};

use crate::suite::Suite;
use crate::support::{Bench, busybox_image, wait_for};

async fn bench() -> Bench {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().to_owned();
    let mut bench = open(&folder).await;
    bench._temporary = Some(temporary);
    bench
}

async fn open(folder: &std::path::Path) -> Bench {
    let store = ImageStore::open(folder.join("images")).expect("a store");
    let image = busybox_image(&store, folder);
    let program = std::env::current_exe().expect("this program");
    let (exits, _) = tokio::sync::mpsc::unbounded_channel();
    let range = "10.42.0.0/16".parse().expect("a range");
    let host = Ipv4Addr::LOCALHOST;
    let runtime = OciRuntime::open(folder, program, store, range, None, host, exits).await;
    let runtime = Arc::new(runtime.expect("a driver"));
    Bench {
        runtime,
        folder: folder.to_owned(),
        image,
        _temporary: None,
    }
}

/// Takes everything down and checks that nothing is left on the host.
async fn close(bench: Bench, pods: &[&str]) {
    let sandboxes = bench.runtime.sandboxes().into_iter();
    let mut links: Vec<_> = sandboxes
        .filter_map(|sandbox| sandbox.host_interface)
        .collect();
    for record in bench.runtime.containers() {
        bench
            .runtime
            .stop(&record.id, StopSignal::Kill)
            .expect("killed");
        bench.exit(&record.id).await;
        bench.runtime.remove(&record.id).await.expect("removed");
    }
    for pod in pods {
        bench
            .runtime
            .remove_sandbox(&format!("uid-{pod}"))
            .await
            .expect("removed");
    }
    bench.runtime.shutdown().await;
    assert_eq!(
        host::mounts_below(&bench.folder),
        [""; 0].map(std::path::PathBuf::from)
    );
    let mark = ordain_orchestrator_node::runtime::oci::mark(&bench.folder);
    let groups = ordain_orchestrator_node::runtime::cgroup::folders(&format!("ordain-{mark}"));
    assert!(groups.is_empty(), "{groups:?}");
    links.push(format!("ord-{mark}"));
    links.retain(|name| {
        std::path::Path::new("/proc/sys/net/ipv4/conf")
            .join(name)
            .exists()
    });
    assert!(links.is_empty(), "{links:?}");
}

pub(crate) async fn run(suite: &mut Suite) {
    suite
        .test("oci_users_capabilities_and_host_network", users())
        .await;
    suite.test("oci_container_with_a_terminal", console()).await;
    suite
        .test("oci_leftovers_of_a_killed_run_are_removed", leftovers())
        .await;
    suite
        .test("oci_shim_runs_from_a_sealed_program", sealed())
        .await;
    suite
        .test("oci_output_and_exit_code_are_kept", output())
        .await;
    suite
        .test("oci_containers_see_their_own_world", world())
        .await;
    suite
        .test("oci_pods_reach_each_other_and_the_host", network())
        .await;
    suite.test("oci_exec_runs_inside", exec()).await;
    suite.test("oci_terminal_exec", terminal()).await;
    suite.test("oci_memory_limit_kills", memory()).await;
    suite
        .test("oci_volumes_and_read_only_root", volumes())
        .await;
    suite
        .test("oci_missing_program_is_a_start_error", missing())
        .await;
    suite
        .test("oci_no_descriptor_leaks_in", descriptors())
        .await;
    suite
        .test("oci_containers_survive_the_agent", adopt())
        .await;
    suite
        .test("oci_dead_shim_takes_its_container_along", dead_shim())
        .await;
}

async fn output() {
    let bench = bench().await;
    let sandbox = bench.sandbox("out").await;
    let container = bench.container(&sandbox, "echo $GREETING; echo oops >&2; exit 3");
    bench.start(&container).await;
    let exit = bench.exit(&container.spec.id).await;
    assert_eq!((exit.code, exit.reason.as_str()), (3, "Error"));
    let mut log = bench.log(&container);
    log.sort();
    assert_eq!(log, ["stderr F oops", "stdout F hello"]);
    close(bench, &["out"]).await;
}

async fn world() {
    let bench = bench().await;
    let sandbox = bench.sandbox("world").await;
    let script = "echo $$ $(hostname) $(cat /etc/greeting) $(id -u); touch /new; ls / | grep new; \
                  ip addr show eth0 | grep -o 'inet [0-9.]*'";
    let container = bench.container(&sandbox, script);
    bench.start(&container).await;
    assert_eq!(bench.exit(&container.spec.id).await.code, 0);
    let inet = format!("stdout F inet {}", sandbox.address);
    let expect = [
        "stdout F 1 world from the image 0",
        "stdout F new",
        inet.as_str(),
    ];
    assert_eq!(bench.log(&container), expect);
    close(bench, &["world"]).await;
}

async fn network() {
    let bench = bench().await;
    let one = bench.sandbox("one").await;
    let two = bench.sandbox("two").await;
    let script = "mkdir -p /srv; echo answer > /srv/index.html; httpd -f -p 8080 -h /srv";
    let server = bench.container(&one, script);
    bench.start(&server).await;
    let script = format!(
        "for i in $(seq 50); do wget -q -O - http://{}:8080/ && exit 0; sleep 0.1; done; exit 1",
        one.address
    );
    let client = bench.container(&two, &script);
    bench.start(&client).await;
    assert_eq!(bench.exit(&client.spec.id).await.code, 0);
    assert_eq!(
        bench.log(&client).last().map(String::as_str),
        Some("stdout F answer")
    );
    let connected = tokio::net::TcpStream::connect((one.address, 8080)).await;
    assert!(connected.is_ok(), "the host reaches the pod");
    close(bench, &["one", "two"]).await;
}

async fn exec() {
    let bench = bench().await;
    let sandbox = bench.sandbox("exec").await;
    let container = bench.container(&sandbox, "sleep 1000");
    bench.start(&container).await;
    let id = &container.spec.id;
    let script = "echo $GREETING $(hostname); echo no >&2; exit 7";
    let (code, out, err) = bench.exec(id, &["sh", "-c", script], None, false).await;
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Ok(7), "hello exec\n", "no\n")
    );
    let (code, out, _) = bench.exec(id, &["cat"], Some("typed"), false).await;
    assert_eq!((code, out.as_str()), (Ok(0), "typed"));
    let (code, _, _) = bench.exec(id, &["no-such-program"], None, false).await;
    assert!(code.is_err(), "{code:?}");
    close(bench, &["exec"]).await;
}

async fn terminal() {
    let bench = bench().await;
    let sandbox = bench.sandbox("tty").await;
    let container = bench.container(&sandbox, "sleep 1000");
    bench.start(&container).await;
    let id = &container.spec.id;
    let (code, out, _) = bench
        .exec(
            id,
            &["sh", "-c", "read x; tty; stty size; exit 4"],
            Some("\n"),
            true,
        )
        .await;
    assert_eq!(code, Ok(4), "{out}");
    assert!(out.contains("/dev/pts/") && out.contains("40 100"), "{out}");
    close(bench, &["tty"]).await;
}

async fn memory() {
    let bench = bench().await;
    let sandbox = bench.sandbox("oom").await;
    let mut container = bench.container(&sandbox, "x=x; while true; do x=$x$x; done");
    container.spec.limits.memory_bytes = Some(16 << 20);
    bench.start(&container).await;
    let exit = bench.exit(&container.spec.id).await;
    assert_eq!((exit.code, exit.reason.as_str()), (137, "OOMKilled"));
    close(bench, &["oom"]).await;
}

async fn volumes() {
    let bench = bench().await;
    let sandbox = bench.sandbox("vol").await;
    let folder = bench.folder.join("volume");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join("file"), "shared").expect("written");
    let script = "cat /data/file; echo back > /data/out; touch /x 2>/dev/null || echo read-only; \
                  touch /etc/config/y 2>/dev/null || echo no write";
    let mut container = bench.container(&sandbox, script);
    container.spec.security.read_only_root = true;
    let mount = |destination: &str, read_only| Mount {
        source: folder.clone(),
        destination: destination.to_owned(),
        read_only,
    };
    container.spec.mounts = vec![mount("/data", false), mount("/etc/config", true)];
    bench.start(&container).await;
    bench.exit(&container.spec.id).await;
    let log = bench.log(&container);
    assert_eq!(
        log,
        [
            "stdout F sharedread-only".to_owned(),
            "stdout F no write".to_owned()
        ]
    );
    assert_eq!(
        std::fs::read_to_string(folder.join("out")).expect("written"),
        "back\n"
    );
    close(bench, &["vol"]).await;
}

async fn missing() {
    let bench = bench().await;
    let sandbox = bench.sandbox("missing").await;
    let mut container = bench.container(&sandbox, "");
    container.spec.args = vec!["/no/such/program".to_owned()];
    let error = bench
        .runtime
        .start(container.spec.clone(), &bench.image)
        .await;
    let words = error.expect_err("refused").to_string();
    assert!(words.contains("/no/such/program"), "{words}");
    let exit = bench.exit(&container.spec.id).await;
    assert_eq!((exit.code, exit.reason.as_str()), (128, "StartError"));
    close(bench, &["missing"]).await;
}

async fn descriptors() {
    let bench = bench().await;
    let sandbox = bench.sandbox("fds").await;
    // A descriptor of ours that would be inherited if anything were.
    let held = std::fs::File::open("/").expect("readable");
    nix::fcntl::fcntl(
        &held,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
    )
    .expect("inheritable");
    let container = bench.container(&sandbox, "for f in /proc/self/fd/*; do echo ${f##*/}; done");
    bench.start(&container).await;
    bench.exit(&container.spec.id).await;
    let log = bench.log(&container);
    // 3 is the folder that the pattern itself reads.
    let expect = ["0", "1", "2", "3"].map(|fd| format!("stdout F {fd}"));
    assert!(log.iter().all(|line| expect.contains(line)), "{log:?}");
    let sleeper = bench.sandbox("fds2").await;
    let container = bench.container(&sleeper, "sleep 1000");
    bench.start(&container).await;
    let (_, out, _) = bench
        .exec(&container.spec.id, &["ls", "/proc/self/fd"], None, false)
        .await;
    assert_eq!(
        out.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
    close(bench, &["fds", "fds2"]).await;
}

async fn adopt() {
    let first = bench().await;
    let sandbox = first.sandbox("adopt").await;
    let container = first.container(&sandbox, "sleep 1000");
    first.start(&container).await;
    let id = container.spec.id.clone();
    let second = open(&first.folder).await;
    assert!(second.record(&id).expect("found again").is_live());
    assert_eq!(second.sandbox("adopt").await, sandbox);
    let (code, out, _) = second.exec(&id, &["hostname"], None, false).await;
    assert_eq!((code, out.as_str()), (Ok(0), "adopt\n"));
    close(second, &["adopt"]).await;
}

async fn users() {
    let bench = bench().await;
    let spec = SandboxSpec {
        pod: crate::support::pod("user"),
        hostname: "user".to_owned(),
        host_network: true,
    };
    let sandbox = bench.runtime.sandbox(&spec).await.expect("a sandbox");
    assert_eq!(sandbox.address, Ipv4Addr::LOCALHOST);
    let script = "id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr '\\t' ' '; \
                  ls /sys/class/net | grep -c ord-";
    let mut container = bench.container(&sandbox, script);
    let security = &mut container.spec.security;
    security.run_as_user = Some(65534);
    security.run_as_group = Some(7);
    security.drop = vec!["ALL".to_owned()];
    security.no_new_privileges = true;
    bench.start(&container).await;
    bench.exit(&container.spec.id).await;
    let expect = [
        "65534",
        "7",
        "CapEff: 0000000000000000",
        "NoNewPrivs: 1",
        "1",
    ];
    assert_eq!(
        bench.log(&container),
        expect.map(|line| format!("stdout F {line}"))
    );
    close(bench, &["user"]).await;
}

async fn console() {
    let bench = bench().await;
    let sandbox = bench.sandbox("console").await;
    let mut container = bench.container(&sandbox, "tty; echo to the terminal; exit 2");
    container.spec.tty = true;
    bench.start(&container).await;
    assert_eq!(bench.exit(&container.spec.id).await.code, 2);
    let expect = ["stdout F /dev/pts/0", "stdout F to the terminal"];
    assert_eq!(bench.log(&container), expect);
    close(bench, &["console"]).await;
}

async fn sealed() {
    let bench = bench().await;
    let sandbox = bench.sandbox("seal").await;
    let container = bench.container(&sandbox, "sleep 1000");
    bench.start(&container).await;
    let folder = bench.folder.join("containers").join(&container.spec.id);
    let text = std::fs::read(folder.join("shim.json")).expect("there");
    let shim: host::ProcessRef = serde_json::from_slice(&text).expect("JSON");
    let program = format!("/proc/{}/exe", shim.pid);
    let flags = nix::sys::statvfs::statvfs(program.as_str())
        .expect("running")
        .flags();
    let read_only = nix::sys::statvfs::FsFlags::ST_RDONLY;
    assert!(flags.contains(read_only), "{flags:?}");
    assert!(!folder.join("seal.error").exists());
    close(bench, &["seal"]).await;
}

async fn leftovers() {
    let first = bench().await;
    let sandbox = first.sandbox("left").await;
    let container = first.container(&sandbox, "sleep 1000");
    first.start(&container).await;
    // As after a reboot: the namespaces are gone, the files are not.
    host::unmount_below(&first.folder);
    let forgotten = first.folder.join("sandboxes/uid-other");
    std::fs::create_dir_all(&forgotten).expect("made");
    let second = open(&first.folder).await;
    assert_eq!(second.runtime.find_sandbox("uid-left"), None);
    assert_eq!(second.exit(&container.spec.id).await.code, 137);
    let mark = ordain_orchestrator_node::runtime::oci::mark(&first.folder);
    let ports = ordain_orchestrator_net::bridge::ports(&format!("ord-{mark}")).await;
    assert_eq!(ports.expect("a list"), [""; 0], "the pod's link is gone");
    drop(first.runtime.clone());
    close(second, &[]).await;
}

async fn dead_shim() {
    let bench = bench().await;
    let sandbox = bench.sandbox("dead").await;
    let container = bench.container(&sandbox, "sleep 1000");
    bench.start(&container).await;
    let id = &container.spec.id;
    let text = std::fs::read(bench.folder.join("containers").join(id).join("shim.json"));
    let shim: host::ProcessRef = serde_json::from_slice(&text.expect("there")).expect("JSON");
    shim.signal(nix::sys::signal::Signal::SIGKILL, false)
        .expect("killed");
    let exit = bench.exit(id).await;
    assert_eq!(exit.reason, "ContainerStatusUnknown");
    let group = format!(
        "ordain-{}/uid-dead/{id}",
        ordain_orchestrator_node::runtime::oci::mark(&bench.folder)
    );
    wait_for("an empty group", || {
        let folders = ordain_orchestrator_node::runtime::cgroup::folders(&group);
        let live = folders.iter().any(|folder| {
            std::fs::read_to_string(folder.join("cgroup.procs")).is_ok_and(|text| !text.is_empty())
        });
        (!live).then_some(())
    })
    .await;
    close(bench, &["dead"]).await;
}
